"""What is wrong in a form and where, of all that pydantic says of it. Knows nothing of who filled the form in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

_SHOWN = 100  # characters of a wrong value
_PLAINER = {"missing": "this is missing", "extra_forbidden": "there is no such field"}
OWN = "plan"  # the type of errors that name a place beneath what is validated, in words that need no input beside them


@dataclass(frozen=True)
class Mistake:
    """`place`: the keys and positions that lead to it. `type` and `words`: pydantic's. `given`: what stands there."""

    place: tuple[str | int, ...]
    type: str
    words: str
    given: Any


def mistakes(error: ValidationError) -> list[Mistake]:
    """Only causes: a list counts as empty where what stands in it is wrong, and that is no mistake of its own."""
    found = error.errors(include_url=False)
    places = [tuple(one["loc"]) for one in found]
    return [
        Mistake(
            place=(*one["loc"], *one.get("ctx", {}).get("place", ())),
            type=one["type"],
            words=one["msg"].removeprefix("Value error, "),
            given=one["input"],
        )
        for one, place in zip(found, places, strict=True)
        if one["type"] != "too_short" or not any(_is_within(other, place) for other in places)
    ]


def problems(error: ValidationError, whole: str = "the answer") -> list[str]:
    """What is wrong and where, in words for a model; `whole`: what all of it is called."""
    return [f"{'.'.join(map(str, one.place)) or whole}: {_said(one)}" for one in mistakes(error)]


def _said(mistake: Mistake) -> str:
    if mistake.type in _PLAINER:
        return _PLAINER[mistake.type]
    tells_all = mistake.type in (OWN, "value_error", "json_invalid")
    if tells_all or not isinstance(mistake.given, str | int | float | None):
        return mistake.words
    return f"{mistake.words}, not {json.dumps(mistake.given, ensure_ascii=False)[:_SHOWN]}"


def _is_within(inner: tuple[str | int, ...], outer: tuple[str | int, ...]) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer
