"""Attacks on files outside a script's own folders. Started inside a sandbox as `files.py NAME JSON`.

What is written outside is found afterwards by whoever set the stage; what is read is printed here.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path
from typing import Any

from payload import attempt, main

Told = dict[str, Any]


def ssh_key(told: Told) -> str:
    return _read(Path(told["home"]) / ".ssh" / "id_ed25519")


def token_file(told: Told) -> str:
    return _read(Path(told["home"]) / ".cache" / "huggingface" / "token")


def write_outside(told: Told) -> str:
    for folder in (told["home"], f"{told['home']}/.ssh", str(Path(told["home"]).parent)):
        attempt(lambda place=folder: Path(place, "planted").write_text("x"))
    return ""


def empty_outside(told: Told) -> str:
    """By its path, and opened with O_TRUNC but not for writing: as if for reading, or for nothing (both bits)."""
    path = Path(told["home"]) / ".bashrc"
    attempt(lambda: os.truncate(path, 0))
    for mode in (os.O_RDONLY, os.O_ACCMODE):
        attempt(lambda mode=mode: os.close(os.open(path, mode | os.O_TRUNC)))
    return ""


def bashrc(told: Told) -> str:
    return _append(Path(told["home"]) / ".bashrc")


def pip_conf(told: Told) -> str:
    return _append(Path(told["home"]) / ".config" / "pip" / "pip.conf")


def symlink(told: Told) -> str:
    Path("link").symlink_to(Path(told["home"]) / ".ssh" / "id_ed25519")
    Path("folder").symlink_to(told["home"])
    attempt(lambda: Path("folder", "planted").write_text("x"))
    return attempt(lambda: _read(Path("link"))) or ""


def hardlink(told: Told) -> str:
    os.link(Path(told["home"]) / ".ssh" / "id_ed25519", "hard")
    return _read(Path("hard"))


def rename_in(told: Told) -> str:
    (Path(told["home"]) / ".bashrc").rename("mine")
    return ""


def stat_outside(told: Told) -> str:
    return f"knows its size: {(Path(told['home']) / '.ssh' / 'id_ed25519').stat().st_size}"


def chmod_outside(told: Told) -> str:
    (Path(told["home"]) / ".ssh" / "id_ed25519").chmod(0o640)
    return ""


def shared_memory_folder(told: Told) -> str:
    Path("/dev/shm", told["mark"]).write_text("x")
    return _read(Path("/dev/shm", told["mark"] + "-planted"))


def python_environment(told: Told) -> str:
    """A module that every Python of this environment imports at its start, the harness's next one as well."""
    for folder in dict.fromkeys([*sys.path, sys.prefix, sys.base_prefix]):
        if Path(folder).is_dir() and "payloads" not in folder:
            attempt(lambda place=folder: Path(place, told["mark"] + ".pth").write_text("# planted"))
    return ""


def preload(told: Told) -> str:
    """Whoever may make a file in /etc may name the libraries that every program loads (ld.so.preload)."""
    place = Path("/etc", told["mark"])
    place.write_text("x")
    place.unlink()
    return "may write in /etc"


def program_files(_told: Told) -> str:
    """The running interpreter, the first process, the linker: opened for writing, nothing is written."""
    for name in ("/proc/self/exe", "/proc/1/exe", sys.executable, "/usr/bin/env", "/lib64/ld-linux-x86-64.so.2"):
        if attempt(lambda place=name: os.open(place, os.O_WRONLY)) is not None:
            return f"may write {name}"
    return ""


def own_scripts(told: Told) -> str:
    """What was read-only given: rewritten, replaced, or its mode changed first."""
    for name in told["given"]:
        path = Path(name)
        attempt(lambda place=path: place.chmod(0o777))
        attempt(lambda place=path: place.write_text("planted"))
        attempt(lambda place=path: os.truncate(place, 0))
        attempt(lambda place=path: os.close(os.open(place, os.O_RDONLY | os.O_TRUNC)))
        attempt(lambda place=path: place.unlink())
        attempt(lambda place=path: place.parent.rename(place.parent.with_name("moved")))
        attempt(lambda place=path: place.parent.joinpath("sitecustomize.py").write_text("planted"))
    return ""


def nested_scripts(told: Told) -> str:
    """What lies, read-only, in a folder that may be written: rewritten, or moved away with the folder that holds it."""
    path = Path(told["nested"])
    attempt(lambda: path.write_text("planted"))
    attempt(lambda: path.parent.rename(path.parent.with_name("away")))
    attempt(lambda: (path.parent.mkdir(), path.write_text("planted")))
    return ""


def log_and_journal(told: Told) -> str:
    for name in (told["log"], told["journal"]):
        attempt(lambda place=name: Path(place).write_text("forged"))
    return ""


def around_the_root(told: Told) -> str:
    """Roads that do not begin at the root: other processes' roots, open descriptors, the parent of a folder."""
    wanted = Path(told["home"]).relative_to("/") / ".ssh" / "id_ed25519"
    starts = [f"/proc/{process}/{name}" for process in ("1", "self", "thread-self") for name in ("root", "cwd")]
    starts += [f"/proc/self/fd/{entry}" for entry in os.listdir("/proc/self/fd")]
    for start in starts:
        for ups in ("", "../" * 12):
            if found := attempt(lambda place=Path(start, ups, wanted): _read(place)):
                return found
    return ""


def set_id_file(_told: Told) -> str:
    """Left behind in the workspace, it would run with its owner's rights."""
    shutil.copy(sys.executable, "left")
    Path("left").chmod(0o6777)
    return ""


def device_file(_told: Told) -> str:
    os.mknod("disk", stat.S_IFBLK | 0o666, os.makedev(8, 0))
    os.close(os.open("disk", os.O_RDONLY))
    return "opened a disk"


def device_folder(_told: Told) -> str:
    names = [name for name in os.listdir("/dev") if name.startswith(("sd", "vd", "nvme", "kvm", "mem", "fuse", "loop"))]
    opened = [name for name in names if attempt(lambda place=name: os.open(f"/dev/{place}", os.O_RDONLY)) is not None]
    return ", ".join(opened)


def terminal(_told: Told) -> str:
    return "has the person's terminal" if attempt(lambda: os.open("/dev/tty", os.O_RDWR)) is not None else ""


def _read(path: Path) -> str:
    return f"read {path}" if "planted-secret" in path.read_text() else ""


def _append(path: Path) -> str:
    with path.open("a") as file:
        file.write("planted\n")
    return ""


if __name__ == "__main__":
    main(globals())
