"""Reads one quantity out of a folded table cell: value, spread, unit, star. Knows nothing of tables."""

from __future__ import annotations

import math
import re

from ml_intern.read.paper import Number

_SIGNED = r"[-+−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|[-+−]?\.\d+"
_POWER = r"(?:\s*(?:[·⋅×*x]|\\cdot|\\times)\s*10\s*\^?\s*\{?(?P<power>[-−]?\d+)\}?|[eE](?P<exponent>[-+]?\d+))"
_SPREAD = (
    r"(?:\s*[_^]?\{?\s*(?:±|\+/-|\\pm)\s*(?P<spread>\d+(?:\.\d+)?|\.\d+)\s*\}?"
    r"|(?P<digits>\(\d{1,2}\))|\s*\(\s*±?\s*(?P<bracket>\d+(?:\.\d+)?|\.\d+)\s*\)|\s*\([-+−]\d+(?:\.\d+)?%?\))"
)
_UNIT = r"(?P<unit>%|[a-zA-Zµ°][\w/°²³]{0,11}(?:\s?/\s?\w+)?)"
_QUANTITY = re.compile(
    rf"^[~≈<>≤≥]?\s*(?P<value>{_SIGNED}){_POWER}?(?P<star1>\s*[*†‡]+)?{_SPREAD}?(?:\s*{_UNIT})?(?P<star2>\s*[*†‡]+)?(?:\s*[↑↓])?$"
)
_MAX_CHARS = 200
_BARE_POWER = re.compile(r"^10\^\{?(?P<power>[-−]?\d+)\}?$")


def parse_number(text: str) -> Number | None:
    """`28.4 ± 0.2`, `39.8 (0.1)`, `72.7(1.0)*`, `3.3·10^18`, `65 M`; None when the cell is not one quantity."""
    text = " ".join(text.replace("$", "").split())
    if len(text) > _MAX_CHARS:
        return None
    if bare := _BARE_POWER.match(text):
        value = _float("1", bare["power"])
        return None if value is None else Number(value=value)
    match = _QUANTITY.match(text)
    if match is None:
        return None
    power = match["power"] or match["exponent"] or "0"
    value = _float(match["value"], power)
    if value is None:
        return None
    return Number(
        value=value,
        spread=_spread(match, power),
        unit=match["unit"] or "",
        starred=bool(match["star1"] or match["star2"]),
    )


def _spread(match: re.Match[str], power: str) -> float | None:
    """What stands after ± or in brackets; `12.3(4)` counts in the last digits of its value."""
    digits = match["digits"].strip("()") if match["digits"] else ""
    decimals = len(match["value"].partition(".")[2])
    if digits and decimals:
        return _float(digits, str(int(power.replace("−", "-")) - decimals))
    spread = match["spread"] or match["bracket"] or digits
    return _float(spread, power) if spread else None


def _float(value: str, power: str) -> float | None:
    """None where no float is that large."""
    number = float(f"{value.replace(',', '').replace('−', '-')}e{power.replace('−', '-')}")
    return number if math.isfinite(number) else None
