"""A traceback as far as it concerns whoever wrote the files: their own lines, and the error at its end."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Collection
from pathlib import Path

_FRAME = re.compile(r'\s*File "(?P<path>[^"]+)", line (?P<line>\d+)(?:, in (?P<function>\S+))?\s*')
_BEGIN = "Traceback (most recent call last):"
_SHOWN_WITHOUT = 1500  # characters of a text that holds no traceback


_REFUSED = re.compile(r"(?P<what>\w+)(?:\.__init__)?\(\) got an unexpected keyword argument '(?P<keyword>\w+)'")


_NO_WEIGHTS = re.compile(r"'(?P<what>\w+)' object has no attribute '(?P<weights>coef_|intercept_)'")
_NOT_THERE = re.compile(
    r"cannot import name '(?P<name>\w+)' from '(?P<module>(?P<package>sklearn|torch|scipy)\b[\w.]*)'"
)


def way_out(text: str) -> str:
    """What to do about an error that small models read past, again and again; empty for all others."""
    if found := _REFUSED.search(text):
        return f"{found['what']} takes no {found['keyword']}: leave {found['keyword']} out."
    if found := _NO_WEIGHTS.search(text):
        return (
            f"{found['what']} has no {found['weights']}: return from fit what it has learnt instead, as arrays "
            "(neighbours: the rows of train), and compute with that in predict."
        )
    if found := _NOT_THERE.search(text):
        place = _place_of(found["name"], found["package"])
        return (
            f"It is somewhere else: from {place} import {found['name']}" if place not in ("", found["module"]) else ""
        )
    return ""


def _place_of(name: str, package: str) -> str:
    """The part of an installed package that offers `name`; empty where none does. Nothing is imported."""
    spec = importlib.util.find_spec(package)
    imported = rf"^from (?:\.|{package}\.)\S* import .*\b{name}\b"
    offered = re.compile(rf"{imported}|^    [\"']?{name}\b[\"']?(?: as \w+)?,", re.MULTILINE)
    for root in spec.submodule_search_locations or () if spec else ():
        levels = [sorted(Path(root).glob(f"{'[a-z]*/' * depth}__init__.py")) for depth in range(3)]
        for file in (file for level in levels for file in level):
            if offered.search(file.read_text(encoding="utf-8", errors="replace")):
                return ".".join((package, *file.parent.relative_to(root).parts))
    return ""


def own_traceback(text: str, names: Collection[str]) -> str:
    """`text` with each frame of the files `names` in a line, all others left out; the end of it where it holds no
    traceback. Warnings before a traceback are left out, too."""
    lines = text.split(_BEGIN)[-1].splitlines()
    if _BEGIN not in text:  # its beginning may have been cut off
        first = next((place for place, line in enumerate(lines) if _FRAME.fullmatch(line)), None)
        if first is None:
            return text[-_SHOWN_WITHOUT:]
        lines = lines[first:]
    kept: list[str] = []
    own = False
    for line in lines:
        frame = _FRAME.fullmatch(line)
        if frame is None:
            if line and not line[0].isspace():
                kept.append(line)  # the error itself, which may have several lines
            elif own and line.strip() and not set(line.strip()) <= set("~^"):
                kept.append(f"    {line.strip()}")
            continue
        name = frame["path"].rsplit("/", 1)[-1]
        own = name in names
        if own:
            kept.append(f"{name}, line {frame['line']}" + (f", in {frame['function']}" if frame["function"] else ""))
    return "\n".join(kept)
