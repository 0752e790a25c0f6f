"""The numbers a LaTeX paper prints: counters, how they are printed, and which number a label names."""

from __future__ import annotations

import re

from ml_intern.read.latex_text import to_text

_WORDS = {"tab": "Table", "fig": "Figure", "eq": "Equation", "alg": "Algorithm", "note": "footnote", "sec": "Section"}
_COUNTERS = {"table": "tab", "figure": "fig", "equation": "eq", "algorithm": "alg"}
_SETTING = re.compile(
    r"\\(?:(?P<how>setcounter|addtocounter)\s?\{(?P<counter>\w+)\}\s?\{\s?(?P<value>-?\d{1,4})\s?\}"
    r"|(?:numberwithin|counterwithin\*?)\s?\{(?P<inner>\w+)\}\s?\{(?P<outer>\w+)\}"
    r"|renewcommand\*?\s?\{?\\the(?P<format>table|figure|equation|algorithm)\}?\s?\{(?P<shape>[^{}]*(?:\{[^{}]*\}[^{}]*)*)\})"
)
SETTING = _SETTING.pattern.replace("?P<how>", "?:").replace("?P<counter>", "?:").replace("?P<value>", "?:")
SETTING = re.sub(r"\?P<\w+>", "?:", SETTING)


class Numbers:
    """Counts as LaTeX does. What has no printed number goes on after the last printed one, so that no anchor of it
    can be taken for a printed number: `last` holds the last ones, known from an earlier walk."""

    def __init__(self, last: dict[str, int]) -> None:
        self.names: dict[str, str] = {}
        self.last: dict[str, int] = {}
        self._after = dict(last)
        self._counts: dict[str, int] = {}
        self._shapes: dict[str, str] = {}
        self._within: set[str] = set()
        self._taken: dict[str, int] = {}
        self._section = [0, 0, 0, 0]
        self._appendix = False

    def set(self, command: str) -> None:
        """Obeys a command that changes a counter or how it is printed."""
        match = _SETTING.match(command)
        if match is None:
            return
        if kind := _COUNTERS.get(match["counter"] or ""):
            before = self._counts.get(kind, 0) if match["how"] == "addtocounter" else 0
            self._counts[kind] = before + int(match["value"])
        elif match["inner"] in _COUNTERS and match["outer"] == "section":
            self._within.add(_COUNTERS[match["inner"]])
            self._shapes.pop(_COUNTERS[match["inner"]], None)
        elif match["format"]:
            self._shapes[_COUNTERS[match["format"]]] = match["shape"]

    def printed(self, kind: str) -> str:
        """The next number of a table (`tab`), figure, … as printed."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        count = self._counts[kind]
        if kind in self._within:
            shown = f"{self.section_number(1)}.{count}"
        elif shape := self._shapes.get(kind):
            shown = self._shaped(shape, count) or str(count)
        else:
            shown = str(count)
        if shown.isdecimal():
            self.last[kind] = max(self.last.get(kind, 0), int(shown))
        return self._unique(kind, shown)

    def unprinted(self, kind: str) -> str:
        self._after[kind] = self._after.get(kind, 0) + 1
        return self._unique(kind, str(self._after[kind]))

    def tagged(self, kind: str, tag: str) -> str:
        """The author's own name of an equation, as part of an anchor."""
        return self._unique(kind, re.sub(r"[^\w*′'.\-]", "", tag)[:40] or "tag")

    def _unique(self, kind: str, shown: str) -> str:
        times = self._taken[f"{kind}:{shown}"] = self._taken.get(f"{kind}:{shown}", 0) + 1
        return shown if times == 1 else self._unique(kind, f"{shown}#{times}")

    def _shaped(self, shape: str, count: int) -> str:
        shape = re.sub(r"\\thesection(?![a-zA-Z])|\\(?:Alph|arabic)\s?\{section\}", self.section_number(1), shape)
        shape = re.sub(r"\\arabic\s?\{\w+\}|\\value\s?\{\w+\}", str(count), shape)
        shape = re.sub(r"\\[Aa]lph\s?\{\w+\}", _letter(count), shape)
        shape = re.sub(r"\\[Rr]oman\s?\{\w+\}", str(count), shape)
        return re.sub(r"[^\w.\-]", "", to_text(shape))

    def section(self, level: int) -> str:
        """The number of the next section of `level`, from 1."""
        counts = self._section
        self._section = [n + (i == level - 1) if i < level else 0 for i, n in enumerate(counts)]
        if level == 1:
            self._counts |= dict.fromkeys(self._within, 0)
        return self.section_number(level)

    def section_number(self, level: int) -> str:
        first, *rest = self._section[:level]
        return ".".join([_letter(first) if self._appendix and first else str(first), *map(str, rest)])

    def appendix(self) -> None:
        if not self._appendix:
            self._appendix, self._section = True, [0, 0, 0, 0]

    def name(self, label: str, kind: str, number: str) -> None:
        """Remembers what `label` names; the first one counts."""
        if label and number:
            word = "Appendix" if kind == "sec" and number[0].isalpha() else _WORDS[kind]
            self.names.setdefault(label, f"{word} {number}")


def _letter(count: int) -> str:
    return chr(ord("A") + (count - 1) % 26)
