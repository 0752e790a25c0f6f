"""One LaTeX file as TeX would hear it: no comments, no text that is switched off, verbatim text out of harm's way.

What stands in `\\verb`, a listing or a URL means itself. Its special characters are exchanged for private ones
(`guard`), which no later step takes for LaTeX, and `unguard` gives them back in the plain text. Knows nothing of other
files.
"""

from __future__ import annotations

import re

from ml_intern.errors import PaperError
from ml_intern.read.latex_conditions import conditions, live

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
_ENDING = re.compile(r"^((?:[^%\n\\]|\\.)*\\endinput(?![a-zA-Z@])[^\n]*\n)", re.MULTILINE)
_END = chr(_PRIVATE + ord("\n"))  # where TeX stops reading: at the end of the line that says so
_ENDS = re.compile(r"\\(?P<ends>endinput)(?![a-zA-Z@])|\\.|[{}]", re.DOTALL)
_DROPPED = ("comment", "filecontents", "filecontents*")


def guard(text: str) -> str:
    """`text`, to be read as it stands."""
    return text.translate(_GUARD)


def unguard(text: str) -> str:
    return text.translate(_UNGUARD)


def clean(text: str) -> str:
    """Without comments (`\\%` stays), text that is switched off for good, and what stands after `\\endinput`; a comment
    takes its line's end with it, as TeX does."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _ENDING.sub(rf"\1{_END}", text) if "\\endinput" in text else text
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
    return _until_its_end(live(re.sub(r" ?\n ?\n\s*", "\n\n", flat)))


def _until_its_end(text: str) -> str:
    """As far as TeX reads it for certain: an `\\endinput` in a group, a definition most likely, or in a condition that
    is not decided yet, ends nothing here."""
    if "\\endinput" not in text:
        return text.replace(_END, "")
    inside = sorted((one.start, one.fi[1]) for one in conditions(text).values())
    depth = place = beyond = 0
    for match in _ENDS.finditer(text):
        depth = max(0, depth + {"{": 1, "}": -1}.get(match[0], 0))
        if match["ends"]:
            while place < len(inside) and inside[place][0] < match.start():
                beyond = max(beyond, inside[place][1])
                place += 1
            if not depth and match.start() >= beyond:
                text = text[: match.start()] + text[match.end() :].partition(_END)[0]
                break
    return text.replace(_END, "")


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
