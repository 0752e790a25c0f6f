"""A stand-in for the Hugging Face Hub on loopback, for the real client: it reads, writes, and fails to order.

    with serve_hub() as hub:
        hub.user("hf_ada", "ada")
        api = HfApi(endpoint=hub.site, token="hf_ada")
        fault = hub.faults.refuse("POST /api/datasets/ada/s/commit/", 503, times=2)
        ...
        assert fault.struck == 2 and hub.count("PUT /lfs/") == 1

A route is a part of `METHOD /path?query` as it is sent. `repository.py` says how repositories are kept, `faults.py`
what can be ordered, `reading.py` and `writing.py` what is answered.
"""

from tests.support.hub.faults import Fault, Faults
from tests.support.hub.hub import Asked, StandInHub, User
from tests.support.hub.repository import Commit, File, Repository
from tests.support.hub.server import ServedHub, serve_hub

__all__ = ["Asked", "Commit", "Fault", "Faults", "File", "Repository", "ServedHub", "StandInHub", "User", "serve_hub"]
