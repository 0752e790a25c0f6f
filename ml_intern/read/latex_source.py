"""LaTeX files as text, which of them is the main one, and how groups are read. Knows nothing of sections or tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from ml_intern.errors import PaperError
from ml_intern.read.latex_clean import clean

MAX_CHARS = 12_000_000


def decode(data: bytes) -> str:
    """UTF-16 with its mark, else UTF-8, else Latin-1 (which every byte string is)."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def find_main(files: Mapping[str, bytes]) -> str:
    """The file that holds `\\documentclass`: the one that 00README names, else the best candidate by name and size."""
    tex = [name for name in files if name.lower().endswith((".tex", ".ltx"))]
    for name, data in files.items():
        if PurePosixPath(name).name.lower().startswith("00readme"):
            for named in re.finditer(r"[\w./-]+\.tex(?![^\n}]{0,80}\bignore\b)", decode(data)):
                if named[0] in files:
                    return named[0]
    marked = [name for name in tex if b"\\documentclass" in files[name] or b"\0" in files[name]]
    candidates = [name for name in marked if "\\documentclass" in clean(decode(files[name]))]
    if not candidates:
        candidates = [name for name in tex if "\\documentstyle" in decode(files[name])] or (
            tex if len(tex) == 1 else []
        )
    if not candidates:
        raise PaperError(
            "No LaTeX main file was found.", f"none of {len(files)} files has \\documentclass", "Give the .tex itself."
        )

    def rank(name: str) -> tuple[bool, bool, int, int, str]:
        text = decode(files[name])
        known = PurePosixPath(name).stem.lower() in ("main", "paper", "article", "ms", "manuscript")
        is_sub = "{subfiles}" in text or "{standalone}" in text
        return (is_sub, not known, name.count("/"), -len(text), name)

    return min(candidates, key=rank)


_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)
_BRACKETS = re.compile(r"\\.|[{}\[\]]", re.DOTALL)
_MAX_OPTION, _MAX_NESTED = 2_000, 8


def group(text: str, start: int) -> tuple[str, int]:
    """The content of the balanced group that opens at `start`, and the place after it. Unbalanced: to the end."""
    depth = 0
    for match in _BRACES.finditer(text, start):
        if match[0] == "{":
            depth += 1
        elif match[0] == "}":
            depth -= 1
            if depth <= 0:
                return text[start + 1 : match.start()], match.end()
    return text[start + 1 :], len(text)


def option(text: str, start: int) -> tuple[str | None, int]:
    """The content of the option, `[…]`, at `start`, and the place after it; (None, start) when there is none."""
    if text[start : start + 1] != "[":
        return None, start
    depth = braces = 0
    for match in _BRACKETS.finditer(text, start, start + _MAX_OPTION):
        mark = match[0]
        if mark in "{}":
            braces += 1 if mark == "{" else -1
            if braces < 0:
                break
        elif not braces and mark in "[]":
            depth += 1 if mark == "[" else -1
            if not depth:
                return text[start + 1 : match.start()], match.end()
            if depth > _MAX_NESTED:
                break
    return None, start


def skip_space(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\n":
        place += 1
    return place


def environment_end(text: str, name: str, place: int) -> tuple[int, int]:
    """Where the environment `name`, open before `place`, is closed: (start, end) of its `\\end`; (-1, -1) if never."""
    depth = 1
    for match in re.compile(rf"\\(begin|end)\s?\{{{re.escape(name)}\}}").finditer(text, place):
        depth += 1 if match[1] == "begin" else -1
        if not depth:
            return match.start(), match.end()
    return -1, -1
