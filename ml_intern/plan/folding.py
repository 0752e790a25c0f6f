"""Folds text so that a quote can be found verbatim in spite of ligatures, dashes, quotation marks and spaces."""

from __future__ import annotations

import re
import unicodedata

_SAME = str.maketrans(
    {
        "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2212": "-",
        "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u00ad": "", "\ufffe": "", "\u200b": "",
    }
)  # fmt: skip


def fold(text: str) -> str:
    """Compatibility-normalised, dashes and quotes made plain, hyphenation at line ends joined, spaces single."""
    text = unicodedata.normalize("NFKC", text).translate(_SAME).replace("``", '"').replace("''", '"')
    text = re.sub(r"(?<=\w)-\s*\n\s*(?=[a-z])", "", text)
    return re.sub(r"\s+", " ", text).strip()


def sentences(text: str) -> list[str]:
    """Sentences of a folded text; abbreviations such as 'e.g.' and 'Fig. 3' do not end one."""
    text = fold(text)
    ends = [match.end() for match in re.finditer(r"[.!?](?=\s+[A-Z(\"'0-9])", text)]
    short = re.compile(r"(\b(e\.g|i\.e|cf|vs|et al|Fig|Figs|Tab|Sec|Eq|Eqs|Ref|resp|approx|w\.r\.t|No|Dr)|\b[A-Z])\.$")
    parts, start = [], 0
    for end in [*ends, len(text)]:
        part = text[start:end].strip()
        if end < len(text) and short.search(part):
            continue
        if part:
            parts.append(part)
        start = end
    return parts
