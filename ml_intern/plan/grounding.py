"""Grounding: what a model says of a paper is kept only where the paper says it too.

A quote must stand in the paper verbatim (after folding), each number at its anchor, and a statement reports no result
that stands in neither. Numbers of the text that contradict a table are findings about the paper. Knows nothing of
models.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from pydantic import BaseModel, ConfigDict

from ml_intern.plan.claim import Claim, ProposedClaim, StatedNumber
from ml_intern.plan.folding import fold, sentences
from ml_intern.plan.numbers import measured, quantities, stands, unnamed
from ml_intern.plan.plan import Finding
from ml_intern.read.paper import Paper

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?![\w])")
_MIN_QUOTE = 12  # characters: a shorter quote stands everywhere
_MAX_LOOKS = 20_000_000  # words beside cells near a number: only a paper that was made to take time has more


class Grounded(BaseModel):
    """Kept claims (C1, C2, … in the order proposed, duplicates merged), and why each other one was dropped."""

    model_config = ConfigDict(frozen=True)

    claims: tuple[Claim, ...]
    dropped: tuple[str, ...]
    findings: tuple[Finding, ...]


def ground(paper: Paper, proposals: Sequence[ProposedClaim]) -> Grounded:
    """Checks every proposal against the paper."""
    texts, cells = _texts(paper)
    doubtful = _doubts(paper)
    claims: list[Claim] = []
    dropped: list[str] = []
    seen: set[tuple[str, str, str]] = set()
    for proposal in proposals:
        placed = _place(proposal, texts, cells, doubtful)
        if isinstance(placed, str):
            dropped.append(f"{proposal.statement!r}: {placed}")
            continue
        key = (fold(placed.quote), placed.metric, placed.subject)
        if key in seen:
            continue
        seen.add(key)
        claims.append(Claim(id=f"C{len(claims) + 1}", **placed.model_dump()))
    return Grounded(claims=tuple(claims), dropped=tuple(dropped), findings=contradictions(paper))


def ground_again(paper: Paper, claims: Sequence[Claim]) -> tuple[tuple[Claim, ...], dict[str, str]]:
    """The claims of a plan that somebody may have edited, each at its true anchor; and why the paper does not say what
    some of them say it does, by id."""
    texts, cells = _texts(paper)
    doubtful = _doubts(paper)
    kept: list[Claim] = []
    problems: dict[str, str] = {}
    for claim in claims:
        placed = _place(claim, texts, cells, doubtful)
        if isinstance(placed, str):
            problems[claim.id] = placed
        else:
            kept.append(claim.model_copy(update={"anchor": placed.anchor, "numbers": placed.numbers}))
    return tuple(kept), problems


def _texts(paper: Paper) -> tuple[dict[str, str], dict[str, str]]:
    """Folded, by anchor: paragraphs and captions, and cells of tables."""
    texts = {anchor: fold(text) for anchor, text in paper.texts()}
    return texts, {cell.anchor: fold(cell.text) for _, _, cell in paper.cells()}


def _doubts(paper: Paper) -> dict[str, tuple[str, ...]]:
    """Numbers that may have been misread, by anchor."""
    return {part.anchor: part.doubtful for section in paper.sections for part in section.paragraphs if part.doubtful}


def _place(
    proposal: ProposedClaim, texts: dict[str, str], cells: dict[str, str], doubtful: Mapping[str, Sequence[str]]
) -> ProposedClaim | str:
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
    numbers = []
    for number in proposal.numbers:
        placed = _placed(number, quote, anchor, texts, cells)
        if isinstance(placed, str):
            return placed
        numbers.append(placed)
    if reason := _overstated(proposal, quote, texts[anchor], "\n".join((*texts.values(), *cells.values()))):
        return reason
    placed_claim = proposal.model_copy(update={"anchor": anchor, "numbers": tuple(numbers)})
    return _doubtful(placed_claim, doubtful) or placed_claim


def _doubtful(claim: ProposedClaim, doubtful: Mapping[str, Sequence[str]]) -> str:
    """Which of its numbers may have been misread, as a superscript taken for digits."""
    for number in claim.numbers:
        if any(stands(fold(number.text), fold(doubt)) for doubt in doubtful.get(number.anchor, ())):
            return f"its number {number.text!r} may have been misread: its digits may be raised"
    return ""


def _placed(
    number: StatedNumber, quote: str, anchor: str, texts: dict[str, str], cells: dict[str, str]
) -> StatedNumber | str:
    """The number at its true anchor, or the reason why it is none of the paper's."""
    printed = fold(number.text)
    if not quantities(printed):
        return f"{printed!r} among its numbers is no number"
    place = cells.get(number.anchor, texts.get(number.anchor))
    if place is None:  # as with the quote itself, a wrong anchor is mended where the words are there
        place, number = quote, number.model_copy(update={"anchor": anchor})
    return number if stands(printed, place) else f"its number {printed!r} does not stand at {number.anchor}"


def _overstated(proposal: ProposedClaim, quote: str, paragraph: str, paper: str) -> str:
    """Which result in its statement the paper does not give there: not in the quote, the paragraph around it or the
    claim's numbers, nor as a difference of two of them, nor as what is left of an error."""
    own = _own(proposal)
    known = [*own, *_values(paragraph)]
    known += [abs(one - other) for one, other in combinations(own, 2)]
    if "error" in f"{quote} {proposal.statement}".lower():
        known += [whole - value for value in own for whole in (1, 100) if 0 < value < whole]
    for printed, readings in measured(proposal.statement, proposal.metric, paper):
        if not any(math.isclose(abs(one), abs(other), abs_tol=1e-9) for one in readings for other in known):
            return f"its statement says {printed}, which its quote and its numbers do not"
    return ""


def stated(claim: ProposedClaim) -> tuple[str, ...]:
    """The results that a claim's own words and numbers give, as printed, each once; a number from elsewhere than the
    quote with its anchor."""
    quoted = [printed for printed, _ in measured(claim.quote, claim.metric, "")]
    elsewhere = [one for one in claim.numbers if not stands(fold(one.text), fold(claim.quote))]
    return tuple(dict.fromkeys((*quoted, *(f"{one.text} ({one.anchor})" for one in elsewhere))))


def unfounded(words: str, claim: ProposedClaim) -> tuple[str, ...]:
    """Numbers in words about a claim's effect that the claim's quote and numbers do not give, nor as a difference of
    two of them; parts of names are none."""
    own = _own(claim)
    known = [*own, *(abs(one - other) for one, other in combinations(own, 2))]
    return tuple(
        number.printed
        for number in unnamed(fold(words), fold(claim.quote))
        if not any(math.isclose(abs(one), abs(other), abs_tol=1e-9) for one in number.readings for other in known)
    )


def _own(claim: ProposedClaim) -> list[float]:
    """The values in a claim's quote and among its numbers."""
    return [value for text in (claim.quote, *(one.text for one in claim.numbers)) for value in _values(text)]


def _values(text: str) -> list[float]:
    return [value for readings in quantities(text).values() for value in readings]


@dataclass(frozen=True)
class _Printed:
    """A number in a cell, with what tells it from the others: `column` are the words of its header, `row` those of its
    row's label that no other row of the table has."""

    value: float
    anchor: str
    text: str
    column: tuple[str, ...]
    row: frozenset[str]


def contradictions(paper: Paper) -> tuple[Finding, ...]:
    """Numbers in the prose that a table gives differently: the sentence names the row, the column and the quantity,
    and the nearest cell is close to the number but not equal to it."""
    found: list[Finding] = []
    folded = [fold(cell.text) for _, _, cell in paper.cells()]
    printed = {_value(match) for text in folded for match in _NUMBER.findall(text)}
    cells = sorted(_comparable(paper, folded), key=lambda cell: cell.value)
    values = [cell.value for cell in cells]
    looks = _MAX_LOOKS
    for section in paper.sections:
        for paragraph in section.paragraphs:
            for sentence in sentences(paragraph.text):
                words = frozenset(re.findall(r"[a-z]+", sentence.lower()))
                for number in dict.fromkeys(_NUMBER.findall(sentence)):
                    value = _value(number)
                    if "." not in number or value in printed or value == 0:
                        continue
                    # A restated result differs in its last digits; a different result differs by more.
                    low, high = sorted((0.95 * value, 1.05 * value))
                    near = cells[bisect_left(values, low) : bisect_right(values, high)]
                    looks -= len(near) * len(words)
                    if looks < 0:
                        return tuple(found)
                    named = [cell for cell in near if cell.value != value and _names(words, cell)]
                    if named:
                        cell = min(named, key=lambda cell: abs(cell.value - value))
                        text = f"the text says {number}, {cell.anchor} says {cell.text}: {sentence}"
                        found.append(Finding(text=text, text_anchor=paragraph.anchor, table_anchor=cell.anchor))
    return tuple(found)


def _comparable(paper: Paper, folded: Sequence[str]) -> Iterator[_Printed]:
    """The cells with a fraction whose row and column have words of their own."""
    texts = iter(folded)
    for table in paper.tables:
        labels = [frozenset(re.findall(r"[a-z]{2,}", row.label.lower())) for row in table.rows]
        shared = Counter(word for label in labels for word in label)
        heads = [tuple(re.findall(r"[a-z]{2,}", column.lower())) for column in table.columns]
        for row, label in zip(table.rows, labels, strict=True):
            telling = frozenset(word for word in label if shared[word] == 1)
            for place, cell in enumerate(row.cells):
                text = next(texts)
                head = heads[place] if place < len(heads) else ()
                if cell.number is not None and "." in text and telling and head:
                    yield _Printed(cell.number.value, cell.anchor, text, head, telling)


def _names(words: frozenset[str], cell: _Printed) -> bool:
    """Whether a sentence of these words names the cell: those that tell its row from the table's others stand in it,
    and every word of its column's header begins one of its own (EN-FR: English-to-French)."""
    return cell.row <= words and all(any(word.startswith(token) for word in words) for token in cell.column)


def _value(number: str) -> float:
    return float(number.replace(",", ""))
