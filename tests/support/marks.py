"""Names for what a test leaves where the whole machine sees it."""

import hashlib
from pathlib import Path


def mark_of(tmp_path: Path) -> str:
    """Of this test alone: the last part of a path is the same in a suite that runs beside this one as somebody else."""
    return hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]
