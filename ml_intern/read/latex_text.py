"""A piece of LaTeX to plain text: marks dropped, symbols as Unicode, citations and links as readers see them.

Knows nothing of structure: environments and sections are somebody else's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from ml_intern.read.latex_clean import unguard
from ml_intern.read.latex_source import group, option
from ml_intern.read.latex_symbols import ACCENTS, DELIMITING, DROP, FUNCTIONS, GREEK, OVER, SYMBOLS, UNITS

_CITE = re.compile(
    r"^(no)?[Cc]ite(?!text)[a-zA-Z]*$|^([Pp]aren|[Aa]uto|[Tt]ext|[Ff]oot(full)?|[Ss]mart|[Ss]uper|full)cite[st]?$"
)
_REF = re.compile(r"^(eq|auto|[cC]|page|name|[vV]|sub|labelc|[zZ])?ref$")
_TOKEN = re.compile(
    r"\\([a-zA-Z@]+)\*?|\\(.)|(~)|(\$\$?)|([{}])|([_^])|(``|''|`)|(---?)|([^\\~${}_^`'\-]+|.)", re.DOTALL
)


def to_text(latex: str, citations: Mapping[str, str] | None = None, names: Mapping[str, str] | None = None) -> str:
    """Plain text with single spaces; paragraphs stay apart by a blank line. `citations` maps a key to what is shown,
    `names` a label to what it names (`Table 3`)."""
    text = _Folder(citations or {}, names or {}).fold(latex, 0)
    text = re.sub(r"[ \t]+", " ", text)  # first: the patterns below would look at each blank of a long run again
    text = re.sub(r" ?\n ?\n\s*", "\n\n", text)
    text = re.sub(r"[ \t]+|(?<!\n)\n(?!\n)", " ", text)
    text = re.sub(r"[^\S\n]+", " ", text)
    text = re.sub(r" +([,.;:!?)\]%])", r"\1", text)
    return unguard(unicodedata.normalize("NFC", text)).strip()


class _Folder:
    def __init__(self, citations: Mapping[str, str], names: Mapping[str, str]) -> None:
        self.citations = citations
        self.names = names

    def fold(self, text: str, depth: int) -> str:
        if depth > 60:
            return text
        out: list[str] = []
        place = 0
        while match := _TOKEN.match(text, place):
            place = match.end()
            command, escaped, tie, math, brace, script, quote, dash, plain = match.groups()
            if command:
                piece, place = self._command(command, text, place, depth)
                out.append(piece)
            elif escaped:
                piece, place = self._escaped(escaped, text, place, depth)
                out.append(piece)
            elif tie:
                out.append(" ")
            elif script:
                piece, place = self._script(script, text, place, depth)
                out.append(piece)
            elif quote:
                out.append("'" if quote == "`" else '"')
            elif dash:
                out.append("–" if len(dash) == 2 else "—")
            elif not (math or brace):
                out.append(plain)
        return "".join(out)

    def _command(self, name: str, text: str, place: int, depth: int) -> tuple[str, int]:
        if _CITE.match(name):
            return self._cite(name, text, place)
        if shape := _QUANTITIES.get(name):
            return self._quantity(shape, text, place, depth)
        if name in SYMBOLS:
            return SYMBOLS[name], _after_word(text, place)
        lower = name.lower()
        if lower in GREEK:
            kind = "CAPITAL" if name[0].isupper() else "SMALL"
            greek = lower.upper().replace("LAMBDA", "LAMDA")
            return unicodedata.lookup(f"GREEK {kind} LETTER {greek}"), _after_word(text, place)
        if _REF.match(name):
            label, place = self._argument(text, place)
            return self._reference(name, label), place
        if name == "hyperref" and text[place : place + 1] == "[":
            shown, place = self._argument(text, place)
            return self.fold(shown, depth + 1), place
        if name in ("textsuperscript", "textsubscript"):
            return self._script("^" if name == "textsuperscript" else "_", text, place, depth)
        if name == "ding":
            which, place = self._argument(text, place)
            return {"51": "✓", "52": "✓", "55": "✗", "56": "✗"}.get(which.strip(), ""), place
        if name == "tnote":
            mark, place = self._argument(text, place)
            return "".join(re.findall(r"[*†‡]", self.fold(mark, depth + 1))), place
        if name == "xspace":
            return "", place
        if name in ("url", "path", "nolinkurl"):
            return self._argument(text, place)
        if name == "href":
            _, place = self._argument(text, place)
            shown, place = self._argument(text, place)
            return self.fold(shown, depth + 1), place
        if name in ("frac", "dfrac", "tfrac", "nicefrac", "sfrac"):
            top, place = self._argument(text, place)
            bottom, place = self._argument(text, place)
            gap = " " if text[place : place + 1].isalnum() else ""
            return f"{_part(self.fold(top, depth + 1))}/{_part(self.fold(bottom, depth + 1))}{gap}", place
        if name == "sqrt":
            inner, place = self._argument(text, place)
            return f"√{_part(self.fold(inner, depth + 1))}", place
        if name in ("footnote", "footnotetext", "thanks", "footnotemark"):
            _, place = self._argument(text, place) if name != "footnotemark" else ("", _skip_options(text, place))
            return "", place
        if len(name) == 1 and name in ACCENTS and place < len(text) and text[place] in " {\\":
            letter, place = self._argument(text, place)
            return self._accent(name, self.fold(letter, depth + 1)), place
        if name in DROP:
            for _ in range(DROP[name]):
                _, place = self._argument(text, place)
            return "", place
        if name in FUNCTIONS:
            return f" {name}" if place - len(name) > 1 else name, place
        if name in OVER:
            return self._over(name, text, place, depth)
        if DELIMITING.match(name):
            return self._delimiter(text, place)
        return "", _after_word(text, _skip_options(text, place))

    def _escaped(self, char: str, text: str, place: int, depth: int) -> tuple[str, int]:
        if char in ACCENTS and place < len(text) and (text[place] in "{\\" or text[place].isalpha()):
            letter, place = self._argument(text, place)
            if letter in ("\\i", "\\j") and text[place - 1] != "}":  # the space after the word is none of the text
                place = _after_word(text, place)
            return self._accent(char, self.fold(letter, depth + 1)), place
        if char == "\\":
            return " ", _skip_options(text, place)
        if char in "%&#$_{}":
            return char, place
        if char == "|":
            return "‖", place
        if char == "," and text[place - 3 : place - 2].isdigit() and re.match(r"\d{3}(?!\d)", text[place : place + 4]):
            return ",", place  # groups the digits of one number
        return ("" if char in "!/-()[]" else " "), place

    def _over(self, name: str, text: str, place: int, depth: int) -> tuple[str, int]:
        """A mark over one letter stands on it; over several it is named: `overline(a + b)`. In prose an underline is
        only a way to stress."""
        inner, place = self._argument(text, place)
        folded = self.fold(inner, depth + 1).strip()
        if name == "underline" or not folded:
            return folded, place
        if len(folded) == 1:
            return unicodedata.normalize("NFC", folded + OVER[name]), place
        return f"{name}({folded})", place

    def _delimiter(self, text: str, place: int) -> tuple[str, int]:
        """What stands after `\\left` and its like: a bracket stays, a full stop is an invisible one."""
        while place < len(text) and text[place] in " \t":
            place += 1
        return ("", place + 1) if text[place : place + 1] == "." else ("", place)

    def _accent(self, accent: str, letter: str) -> str:
        letter = letter.replace("ı", "i").replace("ȷ", "j")
        return unicodedata.normalize("NFC", letter[:1] + ACCENTS[accent]) + letter[1:] if letter else ""

    def _script(self, script: str, text: str, place: int, depth: int) -> tuple[str, int]:
        value, place = self._argument(text, place)
        folded = self.fold(value, depth + 1).strip()
        if folded in ("*", "†", "‡", "∘"):
            return ("°" if folded == "∘" else folded), place
        return script + (folded if re.fullmatch(r"[-−]?\w*", folded) else "{" + folded + "}"), place

    def _cite(self, name: str, text: str, place: int) -> tuple[str, int]:
        keys, place = self._argument(text, place)
        if name.endswith("s"):  # biblatex: \\cites[p.~1]{a}[2]{b}
            while (after := _skip_options(text, place)) < len(text) and text[after] == "{":
                more, place = group(text, after)
                keys = f"{keys},{more}"
        if name.startswith("no"):
            return "", place
        shown = [self.citations.get(key.strip(), key.strip()) for key in keys.split(",")]
        return f"[{', '.join(shown)}]", place

    def _reference(self, command: str, labels: str) -> str:
        """What a reader sees in its place: `3`, `(3)` or `Table 3`; the label itself where nothing bears it."""
        shown = []
        for label in labels.split(","):
            name = self.names.get(label.strip(), "")
            number = name.rsplit(" ", 1)[-1]
            if not name or command in ("pageref", "nameref"):
                shown.append(f"[{label.strip()}]")
            elif command == "eqref":
                shown.append(f"({number})")
            else:
                shown.append(number if command in ("ref", "subref") else name)
        return ", ".join(shown)

    def _quantity(self, shape: str, text: str, place: int, depth: int) -> tuple[str, int]:
        """siunitx: `shape` names the arguments, n a number, u a unit; two numbers are a range."""
        numbers, unit = [], ""
        for kind in shape:
            argument, place = self._argument(text, place)
            if kind == "n":
                numbers.append(_printed_number(self.fold(argument, depth + 1)))
            else:
                unit = _unit(argument)
        number = " to ".join(numbers)
        if shape == "a":
            return f"{_printed_number(unit)}°", place
        return f"{number}{' ' if number and unit else ''}{unit}", place

    def _argument(self, text: str, place: int) -> tuple[str, int]:
        place = _skip_options(text, place)
        while place < len(text) and text[place].isspace():
            place += 1
        if place < len(text) and text[place] == "{":
            return group(text, place)
        if match := re.compile(r"\\[a-zA-Z]+|\\.|.", re.DOTALL).match(text, place):
            return match[0], match.end()
        return "", place


_QUANTITIES = {
    "SI": "nu", "qty": "nu", "num": "n", "si": "u", "unit": "u", "SIrange": "nnu", "qtyrange": "nnu", "numrange": "nn",
    "numlist": "n", "SIlist": "nu", "qtylist": "nu", "ang": "a", "tablenum": "n",
}  # fmt: skip


def _printed_number(text: str) -> str:
    """A number as siunitx prints it: `3.5 +- 0.2` with ±, a list with commas."""
    return re.sub(r"\s*;\s*", ", ", text.replace("+-", "±")).strip()


def _part(folded: str) -> str:
    """In brackets where it is more than one thing, so that `(a + b)/c` is not read as `a + b/c`."""
    folded = folded.strip()
    alone = re.fullmatch(r"\([^()]*\)|\|[^|]*\||[\w.^√{}',\[\]()|‖⟨⟩]*", folded)
    return folded if alone else f"({folded})"


def _unit(latex: str) -> str:
    """A unit as siunitx writes it: `\\kilo\\gram` is kg."""
    latex = re.sub(r"\\(square|cubic)\s*(\\[a-zA-Z]+)", r"\2\\\1", latex)
    return re.sub(r"\\([a-zA-Z]+)\s*", lambda match: UNITS.get(match[1], match[1]), latex).replace("~", " ").strip()


def _skip_options(text: str, place: int) -> int:
    while place < len(text) and text[place] == "[":
        content, place = option(text, place)
        if content is None:
            break
    return place


def _after_word(text: str, place: int) -> int:
    """TeX eats the spaces after a command that is a word; a line break stays one space for the reader."""
    while place < len(text) and text[place] in " \t":
        place += 1
    return place
