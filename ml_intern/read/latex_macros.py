"""The paper's own macros and environments: taken out of its text where they are defined, expanded after that.

Bounded: a macro bomb raises PaperError instead of taking time or memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from ml_intern.errors import PaperError
from ml_intern.read.latex_source import group, option, skip_space

_MAX_DEPTH = 40
_MAX_EXPANSIONS = 200_000
_MAX_TEXT = 4_000_000
_COMMAND = re.compile(r"\\(?:([a-zA-Z@]+)|.)", re.DOTALL)
_COMMANDS = ("newcommand", "renewcommand", "providecommand", "DeclareRobustCommand", "newrobustcmd", "renewrobustcmd")
_DOCUMENT_COMMANDS = ("NewDocumentCommand", "RenewDocumentCommand", "DeclareDocumentCommand", "ProvideDocumentCommand")
_DEFS = ("def", "gdef", "edef", "xdef")
_ENVIRONMENTS = ("newenvironment", "renewenvironment")
_DEFINERS = frozenset([*_COMMANDS, *_DOCUMENT_COMMANDS, *_DEFS, *_ENVIRONMENTS, "let", "DeclareMathOperator"])
# A paper may change how these look; what they mean to a reader stays.
_KEPT = frozenset(
    ["part", "chapter", "section", "subsection", "subsubsection", "paragraph", "caption", "captionof", "label",
     "ref", "eqref", "cite", "citep", "citet", "begin", "end", "footnote", "item", "appendix", "title", "author",
     "multicolumn", "multirow", "input", "bibitem", "textbf", "abstract", "table", "figure", "equation", "align",
     "tabular", "document", "thebibliography", "algorithm", "thetable", "thefigure", "theequation", "thesection",
     "thealgorithm", "maketitle"]
)  # fmt: skip


@dataclass(frozen=True)
class _Argument:
    """`default` is of an optional one; `until` is the text that ends a delimited one."""

    kind: Literal["given", "optional", "star", "delimited"] = "given"
    default: str = ""
    until: str = ""


@dataclass(frozen=True)
class _Macro:
    arguments: tuple[_Argument, ...]
    body: str
    prefix: str = ""


@dataclass
class Macros:
    known: dict[str, _Macro] = field(default_factory=dict)
    environments: dict[str, tuple[_Macro, str]] = field(default_factory=dict)
    spent: int = 0
    grown: int = 0

    def expand(self, text: str, depth: int = 0) -> str:
        """`text` without its definitions, and with every macro they define expanded from there on."""
        if "\\" not in text:
            return text
        if depth > _MAX_DEPTH:
            raise PaperError(
                "A macro of the paper expands without end.", f"{_MAX_DEPTH} levels deep", "Mend the source."
            )
        out: list[str] = []
        place = 0
        for match in _COMMAND.finditer(text):
            if match.start() < place or not match[1]:
                continue
            end, body = self._step(text, match)
            if end is None:
                continue
            out += [text[place : match.start()], self.expand(body, depth + 1)]
            place = end
        return "".join(out) + text[place:]

    def _step(self, text: str, match: re.Match[str]) -> tuple[int | None, str]:
        """(where the command at `match` ends, what stands in its place), or (None, "") when it is not the paper's."""
        name = match[1]
        if name in _DEFINERS:
            return self._define(name, text, match.end()), ""
        if name in ("begin", "end") and self.environments:
            return self._environment(name, text, match.end())
        macro = self.known.get(name)
        if macro is None:
            return None, ""
        arguments, end = _arguments(text, match.end(), macro)
        return end, self._filled(name, macro.body, arguments)

    def _environment(self, which: str, text: str, place: int) -> tuple[int | None, str]:
        match = re.compile(r"\s?\{\s?([a-zA-Z*]{1,80})\s?\}").match(text, place)
        if match is None or match[1] not in self.environments:
            return None, ""
        opening, closing = self.environments[match[1]]
        if which == "end":
            return match.end(), self._filled(match[1], closing, [])
        arguments, end = _arguments(text, match.end(), opening)
        return end, self._filled(match[1], opening.body, arguments)

    def _filled(self, name: str, body: str, arguments: list[str]) -> str:
        def value(match: re.Match[str]) -> str:
            if match[1] == "#":
                return "#"
            return arguments[int(match[1]) - 1] if int(match[1]) <= len(arguments) else ""

        filled = re.sub(r"#([1-9#])", value, body) if "#" in body else body
        self.spent += 1
        self.grown += len(filled)
        if self.spent > _MAX_EXPANSIONS or self.grown > _MAX_TEXT:
            raise PaperError(
                f"The macro \\{name} expands to too much text.",
                f"over {_MAX_EXPANSIONS} expansions or {_MAX_TEXT} characters: a macro bomb?",
                "Mend the source, or give the PDF.",
            )
        return filled

    def _define(self, definer: str, text: str, place: int) -> int | None:
        """Remembers a definition; where it ends, or None when it is none that can be read."""
        if text[place : place + 1] == "*":
            place += 1
        if definer in _ENVIRONMENTS:
            return self._define_environment(text, place)
        named = re.compile(r"\s*(?:\{\s*\\([a-zA-Z@]+)\s*\}|\\([a-zA-Z@]+))").match(text, place)
        if named is None:
            return None
        name, place = named[1] or named[2], named.end()
        if definer == "let":
            return self._let(name, text, place)
        arguments: tuple[_Argument, ...] | None = ()
        prefix = ""
        if definer in _DEFS:
            opening = text.find("{", place, place + 80)
            if opening == -1:
                return None
            prefix, arguments = _pattern(text[place:opening])
            place = opening
        elif definer in _DOCUMENT_COMMANDS:
            place = skip_space(text, place)
            if text[place : place + 1] != "{":
                return None
            specification, place = group(text, place)
            arguments = _specified(specification)
        elif definer != "DeclareMathOperator":
            arguments, place = _counted(text, place)
        place = skip_space(text, place)
        if text[place : place + 1] != "{":
            return None
        body, end = group(text, place)
        if definer == "DeclareMathOperator":
            body = f"\\operatorname{{{body}}}"
        if name.startswith("the") and name in _KEPT:
            return None  # how a number is printed: the counters will want to know
        if (
            arguments is not None
            and name not in _KEPT
            and not (definer.lower().startswith("provide") and self._has(name))
        ):
            self.known[name] = _Macro(arguments, body, prefix)
        return end

    def _has(self, name: str) -> bool:
        return name in self.known

    def _let(self, name: str, text: str, place: int) -> int | None:
        target = re.compile(r"\s*=?\s?\\([a-zA-Z@]+)").match(text, place)
        if target is None:
            return None
        if name not in _KEPT:
            self.known[name] = self.known.get(target[1], _Macro((), f"\\{target[1]}"))
        return target.end()

    def _define_environment(self, text: str, place: int) -> int | None:
        named = re.compile(r"\s*\{\s*([a-zA-Z*]{1,80})\s*\}").match(text, place)
        if named is None:
            return None
        arguments, place = _counted(text, named.end())
        bodies = []
        for _ in range(2):
            place = skip_space(text, place)
            if text[place : place + 1] != "{":
                return None
            body, place = group(text, place)
            bodies.append(body)
        if named[1] not in _KEPT:
            self.environments[named[1]] = (_Macro(arguments, bodies[0]), bodies[1])
        return place


def _counted(text: str, place: int) -> tuple[tuple[_Argument, ...], int]:
    """The arguments that `[2][default]` stands for."""
    count, place = option(text, skip_space(text, place))
    number = min(int(count), 9) if count and re.fullmatch(r"\s*[0-9]{1,4}\s*", count) else 0
    default, place = option(text, skip_space(text, place))
    first = (_Argument("optional", default),) if default is not None and number else ()
    return (*first, *[_Argument()] * (number - len(first))), place


_KINDS = {"o": _Argument("optional"), "s": _Argument("star"), "m": _Argument(), "v": _Argument()}


def _specified(specification: str) -> tuple[_Argument, ...]:
    """The arguments that xparse's `m O{default} o s` stands for."""
    out: list[_Argument] = []
    place = 0
    while place < len(specification) and len(out) < 9:
        kind = specification[place]
        place += 1
        if kind in "OD":
            opening = specification.find("{", place)
            default, place = group(specification, opening) if opening != -1 else ("", len(specification))
            out.append(_Argument("optional", default))
        elif kind in "omvs":
            out.append(_KINDS[kind])
    return tuple(out)


def _pattern(pattern: str) -> tuple[str, tuple[_Argument, ...] | None]:
    """(the text before the first argument, the arguments) of a `\\def`; None when TeX alone could tell."""
    prefix, *rest = re.split(r"#[1-9]", pattern.strip())
    if "#" in "".join([prefix, *rest]):
        return "", None
    return prefix, tuple(_Argument("delimited", until=until) if until else _Argument() for until in rest)


def _arguments(text: str, place: int, macro: _Macro) -> tuple[list[str], int]:
    if macro.prefix and text.startswith(macro.prefix, place):
        place += len(macro.prefix)
    values: list[str] = []
    for argument in macro.arguments:
        value, place = _argument(text, place, argument)
        values.append(value)
    return values, place


def _argument(text: str, place: int, argument: _Argument) -> tuple[str, int]:
    after = skip_space(text, place)
    if argument.kind == "optional":
        value, end = option(text, after)
        return (argument.default, place) if value is None else (value, end)
    if argument.kind == "star":
        return ("*", after + 1) if text[after : after + 1] == "*" else ("", place)
    if argument.kind == "delimited":
        end = text.find(argument.until, place, place + 5000)
        return ("", place) if end == -1 else (text[place:end], end + len(argument.until))
    if after >= len(text):
        return "", place
    if text[after] == "{":
        return group(text, after)
    if command := re.compile(r"\\(?:[a-zA-Z@]+|.)", re.DOTALL).match(text, after):
        return command[0], command.end()
    return text[after], after + 1
