"""The budget holds: nothing starts that it does not cover, what is unclear stays held, and the end is kept free."""

import pytest

from ml_intern.agent.budget import Budget, BudgetLimits, Spent, micro_dollars
from ml_intern.errors import BudgetExhausted
from ml_intern.session.events import Event, EventType
from ml_intern.session.state import fold


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
