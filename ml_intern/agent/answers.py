"""A structured answer as a model wrote it: its JSON among words and fences, and what is wrong with it, in words."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from ml_intern.llm.nearly_json import mended_json

Answer = TypeVar("Answer", bound=BaseModel)

_LOOKED_AT = 200  # braces
_OPENS = re.compile(r"\{\s*[\"}]")  # as objects do; `{x}` of a text does not
_BRACE = re.compile(r"[{}]")
_OUTSIDE_STRINGS = re.compile(r'[{}]|"(?:[^"\\]|\\.)*(?:"|\Z)', re.DOTALL)  # braces, and each string as one
_FENCE = re.compile(r"^[ \t]*```", re.MULTILINE)
_DECODER = json.JSONDecoder(strict=False)


def answer_in(text: str, form: type[Answer]) -> Answer:
    """The first JSON object in `text` that fits: a whole one before one with a slip, which may be a draft of it, and
    the longer one first. Raises ValidationError, of the longest."""
    found = sorted(_objects(text), key=lambda one: (one.kind, -len(one.text)))
    for one in found:
        with contextlib.suppress(ValidationError):
            return form.model_validate_json(mended_json(one.text))
    return form.model_validate_json(mended_json(json_in(text)))


def json_in(text: str) -> str:
    """The longest JSON object that stands in `text`, whole or nearly: a slip in one makes none of those inside it the
    answer."""
    longest = max((one.text for one in _objects(text) if one.kind != _Kind.WITHIN), key=len, default="")
    if len(longest) > len("{}"):
        return longest
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text


class _Kind(IntEnum):
    WHOLE, NEARLY, WITHIN = range(3)  # the last: behind the beginning of one that never ends


class _Object(NamedTuple):
    kind: _Kind
    text: str


def _objects(text: str) -> Iterator[_Object]:
    """One after another; none that lies in another, but where that one never ends."""
    done, endless = 0, False
    for match in list(_OPENS.finditer(text))[:_LOOKED_AT]:
        if (start := match.start()) < done:
            continue  # inside the one before
        kind = _Kind.WITHIN if endless else _Kind.WHOLE
        try:
            _, done = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            if endless:
                continue
            end = _end_of_nearly(text, start)
            kind, endless, done = _Kind.NEARLY, end is None, end or 0
            if end is None:
                closed = _FENCE.search(text, start)
                yield _Object(kind, text[start : closed.start() if closed else len(text)].rstrip())
                continue
        yield _Object(kind, text[start:done].rstrip())


def _end_of_nearly(text: str, start: int) -> int | None:
    """Where an object ends that cannot be read: at its brace; where a quotation mark too many hides that one, at the
    brace that it has without heeding any. None where it was broken off."""
    for tokens in (_OUTSIDE_STRINGS, _BRACE):
        depth = 0
        for match in tokens.finditer(text, start):
            depth += {"{": 1, "}": -1}.get(match[0], 0)
            if depth == 0:
                return match.end()
    return None
