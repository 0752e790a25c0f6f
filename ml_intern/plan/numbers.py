"""Numbers as a text prints them: what each may mean, whether one stands in a text, and which a statement reports as
measured. Knows nothing of claims."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from ml_intern.plan.folding import fold

_QUANTITY = re.compile(
    r"(?<![\w.^])(?<!\^[-+])"  # what is raised is a mark or an exponent
    r"(?:(?P<bare>10)\^(?P<exponent>[-+]?\d{1,3})(?!\d)"
    r"|(?P<digits>[-+]?(?:\d{1,3}(?:[ ,]\d{3})+|\d+)?(?:(?<=\d)\.?|\.)\d*(?:e[-+]?\d+)?)"
    r"(?:\s?[×·*x]\s?10\^(?P<power>[-+]?\d{1,3})(?!\d))?)"
    r"(?:\s?(?P<unit>%|per ?cent\b)|(?P<times>[kM])\b)?",
    re.IGNORECASE,
)
_LETTER = r"[^\W\d_]"
_MEASURES = r"(?:bleu|chrf|rouge|perplexity|accuracy|accurate|error|f1|auc|map|iou|precision|recall|loss|mse|mae|wer)"
_AFTER = re.compile(rf"[ -]?(?:points?|pp|x|times|fold)\b| {_MEASURES}\b", re.IGNORECASE)
_BETWEEN = "scores?|rates?|values?|of|is|are|at|least|most|above|below|under|over|than|about|by|to|="
_NAME = re.compile(r"([A-Z][\w-]*|[vV]ersion|[sS]ection|[tT]able|[fF]igure) $")


class Located(NamedTuple):
    """A number in a text: where it stands, as it is printed there, and what it may mean."""

    start: int
    end: int
    printed: str
    readings: tuple[float, ...]


def quantities(text: str) -> dict[str, tuple[float, ...]]:
    """Numbers of a text, as printed, each with what it may mean: 90 % is 90 or 0.9, 10k is 10,000, 8 × 10^-5 is one
    number, and what else is raised is none."""
    return {number.printed: number.readings for number in located(fold(text))}


def located(text: str) -> Iterator[Located]:
    """Every number of a folded text."""
    for match in _QUANTITY.finditer(text):
        try:
            printed_value = "1" if match["bare"] else re.sub(r"[ ,]", "", match["digits"])
            power = match["exponent"] or match["power"]
            value = float(Decimal(printed_value).scaleb(int(power or 0)))
        except (ValueError, ArithmeticError):  # a full stop
            continue
        times = {"k": 1e3, "m": 1e6}.get((match["times"] or "").lower(), 1.0)
        readings = (value, value / 100) if match["unit"] else (value * times,)
        printed = match[0].strip().rstrip(".")
        yield Located(match.start(), match.start() + len(printed), printed, readings)


def stands(printed: str, text: str) -> bool:
    """Whether the number stands in `text` whole: not as 2 of 2,500, of 2.5 or of BERT2. Both are folded."""
    part = r"(?<!\d,)" if re.match(r"\d{3}(?!\d)", printed) else ""
    whole = rf"(?<![\w.]){part}{re.escape(printed)}(?!\.?\d|,\d{{3}}(?!\d)|(?!x\b){_LETTER})"
    return re.search(whole, text) is not None


def measured(statement: str, metric: str, paper: str) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Numbers that a statement gives as results, as printed, with their readings: those with a fraction or a unit, and
    whole ones beside a measure's name. Layers, years and numbers in names (top-1, GPT-4, or Llama 3.1, where `paper`
    calls something so) are none."""
    text = fold(statement)
    words = "|".join([_MEASURES, *(re.escape(word) for word in re.findall(r"[a-z]{4,}", fold(metric).lower()))])
    before = re.compile(rf"\b(?:{words})(?: (?:{_BETWEEN}))* $", re.IGNORECASE)
    for start, end, printed, readings in unnamed(text, paper):
        fraction = len(readings) > 1 or "." in printed or "e" in printed.lower()
        if _AFTER.match(text[end:]) or fraction or before.search(text[:start]):
            yield printed, readings


def unnamed(text: str, paper: str) -> Iterator[Located]:
    """Numbers of a folded text that belong to no name: top-1, GPT-4, or Llama 3.1 where `paper` calls something so."""
    for number in located(text):
        left, right = text[: number.start], text[number.end :]
        if re.search(rf"{_LETTER}[-_/]$", left) or (re.match(rf"-?{_LETTER}", right) and not _AFTER.match(right)):
            continue
        name = _NAME.search(left)
        if not (name and f"{name[1]} {number.printed}" in paper):
            yield number
