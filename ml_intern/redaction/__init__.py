"""Replaces secrets before text is logged or leaves the machine. Knows nothing of sessions, files or the network."""

from ml_intern.redaction.finding import Finding
from ml_intern.redaction.redactor import Redactor

__all__ = ["Finding", "Redactor"]
