"""What is wrong in a form and where, of all that pydantic says of it. Knows nothing of who filled the form in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

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


def _is_within(inner: tuple[str | int, ...], outer: tuple[str | int, ...]) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer
