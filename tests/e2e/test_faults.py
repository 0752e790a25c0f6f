"""Whole runs whose model fails in the middle: what is done stays done, and they end as an undisturbed one does.

Each request (claims, plan, each turn, discussion) can be met by a fault; the model is one that says the same to the
same conversation.
"""

from pathlib import Path
from typing import Any

import pytest

from ml_intern.session.state import fold
from tests.e2e.played import CALLS, PRICED, RUN, Faulty, counting, events, published, resumed, run
from tests.e2e.test_task import BUILD, scripted
from tests.support.inside import inside, keys_for
from tests.support.openai_server import Answer, call, serving
from tests.support.zoo import came_to

pytestmark = pytest.mark.usefixtures("short_pauses")

PASSING = {
    "rate limit": Answer(status=429, text="slow down", headers={"Retry-After": "2"}),
    "overloaded, 529": Answer(status=529, text="Overloaded"),
    "overloaded, 503": Answer(status=503, text="busy"),
    "cut stream": Answer(text="And so it", ends_after=2),
    "cut call": Answer(calls=[("finish", "{}")], ends_after=2),
    "broken connection": Answer(text="And so it", cut=200),
    "time-out": Answer(text="late", delay=2.5),
}


@pytest.mark.parametrize("first", ["rate limit", "cut stream"])
def test_faults_that_pass_leave_no_trace_in_what_comes_out(
    tmp_path: Path, undisturbed: dict[str, Any], first: str
) -> None:
    """Each call meets one, in another order each time; one of them twice."""
    names = list(PASSING)
    place = names.index(first)
    order = (names[place:] + names[:place])[:CALLS]
    faults = {number: [PASSING[name]] * (2 if number == 3 else 1) for number, name in enumerate(order)}
    model = Faulty(faults)
    done = run(tmp_path, model, settings='[models."openai/scripted"]\ntimeout_seconds = 1\n')
    assert done.code == 0, done.err
    assert came_to(tmp_path) == undisturbed
    assert model.answered == CALLS
    retried = [event.data for event in events(tmp_path) if event.type == "model.retried"]
    assert len(retried) == CALLS + 1 and done.err.count("it is asked again in") == CALLS + 1
    assert sum(one["unclear"] for one in retried) == sum(
        len(answers) for number, answers in faults.items() if answers[0].status == 200
    )


FATAL = {
    "authentication": (Answer(status=401, text="Incorrect API key", code="invalid_api_key"), "OPENAI_API_KEY"),
    "quota": (Answer(status=429, text="You exceeded your current quota", code="insufficient_quota"), "no credit left"),
    "bad request": (Answer(status=400, text="temperature: must be 1"), "Check the model id and its options"),
    "refusal": (Answer(status=400, text="no", code="content_policy_violation"), "refused the content"),
    "broken": (Answer(status=503, text="down for maintenance"), "overloaded or broken"),
}


def test_faults_that_do_not_pass_end_the_run_in_words_and_each_resume_goes_on_behind_the_last_step(
    tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    """One before each call but the last: what was answered before is not asked again."""
    faults = {place: [answer] * (5 if answer.status == 503 else 1) for place, (answer, _) in enumerate(FATAL.values())}
    model = Faulty(faults)
    with serving(model) as server, keys_for(server.base):
        for place, (name, (_, said)) in enumerate(FATAL.items()):
            ended = inside(tmp_path, *(RUN if place == 0 else ("resume", "--yes")))
            assert (ended.code, model.answered) == (1, place), (name, ended.err)
            assert said in ended.err and "Traceback" not in ended.err and "sk-planted" not in ended.err
            assert place < 2 or "go on with: ml-intern resume" in ended.err
        done = inside(tmp_path, "resume", "--yes")
    assert done.code == 0, done.err
    assert model.answered == CALLS
    assert came_to(tmp_path) == undisturbed
    assert [event.type for event in events(tmp_path)].count("session.failed") == len(FATAL)


def test_a_discussion_that_is_refused_is_left_out_and_nothing_else_is(
    tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    done = run(tmp_path, Faulty({5: [FATAL["refusal"][0]]}))
    assert done.code == 0, done.err
    assert came_to(tmp_path) == undisturbed
    assert "No discussion was written" in (published(tmp_path) / "report.md").read_text()


def test_a_prompt_that_grew_too_long_is_shortened_in_the_middle_of_the_run(
    tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    long = Answer(status=400, text="This model's maximum context length is 900 tokens.", code="context_length_exceeded")
    reading = [call("read_file", path="train.py") for _ in range(2)]
    model = Faulty({5: [long]}, counting([BUILD[0], *reading, *BUILD[1:]]))
    done = run(tmp_path, model)
    assert done.code == 0, done.err
    assert came_to(tmp_path) == undisturbed
    (shortened,) = [event.data for event in events(tmp_path) if event.type == "conversation.shortened"]
    assert shortened["messages"][0]["content"].startswith("You write the scripts")


def test_a_model_that_dies_for_good_is_replaced_by_the_next_and_the_card_names_both(
    tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    dead, usual = Answer(status=401, text="Your key was revoked"), scripted()

    def script(request: dict[str, Any]) -> Answer:
        asked.append(request["model"])
        return dead if request["model"] == "scripted" and len(asked) > 3 else usual(request)

    asked: list[str] = []
    done = run(tmp_path, script, settings='[models."openai/scripted"]\nfallback = ["openai/second"]\n')
    assert done.code == 0, done.err
    assert came_to(tmp_path) == undisturbed
    assert asked == ["scripted"] * 4 + ["second"] * 3
    note = "openai/second answers in the place of openai/scripted: authentication"
    assert note in done.err
    for name in ("README.md", "report.md", "report.html"):
        text = (published(tmp_path) / name).read_text().replace("\\", "")
        assert "openai/scripted" in text and "openai/second" in text, name
    assert note in (published(tmp_path) / "report.md").read_text().replace("\\", "")
    by = [event.data["answered_by"] for event in events(tmp_path) if event.type == "model.replied"]
    assert by == ["openai/scripted"] * 3 + ["openai/second"] * 3


def test_a_stream_that_is_cut_again_and_again_does_not_outspend_the_budget(
    tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    """What each try may have cost stays held; once there is no room for another, the run ends as one whose money is
    spent, and goes on with more."""
    model = Faulty({3: [PASSING["cut stream"]] * 40})
    poor = run(tmp_path, model, "--budget-usd", "0.2", settings=PRICED)
    assert poor.code == 3, poor.err
    assert "The budget of $0.20 is used up." in poor.err and "go on with: ml-intern resume" in poor.err
    log = events(tmp_path)
    refused = [
        event.data["refused"] for event in log if event.type == "model.retried" and event.data["purpose"] == "build zoo"
    ]
    assert refused == [False] * (len(refused) - 1) + [True]
    held, one = 0, 0
    for event in log:
        one = event.data["held"] if event.type == "model.asked" else one
        held += one if event.data.get("unclear") else 0
    state = fold(log)
    assert (state.held, state.held_open) == (held, 0) and held > 100_000
    assert state.held + state.cost_usd * 1e6 <= 200_000
    assert f"+ ${held / 1e6:.4f} held" in inside(tmp_path, "sessions", "show").out
    assert (published(tmp_path) / "report.html").exists()
    done = resumed(tmp_path, "--budget-usd", "5")
    assert done.code == 0, done.err
    assert came_to(tmp_path) == undisturbed
