"""The plots' marks stand where the numbers say: read back from the SVG by its own axes."""

import itertools
import json
import math
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from ml_intern.judge.decide import decide
from ml_intern.judge.evidence import Evidence
from ml_intern.plan.plan import Plan
from ml_intern.publish.facts import Facts, RunInfo, gather
from ml_intern.publish.plots import curves_svg, effects_svg, strip_svg
from tests.judge.synthetic import FEEBLE, LOSING, WINNING, criterion, experiment, paired, plan_of, runs

WIDTH = 440  # of a plot; coordinates are rounded to a tenth


def facts_of(plan: Plan, evidence: Sequence[Evidence]) -> Facts:
    return gather(plan, evidence, decide(plan, evidence), RunInfo(session="s", model="m"))


def parsed(svg: str) -> ET.Element:
    root = ET.fromstring(svg.replace(' xmlns="http://www.w3.org/2000/svg"', ""))
    assert root.get("viewBox", "").startswith(f"0 0 {WIDTH} ") and root.get("role") == "img"
    bottom = float(root.get("viewBox", "").split()[3])
    for one in root.iter("text"):
        assert one.get("y") is None or 0 < float(one.get("y", "")) < bottom
    return root


def texts(root: ET.Element) -> list[str]:
    return [one.text or "" for one in root.iter("text")]


def text(root: ET.Element, words: str) -> ET.Element:
    (found,) = [one for one in root.iter("text") if one.text == words]
    return found


def number(one: ET.Element, name: str) -> float:
    return float(one.attrib[name])


def axis(first: tuple[float, float], second: tuple[float, float]) -> Callable[[float], float]:
    """From a place to the value there, by two (place, value)."""
    (p, v), (q, w) = first, second
    return lambda place: v + (place - p) / (q - p) * (w - v)


def pairs(points: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (point.split(",") for point in points.split())]


# Effects


def rows_of(root: ET.Element) -> list[dict[str, list[ET.Element]]]:
    """The marks, interval and dot of each claim."""
    out: list[dict[str, list[ET.Element]]] = []
    marks: list[ET.Element] = []
    for one in root:
        if one.tag == "path":
            marks.append(one)
        elif one.tag == "circle":
            out.append({"marks": marks[:-1], "interval": marks[-1:], "dot": [one]})
            marks = []
    return out


def place(mark: ET.Element) -> float:
    return float(mark.attrib["d"][1:].split()[0])


def ends(interval: ET.Element) -> tuple[float, float]:
    start, end = interval.attrib["d"].split("H")
    return float(start[1:].split()[0]), float(end)


def test_an_effect_and_its_interval_stand_between_zero_and_the_minimal_effect_as_their_numbers_do() -> None:
    facts = facts_of(plan_of(experiment()), paired(WINNING))
    verdict = facts.claims[0].verdict
    root = parsed(effects_svg(facts))
    (row,) = rows_of(root)
    zero, minimal = row["marks"]
    assert zero.get("stroke-dasharray") and not minimal.get("stroke-dasharray")
    value = axis((place(zero), 0.0), (place(minimal), 0.05))
    low, high = ends(row["interval"][0])
    assert verdict.low is not None and verdict.high is not None
    assert (value(low), value(high)) == pytest.approx((verdict.low, verdict.high), abs=1e-3)
    assert value(number(row["dot"][0], "cx")) == pytest.approx(0.11, abs=1e-3)
    assert low < number(row["dot"][0], "cx") < high
    assert text(root, "C1").get("text-anchor") == "end" and facts.claims[0].effect in texts(root)


def test_each_claim_has_a_row_of_its_own_and_the_colour_of_its_verdict() -> None:
    tests = [criterion(claim="C1"), criterion("equivalence", claim="C2"), criterion("measurement", claim="C3")]
    facts = facts_of(plan_of(experiment(*tests)), paired(WINNING))
    root = parsed(effects_svg(facts))
    rows = rows_of(root)
    heights = [number(row["dot"][0], "cy") for row in rows]
    assert heights == sorted(set(heights)) and len(rows) == 3
    for name, height in zip(("C1", "C2", "C3"), heights, strict=True):
        assert abs(number(text(root, name), "y") - height) < 10
    zero, plus, minus = rows[1]["marks"]
    assert (place(plus) - place(zero)) == pytest.approx(place(zero) - place(minus), abs=0.2)
    assert place(minus) < place(zero) < place(plus)
    assert rows[2]["marks"] == []  # no criterion
    colours = {item.verdict.outcome: row["dot"][0].get("fill") for item, row in zip(facts.claims, rows, strict=True)}
    losing = facts_of(plan_of(experiment()), paired(LOSING))
    (lost,) = rows_of(parsed(effects_svg(losing)))
    assert losing.claims[0].verdict.outcome == "not reproduced"
    assert lost["dot"][0].get("fill") == colours["not reproduced"] != colours["reproduced"]
    assert len(set(colours.values())) == 3


def test_a_negative_effect_stands_left_of_zero() -> None:
    facts = facts_of(plan_of(experiment()), paired(LOSING))
    (row,) = rows_of(parsed(effects_svg(facts)))
    assert number(row["dot"][0], "cx") < place(row["marks"][0]) < place(row["marks"][1])


def test_without_an_effect_there_is_no_plot() -> None:
    facts = facts_of(plan_of(experiment()), [])
    assert (effects_svg(facts), strip_svg(facts, "e")) == ("", "")


# Curves

STEPS = (10, 20, 40)
LOSSES = {  # by variant, a row a seed
    "method": ([1.0, 0.1, 0.01], [2.0, 0.3, 0.03]),
    "baseline": ([4.0, 3.0, 2.0], [4.0, 3.0, 2.0]),
}


def curves(folder: Path, losses: Mapping[str, Sequence[Sequence[object]]]) -> ET.Element:
    evidence = runs({name: [0.5] * len(rows) for name, rows in losses.items()})
    for name, rows in losses.items():
        for seed, row in zip((1, 3), rows, strict=True):
            lines = [{"step": s, "validation_loss": v} for s, v in zip(STEPS, row, strict=True)]
            lines.append({"step": 5, "train_loss": 9.0})  # no validation loss: no point
            (folder / f"{name}-{seed}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return parsed(curves_svg(facts_of(plan_of(experiment()), evidence), "e", folder))


def scales(root: ET.Element, logs: bool) -> tuple[Callable[[float], float], Callable[[float], float]]:
    """Steps and losses by place: from the frame, the last step's label and the ticks beside it."""
    (frame,) = [one for one in root.iter("path") if one.get("class") == "axis"]
    left, top = frame.attrib["d"][1:].split("V")[0].split()
    bottom, right = frame.attrib["d"].split("V")[1].split("H")
    last = text(root, "40")
    assert number(last, "x") == float(right) and number(last, "y") > float(bottom)
    ticks = [one for one in root.iter("text") if one.get("text-anchor") == "end" and number(one, "x") < float(left)]
    low, middle, high = ((number(one, "y") - 4, float(one.text or "")) for one in ticks)
    assert (low[0], high[0]) == (float(bottom), float(top))
    to = math.log10 if logs else float
    loss = axis((low[0], to(low[1])), (high[0], to(high[1])))
    assert loss(middle[0]) == pytest.approx(to(middle[1]), abs=0.02)
    return axis((float(left), 0.0), (float(right), 40.0)), (lambda y: 10 ** loss(y)) if logs else loss


def drawn(root: ET.Element, name: str) -> tuple[list[tuple[float, float]], list[tuple[float, float]], str]:
    """Line, band and colour of a variant."""
    lines, bands = list(root.iter("polyline")), list(root.iter("polygon"))
    (at,) = [place for place, line in enumerate(lines) if line.findtext("title") == name]
    assert bands[at].get("fill") == lines[at].get("stroke")
    return pairs(lines[at].attrib["points"]), pairs(bands[at].attrib["points"]), lines[at].attrib["stroke"]


def test_a_curve_is_the_mean_over_seeds_by_step_and_its_band_their_range(tmp_path: Path) -> None:
    root = curves(tmp_path, LOSSES)
    step, loss = scales(root, logs=True)
    assert {"step", "validation loss, log scale"} <= set(texts(root))
    for name, rows in LOSSES.items():
        line, band, _ = drawn(root, name)
        assert [step(x) for x, _ in line] == pytest.approx(STEPS, abs=0.1)
        low, mean, high = (
            [pick(pair) for pair in zip(*rows, strict=True)] for pick in (min, lambda pair: sum(pair) / 2, max)
        )
        assert [loss(y) for _, y in line] == pytest.approx(mean, rel=0.02)
        assert [step(x) for x, _ in band] == pytest.approx([*STEPS, *reversed(STEPS)], abs=0.1)
        assert [loss(y) for _, y in band] == pytest.approx([*high, *reversed(low)], rel=0.02)


def test_the_legend_gives_each_variant_the_colour_of_its_curve(tmp_path: Path) -> None:
    root = curves(tmp_path, LOSSES)
    boxes = {number(box, "y") + 10: box for box in root.iter("rect")}
    colours = {}
    for name in LOSSES:
        words = text(root, name)
        box = max(
            (box for box in root.iter("rect") if number(box, "x") < number(words, "x")), key=lambda b: number(b, "x")
        )
        assert number(words, "y") in boxes
        colours[name] = box.get("fill")
    assert colours == {name: drawn(root, name)[2] for name in LOSSES} and len(set(colours.values())) == 2


def test_losses_that_are_not_all_above_zero_are_drawn_without_a_log_scale(tmp_path: Path) -> None:
    root = curves(tmp_path, {"method": ([1.0, 0.5, -1.0], [1.0, 0.5, -1.0])})
    _, loss = scales(root, logs=False)
    assert "validation loss" in texts(root)
    assert [loss(y) for _, y in drawn(root, "method")[0]] == pytest.approx([1.0, 0.5, -1.0], abs=0.02)


def test_points_that_one_seed_lacks_or_that_are_no_numbers_are_left_out(tmp_path: Path) -> None:
    root = curves(tmp_path, {"method": ([1.0, "much", 0.5], [1.0, 0.7, 0.5])})
    step, _ = scales(root, logs=True)
    assert [step(x) for x, _ in drawn(root, "method")[0]] == pytest.approx([10, 40], abs=0.1)
    facts = facts_of(plan_of(experiment()), paired(WINNING))
    assert curves_svg(facts, "e", tmp_path / "nowhere") == ""


# Scores


def dots(root: ET.Element, name: str) -> list[float]:
    height = number(text(root, name), "y") - 4
    return [number(dot, "cx") for dot in root.iter("circle") if number(dot, "cy") == height]


def test_each_seed_of_a_variant_is_a_point_where_its_score_says() -> None:
    evidence = paired(FEEBLE)
    root = parsed(strip_svg(facts_of(plan_of(experiment()), evidence), "e"))
    scores = {
        name: [record.metrics["accuracy@test"].value or 0.0 for record in evidence if record.variant == name]
        for name in ("method", "baseline")
    }
    everything = [value for row in scores.values() for value in row]
    place = {name: dots(root, name) for name in scores}
    all_places = [x for row in place.values() for x in row]
    value = axis((min(all_places), min(everything)), (max(all_places), max(everything)))
    for name, row in scores.items():
        assert [value(x) for x in place[name]] == pytest.approx(row, abs=1e-3)
        assert f"{sum(row) / len(row):.2g}" in texts(root)
    assert len(all_places) == 10 and "accuracy@test" in texts(root)
    assert number(text(root, "method"), "x") < min(all_places)


def test_scores_over_several_powers_of_ten_stand_on_a_log_scale_and_each_metric_in_a_panel_of_its_own() -> None:
    mse = criterion(claim="C2", metric={"name": "mse"}, higher_is_better=False)
    evidence = runs({"method": [0.001, 0.01], "baseline": [0.1, 1.0]}, key="mse@test")
    root = parsed(strip_svg(facts_of(plan_of(experiment(mse)), evidence), "e"))
    assert "mse@test (log scale)" in texts(root)
    x = [*dots(root, "method"), *dots(root, "baseline")]
    assert [b - a for a, b in itertools.pairwise(x)] == pytest.approx([(x[-1] - x[0]) / 3] * 3, abs=0.2)
    both = [
        one.model_copy(update={"metrics": one.metrics | {"accuracy@test": one.metrics["mse@test"]}}) for one in evidence
    ]
    root = parsed(strip_svg(facts_of(plan_of(experiment(criterion(), mse)), both), "e"))
    heights = [number(one, "y") for one in root.iter("text") if (one.text or "").startswith(("mse", "accuracy"))]
    assert len(heights) == 2 and len(list(root.iter("circle"))) == 8
    assert len({dot.attrib["cy"] for dot in root.iter("circle")}) == 4
