"""Memory in huge pages: the same content, in fewer pages."""

import subprocess
import sys

import pytest

_CODE = """
import hashlib, mmap, re
from pathlib import Path
from ml_intern.run import huge_pages

def huge():
    return int(re.search(r"AnonHugePages: +(\\d+)", Path("/proc/self/smaps_rollup").read_text())[1]) * 1024

kept = [bytes([n % 251]) * 4000 for n in range(8000)]  # 32 MB, in small pieces
mapped = mmap.mmap(-1, 16 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
mapped[:] = b"zebra___" * (2 << 20)
before, content = huge(), hashlib.sha256(b"".join(kept) + mapped[:]).hexdigest()
huge_pages.gather()
assert hashlib.sha256(b"".join(kept) + mapped[:]).hexdigest() == content
print(huge() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has huge pages of this kind")
def test_what_was_written_stays_and_lies_in_huge_pages() -> None:
    done = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, timeout=60, check=True)
    if int(done.stdout) == 0:
        pytest.skip("this kernel has no huge pages, or none are free")
    assert int(done.stdout) >= 2 << 20, "how many there are depends on how much memory lies together"
