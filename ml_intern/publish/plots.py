"""Plots as inline SVG, drawn without a plotting library so that the same evidence always gives the same bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from ml_intern.judge.guards import read_metrics
from ml_intern.judge.statistics import mean
from ml_intern.publish.facts import Facts

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 440, 240, 62, 16, 40  # narrow: text keeps its size on a phone
_COLOURS = ("#0b6fb8", "#c44e00", "#2b8a3e", "#8e44ad", "#a8231c", "#5f5f00", "#00727a", "#7a4a00")


def effects_svg(facts: Facts) -> str:
    """Effect with interval of each claim that has one; the dashed line is zero, the tick its minimal effect. Each row
    has its own scale, since claims differ in unit."""
    items = [(item.claim.id, part) for item in facts.claims for part in item.tested if part.verdict.low is not None]
    if not items:
        return ""
    row, left, width = 48, 44, _WIDTH - 64
    parts = []
    for number, (claim, item) in enumerate(items):
        verdict = item.verdict
        low, high, effect = verdict.low or 0.0, verdict.high or 0.0, verdict.effect or 0.0
        measured = item.test.kind == "measurement"  # no criterion, no mark
        marks = [] if measured else [0.0, verdict.minimal_effect or 0.0]
        if item.test.margin:
            marks += [item.test.margin, -item.test.margin]
        x = _scale(min([low, effect, *marks]), max([high, effect, *marks]), left, left + width)
        y = 24 + number * row
        colour = {"reproduced": _COLOURS[2], "not reproduced": _COLOURS[4]}.get(verdict.outcome, _COLOURS[0])
        parts.append(_text(left - 8, y + 4, claim, "end"))
        for mark in dict.fromkeys(marks):
            dash = ' stroke-dasharray="4 3"' if mark == 0 else ""
            parts.append(f'<path d="M{x(mark):.1f} {y - 11}V{y + 11}" class="axis"{dash}/>')
        parts.append(f'<path d="M{x(low):.1f} {y}H{x(high):.1f}" stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<circle cx="{x(effect):.1f}" cy="{y}" r="5" fill="{colour}"/>')
        parts.append(_text(left + width / 2, y + 23, item.effect, "middle"))
    return _svg("Effect of each claim with its interval", parts, 24 + row * len(items))


def curves_svg(facts: Facts, experiment: str, folder: Path) -> str:
    """Validation loss (what the scripts wrote about themselves), mean over seeds with the range as a band."""
    series: list[tuple[str, list[tuple[float, float, float, float]]]] = []
    for variant in facts.experiment(experiment).variants:
        runs = [
            {row["step"]: row[key] for row in read_metrics(folder / f"{r.run_id}.jsonl") if _plottable(row, key)}
            for r in facts.evidence
            if r.phase == "confirm" and r.experiment == experiment and r.variant == variant.name
            for key in ("validation_loss",)
        ]
        runs = [run for run in runs if run]
        if runs:
            steps = sorted(set.intersection(*(set(run) for run in runs)))
            points = [(float(s), *_mean_range([float(run[s]) for run in runs])) for s in steps]
            series.append((variant.name, points))
    series = [(name, points) for name, points in series if points]
    if not series:
        return ""
    everything = [point for _, points in series for point in points]
    floor = min((low for _, _, low, _ in everything if low > 0), default=1e-9)
    logs = all(low > 0 for _, _, low, _ in everything)
    value = (lambda v: math.log10(max(v, floor))) if logs else (lambda v: v)
    x = _scale(0, max(p[0] for p in everything), _LEFT, _WIDTH - 12)
    y = _scale(min(value(p[2]) for p in everything), max(value(p[3]) for p in everything), _HEIGHT - _BOTTOM, _TOP)
    parts = [_frame("step", "validation loss" + (", log scale" if logs else ""))]
    parts += _ticks_y(y, min(value(p[2]) for p in everything), max(value(p[3]) for p in everything), logs)
    parts.append(_text(_WIDTH - 12, _HEIGHT - _BOTTOM + 16, f"{max(p[0] for p in everything):g}", "end"))
    for (name, points), colour in zip(series, _COLOURS * 3, strict=False):
        band = [f"{x(s):.1f},{y(value(high)):.1f}" for s, _, _, high in points]
        band += [f"{x(s):.1f},{y(value(low)):.1f}" for s, _, low, _ in reversed(points)]
        parts.append(f'<polygon points="{" ".join(band)}" fill="{colour}" opacity="0.15"/>')
        line = " ".join(f"{x(s):.1f},{y(value(m)):.1f}" for s, m, _, _ in points)
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2">'
            f"<title>{escape(name)}</title></polyline>"
        )
    legend, height = _legend([name for name, _ in series])
    parts += legend
    return _svg(f"Validation loss of {experiment} by step", parts, _HEIGHT + height)


def strip_svg(facts: Facts, experiment: str) -> str:
    """Every confirmation seed's score as a point, by variant; one panel for the first metric of each test."""
    keys = list(dict.fromkeys(test.metric.key for test in facts.experiment(experiment).tests))
    parts: list[str] = []
    top = 0
    for key in keys:
        scores = [s for s in facts.scores if s.experiment == experiment and s.metric == key and s.values]
        if not scores:
            continue
        values = [v for score in scores for v in score.values]
        logs = min(values) > 0 and max(values) / min(values) > 30
        value = (lambda v: math.log10(v)) if logs else (lambda v: v)
        x = _scale(min(map(value, values)), max(map(value, values)), 150, _WIDTH - 72)
        parts.append(_text(12, top + 18, f"{key}{' (log scale)' if logs else ''}", "start", "bold"))
        for number, (score, colour) in enumerate(zip(scores, _COLOURS * 3, strict=False)):
            y = top + 42 + number * 24
            parts.append(_text(140, y + 4, score.variant, "end"))
            parts.append(f'<path d="M150 {y}H{_WIDTH - 72}" class="grid"/>')
            parts += [
                f'<circle cx="{x(value(v)):.1f}" cy="{y}" r="4" fill="{colour}" opacity="0.6"/>' for v in score.values
            ]
            parts.append(_text(_WIDTH - 64, y + 4, f"{mean(score.values):.2g}", "start"))
        top += 42 + 24 * len(scores)
    return _svg(f"Scores of {experiment} by variant, one point a seed", parts, top + 8) if parts else ""


def _plottable(row: dict[str, object], key: str) -> bool:
    return all(isinstance(row.get(k), int | float) and math.isfinite(float(str(row[k]))) for k in ("step", key))


def _mean_range(values: Sequence[float]) -> tuple[float, float, float]:
    return mean(values), min(values), max(values)


class _scale:  # noqa: N801 -- used as a function
    """Maps low..high to start..end; a range of nothing maps to the middle."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high, self.start, self.end = low, high, start, end

    def __call__(self, value: float) -> float:
        if self.high <= self.low:
            return (self.start + self.end) / 2
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def _text(x: float, y: float, text: str, anchor: str, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'


def _frame(x_name: str, y_name: str) -> str:
    bottom = _HEIGHT - _BOTTOM
    return (
        f'<path d="M{_LEFT} {_TOP}V{bottom}H{_WIDTH - 12}" class="axis" fill="none"/>'
        + _text((_LEFT + _WIDTH) / 2, bottom + 16, x_name, "middle")
        + f'<text transform="translate(14 {(_TOP + bottom) / 2:.0f}) rotate(-90)" text-anchor="middle">{y_name}</text>'
    )


def _ticks_y(y: _scale, low: float, high: float, logs: bool) -> list[str]:
    parts = []
    for share in (0, 0.5, 1):
        at = low + share * (high - low)
        parts.append(_text(_LEFT - 6, y(at) + 4, f"{10**at if logs else at:.2g}", "end"))
    return parts


def _legend(names: Sequence[str]) -> tuple[list[str], int]:
    """Below the plot, in as many lines as it takes; and its height."""
    parts = []
    x, line = float(_LEFT), 0
    for name, colour in zip(names, _COLOURS * 3, strict=False):
        width = 40 + 8 * len(name)
        if x > _LEFT and x + width > _WIDTH:
            x, line = float(_LEFT), line + 1
        y = _HEIGHT + 2 + 20 * line
        parts.append(f'<rect x="{x:.0f}" y="{y}" width="12" height="12" fill="{colour}"/>')
        parts.append(_text(x + 17, y + 10, name, "start"))
        x += width
    return parts, 24 + 20 * line


def _svg(title: str, parts: Sequence[str], height: float) -> str:
    head = f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img" xmlns="http://www.w3.org/2000/svg">'
    return f"{head}<title>{escape(title)}</title>{''.join(parts)}</svg>"
