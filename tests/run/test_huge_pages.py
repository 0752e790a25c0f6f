"""Memory in huge pages: the same content, in fewer pages."""

import subprocess
import sys

import pytest

_CODE = """
import ctypes, hashlib, mmap, re
from pathlib import Path
from ml_intern.run import huge_pages

def huge():
    return int(re.search(r"AnonHugePages: +(\\d+)", Path("/proc/self/smaps_rollup").read_text())[1]) * 1024

libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
probe = libc.mmap(None, 4 << 20, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
probe = -(-probe // (2 << 20)) * (2 << 20)
ctypes.memset(probe, 1, 2 << 20)
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
if libc.madvise(probe, 2 << 20, huge_pages._MADV_COLLAPSE):
    raise SystemExit(print("none"))

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
    if done.stdout == "none\n":
        pytest.skip("this kernel has no huge pages, or none is free")
    assert int(done.stdout) >= 2 << 20, "how many there are depends on how much memory lies together"
