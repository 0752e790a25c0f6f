"""The budget holds: nothing starts that it does not cover, what is unclear stays held, and the end is kept free."""

from pathlib import Path

import pytest

from ml_intern.agent import pipeline
from ml_intern.agent.budget import Budget, BudgetLimits, Spent, micro_dollars
from ml_intern.errors import BudgetExhausted
from ml_intern.session.events import Event, EventType
from ml_intern.session.state import fold
from tests.agent.test_loop import Scripted, context_with
from tests.judge.workshop import Workshop
from tests.support.compute import shared_compute


def spend(budget: Budget, usd: float, ceiling: int | None = None) -> None:
    budget.reserve(micro_dollars(usd) if ceiling is None else ceiling)
    budget.settle(usd)


def test_the_last_share_of_the_calls_is_kept_for_judging_and_writing() -> None:
    budget = Budget(BudgetLimits(iterations=100))
    for _ in range(98):
        spend(budget, 0)
    with pytest.raises(BudgetExhausted, match="100 iterations") as caught:
        budget.reserve(0)
    assert caught.value.exit_code == 3 and "--max-iterations" in caught.value.next
    with budget.closing():
        budget.reserve(0)
        budget.settle(0)
        budget.reserve(0)
        with pytest.raises(BudgetExhausted):
            budget.reserve(0)


def test_a_call_that_may_cost_more_than_is_left_is_not_begun() -> None:
    budget = Budget(BudgetLimits(usd=1.0))
    spend(budget, 0.5)
    with pytest.raises(BudgetExhausted, match=r"\$1.00"):
        budget.reserve(micro_dollars(0.6))
    assert budget.spent.iterations == 1
    spend(budget, 0.2, ceiling=micro_dollars(0.4))
    assert budget.spent.micro == 700_000


def test_what_a_call_held_beyond_its_cost_is_free_again() -> None:
    budget = Budget(BudgetLimits(usd=1.0))
    for _ in range(8):
        spend(budget, 0.01, ceiling=micro_dollars(0.9))
    assert budget.spent.micro == 80_000


def test_an_unclear_failure_keeps_what_it_held_and_a_clear_one_does_not() -> None:
    budget = Budget(BudgetLimits(usd=1.0))
    budget.reserve(micro_dollars(0.5))
    budget.fail(unclear=False)
    budget.reserve(micro_dollars(0.5))
    budget.fail(unclear=True)
    assert budget.spent.held == 500_000
    with pytest.raises(BudgetExhausted):
        budget.reserve(micro_dollars(0.5))


def test_each_try_of_a_call_that_may_have_been_paid_for_stays_held_and_the_next_needs_room_of_its_own() -> None:
    budget = Budget(BudgetLimits(usd=1.0))
    budget.reserve(micro_dollars(0.4))
    budget.again(unclear=True, usd=0.0, seconds=0)
    assert budget.spent.held == 400_000
    budget.again(unclear=False, usd=0.01, seconds=0)
    assert (budget.spent.held, budget.spent.micro) == (400_000, 10_000)
    with pytest.raises(BudgetExhausted, match=r"\$1.00"):
        budget.again(unclear=True, usd=0.0, seconds=0)
    budget.settle(0.02)
    assert (budget.spent.held, budget.spent.micro, budget.spent.iterations) == (800_000, 30_000, 1)


def test_a_try_that_would_begin_after_the_end_of_the_time_is_refused() -> None:
    budget = Budget(BudgetLimits(seconds=60))
    budget.reserve(0)
    budget.again(unclear=False, usd=0.0, seconds=50)
    with pytest.raises(BudgetExhausted, match="60 seconds") as caught:
        budget.again(unclear=False, usd=0.0, seconds=61)
    assert "--time-limit" in caught.value.next


def test_an_unknown_price_under_a_limit_in_money_is_refused_unless_allowed() -> None:
    with pytest.raises(BudgetExhausted, match="price of this model is not known"):
        Budget(BudgetLimits(usd=1.0)).reserve(None)
    Budget(BudgetLimits(usd=1.0, allow_unknown_price=True)).reserve(None)
    Budget(BudgetLimits()).reserve(None)


def test_a_budget_of_no_money_allows_what_is_free() -> None:
    budget = Budget(BudgetLimits(usd=0.0))
    spend(budget, 0)
    with pytest.raises(BudgetExhausted):
        budget.reserve(1)


def test_time_is_asked_before_each_call_and_each_batch_of_runs() -> None:
    budget = Budget(BudgetLimits(seconds=1e-9))
    with pytest.raises(BudgetExhausted, match="seconds"):
        budget.check()
    with budget.closing():
        budget.reserve(0)


def test_each_mark_is_told_once_also_after_a_resume() -> None:
    budget = Budget(BudgetLimits(iterations=10))
    told = []
    for _ in range(9):
        spend(budget, 0)
        told += budget.notices()
    assert told == [0.5, 0.8]
    assert Budget(BudgetLimits(iterations=10), Spent(iterations=9)).notices() == []


@pytest.mark.parametrize(("usd", "micro"), [(0.0, 0), (0.1, 100_000), (1.000001, 1_000_001), (1e-9, 1), (0.0000012, 2)])
def test_money_is_whole_micro_dollars_rounded_up(usd: float, micro: int) -> None:
    assert micro_dollars(usd) == micro


def events(*given: tuple[EventType, dict[str, object]]) -> list[Event]:
    return [
        Event(seq=place, type=type, time=0.0, mono=0.0, data=data, previous="", checksum="")
        for place, (type, data) in enumerate(given)
    ]


def test_a_call_that_a_crash_cut_off_keeps_what_it_held() -> None:
    asked: tuple[EventType, dict[str, object]] = ("model.asked", {"model": "m", "held": 700})
    replied: tuple[EventType, dict[str, object]] = ("model.replied", {"cost_usd": 0.0001})
    crashed = fold(events(asked, replied, asked))
    assert (crashed.held + crashed.held_open, crashed.iterations) == (700, 2)
    resumed = fold(events(asked, replied, asked, asked, replied))
    assert (resumed.held + resumed.held_open, round(resumed.cost_usd, 6)) == (700, 0.0002)
    unclear = fold(events(asked, ("model.failed", {"unclear": True})))
    clear = fold(events(asked, ("model.failed", {"unclear": False})))
    assert (unclear.held, clear.held) == (700, 0)
    lost: tuple[EventType, dict[str, object]] = ("model.retried", {"unclear": True, "cost_usd": 0.0})
    cheap: tuple[EventType, dict[str, object]] = ("model.retried", {"unclear": False, "cost_usd": 0.002})
    state = fold(events(asked, lost, cheap))
    assert (state.held, state.held_open, state.cost_usd, state.iterations) == (700, 700, 0.002, 1)
    state = fold(events(asked, lost, cheap, replied))
    assert (state.held, state.held_open, round(state.cost_usd, 6)) == (700, 0, 0.0021)


@pytest.mark.parametrize("phase", ["confirm", "explore"])
def test_runs_that_have_not_begun_when_the_time_is_over_are_not_begun_and_what_runs_is_finished(
    phase: str, tmp_path: Path
) -> None:
    shop = Workshop(tmp_path, changes={"seeds": {"explore": 2, "confirm": 2, "extra": 0}}, slots=1)
    budget = Budget(BudgetLimits(iterations=1, seconds=3600))
    begun: list[str] = []

    def may_begin() -> None:
        budget.check_time()
        begun.append("a run")
        budget.pause(-3600)  # the hour passes while it runs

    laboratory = shop.laboratory(shared_compute("none", slots=1), may_begin=may_begin)
    with pytest.raises(BudgetExhausted, match="3600 seconds"):
        laboratory.confirm(2) if phase == "confirm" else laboratory.explore()
    assert begun == ["a run"] and [record.outcome for record in shop.ledger.evidence] == ["ok"]
    assert not laboratory._stop.is_set(), "the run ends in order, it is not interrupted"


def test_a_runs_laboratory_asks_the_runs_own_clock(tmp_path: Path) -> None:
    shop = Workshop(tmp_path / "shop")
    with context_with(tmp_path, Scripted()) as context:
        laboratory = pipeline._laboratory(context, shop.plan, shop.experiment, shop.ledger, frozen=False)
        context.budget.limits = BudgetLimits(seconds=1e-9)
        with pytest.raises(BudgetExhausted, match="--time-limit"):
            laboratory._may_begin()
