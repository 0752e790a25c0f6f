"""Conditions of TeX: which text they turn off. What is turned off is not what the paper says.

Constants (`\\iffalse`, `\\if0`) are decided anywhere; switches of the paper's own (`\\newif`, toggles, booleans) where
the text has come to, since they are set and set again. Conditions that only TeX could decide stay, both branches of
them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"\\(?:newif\s?\\if[a-zA-Z@]+|let\s?\\[a-zA-Z@]+\s?=?\s?\\[a-zA-Z@]+"
    r"|(?:[gex]?def|(?:re)?newcommand\*?\s?\{?)\s?\\if[a-zA-Z@]*"
    r"|if(?P<if>[a-zA-Z@]*)(?P<zero>\s?0)?|(?P<else>else)|(?P<fi>fi)|[a-zA-Z@]+|.)(?![a-zA-Z@])",
    re.DOTALL,
)
_PRIMITIVES = frozenset(
    ["", "cat", "num", "dim", "odd", "vmode", "hmode", "mmode", "inner", "void", "hbox", "vbox", "x", "eof", "case",
     "defined", "csname", "fontchar", "true", "false"]
)  # fmt: skip
_NO_CONDITIONS = frozenset(["f", "thenelse"])  # ⟺, and a macro with braces


@dataclass(frozen=True)
class Condition:
    """Places in a text: the condition from `start` to `inside`, its `\\else` and its `\\fi`, each with its end.
    `value`: of a constant; None of any other."""

    name: str
    value: bool | None
    start: int
    inside: int
    otherwise: tuple[int, int] | None
    fi: tuple[int, int]

    def branch(self, text: str, value: bool) -> str:
        if self.otherwise is None:
            return text[self.inside : self.fi[0]] if value else ""
        return text[self.inside : self.otherwise[0]] if value else text[self.otherwise[1] : self.fi[0]]

    def dropped(self, value: bool) -> Iterator[tuple[int, int]]:
        """What goes, when it is `value`: its own words and a branch."""
        if value:
            yield self.start, self.inside
            yield (self.otherwise or self.fi)[0], self.fi[1]
        else:
            yield self.start, self.otherwise[1] if self.otherwise else self.fi[1]
            if self.otherwise:
                yield self.fi


@dataclass
class _Open:
    match: re.Match[str]
    inside: int
    otherwise: tuple[int, int] | None = None


def _read(text: str, switches: Iterable[str] = ()) -> tuple[dict[int, Condition], list[_Open]]:
    """Every condition with its ends, by where it starts, and those that are never closed. In one pass."""
    found: dict[int, Condition] = {}
    stack: list[_Open] = []
    own = set(re.findall(r"\\newif\s?\\if([a-zA-Z@]+)|\\let\s?\\if([a-zA-Z@]+)\s?=?\s?\\if(?:true|false)", text))
    names = {*switches, *(name for pair in own for name in pair if name)}
    for match in _TOKEN.finditer(text):
        name = match["if"]
        if name is not None and _is_condition(name, names, text, match):
            constant = name in ("true", "false") or (not name and match["zero"] is not None)
            # Only of a constant zero is what stands there a part of the condition.
            end = match.end() if constant or match["zero"] is None else match.start("zero")
            stack.append(_Open(match, end))
        elif match["else"] and stack and stack[-1].otherwise is None:
            stack[-1].otherwise = match.span()
        elif match["fi"] and stack:
            one = stack.pop()
            name = one.match["if"]
            value = {"true": True, "false": False}.get(name, False if not name and one.match["zero"] else None)
            start = one.match.start()
            found[start] = Condition(name, value, start, one.inside, one.otherwise, match.span())
    return found, stack


def _is_condition(name: str, names: set[str], text: str, match: re.Match[str]) -> bool:
    """Of a name that is nobody's: a condition of LaTeX's or of a package, unless braces follow as after a macro."""
    if name in _PRIMITIVES or name in names:
        return True
    end = match.end() if match["zero"] is None else match.start("zero")
    return name not in _NO_CONDITIONS and text[end : end + 2].lstrip()[:1] not in ("{", "[", "*")


def conditions(text: str, switches: Iterable[str] = ()) -> dict[int, Condition]:
    """Every condition that is closed, by where it starts; `switches` are known to be the paper's own."""
    return _read(text, switches)[0] if "\\if" in text else {}


def unclosed(text: str) -> list[str]:
    """A warning where what a constant turns off has no end: it is read then."""
    off = [one for one in _read(text)[1] if one.match["if"] == "false"] if "\\iffalse" in text else []
    return ["A \\iffalse is never closed; what stands after it was read."] if off else []


def live(text: str) -> str:
    """`text` without what constant conditions turn off."""
    cuts: list[tuple[int, int]] = []
    beyond = 0
    for start, one in sorted(conditions(text).items()):
        if start < beyond or one.value is None:
            continue
        dropped = list(one.dropped(one.value))
        for begin, end in dropped:
            skipped = text[begin:end]
            if skipped.count("}") > skipped.count("{"):
                # It closes a group that it did not open: a definition holds one half of the condition.
                dropped = [(start, one.inside), *([one.otherwise] if one.otherwise else []), one.fi]
        cuts += dropped
        beyond = max(beyond, dropped[0][1] if one.value is False else start)
    out: list[str] = []
    place = 0
    for begin, end in sorted(cuts):
        if end > place:
            out.append(text[place:begin] if begin > place else "")
            place = max(place, end)
    return "".join([*out, text[place:]])


_NAMED = re.compile(r"\s*\{\s*([\w@:.-]{1,80})\s*\}")
_NEW = {
    **dict.fromkeys(("newtoggle", "providetoggle"), "toggle "),
    **dict.fromkeys(("newbool", "providebool", "newboolean", "provideboolean"), ""),
}
_SET = {
    "toggletrue": ("toggle ", True),
    "togglefalse": ("toggle ", False),
    "settoggle": ("toggle ", None),
    "booltrue": ("", True),
    "boolfalse": ("", False),
    **dict.fromkeys(("setbool", "setboolean"), ("", None)),
}
_CHOOSE = {"iftoggle": ("toggle ", True), "nottoggle": ("toggle ", False), "ifbool": ("", True), "notbool": ("", False)}
_BOOLEAN = re.compile(r"\s*\{\s*(\\not\s?|\\NOT\s?)?\\boolean\s?\{\s*([\w@:.-]{1,80})\s*\}\s*\}")
COMMANDS = frozenset(["newif", "ifthenelse", *_NEW, *_SET, *_CHOOSE])


def created(name: str, text: str, place: int) -> tuple[str, int] | None:
    """(the switch, where it ends) that a command makes, off at first."""
    if name == "newif":
        match = re.compile(r"\s*\\if([a-zA-Z@]+)").match(text, place)
        return (match[1], match.end()) if match else None
    match = _NAMED.match(text, place) if name in _NEW else None
    return (_NEW[name] + match[1], match.end()) if match else None


def assigned(name: str, text: str, place: int) -> tuple[str, bool, int] | None:
    """(the switch, its value, where it ends) that a command of etoolbox or ifthen sets."""
    match = _NAMED.match(text, place) if name in _SET else None
    if match is None:
        return None
    kind, value = _SET[name]
    if value is not None:
        return kind + match[1], value, match.end()
    stated = _NAMED.match(text, match.end())
    return (kind + match[1], stated[1] == "true", stated.end()) if stated else None


def asked(name: str, text: str, place: int) -> tuple[str, bool, int] | None:
    """(the switch, the value for which the first of two groups stands, where those begin)."""
    if name == "ifthenelse":
        match = _BOOLEAN.match(text, place)
        return (match[2], not match[1], match.end()) if match else None
    match = _NAMED.match(text, place) if name in _CHOOSE else None
    return (_CHOOSE[name][0] + match[1], _CHOOSE[name][1], match.end()) if match else None
