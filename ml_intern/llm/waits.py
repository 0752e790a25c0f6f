"""How long a provider asks to be left alone: from the headers and the words of its refusal."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_UNITS = {
    "ms": 0.001, "millisecond": 0.001, "milliseconds": 0.001,
    "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0,
    "m": 60.0, "min": 60.0, "mins": 60.0, "minute": 60.0, "minutes": 60.0,
    "h": 3600.0, "hr": 3600.0, "hrs": 3600.0, "hour": 3600.0, "hours": 3600.0,
    "d": 86400.0, "day": 86400.0, "days": 86400.0,
}  # fmt: skip
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)", re.IGNORECASE)
_DURATION = (
    r"(?:\d+(?:\.\d+)?\s*(?:ms|milliseconds?|s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?)\s*)+"
)
_WORDS = re.compile(
    r"(?:try again|retry|resets?|wait|available)(?: again)?(?: in| after| for)?\s+(?:about |at least )?"
    rf"(?P<told>{_DURATION})\b"
    rf"|\"?retryDelay\"?:\s*\"(?P<delay>{_DURATION})\"",
    re.IGNORECASE,
)
_LONGEST = 40 * 86400.0  # what is further away than a month is a misread number


def wait_of(headers: Mapping[str, str] | None, message: str, now: float | None = None) -> float | None:
    """Seconds from `now` until the provider takes requests again; None where it does not say."""
    now = time.time() if now is None else now
    found = _from_headers({name.lower(): str(value) for name, value in (headers or {}).items()}, now)
    if found is None:
        found = told_wait(message)
    return found if found is None or found <= _LONGEST else None


def asked_wait(headers: Mapping[str, str] | None, now: float | None = None) -> float | None:
    """Seconds that `Retry-After` names, and no other header: what resets is not always what was used up."""
    lowered = {name.lower(): str(value) for name, value in (headers or {}).items()}
    return _retry_after(lowered, time.time() if now is None else now)


def told_wait(message: str) -> float | None:
    """Seconds that the words name: `Please try again in 6m0s.`"""
    match = _WORDS.search(message)
    return _duration(match["told"] or match["delay"]) if match else None


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    if (milliseconds := headers.get("retry-after-ms", "")) and re.fullmatch(r"\d+(\.\d+)?", milliseconds):
        return float(milliseconds) / 1000
    asked = headers.get("retry-after")
    return _moment(asked, now) if asked else None


def _from_headers(headers: Mapping[str, str], now: float) -> float | None:
    if (wait := _retry_after(headers, now)) is not None:
        return wait
    waits = []
    for name, value in headers.items():
        if not re.search(r"ratelimit-.*reset|ratelimit-reset", name):
            continue
        left = headers.get(name.replace("reset", "remaining"), "0")
        if re.fullmatch(r"0+(\.0+)?", left.strip()) and (wait := _moment(value, now)) is not None:
            waits.append(wait)  # of several limits those that are used up count
    return max(waits, default=None)


def _moment(value: str, now: float) -> float | None:
    """Seconds until `value`: a number of them, a duration, a date of HTTP or ISO 8601, or the clock's own number."""
    value = value.strip()
    if re.fullmatch(r"\d+(\.\d+)?", value):
        number = float(value)
        if number > 1e11:  # milliseconds since 1970
            return max(0.0, number / 1000 - now)
        return max(0.0, number - now) if number > 1e9 else number
    if re.fullmatch(_DURATION, value, re.IGNORECASE):
        return _duration(value)
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            date = parse(value)
        except (ValueError, TypeError):
            continue
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)
    return None


def _duration(text: str) -> float:
    return sum(float(number) * _UNITS.get(unit.lower(), 0.0) for number, unit in _PART.findall(text))
