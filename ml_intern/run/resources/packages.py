"""Packages that an experiment needs beyond this environment: wheels alone, in a layer of their own, cached by content.

Nothing is installed into the harness's environment, and no code of a package runs while it is fetched: a source
distribution would run its `setup.py` here, with the harness's rights, and is refused.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from ml_intern.run.resources.resource import ResourceError

_EXACT = re.compile(r"([A-Za-z0-9][\w.-]*)(?:\[[\w.,-]+\])?==([\w.!+-]+)")
_LOCKED = re.compile(rf"{_EXACT.pattern} --hash=sha256:[0-9a-f]{{64}}")
_SECONDS = 1800


def pin(requirements: tuple[str, ...]) -> tuple[str, ...]:
    """What they come to here: `name==version` where that is installed, and for everything that is missing, with what it
    needs itself, `name==version --hash=sha256:…` of its wheel. Raises ResourceError."""
    if loose := [one for one in requirements if not is_exact(one)]:
        raise ResourceError(f"The requirement {loose[0]!r} is not exact.", next="Write it as name==version.")
    here = tuple(one for one in requirements if _is_installed(one))
    missing = [one for one in requirements if one not in here and not _LOCKED.fullmatch(one)]
    locked = {one for one in requirements if _LOCKED.fullmatch(one)}
    if missing:
        report = _pip("install", "--dry-run", "--report", "-", *missing)
        try:
            locked |= {_locked(entry) for entry in json.loads(report)["install"]}
        except (ValueError, KeyError) as error:
            raise ResourceError("pip's report cannot be read.", str(error)) from None
    return (*here, *sorted(locked))


def is_exact(requirement: str) -> bool:
    return bool(_EXACT.fullmatch(requirement) or _LOCKED.fullmatch(requirement))


def wheels(requirements: tuple[str, ...]) -> tuple[str, ...]:
    """Those of pinned requirements that have to be fetched. Raises ResourceError where one is neither locked nor here,
    as on another machine than the one where the plan was pinned."""
    locked = tuple(one for one in requirements if _LOCKED.fullmatch(one))
    if absent := [one for one in requirements if one not in locked and not _is_installed(one)]:
        raise ResourceError(f"{absent[0]} is not installed here.", "the plan was pinned where it was", "Install it.")
    return locked


def install(lock: tuple[str, ...], folder: Path) -> None:
    """The wheels of `lock` into `folder`. Raises ResourceError."""
    listed = folder / "layer.lock"
    listed.write_text("".join(f"{line}\n" for line in lock))
    _pip("install", "--no-deps", "--require-hashes", "--no-compile", "--target", str(folder), "-r", str(listed))


def _is_installed(requirement: str) -> bool:
    match = _EXACT.fullmatch(requirement)
    if match is None or "[" in requirement:  # of extras nobody knows whether they are here
        return False
    try:
        return metadata.version(match[1]) == match[2]
    except metadata.PackageNotFoundError:
        return False


def _locked(entry: dict[str, Any]) -> str:
    about, archive = entry["metadata"], entry["download_info"].get("archive_info", {})
    digest = (archive.get("hashes") or {}).get("sha256")
    if not digest:
        raise ResourceError(f"{about['name']} {about['version']} has no hash, so it cannot be pinned.")
    return f"{about['name']}=={about['version']} --hash=sha256:{digest}"


def _pip(command: str, *arguments: str) -> str:
    if importlib.util.find_spec("pip") is None:
        raise ResourceError("There is no pip in this environment.", next=f"{sys.executable} -m ensurepip")
    words = [sys.executable, "-I", "-m", "pip", command, "--quiet", "--only-binary", ":all:", *arguments]
    try:
        ran = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise ResourceError("pip took too long.", f"{_SECONDS} s: {' '.join(arguments)[:300]}") from None
    if ran.returncode:
        lines = [line for line in ran.stderr.splitlines() if line.startswith("ERROR")] or ran.stderr.splitlines()
        why = " ".join(lines)[:800]
        raise ResourceError("The packages cannot be had.", why, "Each needs a wheel for this Python and platform.")
    return ran.stdout
