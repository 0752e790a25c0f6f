"""Packages that an experiment needs beyond this environment: wheels alone, in a layer of their own, cached by content.

Nothing is installed into the harness's environment, and no code of a package runs while it is fetched: a source
distribution would run its `setup.py` here, with the harness's rights, and is refused.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ml_intern.run.resources.resource import ResourceError

_EXACT = re.compile(r"([A-Za-z0-9][\w.-]*)(?:\[[\w.,-]+\])?==([\w.!+-]+)")
_ABOUT = re.compile(r" # (?:(\d+) bytes|size not said), licence [ -~]{1,80}")
_LOCKED = re.compile(rf"{_EXACT.pattern} --hash=sha256:[0-9a-f]{{64}}(?:{_ABOUT.pattern})?")
_SECONDS, _ASKING_SECONDS = 1800, 20


def pin(requirements: tuple[str, ...], most_bytes: int) -> tuple[str, ...]:
    """What they come to here: `name==version` where that is installed, and for everything that is missing, with what it
    needs itself, `name==version --hash=sha256:…` of its wheel, with size and licence as a comment. Raises
    ResourceError, also where the wheels have more than `most_bytes` together."""
    if loose := [one for one in requirements if not is_exact(one)]:
        raise ResourceError(f"The requirement {loose[0]!r} is not exact.", next="Write it as name==version.")
    here = tuple(one for one in requirements if _is_installed(one))
    missing = [one for one in requirements if one not in here and not _LOCKED.fullmatch(one)]
    locked = {one for one in requirements if _LOCKED.fullmatch(one)}
    if missing:
        report = _ran([*_pip(), "install", *_WHEELS, "--dry-run", "--report", "-", *missing])
        try:
            locked |= {_locked(entry) for entry in json.loads(report)["install"]}
        except (ValueError, KeyError) as error:
            raise ResourceError("pip's report cannot be read.", str(error)) from None
    require_small(tuple(locked), most_bytes)
    return (*here, *sorted(locked))


def is_exact(requirement: str) -> bool:
    return bool(_EXACT.fullmatch(requirement) or _LOCKED.fullmatch(requirement))


def wheels(requirements: tuple[str, ...]) -> tuple[str, ...]:
    """Those of pinned requirements that have to be fetched. Raises ResourceError where one is neither locked nor here,
    as on another machine than the one where the plan was pinned."""
    locked = tuple(one for one in requirements if _LOCKED.fullmatch(one))
    if absent := [one for one in requirements if one not in locked and not _is_installed(one)]:
        raise ResourceError(f"{absent[0]} is not installed here.", "the plan was pinned where it was", "Install it.")
    return tuple(_ABOUT.sub("", one) for one in locked)


def require_small(requirements: Sequence[str], most_bytes: int) -> None:
    """Raises ResourceError where the wheels whose size is known are larger than this machine allows."""
    size = sum(_bytes(one) or 0 for one in requirements)
    if size > most_bytes:
        named = ", ".join(one.split()[0] for one in sorted(requirements, key=_bytes, reverse=True)[:3])
        raise ResourceError(
            f"The packages are larger than allowed: {named}.",
            f"{size / 1e9:.1f} GB in {len(requirements)} wheels; {most_bytes / 1e9:.1f} GB are allowed",
            "Do without them, or raise ML_INTERN_MAX_DOWNLOAD_GB.",
        )


def shown(requirement: str) -> str:
    """A pinned one in a few words, for a person who approves it."""
    about = _ABOUT.search(requirement)
    if about is None:
        return requirement.split()[0]
    size = f"{int(about[1]) / 1e6:.1f} MB" if about[1] else "size not said"
    return f"{requirement.split()[0]}, {size}, {about[0].split(', ', 1)[1]}"


def _bytes(requirement: str) -> int:
    about = _ABOUT.search(requirement)
    return int(about[1] or 0) if about else 0


def install(lock: tuple[str, ...], folder: Path) -> None:
    """The wheels of `lock` into the empty `folder`, by uv where there is one, else by pip. Raises ResourceError."""
    listed = folder / "layer.lock"
    listed.write_text("".join(f"{line}\n" for line in lock))
    what = ["--no-deps", "--require-hashes", "--target", str(folder), "-r", str(listed)]
    if (uv := shutil.which("uv")) is not None:
        try:
            # Copies: what is linked to uv's cache would be made read-only with it.
            _ran([uv, "pip", "install", *_WHEELS, "--link-mode", "copy", "--python", sys.executable, *what])
            (folder / ".lock").unlink(missing_ok=True)  # uv's own
            return
        except ResourceError:
            if not _has_pip():
                raise
            _empty(folder, listed)  # pip may be told of an index that uv does not know
    _ran([*_pip(), "install", *_WHEELS, "--no-compile", *what])


def _empty(folder: Path, but: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != but:
            path.unlink()


def _is_installed(requirement: str) -> bool:
    match = _EXACT.fullmatch(requirement)
    if match is None or "[" in requirement:  # of extras nobody knows whether they are here
        return False
    try:
        return metadata.version(match[1]) == match[2]
    except metadata.PackageNotFoundError:
        return False


def _locked(entry: dict[str, Any]) -> str:
    about, download = entry["metadata"], entry["download_info"]
    digest = (download.get("archive_info", {}).get("hashes") or {}).get("sha256")
    if not digest:
        raise ResourceError(f"{about['name']} {about['version']} has no hash, so it cannot be pinned.")
    size = _size_of(download["url"])
    said = f"{size} bytes" if size else "size not said"
    return f"{about['name']}=={about['version']} --hash=sha256:{digest} # {said}, licence {_licence(about)}"


def _size_of(url: str) -> int:
    """Bytes of a wheel, as its index says without handing it out; 0 where it does not."""
    import httpx

    place = urlsplit(url)
    try:
        if place.scheme == "file":
            return Path(unquote(place.path)).stat().st_size
        answer = httpx.head(url, timeout=_ASKING_SECONDS, follow_redirects=True).raise_for_status()
        return max(0, int(answer.headers.get("content-length", 0)))
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
        return 0


def _licence(about: dict[str, Any]) -> str:
    """In a few printable characters, as the wheel's metadata say it."""
    named = [str(one) for one in about.get("classifier") or () if str(one).startswith("License ::")]
    stated = about.get("license_expression") or (named and named[-1].split(" :: ")[-1]) or about.get("license") or ""
    words = " ".join("".join(c if " " <= c <= "~" else " " for c in str(stated)).split())
    return words[:60].strip() or "not said"


_WHEELS = ("--quiet", "--only-binary", ":all:")


def _has_pip() -> bool:
    return importlib.util.find_spec("pip") is not None


def _pip() -> list[str]:
    """pip of this environment; where that has none, one that uv brings."""
    if _has_pip():
        return [sys.executable, "-I", "-m", "pip"]
    if (uv := shutil.which("uv")) is not None:
        return [uv, "--quiet", "tool", "run", "pip", "--python", sys.executable]
    why = "packages are looked up and fetched with one of them"
    raise ResourceError("There is neither pip in this environment nor uv.", why, f"{sys.executable} -m ensurepip")


def _ran(words: list[str]) -> str:
    """What it printed. Raises ResourceError."""
    try:
        ran = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise ResourceError("The packages take too long.", f"{_SECONDS} s: {' '.join(words)[:300]}") from None
    if ran.returncode:
        lines = [line for line in ran.stderr.splitlines() if line.startswith("ERROR")] or ran.stderr.splitlines()
        why = " ".join(lines)[:800]
        raise ResourceError("The packages cannot be had.", why, "Each needs a wheel for this Python and platform.")
    return ran.stdout
