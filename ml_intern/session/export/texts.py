"""Values and texts of a log made fit to be shown or encoded. All of them are untrusted."""

from __future__ import annotations

import datetime
import json
import math
import re
from typing import Any

_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
# Controls, marks that turn text around, and tag characters, which hide words in plain sight.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]|[\U000e0000-\U000e007f]+"
)
_SURROGATE = re.compile("[\ud800-\udfff]")


def whole(text: str) -> str:
    """`text` as it can be encoded: half characters (lone surrogates) become U+FFFD, halves that fit are joined."""
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def fit(value: Any) -> Any:
    """A value that any JSON reader takes: texts are `whole`, numbers that are not finite are null."""
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {whole(str(key)): fit(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fit(item) for item in value]
    return value


def compact(value: Any) -> str:
    """One line of pure ASCII JSON: no terminal, line reader or locale can take harm from it."""
    return json.dumps(fit(value), allow_nan=False, separators=(",", ":"))


def plain(value: object) -> str:
    """A field of an event as text, whatever it holds."""
    if isinstance(value, str):
        return whole(value)
    return "" if value is None else json.dumps(fit(value), ensure_ascii=False)


def visible(text: str) -> str:
    """Without colours of a terminal; whatever else a reader would not see is named, like [U+202E]."""
    text = _ANSI.sub("", whole(text)).replace("\r\n", "\n").replace("\r", "\n")
    return _HIDDEN.sub(_named, text)


def _named(found: re.Match[str]) -> str:
    codes = [f"U+{ord(one):04X}" for one in found[0]]
    return f"[{codes[0]}]" if len(codes) == 1 else f"[{len(codes)} hidden characters from {codes[0]}]"


def bounded(text: str, limit: int) -> tuple[str, int]:
    """(the text, or its begin and end, and how many characters were left out)."""
    if len(text) <= limit:
        return text, 0
    head, tail = limit * 3 // 4, limit // 4
    left = len(text) - head - tail
    return f"{text[:head]}\n\n[… {left:,} characters are left out here …]\n\n{text[-tail:]}", left


def brief(text: str, limit: int = 110) -> str:
    """The first line that says something, cut at `limit`."""
    line = next((line.strip() for line in text[:4000].splitlines() if line.strip()), "")
    return line if len(line) <= limit else line[: limit - 1] + "…"


def iso(seconds: float) -> str:
    """UTC, to the millisecond: 2026-11-25T02:16:28.123Z."""
    try:
        when = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        when = datetime.datetime.fromtimestamp(0, datetime.UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def between(start: float, end: float) -> str:
    """2026-11-25 02:16 to 04:11 UTC; the day stands twice where it is another."""
    first, last = (iso(seconds)[:16].replace("T", " ") for seconds in (start, end))
    if first == last:
        return f"{first} UTC"
    return f"{first} to {last[11:] if first[:10] == last[:10] else last} UTC"


def counted(count: float, noun: str) -> str:
    """1 message, 2,000 messages."""
    return f"{count:,.0f} {noun}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """under 0.1 s, 12.3 s, 4 min 05 s, 3 h 20 min."""
    if seconds < 0.1:
        return "under 0.1 s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def dollars(value: float) -> str:
    """$12.30, $0.50, $0.0123, $0.000042."""
    return f"${value:.2f}" if value >= 0.1 or value == 0 else f"${value:.4f}" if value >= 0.001 else f"${value:.6f}"


def number(value: object, otherwise: float = 0.0) -> float:
    """A field that ought to be a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return otherwise
    return float(value) if math.isfinite(value) else otherwise
