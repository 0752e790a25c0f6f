"""A structured answer as a model wrote it: its JSON among words and fences, and what is wrong with it, in words."""

from __future__ import annotations

import json
import re

from pydantic import ValidationError

from ml_intern.llm.fences import fenced_blocks

_LOOKED_AT = 200  # braces
_OPENS = re.compile(r"\{\s*[\"}]")  # as objects do; `{x}` of a text does not
_DECODER = json.JSONDecoder(strict=False)


def json_in(text: str) -> str:
    """The longest JSON object that stands in `text`; where none is whole, what was plainly meant as one."""
    whole = _longest_object(text)
    if whole:
        return whole
    for block in fenced_blocks(text):
        if _OPENS.match(block.body.lstrip()):
            return block.body.strip()
    opened = _OPENS.search(text)
    start, end = opened.start() if opened else text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text


def _longest_object(text: str) -> str:
    """Empty where there is none but `{}`."""
    longest, done = "", 0
    for match in list(_OPENS.finditer(text))[:_LOOKED_AT]:
        if match.start() < done:
            continue  # inside the one before
        try:
            _, done = _DECODER.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        longest = max(longest, text[match.start() : done], key=len)
    return longest if len(longest) > len("{}") else ""


def problems(error: ValidationError) -> str:
    """What is wrong and where, a line each."""
    lines = [
        f"{'.'.join(map(str, one['loc'])) or 'the answer'}: {one['msg'].removeprefix('Value error, ')}"
        + ("" if one["type"] == "value_error" else f", not {str(one['input'])[:100]}")
        for one in error.errors(include_url=False)
    ]
    return "\n".join(lines)[:4000]
