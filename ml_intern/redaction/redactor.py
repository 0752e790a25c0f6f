"""Puts the searches together, the surest first, and replaces what they find."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Container, Iterator, Mapping
from itertools import accumulate
from typing import Any

from ml_intern.redaction.contexts import context_spans
from ml_intern.redaction.encoded import encoded_spans
from ml_intern.redaction.environment import secrets_of
from ml_intern.redaction.finding import Finding, Span, dense, lowered, mark, merged, without_marks
from ml_intern.redaction.guessing import guessed_spans, is_secret, kind_of, word_in
from ml_intern.redaction.joining import Joined
from ml_intern.redaction.known import KnownValues
from ml_intern.redaction.tokens import split_token_spans, token_spans

_SHORTEST = 6  # no secret is shorter
_PASSES = 5
_DEEPEST = 100
_BLOCK, _OVERLAP = 1 << 22, 1 << 13
_ASCII = bytes(byte if byte < 128 else 1 for byte in range(256))
_NOTHING_ELSE: Mapping[str, str] = {}


class Redactor:
    """Replaces secrets: values that are `known` (name to value), and what looks like a secret by itself."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = KnownValues(known)

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str], more: Mapping[str, str] = _NOTHING_ELSE, keys: Container[str] = ()
    ) -> Redactor:
        """Knows the secrets among the variables of `environ`, those that `keys` names, and all of `more`."""
        return cls({**secrets_of(environ, keys), **more})

    def text(self, text: str, guess: bool = False) -> tuple[str, tuple[Finding, ...]]:
        """`text` with `[redacted: KIND]` for each secret; with `guess`, also random strings beside telling words."""
        findings: list[Finding] = []
        lost: list[tuple[int, int]] = []  # where a replacement took out line breaks, and how many
        # What one replacement uncovers, the next pass finds: afterwards there is nothing left to find.
        for _ in range(_PASSES):
            spans = merged(self._spans(text, guess))
            if not spans:
                break
            findings.extend(_located(text, spans, lost))
            text, lost = _replaced(text, spans, lost)
        return text, tuple(sorted(findings, key=lambda finding: finding.line))

    def data(self, value: Any, guess: bool = False) -> tuple[Any, tuple[Finding, ...]]:
        """The same over JSON: strings and keys, at any depth. `value` itself where nothing was found."""
        strings = list(_strings(value, 0))
        if None not in strings:
            # One search over all strings is much cheaper than one for each.
            whole = " \0 ".join(string for string in strings if string)
            if not merged(self._spans(whole, guess)) and not (guess and _any_pair(value, None)):
                return value, ()
        findings: list[Finding] = []
        return self._value(value, guess, None, 0, findings), tuple(findings)

    def in_bytes(self, content: bytes) -> tuple[Finding, ...]:
        """Kinds of secrets in a file that cannot be edited, each once."""
        kinds = dict.fromkeys(self._known.kinds_in(content))
        for start in range(0, len(content), _BLOCK - _OVERLAP):
            # As ASCII with control characters for all other bytes: they end every value.
            block = content[start : start + _BLOCK].translate(_ASCII).decode("ascii")
            spans = (*token_spans(block, dense(block)), *context_spans(block, lowered(block)))
            kinds.update(dict.fromkeys(span.kind for span in spans))
        return tuple(Finding(kind=kind, line=0) for kind in kinds)

    def _spans(self, text: str, guess: bool) -> Iterator[Span]:
        if len(text) < _SHORTEST:
            return
        runs = dense(text)
        yield from self._certain(text, runs)
        joined = Joined(text)
        whole = joined.text == text
        if not whole:
            before, runs = runs, dense(joined.text)
            # Only a run that was not there before can hold what was split.
            fresh = "\n".join({*runs.split("\n")} - {*before.split("\n")})
            yield from self._known.split_spans(joined, fresh)
            yield from split_token_spans(text, joined, fresh)
        for span in encoded_spans(joined.text, runs, lambda decoded: self._certain(decoded, dense(decoded))):
            yield span if whole else Span(*joined.origin(span.start, span.end), span.kind)
        if guess:
            plain = without_marks(text)
            yield from guessed_spans(plain, lowered(plain))

    def _certain(self, text: str, runs: str) -> Iterator[Span]:
        yield from self._known.spans(text, runs)
        yield from token_spans(text, runs)
        plain = without_marks(text)
        yield from context_spans(plain, lowered(plain))

    def _value(self, value: Any, guess: bool, word: str | None, depth: int, findings: list[Finding]) -> Any:
        """`word`: what the key above says of this value, if that is telling."""
        if isinstance(value, str):
            text, found = self.text(value, guess)
            findings.extend(found)
            if guess and word is not None and is_secret(text, word):
                findings.append(Finding(kind=kind_of(word), line=1))
                return mark(kind_of(word))
            return text
        if isinstance(value, (dict, list, tuple)) and depth >= _DEEPEST:
            findings.append(Finding(kind="data nested too deeply", line=0))
            return mark("data nested too deeply")
        if isinstance(value, dict):
            done: dict[Any, Any] = {}
            for key, one in value.items():
                name = self._value(key, guess, None, depth + 1, findings) if isinstance(key, str) else key
                while name in done:
                    name = f"{name} (again)"
                done[name] = self._value(one, guess, _word_of(value, key), depth + 1, findings)
            return done
        if isinstance(value, (list, tuple)):
            items = [self._value(one, guess, word, depth + 1, findings) for one in value]
            return items if isinstance(value, list) else tuple(items)
        return value


def _word_of(holder: dict[Any, Any], key: Any) -> str | None:
    """The telling word for the value under `key`: in the key, or in the name beside it ("name": …, "value": …)."""
    named = holder.get("name", holder.get("key")) if key == "value" else key
    return word_in(named) if isinstance(named, str) and len(named) <= 200 else None


def _strings(value: Any, depth: int) -> Iterator[str | None]:
    """All strings of `value`, keys too; None where it is nested too deeply."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list, tuple)):
        if depth >= _DEEPEST:
            yield None
            return
        for one in value:
            yield from _strings(one, depth + 1)
        if isinstance(value, dict):
            for one in value.values():
                yield from _strings(one, depth + 1)


def _any_pair(value: Any, word: str | None) -> bool:
    """Whether a string of `value` stands under a key that makes it a secret."""
    if isinstance(value, str):
        return word is not None and is_secret(value, word)
    if isinstance(value, dict):
        return any(_any_pair(one, _word_of(value, key)) for key, one in value.items())
    return isinstance(value, (list, tuple)) and any(_any_pair(one, word) for one in value)


def _located(text: str, spans: list[Span], lost: list[tuple[int, int]]) -> Iterator[Finding]:
    """A finding for each span, with its line in the text as it was before any replacement."""
    line, at = 1, 0
    places = [place for place, _ in lost]
    breaks = [0, *accumulate(count for _, count in lost)]
    for span in spans:
        line += text.count("\n", at, span.start)
        at = span.start
        yield Finding(kind=span.kind, line=line + breaks[bisect_right(places, at)])


def _replaced(text: str, spans: list[Span], lost: list[tuple[int, int]]) -> tuple[str, list[tuple[int, int]]]:
    """`text` without the spans, and where line breaks were lost, in positions of the new text."""
    pieces: list[str] = []
    moved: list[tuple[int, int]] = []
    at = length = 0
    pending = deque(lost)
    for span in spans:
        while pending and pending[0][0] <= span.start:
            place, count = pending.popleft()
            moved.append((length + place - at, count))
        replacement = mark(span.kind)
        pieces += [text[at : span.start], replacement]
        length += span.start - at + len(replacement)
        at = span.end
        if breaks := text.count("\n", span.start, span.end):
            moved.append((length, breaks))
    moved += [(length + place - at, count) for place, count in pending]
    return "".join([*pieces, text[at:]]), moved
