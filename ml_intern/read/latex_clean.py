"""One LaTeX file as TeX would hear it: no comments, no text that is switched off, verbatim text out of harm's way.

What stands in `\\verb`, a listing or a URL means itself. Its special characters are exchanged for private ones
(`guard`), which no later step takes for LaTeX, and `unguard` gives them back in the plain text. Knows nothing of other
files.
"""

from __future__ import annotations

import re

from ml_intern.errors import PaperError

_SPECIAL = "\\{}$&#^_~%[]'`-"
_PRIVATE = 0xF0000
_GUARD = {ord(char): chr(_PRIVATE + ord(char)) for char in _SPECIAL}
_UNGUARD = {_PRIVATE + ord(char): char for char in _SPECIAL}
_MAX_BRACES = 200

_SCAN = re.compile(
    r"(?P<comment>%[^\n]*(?:\n[ \t]*)?)"
    r"|\\begin\s?\{(?P<env>comment|filecontents\*?|verbatim\*?|[BLV]?Verbatim\*?|lstlisting|minted|alltt)\}"
    r"|\\(?:verb|Verb|lstinline)\*?(?:\[[^\]\n]{0,200}\])?(?P<mark>[^a-zA-Z\s*\[{])(?P<verb>[^\n]{0,500}?)(?P=mark)"
    r"|\\(?:Verb|lstinline|mintinline\{\w*\})(?:\[[^\]\n]{0,200}\])?\{(?P<braced>[^{}\n]{0,500})\}"
    r"|\\(?P<link>url|nolinkurl|path|href)\s?\{(?P<address>[^{}\n]{0,2000})\}"
    r"|\\(?s:.)"
)
_DROPPED = ("comment", "filecontents", "filecontents*")


def guard(text: str) -> str:
    """`text`, to be read as it stands."""
    return text.translate(_GUARD)


def unguard(text: str) -> str:
    return text.translate(_UNGUARD)


def clean(text: str) -> str:
    """Without comments (`\\%` stays) and switched-off text; a comment takes its line's end with it, as TeX does."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    out: list[str] = []
    place = 0
    unclosed: set[str] = set()
    while match := _SCAN.search(text, place):
        out.append(text[place : match.start()])
        place = match.end()
        name = match["env"]
        if name and name not in unclosed:
            closing = f"\\end{{{name}}}"
            end = text.find(closing, place)
            if end == -1:
                unclosed.add(name)
                out.append(match[0])
            else:
                out.append("" if name in _DROPPED else _listing(name, text[place:end]))
                place = end + len(closing)
        else:
            out.append(_replaced(match, text[place : place + 1]))
    flat = "".join([*out, text[place:]])
    flat = re.sub(r"[ \t\f\v]+", " ", flat)
    return live(re.sub(r" ?\n ?\n\s*", "\n\n", flat))


def _replaced(match: re.Match[str], following: str) -> str:
    if match["comment"]:
        return "\n" if following == "\n" else ""
    if match["mark"]:
        return guard(match["verb"])
    if match["braced"] is not None:
        return guard(match["braced"])
    if match["link"]:
        address = re.sub(r"\\([%#_~&])", r"\1", match["address"])
        return f"\\{match['link']}{{{re.sub(r'[%#_~&^$-]', lambda char: guard(char[0]), address)}}}"
    return match[0]


def _listing(name: str, text: str) -> str:
    """A listing as a paragraph, without its options."""
    options = {"lstlisting": r"\s*\[[^\]]{0,1000}\]", "minted": r"\s*(?:\[[^\]]{0,1000}\])?\s*\{\w*\}"}.get(name)
    if "erbatim" in name:
        options = r"\s*\[[^\]\n]{0,1000}\]"
    if options and (match := re.match(options, text)):
        text = text[match.end() :]
    return f"\n\n{guard(text.strip())}\n\n"


_CONDITION = re.compile(
    r"\\(?:newif\s?\\if(?P<new>[a-zA-Z@]+)|if(?P<if>[a-zA-Z@]*)(?P<zero>\s?0)?|(?P<else>else)|(?P<fi>fi)"
    r"|(?P<set>[a-zA-Z@]+?)(?P<value>true|false)|(?P<other>[a-zA-Z@]+|.))(?![a-zA-Z@])",
    re.DOTALL,
)
_PRIMITIVES = frozenset(
    ["", "cat", "num", "dim", "odd", "vmode", "hmode", "mmode", "inner", "void", "hbox", "vbox", "x", "eof", "case",
     "defined", "csname", "fontchar"]
)  # fmt: skip


def live(text: str) -> str:
    """`text` without what `\\iffalse`, `\\if0` or a switch of the paper's own (`\\newif`) turns off. Both branches of a
    condition that only TeX could decide stay."""
    return _Switched(text).live() if "\\if" in text else text


class _Switched:
    """A text with conditions. `stack` holds, for each open one, what is known of its branch and where that begins."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.switches = {"true": True, "false": False}
        self.stack: list[tuple[bool | None, int]] = []
        self.off = 0  # how many open branches are switched off
        self.out: list[str] = []
        self.place = 0

    def live(self) -> str:
        for match in _CONDITION.finditer(self.text):
            name = match["if"]
            if match["other"]:
                continue
            if name is not None and (name in _PRIMITIVES or name in self.switches):
                self._opens(match, False if not name and match["zero"] else self.switches.get(name))
            elif (match["else"] or match["fi"]) and self.stack:
                self._turns(match)
            elif match["new"] and not self.off:
                self.switches[match["new"]] = False
                self._cut(match)
            elif match["set"] in self.switches and not self.off:
                self.switches[match["set"]] = match["value"] == "true"
                self._cut(match)
        return "".join([*self.out, self.text[self.place :]])

    def _opens(self, match: re.Match[str], known: bool | None) -> None:
        if self.off:
            known = None
        elif known is not None:
            self._cut(match)
        self._push(known, match.end())

    def _turns(self, match: re.Match[str]) -> None:
        """At `\\else` and `\\fi`."""
        known, start = self.stack.pop()
        self.off -= known is False
        if known is False and not self.off:
            skipped = self.text[start : match.start()]
            # It closes a group that it did not open: a definition holds one half of the condition.
            self.out.append(skipped if skipped.count("}") > skipped.count("{") else "")
            self.place = match.end()
        elif known is not None and not self.off:
            self._cut(match)
        if match["else"]:
            self._push(None if known is None else not known, match.end())

    def _push(self, known: bool | None, place: int) -> None:
        self.stack.append((known, place))
        self.off += known is False

    def _cut(self, match: re.Match[str]) -> None:
        """Keeps the text up to `match`, and drops that."""
        self.out.append(self.text[self.place : match.start()])
        self.place = match.end()


def check_braces(text: str) -> None:
    """Raises PaperError for braces no person would nest: each level of them costs another look at what is inside."""
    depth = 0
    for match in re.finditer(r"\\.|[{}]", text, re.DOTALL):
        if match[0] == "{":
            depth += 1
            if depth > _MAX_BRACES:
                raise PaperError(
                    "The LaTeX source opens too many braces.",
                    f"{_MAX_BRACES} are open at character {match.start()}",
                    "Mend the source, or give the PDF.",
                )
        elif match[0] == "}":
            depth = max(0, depth - 1)
