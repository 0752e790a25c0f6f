"""Reads one quantity out of a folded table cell: value, spread, unit, star. Knows nothing of tables."""

from __future__ import annotations

import re

from ml_intern.read.paper import Number

_SIGNED = r"[-+−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|[-+−]?\.\d+"
_POWER = r"(?:\s*(?:[·⋅×*x]|\\cdot|\\times)\s*10\s*\^?\s*\{?(?P<power>[-−]?\d+)\}?|[eE](?P<exponent>[-+]?\d+))"
_SPREAD = r"(?:\s*(?:±|\+/-|\\pm)\s*(?P<spread>\d+(?:\.\d+)?|\.\d+)|\s*\(\s*±?\s*(?P<bracket>\d+(?:\.\d+)?|\.\d+)\s*\))"
_UNIT = r"(?P<unit>%|[a-zA-Zµ°][\w/°²³]{0,11}(?:\s?/\s?\w+)?)"
_QUANTITY = re.compile(
    rf"^[~≈<>≤≥]?\s*(?P<value>{_SIGNED}){_POWER}?(?P<star1>\s*[*†‡]+)?{_SPREAD}?(?:\s*{_UNIT})?(?P<star2>\s*[*†‡]+)?$"
)
_BARE_POWER = re.compile(r"^10\^\{?(?P<power>[-−]?\d+)\}?$")


def parse_number(text: str) -> Number | None:
    """`28.4 ± 0.2`, `39.8 (0.1)`, `72.7(1.0)*`, `3.3·10^18`, `65 M`; None when the cell is not one quantity."""
    text = " ".join(text.replace("$", "").split())
    if bare := _BARE_POWER.match(text):
        return Number(value=10.0 ** _integer(bare["power"]))
    match = _QUANTITY.match(text)
    if match is None:
        return None
    value = float(match["value"].replace(",", "").replace("−", "-"))
    power = match["power"] or match["exponent"]
    spread = match["spread"] or match["bracket"]
    scale = 10.0 ** _integer(power) if power else 1.0
    return Number(
        value=float(f"{match['value'].replace(',', '').replace('−', '-')}e{_integer(power)}") if power else value,
        spread=float(spread) * scale if spread else None,
        unit=match["unit"] or "",
        starred=bool(match["star1"] or match["star2"]),
    )


def _integer(text: str) -> int:
    return int(text.replace("−", "-"))
