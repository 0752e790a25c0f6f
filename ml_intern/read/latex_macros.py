"""The paper's own macros, environments and switches: taken out of its text where they are defined, expanded and decided
after that, until the group that they were defined in ends.

Bounded: a macro bomb raises PaperError instead of taking time or memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from ml_intern.errors import PaperError
from ml_intern.read.latex_conditions import COMMANDS, Condition, asked, assigned, conditions, created
from ml_intern.read.latex_source import group, option, skip_space

_MAX_DEPTH = 40
_MAX_EXPANSIONS = 200_000
_MAX_TEXT = 4_000_000
_COMMAND = re.compile(r"\\(?:([a-zA-Z@]+)|.)|[{}]", re.DOTALL)
_COMMANDS = ("newcommand", "renewcommand", "providecommand", "DeclareRobustCommand", "newrobustcmd", "renewrobustcmd")
_DOCUMENT_COMMANDS = ("NewDocumentCommand", "RenewDocumentCommand", "DeclareDocumentCommand", "ProvideDocumentCommand")
_DEFS = ("def", "gdef", "edef", "xdef")
_ENVIRONMENTS = ("newenvironment", "renewenvironment")
_DEFINERS = frozenset([*_COMMANDS, *_DOCUMENT_COMMANDS, *_DEFS, *_ENVIRONMENTS, "let", "DeclareMathOperator"])
_HIDING = frozenset(["excludecomment", "includecomment", "NewEnviron", "RenewEnviron"])
_ENDS_IN_COMMAND = re.compile(r"\\[a-zA-Z@]+$")
_GLOBAL = re.compile(r"\\global\s*(?:\\long\s*)?$")
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


_CHOICE = _Macro((_Argument(), _Argument()), "")


@dataclass
class Macros:
    known: dict[str, _Macro] = field(default_factory=dict)
    environments: dict[str, tuple[_Macro, str]] = field(default_factory=dict)
    switches: dict[str, bool] = field(default_factory=dict)
    hidden: dict[str, bool] = field(default_factory=dict)  # environments of which nothing is printed
    spent: int = 0
    grown: int = 0
    # What stood there before, to be put back, and where in it each open group begins.
    undo: list[tuple[dict[str, Any], str, Any]] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)

    def expand(self, text: str, depth: int = 0) -> str:
        """`text` without its definitions, and with every macro they define expanded from there on."""
        if "\\" not in text:
            return text
        if depth > _MAX_DEPTH:
            raise PaperError(
                "A macro of the paper expands without end.", f"{_MAX_DEPTH} levels deep", "Mend the source."
            )
        out: list[str] = []
        place, said = 0, -1  # `said`: where the last command, or an argument of it, ended
        braces: list[bool] = []  # of the open ones, which are groups of their own
        found = conditions(text, self.switches)
        for match in _COMMAND.finditer(text):
            if match.start() < place:
                continue
            if match[0] in "{}":
                self._brace(match, None if said < 0 else text[said : match.start()], braces)
                said = match.end() if match[0] == "}" else said
                continue
            said = match.end()
            if not match[1]:
                continue
            end, body = self._step(text, match, found.get(match.start()), depth)
            if end is None:
                continue
            before, put = text[place : match.start()], self.expand(body, depth + 1)
            if put[:1].isalpha() and _ENDS_IN_COMMAND.search(before or (out[-1] if out else "")):
                put = f" {put}"
            out += [part for part in (before, put) if part]
            place = end
            said = end if body else -1  # after a definition braces are no argument
        return "".join(out) + text[place:]

    def _brace(self, match: re.Match[str], between: str | None, braces: list[bool]) -> None:
        """`between`: what stands before it, from the last command on. Braces round an argument are no group here: what
        a command does with it is not known, and it may well be to define something for good."""
        if match[0] == "{":
            argument = between is not None and (between.strip() in ("", "*") or between.rstrip().endswith("]"))
            braces.append(not argument)
            if not argument:
                self._open()
        elif braces and braces.pop():
            self._close()

    def _open(self) -> None:
        self.groups.append(len(self.undo))

    def _close(self) -> None:
        if self.groups:
            begin = self.groups.pop()
            for table, name, before in reversed(self.undo[begin:]):
                if before is None:
                    table.pop(name, None)
                else:
                    table[name] = before
            del self.undo[begin:]

    def _set(self, table: dict[str, Any], name: str, value: Any, everywhere: bool = False) -> None:
        """Until the group ends; or `everywhere`, whatever groups are open."""
        if everywhere:
            self.undo = [one for one in self.undo if one[0] is not table or one[1] != name]
            self.groups = [min(begin, len(self.undo)) for begin in self.groups]
        elif self.groups:
            self.undo.append((table, name, table.get(name)))
        table[name] = value

    def _step(self, text: str, match: re.Match[str], condition: Condition | None, depth: int) -> tuple[int | None, str]:
        """(where the command at `match` ends, what stands in its place), or (None, "") when it is not the paper's."""
        name = match[1]
        if name in _DEFINERS:
            return self._define(name, text, match), ""
        if name in COMMANDS or name in _HIDING:
            return self._switch(name, text, match.end())
        if name in ("begingroup", "bgroup"):
            self._open()
        elif name in ("endgroup", "egroup"):
            self._close()
        if condition is not None and condition.name in self.switches:
            return condition.fi[1], condition.branch(text, self.switches[condition.name])
        if name in ("begin", "end"):
            return self._environment(name, text, match.end(), depth)
        macro = self.known.get(name)
        if macro is None:
            return self._turned(name, match.end()), ""
        arguments, end = _arguments(text, match.end(), macro)
        return end, self._filled(name, macro.body, arguments)

    def _turned(self, name: str, place: int) -> int | None:
        """`\\drafttrue` and its like."""
        for word, value in (("true", True), ("false", False)):
            if name.endswith(word) and name.removesuffix(word) in self.switches:
                self._set(self.switches, name.removesuffix(word), value)
                return place
        return None

    def _switch(self, name: str, text: str, place: int) -> tuple[int | None, str]:
        """Makes, sets or asks for a switch; a question about one that is not known stays as it is."""
        if name in _HIDING:
            return self._hide(name, text, place), ""
        if made := created(name, text, place):
            self._set(self.switches, made[0], False)
            return made[1], ""
        if given := assigned(name, text, place):
            self._set(self.switches, given[0], given[1])
            return given[2], ""
        question = asked(name, text, place)
        if question is None or question[0] not in self.switches:
            return None, ""
        (yes, no), end = _arguments(text, question[2], _CHOICE)
        return end, yes if self.switches[question[0]] is question[1] else no

    def _hide(self, name: str, text: str, place: int) -> int | None:
        """An environment of the comment package, or of environ, of which nothing is printed."""
        named = re.compile(r"\s*\{\s*([a-zA-Z*]{1,80})\s*\}").match(text, place)
        if named is None:
            return None
        end = named.end()
        hides = name == "excludecomment"
        if name.endswith("Environ"):
            _, end = _counted(text, end)
            end = skip_space(text, end)
            if text[end : end + 1] != "{":
                return None
            body, end = group(text, end)
            hides = "\\BODY" not in body
        self._set(self.hidden, named[1], hides)
        return end

    def _environment(self, which: str, text: str, place: int, depth: int) -> tuple[int | None, str]:
        match = re.compile(r"\s?\{\s?([a-zA-Z*]{1,80})\s?\}").match(text, place)
        if match is None or match[1] == "document":
            return None, ""
        if which == "begin" and self.hidden.get(match[1]):
            closing = f"\\end{{{match[1]}}}"
            end = text.find(closing, match.end())
            return (None, "") if end == -1 else (end + len(closing), "")
        if which == "begin":
            self._open()
        if match[1] not in self.environments:
            if which == "end":
                self._close()
            return None, ""
        opening, closing = self.environments[match[1]]
        if which == "end":
            body = self.expand(self._filled(match[1], closing, []), depth + 1)
            self._close()
            return match.end(), body
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

    def _define(self, definer: str, text: str, match: re.Match[str]) -> int | None:
        """Remembers a definition; where it ends, or None when it is none that can be read."""
        place = match.end()
        before = _GLOBAL.search(text, max(0, match.start() - 20), match.start())
        everywhere = definer in ("gdef", "xdef") or before is not None
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
            self._set(self.known, name, _Macro(arguments, body, prefix), everywhere)
        return end

    def _has(self, name: str) -> bool:
        return name in self.known

    def _let(self, name: str, text: str, place: int) -> int | None:
        target = re.compile(r"\s*=?\s?\\([a-zA-Z@]+)").match(text, place)
        if target is None:
            return None
        if name.startswith("if") and target[1] in ("iftrue", "iffalse"):
            self._set(self.switches, name.removeprefix("if"), target[1] == "iftrue")
        elif name not in _KEPT:
            self._set(self.known, name, self.known.get(target[1], _Macro((), f"\\{target[1]}")))
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
            self._set(self.environments, named[1], (_Macro(arguments, bodies[0]), bodies[1]))
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
