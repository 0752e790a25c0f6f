"""What a person reads of a plan before it is approved."""

import pytest
from rich.console import Console

from ml_intern.judge.decide import decide
from ml_intern.plan.plan import Seeds
from ml_intern.ui.show import show_plan
from tests.judge.synthetic import WINNING, experiment, paired, plan_of


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (0, "by an interval of 95 %: 0.40 with 5 seeds"),
        (5, "by an interval of 97.06 %: 0.29 with 5 seeds and 0.71 with 10 seeds"),
    ],
)
def test_the_power_of_a_plan_is_that_of_the_interval_that_decides(extra: int, said: str) -> None:
    plan = plan_of(experiment(seeds=Seeds(confirm=5, extra=extra)))
    console = Console(record=True, width=200)
    show_plan(plan, console)
    shown = console.export_text()
    assert said in shown
    (verdict,) = decide(plan, paired(WINNING))
    assert f"{100 * verdict.level:.4g} %" in shown


def test_a_smoke_run_has_no_power() -> None:
    console = Console(record=True, width=200)
    show_plan(plan_of(experiment(), scale="smoke"), console)
    assert "a smoke run decides nothing" in console.export_text() and "power" not in console.export_text()
