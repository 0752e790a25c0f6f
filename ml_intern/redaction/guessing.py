"""Secrets of no known kind: strings that look random beside a word such as key, token or password."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ml_intern.redaction.finding import HIDDEN, Span, without_marks
from ml_intern.redaction.randomness import is_hash, looks_random
from ml_intern.redaction.tokens import continued

_STEMS = ("key", "token", "passw", "passphrase", "pwd", "secret", "credential", "auth", "cookie", "signature")
_WORD = (
    r"(?P<word>key|token|passw(?:or)?d|passphrase|pwd|secret(?:[_-]?key)?|credential|auth(?:orization)?|cookie|signature)"
    r"(?:s|_?\d{1,2}|[_-](?:base|prod|dev|test|live|b64|base64|value|main|old|new|default))?"
)
# Between word and value, in whatever notation: key = "v", "key": "v", key='v', --key v, "name": "KEY", "value": "v".
_QUOTES = r"""(?:["'\])`*]|\\(?![nrt])|&quot;|&\#34;|%22){0,8}+"""
_BETWEEN = (
    rf"""{_QUOTES}(?:(?:[ \t]|\\n|\n){{0,12}}+,?(?:[ \t]|\\n|\n){{0,40}}+{_QUOTES}value\b{_QUOTES})?[ \t]{{0,12}}"""
)
_GAP = rf"{_BETWEEN}(?:is\b|are\b|=>|:=|=|:|,|\||\u2502|>|%3d|%3a|(?<=[ \t]))"
_OPEN = r"""(?:[ \t\[]|[|>]-?(?:\n|\\n)){0,12}+(?:[bfr]?\\{0,8}["'`]|&quot;|&\#34;|%22)?"""
_IN_QUOTES = rf"""[^\s"'`\\{HIDDEN}]"""
_BARE = rf"""(?:[^\s"'`\\{HIDDEN},;&<>()\[\]{{}}|=:\u2502]|&(?!\w{{1,32}}[=;]|\#))"""
# An upper bound keeps many words before one long value linear; the tails take the rest of a value that is worth hiding.
_VALUE = rf"""(?P<value>(?<=["'`]){_IN_QUOTES}{{8,64}}|{_BARE}{{8,64}}={{0,2}})"""
_TAIL_IN_QUOTES, _TAIL = re.compile(f"{_IN_QUOTES}*+"), re.compile(f"{_BARE}*+={{0,2}}")
# The value is only looked at, so that a word inside a value that is none can be tried in its turn.
_PAIR = re.compile(f"{_WORD}{_GAP}{_OPEN}(?={_VALUE})")
_NAME = re.compile(f"(?:{_WORD})$")
_STRONG = re.compile(
    r"(?:api|access|secret|private|auth|session|signing|encryption|account|master|app|client|service)[_-]?$"
)


def word_in(name: str) -> str | None:
    """The word that makes the value of a variable, field or option called `name` a likely secret."""
    name = re.sub(r"([a-z])([A-Z])", r"\1_\2", name.strip()).lower()
    found = _NAME.search(name)
    return _word(name, found) if found is not None else None


def _word(low: str, found: re.Match[str]) -> str | None:
    """The word as it is reported: of a closed list, since what stands around it could itself be a secret."""
    word = found["word"].replace("-", "_")
    before = low[max(found.start() - 12, 0) : found.start()]
    strong = _STRONG.search(before)
    if word == "key":
        if strong is not None:
            return f"{strong[0].strip('_-')}_key"
        return word if not before[-1:].isalpha() else None  # not "monkey"
    if word in ("auth", "cookie", "signature") and before[-1:].isalpha() and not before.endswith("o"):
        return None
    return word


def is_secret(value: str, word: str) -> bool:
    """Whether `value` of something called `word` is worth hiding, or what earlier marks have left of it."""
    value = without_marks(value).replace(HIDDEN, "")
    if word in ("key", "signature", "auth") and is_hash(value):
        return False  # a cache's key is as long and as random as a secret one
    chosen_by_people = word.startswith(("passw", "pwd", "passphrase", "secret", "credential"))
    return looks_random(value, 8 if chosen_by_people else 16)


def kind_of(word: str) -> str:
    return f"high-entropy value of '{word}'"


def guessed_spans(text: str, low: str) -> Iterator[Span]:
    """Likely secrets of `text`; `low` is the same in lower case."""
    if not any(stem in low for stem in _STEMS):
        return
    for found in _PAIR.finditer(low):
        start, end = found.span("value")
        if (word := _word(low, found)) is not None and is_secret(text[start:end], word):
            tail = (_TAIL_IN_QUOTES if text[start - 1] in "\"'`" else _TAIL).match(text, end)
            yield Span(start, continued(text, tail.end() if tail else end), kind_of(word))
