"""The statistics behind verdicts; pure functions of numbers. Knows nothing of claims."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

POCOCK_TWO_LOOKS = 0.9706  # level of each of two looks for 95 % overall (Pocock 1977, Biometrika 64)


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def t_interval(values: Sequence[float], level: float) -> tuple[float, float]:
    """Two-sided Student t interval of the mean (Student 1908). Needs at least two values."""
    from scipy.special import stdtrit  # not scipy.stats, which takes a second to import

    n = len(values)
    if n < 2:
        raise ValueError("an interval needs at least two values")
    centre = mean(values)
    error = math.sqrt(math.fsum((v - centre) ** 2 for v in values) / (n - 1) / n)
    width = float(stdtrit(n - 1, 0.5 + level / 2)) * error
    return centre - width, centre + width


def t_p_value(values: Sequence[float], centre: float = 0.0) -> float:
    """Two-sided p of the mean being `centre`. All values equal: 1 at `centre`, 0 elsewhere."""
    from scipy.special import stdtr

    n = len(values)
    middle = mean(values)
    error = math.sqrt(math.fsum((v - middle) ** 2 for v in values) / (n - 1) / n)
    if error == 0:
        return 1.0 if middle == centre else 0.0
    return float(2 * stdtr(n - 1, -abs(middle - centre) / error))


def sign_flip_p_value(values: Sequence[float]) -> float:
    """Exact two-sided sign-flip (Fisher 1935) p of a mean of zero: over all 2^n signs up to n = 16, after that over
    20,000 drawn with a fixed seed."""
    observed = abs(math.fsum(values)) - 1e-12
    if len(values) <= 16:
        sums = [abs(math.fsum(s * v for s, v in zip(signs, values, strict=True))) for signs in _signs(len(values))]
        return sum(total >= observed for total in sums) / len(sums)
    import numpy as np

    signs = np.random.default_rng(0).choice((-1.0, 1.0), size=(20_000, len(values)))
    hits = int((np.abs(signs @ np.asarray(values)) >= observed).sum())
    return (hits + 1) / 20_001


def _signs(n: int) -> list[tuple[int, ...]]:
    return list(product((-1, 1), repeat=n))


def tost(values: Sequence[float], margin: float, alpha: float = 0.05) -> bool:
    """Two one-sided tests (Schuirmann 1987): the 1 - 2·alpha interval lies inside ± margin."""
    low, high = t_interval(values, 1 - 2 * alpha)
    return -margin < low and high < margin


def tost_p_value(values: Sequence[float], margin: float) -> float:
    """The larger p of the two one-sided tests: `tost` holds at any alpha above it."""
    middle = mean(values)
    beyond = abs(middle) >= margin
    nearest = t_p_value(values, math.copysign(margin, middle)) / 2
    return 1 - nearest if beyond else nearest


def binomial_interval(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of a share (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv

    alpha = 1 - level
    low = 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, alpha / 2))
    high = 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, 1 - alpha / 2))
    return low, high


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values (Holm 1979), in the order given."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def power(n: int, effect_in_sd: float, level: float = 0.95) -> float:
    """Power of the two-sided paired t test with `n` pairs to see a mean of `effect_in_sd` standard deviations."""
    from scipy import stats

    critical = float(stats.t.ppf(0.5 + level / 2, n - 1))
    shift = effect_in_sd * math.sqrt(n)
    return float(stats.nct.sf(critical, n - 1, shift) + stats.nct.cdf(-critical, n - 1, shift))


def seeds_needed(values: Sequence[float], target: float, level: float = 0.95, limit: int = 1000) -> int | None:
    """A guess at the pairs for which an interval around today's mean, with today's spread, excludes `target`."""
    from scipy.special import stdtrit

    n = len(values)
    middle = mean(values)
    sd = math.sqrt(math.fsum((v - middle) ** 2 for v in values) / (n - 1))
    gap = abs(middle - target)
    for count in range(max(n + 1, 3), limit + 1):
        if float(stdtrit(count - 1, 0.5 + level / 2)) * sd / math.sqrt(count) < gap:
            return count
    return None
