"""State is a fold: any prefix gives one, and a prefix with the rest gives that of the whole."""

from itertools import pairwise
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from ml_intern.errors import DoomLoop
from ml_intern.session.events import Event, EventType
from ml_intern.session.state import CIRCLED, State, fold

# fmt: off
NAMES = st.sampled_from(["a", "b", "c"])
TEXT = st.text(max_size=8)
DATA: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "session.created": {"settings": st.dictionaries(NAMES, TEXT, max_size=2)},
    "session.resumed": {"settings": st.dictionaries(NAMES, TEXT, max_size=2)},
    "session.forked": {"origin": NAMES, "seq": st.integers(0, 9)},
    "session.fetched": {"repo": NAMES},
    "session.synced": {"repo": NAMES},
    "sandbox.chosen": {"kind": NAMES, "tier": TEXT},
    "phase.started": {"phase": NAMES},
    "paper.read": {"title": TEXT},
    "plan.approved": {"digest": NAMES},
    "model.asked": {"purpose": NAMES, "model": NAMES, "held": st.integers(0, 10**9)},
    "model.replied": {"purpose": NAMES, "cost_usd": st.none() | st.floats(0, 100)},
    "model.retried": {"purpose": NAMES, "unclear": st.booleans(), "cost_usd": st.none() | st.floats(0, 100)},
    "model.failed": {"purpose": NAMES, "unclear": st.booleans()},
    "experiment.built": {"experiment": NAMES, "scripts": NAMES},
    "experiment.blocked": {"experiment": NAMES, "reason": TEXT | st.just(f"{CIRCLED}: the same again")},
    "amendment": {"experiment": NAMES, "changes": st.just({}), "reason": TEXT},
    "plan.reviewed": {
        "experiment": NAMES,
        "decision": st.sampled_from(["continue", "amend", "stop"]),
        "reason": TEXT,
        "amendments": st.lists(st.fixed_dictionaries({"experiment": NAMES, "again": st.booleans()}), max_size=2),
        "stops": st.lists(NAMES, max_size=2),
    },
    "approval": {
        "call": NAMES, "tool": NAMES, "decision": st.sampled_from(["allow", "refuse", "stop"]),
        "scope": st.sampled_from(["call", "tool"]),
    },
    "question": {
        "id": NAMES, "purpose": NAMES, "question": TEXT, "meanwhile": TEXT, "digest": NAMES,
        "outcome": st.sampled_from(["answered", "deferred", "refused"]),
    },
    "allowance.held": {"key": NAMES, "gpu_seconds": st.floats(0, 1e6), "micro": st.integers(0, 10**9)},
    "allowance.settled": {"key": NAMES, "gpu_seconds": st.floats(-9, 1e6), "micro": st.integers(-9, 10**9)},
    "note": {"text": TEXT},
    "verdicts": {"verdicts": st.lists(st.fixed_dictionaries({"claim": NAMES}), max_size=2)},
    "published": {"path": TEXT},
    "conversation.told": {"purpose": NAMES},
    "session.failed": {"error": TEXT},
}
# What an event may have besides.
SOMETIMES: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "model.replied": {"answered_by": NAMES},
    "note": {"settings": st.dictionaries(NAMES, TEXT, max_size=2)},
    "conversation.told": {"inbox": NAMES},
    "session.failed": {"code": st.sampled_from([1, 3, DoomLoop.exit_code])},
}
PAUSED = {"paused": st.floats(0, 1)}  # of the second that lies between two events
# fmt: on


@st.composite
def logs(draw: st.DrawFn) -> list[Event]:
    types = draw(st.lists(st.sampled_from(get_args(EventType)), max_size=30))
    return [
        Event(
            seq=seq, type=type, time=float(seq), mono=float(seq + 1), previous="", checksum="",
            data=draw(st.fixed_dictionaries(DATA.get(type, {}), optional=SOMETIMES.get(type, {}) | PAUSED)),
        )
        for seq, type in enumerate(types)
    ]  # fmt: skip


@given(logs(), st.data())
@settings(deadline=None, max_examples=200)
def test_a_prefix_and_the_rest_give_the_state_of_the_whole(events: list[Event], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(events)))
    assert fold(events[cut:], fold(events[:cut])) == fold(events)


@given(logs())
@settings(deadline=None, max_examples=100)
def test_every_prefix_is_a_valid_state_that_counts_only_upwards(events: list[Event]) -> None:
    states = [fold(events[:cut]) for cut in range(len(events) + 1)]
    for state in states:
        assert State.model_validate_json(state.model_dump_json()) == state
    for before, after in pairwise(states):
        assert before.iterations <= after.iterations
        assert before.runs <= after.runs
        assert before.cost_usd <= after.cost_usd
        assert before.held <= after.held
        assert before.seconds <= after.seconds
        assert set(before.built) <= set(after.built)


@given(logs())
@settings(deadline=None, max_examples=50)
def test_a_fold_changes_nothing_that_it_is_given(events: list[Event]) -> None:
    before = [event.model_dump_json() for event in events]
    start = fold(events)
    kept = start.model_dump_json()
    fold(events, start)
    assert [event.model_dump_json() for event in events] == before
    assert start.model_dump_json() == kept
