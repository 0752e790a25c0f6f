"""ml-intern: from a paper to a verified, published model."""

__version__ = "0.2.0"
