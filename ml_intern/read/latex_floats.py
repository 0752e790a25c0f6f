"""A float cut into what has a caption of its own: captions, labels, subtables, tables side by side.

Knows nothing of numbers or grids.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from ml_intern.read.latex_source import environment_end, group, option, skip_space
from ml_intern.read.latex_tables import TABULAR

LABEL = re.compile(r"\\label\s?\{([^{}]*)\}")
_CAPTION = re.compile(
    r"\\(caption|captionof|subcaption|topcaption|bottomcaption|tabcaption|figcaption|tbl)(\*?)\s?(?=[\[{])"
)
_SUB = re.compile(
    r"\\begin\s?\{(?P<env>subtable|subfigure)\*?\}|\\(?P<box>subcaptionbox)\*?\s?(?=[\[{])"
    r"|\\(?P<command>subfloat|subfigure|subtable)\s?(?=[\[{])"
)


@dataclass(frozen=True)
class Caption:
    text: str
    start: int
    end: int
    starred: bool = False
    kind: str = ""  # of \captionof


@dataclass(frozen=True)
class Part:
    """`latex` with its own caption; `name` is (a), (b), … of a part of a float."""

    latex: str
    caption: str = ""
    label: str = ""
    name: str = ""
    kind: str = ""
    numbered: bool = True


def captions(latex: str) -> list[Caption]:
    out = []
    place = 0
    for match in _CAPTION.finditer(latex):
        if match.start() < place:
            continue
        kind = ""
        place = match.end()
        if match[1] == "captionof":
            kind, place = group(latex, place)
            place = skip_space(latex, place)
        _, place = option(latex, place)
        place = skip_space(latex, place)
        if latex[place : place + 1] != "{":
            continue
        text, place = group(latex, place)
        if text.strip():
            out.append(Caption(text, match.start(), place, bool(match[2]), kind))
    return out


def subparts(latex: str) -> tuple[list[Part], str]:
    """(the parts with a letter, the rest of the float without them)."""
    parts: list[Part] = []
    rest: list[str] = []
    place = 0
    while match := _SUB.search(latex, place):
        rest.append(latex[place : match.start()])
        name = f"({chr(ord('a') + len(parts) % 26)})"
        if match["env"]:
            starred = latex[match.start() : match.end()].endswith("*}")
            start, place = environment_end(latex, match["env"] + "*" * starred, match.end())
            inner = latex[match.end() : start if start != -1 else len(latex)]
            place = place if place != -1 else len(latex)
            caption = next((c.text for c in captions(inner)), "")
        else:
            caption, inner, place = _boxed(latex, match.end(), bool(match["box"]))
        label = LABEL.search(caption) or LABEL.search(inner)
        parts.append(Part(inner, caption, label[1] if label else "", name))
    return parts, "".join([*rest, latex[place:]])


def _boxed(latex: str, place: int, caption_first: bool) -> tuple[str, str, int]:
    """(caption, content, end) of `\\subfloat[short][caption]{content}` or `\\subcaptionbox{caption}{content}`."""
    caption = ""
    value, place = option(latex, place)
    while value is not None:
        caption = value or caption
        value, place = option(latex, skip_space(latex, place))
    if caption_first and latex[place : place + 1] == "{":
        caption, place = group(latex, place)
        _, place = option(latex, skip_space(latex, place))
    place = skip_space(latex, place)
    if latex[place : place + 1] != "{":
        return caption, "", place
    content, place = group(latex, place)
    return caption, content, place


def blocks(latex: str) -> list[Part]:
    """One part for every caption of the float: each minipage with its own, else what stands above or below it."""
    found = captions(latex)
    if len(found) < 2:
        label = LABEL.search(latex)
        first = found[0] if found else None
        return [_part(latex, first, label[1] if label else "")]
    pieces = _minipages(latex)
    if len(pieces) != len(found):
        content = re.compile(rf"{TABULAR.pattern}|\\includegraphics").search(latex)
        above = content is None or found[0].start < content.start()
        starts = [c.start if above else c.end for c in found]
        if not above:  # a label may still follow its caption
            starts = [m.end() if (m := re.compile(r"\s*\\label\s?\{[^{}]*\}").match(latex, s)) else s for s in starts]
        cuts = [0, *starts[1:], len(latex)] if above else [0, *starts[:-1], len(latex)]
        pieces = [latex[a:b] for a, b in pairwise(cuts)]
    out = []
    for piece, caption in zip(pieces, found, strict=True):
        label = LABEL.search(piece)
        out.append(_part(piece, caption, label[1] if label else ""))
    return out


def _part(latex: str, caption: Caption | None, label: str) -> Part:
    if caption is None:
        return Part(latex, label=label, numbered=False)
    return Part(latex, caption.text, label, kind=caption.kind, numbered=not caption.starred)


def _minipages(latex: str) -> list[str]:
    """The minipages that hold a caption."""
    out: list[str] = []
    place = 0
    pattern = re.compile(r"\\begin\s?\{minipage\}")
    while match := pattern.search(latex, place):
        start, end = environment_end(latex, "minipage", match.end())
        if end == -1:
            break
        inner = latex[match.end() : start]
        out += [inner] if captions(inner) else []
        place = end
    return out
