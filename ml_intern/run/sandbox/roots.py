"""What of the machine a script needs to see: system libraries and this Python environment, nothing of a person's.

Knows nothing of how a sandbox shows it.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32")
# Of /etc only what programs need to start; the users, groups and hosts shown are made up (the folder `etc` here).
_ETC = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime")
# Certificates of authorities, in one file; the folders that they lie in may hold keys, too.
_AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_MADE_UP = ("passwd", "group", "hosts", "nsswitch.conf")
# Numeric libraries choose their kernels by what these say of caches and cores.
_DEVICES = ("/sys/devices/system/cpu", "/sys/devices/system/node")
# Parts of an environment; what else lies in it (pip.conf, .netrc, projects) is not shown.
_PARTS = ("bin", "lib", "lib64", "libexec", "include", "share", "pyvenv.cfg")
_OF_A_PERSON = ".local"  # where a Python may be installed, and where keyrings and programs keep their data (in `share`)
_GPU_FOLDERS = ("/sys/bus/pci", "/sys/devices/pci0000:00", "/sys/module/nvidia", "/etc/OpenCL", "/etc/vulkan")


def system_folders() -> list[Path]:
    """Existing system folders that are no links."""
    return [path for name in _SYSTEM if (path := Path(name)).is_dir() and not path.is_symlink()]


def system_links() -> dict[str, str]:
    """Links at the root and where they lead (`/bin` to `usr/bin`)."""
    return {name: str(Path(name).readlink()) for name in _SYSTEM if Path(name).is_symlink()}


def system_files() -> dict[Path, Path]:
    """Path inside: path outside, for the minimal /etc and the description of the processor."""
    found = {Path(name): Path(name) for name in (*_ETC, *_DEVICES) if Path(name).exists()}
    found |= {path: path for path in [authorities()] if path}
    here = Path(__file__).parent / "etc"
    return found | {Path("/etc") / name: here / name for name in _MADE_UP}


def authorities() -> Path | None:
    """The file by which the system knows whom to trust in HTTPS; never one with a private key in it."""
    files = (Path(name) for name in _AUTHORITIES)
    return next((path for path in files if path.is_file() and b"PRIVATE KEY" not in path.read_bytes()), None)


def python_folders() -> list[Path]:
    """The parts of this Python environment and of the Python that it was made from, as spelled and as resolved."""
    tops: list[Path] = []
    for prefix in (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix):
        tops += [Path(prefix), Path(prefix).resolve()]
    shared = dict.fromkeys(top for top in tops if top != Path("/"))
    found = [top / part for top in shared for part in _PARTS if part != "share" or top.name != _OF_A_PERSON]
    return outermost([path for path in found if path.exists()], covered_by=system_folders())


def python_links() -> dict[Path, str]:
    """The links by which this Python is reached and where they lead, as far as they lie in no folder that is shown: a
    virtual environment's python is a link, often by way of ~/.local/bin, and of what lies beside it nothing is shown.
    """
    shown = [*system_folders(), *python_folders()]
    links: dict[Path, str] = {}
    step = Path(sys.executable)
    for _ in range(40):
        link = next((path for path in (*reversed(step.parents), step) if path.is_symlink()), None)
        if link is None:
            break
        target = link.readlink()
        step = Path(os.path.normpath(link.parent / target / step.relative_to(link)))
        taken = any(link.is_relative_to(folder) or folder.is_relative_to(link) for folder in shown)
        if not taken and str(link) not in system_links():
            links[link] = str(target)
    return links


@functools.cache
def shown_folders(*, gpu: bool) -> tuple[Path, ...]:
    """All of the machine's folders that a script sees; looked up once in the life of a process."""
    return (*system_folders(), *python_folders(), *(gpu_folders() if gpu and gpu_devices() else []))


def gpu_devices() -> list[Path]:
    """Device files of NVIDIA and AMD GPUs, as far as there are any."""
    amd = [path for path in (Path("/dev/kfd"), Path("/dev/dri")) if Path("/dev/kfd").exists() and path.exists()]
    return [*sorted(Path("/dev").glob("nvidia*")), *amd]


def gpu_count() -> int:
    """GPUs that a run may use: those of the machine, or as many of them as CUDA_VISIBLE_DEVICES names."""
    nodes = [node for path in gpu_devices() for node in (path.glob("renderD*") if path.name == "dri" else [path])]
    count = sum(re.fullmatch(r"(nvidia|renderD)\d+", node.name) is not None for node in nodes)
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return count
    return min(count, len([one for one in named.split(",") if one.strip() not in ("", "-1")]))


def gpu_folders() -> list[Path]:
    """What the driver's libraries look up beside the devices."""
    return [path for name in _GPU_FOLDERS if (path := Path(name)).exists()]


def outermost(paths: Iterable[Path], covered_by: Iterable[Path] = ()) -> list[Path]:
    """Without those that lie in another one or in one of `covered_by`; order kept."""
    unique = list(dict.fromkeys(paths))
    cover = list(covered_by)
    return [
        path
        for path in unique
        if not any(path.is_relative_to(top) for top in cover)
        and not any(path != other and path.is_relative_to(other) for other in unique)
    ]


def parents_of(paths: Iterable[Path]) -> list[Path]:
    """Every folder above the paths, from the root down, each once."""
    above = {parent for path in paths for parent in path.parents if parent != Path("/")}
    return sorted(above, key=lambda path: (len(path.parts), str(path)))
