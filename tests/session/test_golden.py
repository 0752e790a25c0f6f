"""What a session has on disk today opens for ever: each kind of event once, and its files, as real runs left them.

`data/version-2` is never written anew. A new type of event gets its line behind the others, chained to the last one.
"""

from pathlib import Path
from typing import get_args

from ml_intern.judge.ledger import read_ledger
from ml_intern.plan.plan_file import load_plan
from ml_intern.read.paper import Paper
from ml_intern.session.events import EventType
from ml_intern.session.log import read_log
from ml_intern.session.store import SessionFolder

GOLDEN = SessionFolder(Path(__file__).with_name("data") / "version-2")


def test_a_log_with_an_event_of_each_type_is_read_and_understood() -> None:
    state = GOLDEN.state()
    assert (state.status, state.iterations, state.runs) == ("finished", 1, 1)
    assert state.came == state.synced == "ada/ml-intern-sessions"
    assert state.forked_from == "20261129-122934-bb5c at 41" and state.sandbox and state.models
    assert state.title and state.drafted and len(state.plan) == 64 and not state.unapproved
    assert list(state.built) == ["zoo"] and state.failures and state.reviewed == ("zoo/1",)
    assert state.blocked["e1"].startswith("doom loop") and len(state.amendments) == 2
    assert [one.id for one in state.questions] == ["Q1"] and len(state.notes) == 2
    assert {one["outcome"] for one in state.verdicts} == {"reproduced"} and state.published
    assert state.settings["model"] == "openai/other" and state.gpu_seconds > 0 and state.reserved == {}


def test_no_type_of_event_is_missing() -> None:
    """A type that is new needs a line in `data/version-2/events.jsonl`."""
    there = [event.type for event in read_log(GOLDEN.log)]
    assert sorted(there) == sorted(get_args(EventType))


def test_evidence_is_read_with_its_chain_and_all_that_it_names() -> None:
    first, second = read_ledger(GOLDEN.ledger)
    assert (
        first.variant == second.variant == "zebra"
        and first.seed != second.seed
        and first.phase == "confirm"
        and first.outcome == "ok"
    )
    assert first.metrics and first.predictions and first.labels and first.weights and first.scripts


def test_a_paper_is_read_with_tables_equations_and_references() -> None:
    paper = Paper.model_validate_json(GOLDEN.paper.read_bytes())
    assert paper.title == "Zebras and Okapis" and paper.table("tab:1") is not None
    assert paper.sections and [element.kind for element in paper.elements] == ["equation", "reference"]


def test_a_plan_is_read_and_is_the_one_that_its_evidence_was_measured_for() -> None:
    plan = load_plan(GOLDEN.plan)
    assert plan.claims and plan.experiments
    assert {record.plan for record in read_ledger(GOLDEN.ledger)} == {plan.digest()}
