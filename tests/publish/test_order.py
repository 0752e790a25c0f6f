"""Which run ended first says nothing: whatever the order of the evidence, verdicts, card and report are the same."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ml_intern.judge.decide import decide, needs_second_look
from ml_intern.judge.evidence import Evidence, Guard, Measured, NamesCheck
from ml_intern.judge.guards import with_group_guards
from ml_intern.judge.order import by_plan, settled
from ml_intern.judge.sketch import TensorSketch
from ml_intern.plan.plan import Plan, Seeds
from ml_intern.publish.bundle import best_run, write_views
from ml_intern.publish.facts import RunInfo, gather
from tests.judge.synthetic import criterion, experiment, plan_of, run

SEEDS = (11, 3, 7, 5, 9, 1)


def plan() -> Plan:
    tests = (criterion(), criterion("value", claim="C2"), criterion("failure", claim="C3"))
    names = ("zebra", "method", "baseline")
    variants = [{"name": name} for name in names]
    own: dict[str, Any] = {"variants": variants, "crash": "worst"}
    return plan_of(
        experiment(*tests, id="second", seeds=Seeds(confirm=6, extra=6), **own), experiment(*tests, id="first", **own)
    )


def confirmed(plan: Plan, chance: random.Random, *, odd: bool) -> list[Evidence]:
    """Runs of everything that a view could tell apart: ties, crashes, equal weights, sketches, notes of their own."""
    return [
        one_run(experiment.id, variant.name, seed, chance, odd=odd)
        for experiment in plan.experiments
        for seed in SEEDS
        for variant in experiment.variants
    ]


def one_run(experiment: str, variant: str, seed: int, chance: random.Random, *, odd: bool) -> Evidence:
    value = None if chance.random() < 0.1 else chance.choice([0.1, 0.3, 0.7, 0.9]) + 0.001 * seed
    metrics = {
        "accuracy@test": Measured(
            value=value, n=chance.choice([99, 100]) if odd else 100, chance=chance.random(),
            trust=chance.choice(["harness", "audited"]),
        ),
        "accuracy@validation": Measured(value=chance.choice([0.5, 0.6]), n=10),
    }  # fmt: skip
    own = f"{experiment}{variant}{seed}"
    return run(
        variant, seed, value, run_id=f"{experiment}-{variant}-{seed}", experiment=experiment, metrics=metrics,
        wall_seconds=1000 * chance.random(), hardware=chance.choice("hi"), sandbox=chance.choice("st"),
        environment=f"{experiment}{seed}", baselines={"accuracy@test": {"constant": chance.random()}},
        names=NamesCheck(outcome=chance.choice(["same", "unknown"]), settings_of="method", names=("baseline",)),
        guards=[Guard(name="told", message=f"of {variant}, {seed}", fatal=False)],
        tensors=chance.choice("ab") if odd and chance.random() < 0.3 else own, weights=own,
        sketch=tuple(sketches(chance)) if odd else (),
    )  # fmt: skip


def sketches(chance: random.Random) -> Iterator[TensorSketch]:
    """Of some tensors, so that of two runs one may be like the other and not the other way round."""
    for size in chance.choices([4, 8, 16], k=3):
        values = tuple(chance.choice([0.0, 1e-4, 1e-2]) for _ in "abcd")
        yield TensorSketch(shape=(8, size), digest=f"{chance.random()}", values=values)


def told(plan: Plan, evidence: Sequence[Evidence], folder: Path) -> Iterator[object]:
    """All that is made of the evidence of a plan."""
    guarded = with_group_guards(evidence)
    verdicts = decide(plan, guarded)
    yield verdicts
    best = [best_run(one, guarded) for one in plan.experiments]
    yield best
    yield [needs_second_look(plan, one, guarded) for one in plan.experiments]
    published = next((one.run_id for one in best if one), "")
    write_views(gather(plan, guarded, verdicts, RunInfo(session="s", model="m", published_run=published)), folder)
    yield from ((folder / name).read_text() for name in ("README.md", "report.md", "report.html"))


@pytest.mark.parametrize("odd", [False, True], ids=["honest", "guarded"])
@pytest.mark.parametrize("number", range(2))
def test_verdicts_card_and_report_do_not_depend_on_which_run_ended_first(
    number: int, odd: bool, tmp_path: Path
) -> None:
    chance = random.Random(number)
    made = plan()
    evidence = confirmed(made, chance, odd=odd)
    (tmp_path / "curves").mkdir()
    for record in evidence:
        lines = [f'{{"step": {step}, "validation_loss": {chance.random()}}}\n' for step in range(3)]
        (tmp_path / "curves" / f"{record.run_id}.jsonl").write_text("".join(lines))
    wanted = list(told(made, evidence, tmp_path))
    for _ in range(2):
        chance.shuffle(evidence)
        assert list(told(made, evidence, tmp_path)) == wanted


def test_a_run_that_was_made_again_still_counts_as_it_was_made_last() -> None:
    made = plan()
    first, again = run("method", 1, 0.1, experiment="second"), run("method", 1, 0.2, experiment="second")
    other = run("zebra", 1, 0.3, experiment="second")
    assert by_plan(made, [first, again, other]) == (other, first, again)
    assert settled([other, again, first]) == (again, first, other)
