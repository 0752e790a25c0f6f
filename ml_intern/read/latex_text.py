"""A piece of LaTeX to plain text: marks dropped, symbols as Unicode, citations and links as readers see them.

Knows nothing of structure: environments and sections are somebody else's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from ml_intern.read.latex_source import group

_GREEK = frozenset(
    ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
     "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"]
)  # fmt: skip
_SYMBOLS = {
    "times": "×", "cdot": "·", "pm": "±", "mp": "∓", "leq": "≤", "le": "≤", "geq": "≥", "ge": "≥", "neq": "≠",
    "ne": "≠",
    "approx": "≈", "sim": "~", "simeq": "≃", "equiv": "≡", "infty": "∞", "rightarrow": "→", "to": "→", "leftarrow": "←",
    "Rightarrow": "⇒", "uparrow": "↑", "downarrow": "↓", "in": "∈", "sum": "∑", "prod": "∏", "int": "∫", "partial": "∂",
    "nabla": "∇", "ldots": "…", "dots": "…", "cdots": "…", "textellipsis": "…", "degree": "°", "S": "§",
    "dagger": "†", "ddagger": "‡", "ast": "*", "star": "*", "checkmark": "✓", "cmark": "✓", "xmark": "✗", "bullet": "•",
    "textasciitilde": "~", "textbackslash": "\\", "copyright": "©", "ell": "ℓ", "mid": "|", "vert": "|", "langle": "⟨",
    "rangle": "⟩", "quad": " ", "qquad": " ", "ss": "ß", "ae": "æ", "AE": "Æ", "o": "ø", "O": "Ø", "aa": "å", "l": "ł",
    "L": "Ł", "i": "ı", "textregistered": "®", "texttrademark": "™", "ll": "≪", "gg": "≫", "forall": "∀", "exists": "∃",
    "subset": "⊂", "subseteq": "⊆", "cup": "∪", "cap": "∩", "otimes": "⊗", "oplus": "⊕", "odot": "⊙", "circ": "∘",
    "prime": "′", "Vert": "‖", "lVert": "‖", "rVert": "‖", "lvert": "|", "rvert": "|", "lfloor": "⌊", "rfloor": "⌋",
    "lceil": "⌈", "rceil": "⌉", "propto": "∝", "perp": "⊥", "top": "⊤", "wedge": "∧", "vee": "∨",
    "neg": "¬", "notin": "∉", "emptyset": "∅", "varnothing": "∅", "setminus": "∖", "mapsto": "↦", "ni": "∋",
    "leftrightarrow": "↔", "Leftrightarrow": "⇔", "iff": "⇔", "implies": "⇒", "longrightarrow": "⟶",
    "triangleq": "≜", "oint": "∮", "iint": "∬", "bigcup": "⋃", "bigcap": "⋂", "supset": "⊃", "supseteq": "⊇",
    "gtrsim": "≳", "lesssim": "≲", "cong": "≅", "vdots": "⋮", "ddots": "⋱", "div": "÷", "hbar": "ℏ", "lbrace": "{",
    "rbrace": "}", "lbrack": "[", "rbrack": "]", "colon": ":", "given": "|",
    "newline": " ", "par": "\n\n", "varepsilon": "ε", "vartheta": "ϑ", "varphi": "φ", "TeX": "TeX", "LaTeX": "LaTeX",
}  # fmt: skip
_ACCENTS = {"'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307",
            "c": "\u0327", "v": "\u030c", "u": "\u0306", "H": "\u030b", "r": "\u030a", "k": "\u0328"}  # fmt: skip
# Marks over a letter of a formula; without them two symbols would read as one.
_OVER = {
    "hat": "\u0302", "widehat": "\u0302", "tilde": "\u0303", "widetilde": "\u0303", "bar": "\u0304",
    "overline": "\u0305", "vec": "\u20d7", "dot": "\u0307", "ddot": "\u0308", "check": "\u030c", "breve": "\u0306",
    "mathring": "\u030a", "underline": "\u0332", "Hat": "\u0302", "Tilde": "\u0303", "Bar": "\u0304", "Vec": "\u20d7",
    "Dot": "\u0307", "Ddot": "\u0308", "Check": "\u030c", "Breve": "\u0306",
}  # fmt: skip
# A bracket after them is a delimiter of the formula, not an option.
_DELIMITING = re.compile(
    r"^(left|right|middle|[bB]igg?[lrm]?|mathopen|mathclose|displaystyle|textstyle|limits|nolimits)$"
)
_FUNCTIONS = frozenset(
    ["log", "exp", "sin", "cos", "tan", "tanh", "sinh", "cosh", "min", "max", "arg", "lim", "det", "sup", "inf", "ln",
     "argmax", "argmin", "Pr", "gcd", "dim", "ker", "deg", "limsup", "liminf", "mod", "bmod", "sgn", "softmax"]
)  # fmt: skip
# Commands whose arguments are no text of the paper: (number of arguments to drop).
_DROP = {
    "label": 1, "vspace": 1, "hspace": 1, "includegraphics": 1, "setlength": 2, "addtolength": 2, "setcounter": 2,
    "addtocounter": 2, "thispagestyle": 1, "pagestyle": 1, "usepackage": 1, "bibliographystyle": 1, "bibliography": 1,
    "color": 1, "rule": 2, "hypersetup": 1, "captionsetup": 1, "renewcommand": 2, "newcommand": 2, "rotatebox": 1,
    "resizebox": 2, "scalebox": 1, "textcolor": 1, "colorbox": 1, "cellcolor": 1, "rowcolor": 1,
    "phantom": 1, "hphantom": 1, "vphantom": 1, "todo": 1, "begin": 1, "end": 1, "cline": 1, "cmidrule": 1,
    "arraystretch": 0, "fontsize": 2,
    "definecolor": 3, "input": 1, "graphicspath": 1, "hyphenation": 1, "index": 1, "nocite": 1, "raisebox": 1,
    "pdfoutput": 0,
}  # fmt: skip
_CITE = re.compile(r"^(no)?[Cc]ite[a-zA-Z]*$")
_TOKEN = re.compile(r"\\([a-zA-Z@]+)\*?|\\(.)|(~)|(\$\$?)|([{}])|([_^])|(``|'')|(---?)|([^\\~${}_^`'\-]+|.)", re.DOTALL)


def to_text(latex: str, citations: Mapping[str, str] | None = None) -> str:
    """Plain text with single spaces; paragraphs stay apart by a blank line. `citations` maps a key to what is shown."""
    text = _Folder(citations or {}).fold(latex, 0)
    text = re.sub(r"[ \t]+", " ", text)  # first: the patterns below would look at each blank of a long run again
    text = re.sub(r" ?\n ?\n\s*", "\n\n", text)
    text = re.sub(r"[ \t]+|(?<!\n)\n(?!\n)", " ", text)
    text = re.sub(r"[^\S\n]+", " ", text)
    text = re.sub(r" +([,.;:!?)\]%])", r"\1", text)
    return unicodedata.normalize("NFC", text).strip()


class _Folder:
    def __init__(self, citations: Mapping[str, str]) -> None:
        self.citations = citations

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
            elif brace == "{":
                inner, place = group(text, match.start())
                out.append(self.fold(inner, depth + 1))
            elif script:
                piece, place = self._script(script, text, place, depth)
                out.append(piece)
            elif quote:
                out.append('"')
            elif dash:
                out.append("–" if len(dash) == 2 else "—")
            elif not (math or brace):
                out.append(plain)
        return "".join(out)

    def _command(self, name: str, text: str, place: int, depth: int) -> tuple[str, int]:
        if _CITE.match(name):
            return self._cite(name, text, place)
        if name in ("SI", "qty"):
            number, place = self._argument(text, place)
            unit, place = self._argument(text, place)
            return f"{self.fold(number, depth + 1)} {_unit(unit)}", place
        if name in _SYMBOLS:
            return _SYMBOLS[name], _after_word(text, place)
        lower = name.lower()
        if lower in _GREEK:
            kind = "CAPITAL" if name[0].isupper() else "SMALL"
            greek = lower.upper().replace("LAMBDA", "LAMDA")
            return unicodedata.lookup(f"GREEK {kind} LETTER {greek}"), _after_word(text, place)
        if name in ("ref", "eqref", "autoref", "cref", "Cref", "pageref"):
            label, place = self._argument(text, place)
            return f"[{label}]", place
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
            _, place = self._argument(text, place) if name != "footnotemark" else ("", place)
            return "", place
        if len(name) == 1 and name in _ACCENTS and place < len(text) and text[place] in " {":
            letter, place = self._argument(text, place)
            return self._accent(name, self.fold(letter, depth + 1)), place
        if name in _DROP:
            for _ in range(_DROP[name]):
                _, place = self._argument(text, place)
            return "", place
        if name in _FUNCTIONS:
            return f" {name}" if place - len(name) > 1 else name, place
        if name in _OVER:
            return self._over(name, text, place, depth)
        if _DELIMITING.match(name):
            return self._delimiter(text, place)
        return "", _after_word(text, _skip_options(text, place))

    def _escaped(self, char: str, text: str, place: int, depth: int) -> tuple[str, int]:
        if char in _ACCENTS and place < len(text) and (text[place] in "{\\" or text[place].isalpha()):
            letter, place = self._argument(text, place)
            return self._accent(char, self.fold(letter, depth + 1)), place
        if char == "\\":
            return " ", _skip_options(text, place)
        if char in "%&#$_{}":
            return char, place
        if char == "|":
            return "‖", place
        return ("" if char in "!/-()[]" else " "), place

    def _over(self, name: str, text: str, place: int, depth: int) -> tuple[str, int]:
        """A mark over one letter stands on it; over several it is named: `overline(a + b)`. In prose an underline is
        only a way to stress."""
        inner, place = self._argument(text, place)
        folded = self.fold(inner, depth + 1).strip()
        if name == "underline" or not folded:
            return folded, place
        if len(folded) == 1:
            return unicodedata.normalize("NFC", folded + _OVER[name]), place
        return f"{name}({folded})", place

    def _delimiter(self, text: str, place: int) -> tuple[str, int]:
        """What stands after `\\left` and its like: a bracket stays, a full stop is an invisible one."""
        while place < len(text) and text[place] in " \t":
            place += 1
        return ("", place + 1) if text[place : place + 1] == "." else ("", place)

    def _accent(self, accent: str, letter: str) -> str:
        letter = letter.replace("ı", "i")
        return unicodedata.normalize("NFC", letter[:1] + _ACCENTS[accent]) + letter[1:] if letter else ""

    def _script(self, script: str, text: str, place: int, depth: int) -> tuple[str, int]:
        value, place = self._argument(text, place)
        folded = self.fold(value, depth + 1).strip()
        if folded in ("*", "†", "‡", "∘"):
            return ("°" if folded == "∘" else folded), place
        return script + (folded if re.fullmatch(r"[-−]?\w*", folded) else "{" + folded + "}"), place

    def _cite(self, name: str, text: str, place: int) -> tuple[str, int]:
        place = _skip_options(text, place)
        keys, place = self._argument(text, place)
        if name.startswith("no"):
            return "", place
        shown = [self.citations.get(key.strip(), key.strip()) for key in keys.split(",")]
        return f"[{', '.join(shown)}]", place

    def _argument(self, text: str, place: int) -> tuple[str, int]:
        place = _skip_options(text, place)
        while place < len(text) and text[place].isspace():
            place += 1
        if place < len(text) and text[place] == "{":
            return group(text, place)
        if match := re.compile(r"\\[a-zA-Z]+|\\.|.", re.DOTALL).match(text, place):
            return match[0], match.end()
        return "", place


def _part(folded: str) -> str:
    """In brackets where it is more than one thing, so that `(a + b)/c` is not read as `a + b/c`."""
    folded = folded.strip()
    alone = re.fullmatch(r"\([^()]*\)|\|[^|]*\||[\w.^√{}',\[\]()|‖⟨⟩]*", folded)
    return folded if alone else f"({folded})"


_UNITS = {
    "percent": "%", "degree": "°", "kilo": "k", "mega": "M", "giga": "G", "milli": "m", "micro": "µ", "second": "s",
    "metre": "m", "meter": "m", "gram": "g", "byte": "B", "hour": "h", "minute": "min", "per": "/", "hertz": "Hz",
    "watt": "W", "degreeCelsius": "°C", "celsius": "°C", "flop": "FLOP",
}  # fmt: skip


def _unit(latex: str) -> str:
    """A unit as siunitx writes it: `\\kilo\\gram` is kg."""
    return re.sub(r"\\([a-zA-Z]+)\s*", lambda match: _UNITS.get(match[1], match[1]), latex).strip()


def _skip_options(text: str, place: int) -> int:
    while place < len(text) and text[place] == "[":
        _, place = group(text, place, "[", "]")
    return place


def _after_word(text: str, place: int) -> int:
    """TeX eats the spaces after a command that is a word; a line break stays one space for the reader."""
    while place < len(text) and text[place] in " \t":
        place += 1
    return place
