"""What a paper's own packages and classes define. Those of others come with papers too: their code is not read, only
what is plain in them."""

from __future__ import annotations

import re

from ml_intern.read.latex_source import group, option, skip_space

LOADED = re.compile(
    r"\\(?P<kind>usepackage|RequirePackage(?:WithOptions)?|documentclass|LoadClass(?:WithOptions)?)\s*"
    r"(?:\[[^\]]{0,2000}\])?\s*\{(?P<names>[^{}]{0,2000})\}"
)
_PART = re.compile(
    r"\\(?P<definer>(?:re)?newcommand|providecommand|DeclareRobustCommand|DeclareMathOperator|[gex]?def"
    r"|(?:New|Renew|Provide|Declare)DocumentCommand|(?:re)?newenvironment)(?![a-zA-Z@])\*?"
    r"\s*(?:\{\s*\\?(?P<braced>[a-zA-Z*]+)\s*\}|\\(?P<bare>[a-zA-Z]+)(?![a-zA-Z@]))"
    r"|\\[a-zA-Z@]+|\\.|[{}]",
    re.DOTALL,
)
# Of a style alone, which changes how these look: a paper's own `\And` may be a sign.
_KEPT = frozenset(["And", "AND", "and", "thanks", "date", "bibliography", "bibliographystyle", "newblock"])


def file_names(match: re.Match[str]) -> list[str]:
    """The files that a match of LOADED loads."""
    suffix = ".cls" if "lass" in match["kind"] else ".sty"
    return [name + suffix for name in (part.strip() for part in match["names"].split(",")) if name]


def definitions(text: str) -> str:
    """What a cleaned package defines: all of it where it is written like a preamble; of one with inner code (@) the
    definitions that do without."""
    return text if "@" not in text else "\n".join(_plain(text))


def _plain(text: str) -> list[str]:
    out: list[str] = []
    place = depth = 0
    for match in _PART.finditer(text):
        if match.start() < place:
            continue
        if match[0] == "{":
            depth += 1
        elif match[0] == "}":
            depth = max(0, depth - 1)
        elif match["definer"] and not depth:
            place = _end(text, match)
            piece = text[match.start() : place]
            if "@" not in piece and (match["braced"] or match["bare"]) not in _KEPT:
                out.append(piece)
    return out


def _end(text: str, match: re.Match[str]) -> int:
    """Where a definition ends."""
    place = match.end()
    if match["definer"].endswith("def"):
        opening = text.find("{", place, place + 80)
        return group(text, opening)[1] if opening != -1 else place
    for _ in range(2):
        place = option(text, skip_space(text, place))[1]
    groups = 2 if match["definer"].endswith(("environment", "DocumentCommand")) else 1
    for _ in range(groups):
        place = skip_space(text, place)
        if text[place : place + 1] == "{":
            place = group(text, place)[1]
    return place
