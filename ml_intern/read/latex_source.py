"""LaTeX files to one flat text: main file found, inputs put in place; and how groups are read.

Knows nothing of sections or tables. Bounded: hostile input raises PaperError instead of taking time or memory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from ml_intern.errors import PaperError
from ml_intern.read.latex_clean import clean

MAX_CHARS = 12_000_000
_MAX_DEPTH = 40
_INPUT = re.compile(r"\\(?:input|include|subfile|subfileinclude)(?![a-zA-Z])\s*(?:\{([^{}]*)\}|([^\s{}\\]+))")


def decode(data: bytes) -> str:
    """UTF-16 with its mark, else UTF-8, else Latin-1 (which every byte string is)."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def named_inputs(data: bytes) -> list[str]:
    """What a file asks for with \\input and its like, and the files of its bibliography."""
    text = clean(decode(data))
    names = [
        (match[1] if match[1] is not None else match[2] or "").strip().strip('"') for match in _INPUT.finditer(text)
    ]
    for match in re.finditer(r"\\(?:bibliography|addbibresource)\s*\{([^{}]*)\}", text):
        names += [name.strip().removesuffix(".bib") + ".bib" for name in match[1].split(",")]
    return [name for name in names if name and "\0" not in name and len(name) < 300]


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


def flatten(files: Mapping[str, bytes], main: str) -> tuple[str, list[str]]:
    """(text, warnings): the main file with its inputs in place, comments dropped."""
    warnings: list[str] = []
    by_name = {str(PurePosixPath(name)): name for name in files}
    folder = PurePosixPath(main).parent
    total = 0

    def read(name: str, stack: tuple[str, ...]) -> str:
        nonlocal total
        if name in stack:
            raise PaperError("The LaTeX source includes itself.", f"{' → '.join((*stack, name))}", "Mend the \\input.")
        if len(stack) > _MAX_DEPTH:
            raise PaperError("The LaTeX source is nested too deeply.", f"{name} is {_MAX_DEPTH} \\input deep")
        if len(files[name]) > MAX_CHARS:
            raise PaperError(
                f"{name} is too large to be a paper.", f"{len(files[name])} bytes, {MAX_CHARS} are allowed"
            )
        text = clean(decode(files[name]))
        total += len(text)
        if total > MAX_CHARS:
            raise PaperError("The LaTeX source is too large.", f"over {MAX_CHARS} characters once inputs are in place")
        if stack and "\\begin{document}" in text:
            text = text.split("\\begin{document}", 1)[1].split("\\end{document}", 1)[0]
        flat: str = _INPUT.sub(lambda match: put(match, (*stack, name)), text)
        return flat

    def put(match: re.Match[str], stack: tuple[str, ...]) -> str:
        target = (match[1] if match[1] is not None else match[2] or "").strip().strip('"')
        for base in (folder, PurePosixPath(stack[-1]).parent):
            for suffix in ("", ".tex"):
                name = by_name.get(_normal(base / (target + suffix)))
                if name is not None:
                    return read(name, stack)
        # Archives are often packed flat: a file of that name in another folder is the one that was meant.
        stem = PurePosixPath(target).name.removesuffix(".tex") + ".tex"
        same = [name for name in files if PurePosixPath(name).name == stem]
        if len(same) == 1:
            return read(same[0], stack)
        if target and "#" not in target:
            warnings.append(f"{stack[-1]}: \\input{{{target}}} is not among the files")
        return ""

    return read(main, ()), warnings


def _normal(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            if parts:
                parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


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
