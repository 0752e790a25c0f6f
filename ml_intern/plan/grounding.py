"""Grounding: what a model says of a paper is kept only where the paper says it too.

A quote must stand in the paper verbatim (after folding), and each number at its anchor. Numbers of the text that
contradict a table are findings about the paper. Knows nothing of models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from ml_intern.plan.claim import Claim, ProposedClaim, StatedNumber
from ml_intern.plan.folding import fold, sentences
from ml_intern.plan.plan import Finding
from ml_intern.read.paper import Paper, Row, Table

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?![\w])")
_QUANTITY = re.compile(
    r"(?<![\w.])(?P<digits>[-+]?(?:\d{1,3}(?:[ ,]\d{3})+|\d+)?(?:(?<=\d)\.?|\.)\d*(?:e[-+]?\d+)?)"
    r"(?:\s?(?P<unit>%|per ?cent\b)|(?P<times>[kM])\b)?",
    re.IGNORECASE,
)
_MIN_QUOTE = 12  # characters: a shorter quote stands everywhere


class Grounded(BaseModel):
    """Kept claims (C1, C2, … in the order proposed, duplicates merged), and why each other one was dropped."""

    model_config = ConfigDict(frozen=True)

    claims: tuple[Claim, ...]
    dropped: tuple[str, ...]
    findings: tuple[Finding, ...]


def ground(paper: Paper, proposals: Sequence[ProposedClaim]) -> Grounded:
    """Checks every proposal against the paper."""
    texts = {anchor: fold(text) for anchor, text in paper.texts()}
    cells = {cell.anchor: fold(cell.text) for _, _, cell in paper.cells()}
    claims: list[Claim] = []
    dropped: list[str] = []
    seen: set[tuple[str, str, str]] = set()
    for proposal in proposals:
        placed = _place(proposal, texts, cells)
        if isinstance(placed, str):
            dropped.append(f"{proposal.statement!r}: {placed}")
            continue
        key = (fold(placed.quote), placed.metric, placed.subject)
        if key in seen:
            continue
        seen.add(key)
        claims.append(Claim(id=f"C{len(claims) + 1}", **placed.model_dump()))
    return Grounded(claims=tuple(claims), dropped=tuple(dropped), findings=contradictions(paper))


def _place(proposal: ProposedClaim, texts: dict[str, str], cells: dict[str, str]) -> ProposedClaim | str:
    """The proposal with its true anchor, or the reason why it is dropped."""
    quote = fold(proposal.quote)
    if len(quote) < _MIN_QUOTE and quote not in texts.values():
        return "its quote is too short to be found"
    if quote in texts.get(proposal.anchor, ""):
        anchor = proposal.anchor
    else:
        anchor = next((place for place, text in texts.items() if quote in text), "")
    if not anchor:
        return "its quote does not stand in the paper"
    for number in proposal.numbers:
        if reason := _missing_number(number, quote, texts, cells):
            return reason
    return proposal.model_copy(update={"anchor": anchor})


def _missing_number(number: StatedNumber, quote: str, texts: dict[str, str], cells: dict[str, str]) -> str:
    printed = fold(number.text)
    if number.anchor in cells:
        place = cells[number.anchor]
    elif number.anchor in texts:
        place = texts[number.anchor]
    else:
        place = quote
    if re.search(rf"(?<![\d.]){re.escape(printed)}(?![\d]|\.\d)", place):
        return ""
    return f"its number {printed!r} does not stand at {number.anchor or 'its quote'}"


def quantities(text: str) -> dict[str, tuple[float, ...]]:
    """Numbers of a text, as printed, each with what it may mean: 90 % is 90 or 0.9, 10k is 10,000."""
    found: dict[str, tuple[float, ...]] = {}
    for match in _QUANTITY.finditer(fold(text)):
        try:
            value = float(re.sub(r"[ ,]", "", match["digits"]))
        except ValueError:  # a full stop
            continue
        times = {"k": 1e3, "m": 1e6}.get((match["times"] or "").lower(), 1.0)
        found[match[0].strip().rstrip(".")] = (value, value / 100) if match["unit"] else (value * times,)
    return found


def contradictions(paper: Paper) -> tuple[Finding, ...]:
    """Numbers in the prose that a table gives differently: the sentence names the row, the column and the quantity,
    and the nearest cell is close to the number but not equal to it."""
    found: list[Finding] = []
    printed = {_value(match) for _, _, cell in paper.cells() for match in _NUMBER.findall(fold(cell.text))}
    for section in paper.sections:
        for paragraph in section.paragraphs:
            for sentence in sentences(paragraph.text):
                for number in dict.fromkeys(_NUMBER.findall(sentence)):
                    if "." not in number or _value(number) in printed:
                        continue
                    if finding := _contradicted(paper, paragraph.anchor, sentence, number):
                        found.append(finding)
    return tuple(found)


def _contradicted(paper: Paper, anchor: str, sentence: str, number: str) -> Finding | None:
    words = set(re.findall(r"[a-z]+", sentence.lower()))
    value = _value(number)
    for table, row, cell in paper.cells():
        printed = fold(cell.text)
        if cell.number is None or cell.number.value == value or "." not in printed:
            continue
        # A restated result differs in its last digits; a different result differs by more.
        if value == 0 or abs(cell.number.value - value) / abs(value) > 0.05:
            continue
        column = table.columns[row.cells.index(cell)] if row.cells.index(cell) < len(table.columns) else ""
        if _names_column(column, words) and _names_row(table, row, words):
            text = f"the text says {number}, {cell.anchor} says {printed}: {sentence}"
            return Finding(text=text, text_anchor=anchor, table_anchor=cell.anchor)
    return None


def _names_column(header: str, words: set[str]) -> bool:
    """Every word of the header begins a word of the sentence (EN-FR: English-to-French)."""
    tokens = re.findall(r"[a-z]{2,}", header.lower())
    return bool(tokens) and all(any(word.startswith(token) for word in words) for token in tokens)


def _names_row(table: Table, row: Row, words: set[str]) -> bool:
    """The words that tell this row from the table's others stand in the sentence."""
    own = set(re.findall(r"[a-z]{2,}", row.label.lower()))
    others: set[str] = set()
    for other in table.rows:
        if other is not row:
            others |= set(re.findall(r"[a-z]{2,}", other.label.lower()))
    telling = own - others
    return bool(telling) and telling <= words


def _value(number: str) -> float:
    return float(number.replace(",", ""))
