"""A run whose conversation outgrows the model's context again and again goes on with the same plan, to its card."""

import json
from pathlib import Path
from typing import Any

import pytest

from ml_intern.plan.plan_file import load_plan
from ml_intern.session.log import read_log
from tests.e2e.test_language_model import EXPERIMENT, paper, run, scripted
from tests.judge.workshop import DATA, PREDICT, TRAIN
from tests.support.openai_server import Answer, call

__all__ = ["paper"]  # the fixture

CONTEXT_TOKENS = 21_000  # with less, the model is asked in small steps
_SCRIPTS = [("data.py", DATA), ("train.py", TRAIN), ("predict.py", PREDICT)]
# What neither folding nor the plan can keep: notes that the model writes, each another one and long.
NOTES = [call("write_file", path="notes.md", content=f"# Note {n}\n" + f"idea {n}, tried; " * 220) for n in range(36)]
BUILD = [
    *(call("write_file", path=name, content=text) for name, text in _SCRIPTS),
    call("edit_file", path="train.py", old="words that stand nowhere", new="others"),
    *NOTES[:18],
    call("read_file", path="train.py"),
    *NOTES[18:],
    call("smoke_run"),
    call("finish"),
]


def texts(request: dict[str, Any]) -> list[str]:
    return [str(message["content"] or "") for message in request["messages"]]


def test_a_run_that_is_cut_short_five_times_goes_on_with_the_same_plan_and_is_published(
    paper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = paper.parent / "home"
    home.mkdir()
    (home / "config.toml").write_text(f'[models."openai/scripted"]\ncontext_tokens = {CONTEXT_TOKENS}\n')
    usual, summaries = scripted(BUILD, {"experiments": [EXPERIMENT], "left_out": []}), []

    def script(request: dict[str, Any]) -> Answer:
        if texts(request)[0].startswith("The conversation below is about to be cut away"):
            summaries.append(texts(request)[0])
            return Answer(text=f"Summary {len(summaries)}: it was decided to use numpy alone.")
        return usual(request)

    done, requests, published = run(paper, script, monkeypatch)
    assert done.returncode == 0, done.stderr
    (verdict,) = json.loads((published / "verdicts.json").read_text())
    assert verdict["outcome"] == "reproduced"
    assert len(summaries) >= 5

    (session,) = (home / "sessions").iterdir()
    (planned,) = load_plan(session / "plan.yaml").experiments
    asked = [texts(request) for request in requests if request.get("tools")]
    entry = {words[0].split("```json experiment\n")[1].split("\n```")[0] for words in asked}
    assert [json.loads(one) for one in entry] == [planned.model_dump(mode="json")], "word for word in every request"

    cut = [
        words for words in asked if len(words) > 1 and words[1].startswith("What happened so far, in short:\nSummary ")
    ]
    assert len({words[1].split(":")[1] for words in cut}) == len(summaries)
    for words in cut:
        assert "data.py, notes.md, predict.py, settings.json, train.py" in words[1]
        assert "edit_file: FAILED: `old` stands 0 times in train.py." in words[1]
    for before, transcript in enumerate(summaries[1:], start=1):
        assert f"Summary {before}: it was decided to use numpy alone." in transcript
    shortened = [event for event in read_log(session / "events.jsonl") if event.type == "conversation.shortened"]
    assert len(shortened) >= 5
