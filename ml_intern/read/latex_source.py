"""LaTeX files to one flat text: main file found, inputs put in place, comments dropped, own macros expanded.

Knows nothing of sections or tables. Bounded: hostile input raises PaperError instead of taking time or memory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ml_intern.errors import PaperError

MAX_CHARS = 12_000_000
_MAX_DEPTH = 40
_MAX_EXPANSIONS = 200_000
_MAX_MACRO_TEXT = 4_000_000
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
    text = strip_comments(decode(data))
    names = [
        (match[1] if match[1] is not None else match[2] or "").strip().strip('"') for match in _INPUT.finditer(text)
    ]
    for match in re.finditer(r"\\(?:bibliography|addbibresource)\s*\{([^{}]*)\}", text):
        names += [name.strip().removesuffix(".bib") + ".bib" for name in match[1].split(",")]
    return [name for name in names if name and "\0" not in name and len(name) < 300]


def strip_comments(text: str) -> str:
    """Without comments (`\\%` stays); a comment that ends a line takes the line's end with it, as TeX does."""
    if "\\begin{comment}" in text:
        text = re.sub(r"\\begin\{comment\}.*?\\end\{comment\}", "", text, flags=re.DOTALL)
    out = []
    for line in text.split("\n"):
        place = _comment_place(line)
        out.append(line + "\n" if place is None else line[:place])
    return "".join(out)


def _comment_place(line: str) -> int | None:
    place = line.find("%")
    while place != -1:
        before = line[:place]
        if (len(before) - len(before.rstrip("\\"))) % 2 == 0:
            return place
        place = line.find("%", place + 1)
    return None


def find_main(files: Mapping[str, bytes]) -> str:
    """The file that holds `\\documentclass`: the one that 00README names, else the best candidate by name and size."""
    tex = [name for name in files if name.lower().endswith((".tex", ".ltx"))]
    for name, data in files.items():
        if PurePosixPath(name).name.lower().startswith("00readme"):
            for named in re.finditer(r"[\w./-]+\.tex", decode(data)):
                if named[0] in files:
                    return named[0]
    candidates = [name for name in tex if "\\documentclass" in strip_comments(decode(files[name]))]
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
        text = strip_comments(decode(files[name]))
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


def group(text: str, start: int, opening: str = "{", closing: str = "}") -> tuple[str, int]:
    """The content of the balanced group that opens at `start`, and the place after it. Unbalanced: to the end."""
    depth = 0
    place = start
    while place < len(text):
        char = text[place]
        if char == "\\":
            place += 2
            continue
        if char == opening and (opening == "{" or depth == 0 or opening != closing):
            depth += 1
        elif char == closing:
            depth -= 1
            if depth == 0:
                return text[start + 1 : place], place + 1
        elif char == "{" and opening != "{":
            _, place = group(text, place)
            continue
        place += 1
    return text[start + 1 :], len(text)


@dataclass
class _Macro:
    arguments: int
    body: str
    default: str | None = None
    pattern: str = ""


@dataclass
class Macros:
    """The paper's own macros, taken out of its text and expanded in it."""

    known: dict[str, _Macro] = field(default_factory=dict)
    spent: int = 0
    grown: int = 0

    def take(self, text: str) -> str:
        """`text` without its definitions, which are remembered. The last definition of a name wins."""
        out = []
        place = 0
        for match in _DEFINITION.finditer(text):
            if match.start() < place:
                continue
            end = self._define(text, match)
            if end is not None:
                out.append(text[place : match.start()])
                place = end
        return "".join(out) + text[place:]

    def _define(self, text: str, match: re.Match[str]) -> int | None:
        if match["def"]:
            name, rest = match["def"], match.end()
            opening = text.find("{", rest)
            if opening == -1 or opening - rest > 40:
                return None
            pattern = text[rest:opening]
            body, end = group(text, opening)
            if re.fullmatch(r"(#\d)*", pattern.strip()):
                self.known[name] = _Macro(pattern.count("#"), body)
            return end
        is_command = match["new"] or match["new2"]
        name = is_command or match["operator"]
        place = _skip_space(text, match.end())
        arguments, default = 0, None
        if is_command:
            if place < len(text) and text[place] == "[":
                count, place = group(text, place, "[", "]")
                arguments = int(count) if count.strip().isdigit() else 0
            place = _skip_space(text, place)
            if place < len(text) and text[place] == "[":
                default, place = group(text, place, "[", "]")
            place = _skip_space(text, place)
        if place >= len(text) or text[place] != "{":
            return None
        body, end = group(text, place)
        if match["operator"]:
            body = f"\\operatorname{{{body}}}"
        self.known[name] = _Macro(min(arguments, 9), body, default)
        return end

    def expand(self, text: str, depth: int = 0) -> str:
        """`text` with every own macro expanded; bombs raise PaperError."""
        if not self.known or "\\" not in text:
            return text
        if depth > _MAX_DEPTH:
            raise PaperError(
                "A macro of the paper expands without end.", f"{_MAX_DEPTH} levels deep", "Mend the source."
            )
        out: list[str] = []
        place = 0
        for match in _COMMAND.finditer(text):
            macro = self.known.get(match[1])
            if macro is None or match.start() < place:
                continue
            self.spent += 1
            arguments, end = self._arguments(text, match.end(), macro)
            body = _filled(macro.body, arguments)
            self.grown += len(body)
            if self.spent > _MAX_EXPANSIONS or self.grown > _MAX_MACRO_TEXT:
                raise PaperError(
                    f"The macro \\{match[1]} expands to too much text.",
                    f"over {_MAX_EXPANSIONS} expansions or {_MAX_MACRO_TEXT} characters: a macro bomb?",
                    "Mend the source, or give the PDF.",
                )
            out += [text[place : match.start()], self.expand(body, depth + 1)]
            place = end
        return "".join(out) + text[place:]

    def _arguments(self, text: str, place: int, macro: _Macro) -> tuple[list[str], int]:
        values: list[str] = []
        count = macro.arguments
        if macro.default is not None and count:
            count -= 1
            after = _skip_space(text, place)
            if after < len(text) and text[after] == "[":
                value, place = group(text, after, "[", "]")
                values.append(value)
            else:
                values.append(macro.default)
        for _ in range(count):
            after = _skip_space(text, place)
            if after >= len(text):
                values.append("")
            elif text[after] == "{":
                value, place = group(text, after)
                values.append(value)
            elif text[after] == "\\" and (command := re.compile(r"\\(?:[a-zA-Z@]+|.)").match(text, after)):
                values.append(command[0])
                place = command.end()
            else:
                values.append(text[after])
                place = after + 1
        return values, place


_DEFINITION = re.compile(
    r"\\(?:(?:long|outer|global)\s*\\)?(?:def|gdef|edef)\s*\\(?P<def>[a-zA-Z@]+)"
    r"|\\(?:newcommand|renewcommand|providecommand|DeclareRobustCommand)\*?\s*(?:\{\s*\\(?P<new>[a-zA-Z@]+)\s*\}|\\(?P<new2>[a-zA-Z@]+))"
    r"|\\DeclareMathOperator\*?\s*\{\s*\\(?P<operator>[a-zA-Z@]+)\s*\}"
)
_COMMAND = re.compile(r"\\([a-zA-Z@]+)")


def _filled(body: str, arguments: list[str]) -> str:
    def value(match: re.Match[str]) -> str:
        number = int(match[1])
        return arguments[number - 1] if number <= len(arguments) else ""

    return re.sub(r"#([1-9])", value, body)


def _skip_space(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\n":
        place += 1
    return place
