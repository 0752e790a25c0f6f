"""What of the machine a script needs to see: system libraries and this Python environment, nothing of a person's.

Knows nothing of how a sandbox shows it.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterable
from pathlib import Path

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32")
# Of /etc only what programs need to start; the users, groups and hosts shown are made up (the folder `etc` here).
_ETC = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime")
_MADE_UP = ("passwd", "group", "hosts", "nsswitch.conf")
# Numeric libraries choose their kernels by what these say of caches and cores.
_DEVICES = ("/sys/devices/system/cpu", "/sys/devices/system/node")
# Parts of an environment; what else lies in it (pip.conf, .netrc, projects) is not shown.
_PARTS = ("bin", "lib", "lib64", "libexec", "include", "share", "pyvenv.cfg")
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
    here = Path(__file__).parent / "etc"
    return found | {Path("/etc") / name: here / name for name in _MADE_UP}


def python_folders() -> list[Path]:
    """The parts of this Python environment and of the Python that it was made from, as spelled and as resolved."""
    tops: list[Path] = []
    for prefix in (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix):
        tops += [Path(prefix), Path(prefix).resolve()]
    # A virtual environment's python is a link, perhaps to a link: each step has to be there.
    step = Path(sys.executable)
    for _ in range(40):
        if not step.is_symlink():
            break
        step = Path(os.path.normpath(step.parent / step.readlink()))
        tops.append(step.parent.parent)
    found = [top / part for top in dict.fromkeys(tops) if top != Path("/") for part in _PARTS]
    return outermost([path for path in found if path.exists()], covered_by=system_folders())


@functools.cache
def shown_folders(*, gpu: bool) -> tuple[Path, ...]:
    """All of the machine's folders that a script sees; looked up once in the life of a process."""
    return (*system_folders(), *python_folders(), *(gpu_folders() if gpu and gpu_devices() else []))


def gpu_devices() -> list[Path]:
    """Device files of NVIDIA and AMD GPUs, as far as there are any."""
    amd = [path for path in (Path("/dev/kfd"), Path("/dev/dri")) if Path("/dev/kfd").exists() and path.exists()]
    return [*sorted(Path("/dev").glob("nvidia*")), *amd]


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
