"""Secrets whose value is known, in every form in which they turn up."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus

from ml_intern.redaction.environment import SHORTEST_KEY
from ml_intern.redaction.finding import DENSE, HIDDEN, Span, mark
from ml_intern.redaction.joining import Joined

_SHORTEST_ENCODED = 8


def _base64_cores(raw: bytes) -> set[str]:
    """What is certain of `raw` in base64 whatever bytes stand before and after it: one string for each alignment."""
    cores: set[str] = set()
    for before in range(3):
        bits = 8 * (before + len(raw))
        encoded = base64.b64encode(b"\0" * before + raw + b"\0\0").decode()
        cores.add(encoded[(8 * before + 5) // 6 : bits // 6])
    return cores | {core.replace("+", "-").replace("/", "_") for core in cores}


def forms(value: str) -> set[str]:
    """`value` as it is, escaped, quoted for a URL or for HTML, in hex and in base64."""
    raw = value.encode("utf-8", "surrogatepass")
    once = json.dumps(value)[1:-1]
    plain = {value, once, json.dumps(once)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]}
    quoted = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    quoted |= {re.sub("%..", lambda found: found[0].lower(), one) for one in quoted}
    encoded = {raw.hex(), raw.hex().upper(), *_base64_cores(raw)}
    return plain | quoted | {html.escape(value)} | {one for one in encoded if len(one) >= _SHORTEST_ENCODED}


def forms_in_bytes(value: str) -> set[bytes]:
    """The same as bytes, and the value in UTF-16 of both orders."""
    wide = {value.encode(coding, "surrogatepass") for coding in ("utf-16-le", "utf-16-be")}
    return wide | {form.encode("utf-8", "surrogatepass") for form in forms(value)}


class KnownValues:
    """Searches for the values of `known` (name to value)."""

    def __init__(self, known: Mapping[str, str]) -> None:
        values = {name: value.strip() for name, value in known.items()}
        values = {name: value for name, value in values.items() if len(value) >= SHORTEST_KEY}
        self._forms: dict[str, str] = {}
        self._in_bytes: dict[bytes, str] = {}
        # The longest value first: one may be part of another.
        for name, value in sorted(values.items(), key=lambda item: -len(item[1])):
            leaks = any(other.lower() in name.lower() for other in values.values())
            kind = "known secret" if leaks else f"value of {re.sub(r'[^A-Za-z0-9_.-]', '_', name)[:64]}"
            for form in forms(value):
                self._forms.setdefault(form, kind)
            for raw in forms_in_bytes(value):
                self._in_bytes.setdefault(raw, kind)
        # Long forms stand in long runs only, which are few; the others are looked for everywhere.
        self._long = {form: kind for form, kind in self._forms.items() if DENSE.fullmatch(form)}
        self._other = {form: kind for form, kind in self._forms.items() if form not in self._long}
        self._joined = {
            joined: kind for form, kind in self._forms.items() if len(joined := Joined(form).text) >= SHORTEST_KEY
        }
        marks = [mark(kind) for kind in {*self._forms.values()}]
        self._marks = re.compile("|".join(map(re.escape, marks))) if marks else None

    def spans(self, text: str, runs: str) -> Iterator[Span]:
        """`runs`: the dense runs of `text`."""
        if self._marks is not None and "[redacted: " in text:
            # A value such as "redacted" must not be found in the marks that stand for it.
            text = self._marks.sub(lambda found: HIDDEN * len(found[0]), text)
        forms = [*((form, kind) for form, kind in self._long.items() if form in runs), *self._other.items()]
        for form, kind in forms:
            at = text.find(form)
            while at >= 0:
                yield Span(at, at + len(form), kind)
                at = text.find(form, at + len(form))

    def split_spans(self, joined: Joined, runs: str) -> Iterator[Span]:
        """Values that are whole only once line breaks are taken out."""
        for form, kind in self._joined.items():
            if form in self._long and form not in runs:
                continue
            at = joined.text.find(form)
            while at >= 0:
                if joined.breaks(at, at + len(form)):
                    yield Span(*joined.origin(at, at + len(form)), kind)
                at = joined.text.find(form, at + len(form))

    def kinds_in(self, content: bytes) -> list[str]:
        return [kind for raw, kind in self._in_bytes.items() if raw in content]
