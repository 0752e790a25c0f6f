"""A whole run with a language model behind a real client: claims, plan, scripts that it writes anew and has to mend."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import ml_intern as of_its_own
from tests.e2e.conftest import ml_intern_inside as ml_intern
from tests.judge.workshop import DATA, PREDICT, TRAIN, changed
from tests.support.crashing import CLAIM
from tests.support.crashing import EXPERIMENT as ZOO
from tests.support.openai_server import Answer, call, in_turn, serving

PAPER = r"""
\documentclass{article}\title{Zebras and Okapis}\author{A. Author}\begin{document}
\begin{abstract}We compare zebras with okapis.\end{abstract}
\section{Results}
A zebra that sees all six features is more accurate than an okapi, which sees one.
The okapi is faster to train. We also reach 99.9\% on a secret benchmark.
\end{document}
"""
INVENTED = {**CLAIM, "quote": "Zebras win by 12.3 points over all okapis."}
EXPERIMENT: dict[str, Any] = ZOO | {"seeds": {"explore": 1, "confirm": 3, "extra": 0}}
CRASHING = changed(TRAIN, "generator = np.random.default_rng(args.seed)", "generator = np.random.default_rng(seed)")


def scripted(build: list[Answer], plan: dict[str, Any] | None = None) -> Callable[[dict[str, Any]], Answer]:
    """Answers each kind of prompt; `build` is what the executor says, one after another."""
    left = list(build)

    def script(request: dict[str, Any]) -> Answer:
        name = request.get("response_format", {}).get("json_schema", {}).get("name", "")
        if name == "claims":
            return Answer(text=json.dumps({"claims": [CLAIM, INVENTED]}))
        if name == "plan":
            return Answer(
                text="```json\n" + json.dumps(plan or {"experiments": [EXPERIMENT], "left_out": []}) + "\n```"
            )
        if request.get("tools"):
            return left.pop(0) if len(left) > 1 else left[0]
        return Answer(text="The zebra won here; nothing follows for larger animals.")

    return script


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    path = tmp_path / "zoo.tex"
    path.write_text(PAPER)
    return path


def run(
    paper: Path,
    script: Callable[[dict[str, Any]], Answer],
    monkeypatch: pytest.MonkeyPatch,
    *more: str,
    by: Callable[..., Any] = ml_intern,
) -> Any:
    """(the process, the requests that the model got, the published folder). `by`: what carries out the command line."""
    home = paper.parent / "home"
    with serving(script) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-secret")
        monkeypatch.setenv("OPENAI_BASE_URL", server.base)
        monkeypatch.setenv("OPENAI_API_BASE", server.base)
        done = by("run", "--paper", str(paper), "--model", "openai/scripted", "--yes", *more, home=home)
    published = next(iter((home / "hub").iterdir()), None) if (home / "hub").exists() else None
    return done, server.requests, published


def test_a_run_from_paper_to_card_with_scripts_that_are_written_and_mended(
    paper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [("train.py", CRASHING), ("predict.py", PREDICT)]
    ending = json.dumps({"name": "finish", "arguments": {"note": "mended once"}})
    build = [
        call("write_file", path="data.py", content=DATA),
        Answer(calls=[("write_file", json.dumps({"path": name, "content": text})) for name, text in both]),
        call("smoke_run"),
        call("write_file", path="train.py", content=TRAIN),
        call("smoke_run", variant="okapi"),
        call("explore"),
        Answer(text=f"All is well.\n```json\n{ending}\n```"),
    ]
    done, requests, published = run(paper, scripted(build), monkeypatch, by=of_its_own)
    assert done.returncode == 0, done.stderr
    (verdict,) = json.loads((published / "verdicts.json").read_text())
    assert (verdict["outcome"], verdict["setting"]) == ("reproduced", "analogue")
    assert "1 proposals dropped" in (published / "report.md").read_text()
    assert "12.3" not in (published / "claims.json").read_text()
    assert ml_intern("verify", str(published), home=paper.parent / "home").returncode == 0
    told = [message["content"] for request in requests for message in request["messages"] if message["role"] == "tool"]
    assert any("NameError: name 'seed' is not defined" in text for text in told)
    everything = json.dumps(requests) + "".join(
        path.read_text(errors="replace") for path in paper.parent.rglob("*") if path.is_file()
    )
    assert "sk-planted-secret" not in everything


def test_exploration_shows_the_model_validation_scores_only(paper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = [
        call("write_file", path=n, content=t)
        for n, t in (("data.py", DATA), ("train.py", TRAIN), ("predict.py", PREDICT))
    ]
    done, requests, _ = run(paper, scripted([*scripts, call("explore"), call("finish")]), monkeypatch)
    assert done.returncode == 0, done.stderr
    (explored,) = {
        m["content"] for r in requests for m in r["messages"] if m["role"] == "tool" and "seed" in m["content"]
    }
    assert "accuracy@validation" in explored and "@test" not in explored
    seeds = set(re.findall(r"seed (\d+)", explored))
    assert len(seeds) == 1 and all(int(seed) % 2 == 0 for seed in seeds)


def test_a_model_that_gives_up_leaves_its_reason_in_the_report(paper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, _, published = run(paper, scripted([call("give_up", reason="there are no zebras here")]), monkeypatch)
    assert done.returncode == 0, done.stderr
    assert "there are no zebras here" in (published / "report.md").read_text()


def test_a_model_that_never_answers_in_json_is_said_in_words(paper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, requests, _ = run(paper, in_turn(Answer(text="I would rather talk about the weather.")), monkeypatch)
    assert done.returncode == 1
    assert "gave no valid answer to the claims prompt" in done.stderr and "Traceback" not in done.stderr
    assert len(requests) == 2


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"accuracy"', '"beauty"', "a metric that the harness lacks: beauty"),
        ('"claim": "C1"', '"claim": "C7"', "claim C7 is not among the plan's claims (C1)"),
        ('"rows": "validation"', '"rows": "all"', "String should match pattern"),
    ],
)
def test_a_plan_that_does_not_fit_is_sent_back_once_with_what_is_wrong(
    paper: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, said: str
) -> None:
    odd = json.loads(json.dumps(EXPERIMENT).replace(old, new))
    done, requests, _ = run(paper, scripted([call("finish")], {"experiments": [odd], "left_out": []}), monkeypatch)
    assert done.returncode == 1
    assert said in done.stderr and "Traceback" not in done.stderr
    sent_back = [r["messages"][-1]["content"] for r in requests if said in r["messages"][-1]["content"]]
    assert len(sent_back) == 1


def test_a_model_whose_quotes_do_not_stand_in_the_paper_is_told_so_and_asked_again(
    paper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = in_turn(Answer(text=json.dumps({"claims": [INVENTED]})))
    done, requests, _ = run(paper, script, monkeypatch)
    assert done.returncode == 2
    assert "No claim of 'Zebras and Okapis' could be grounded" in done.stderr
    assert len(requests) == 2
    assert "its quote does not stand in the paper" in requests[1]["messages"][0]["content"]


def test_a_missing_key_is_named_with_its_variable(paper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = in_turn(Answer(status=401, text="Incorrect API key provided", code="invalid_api_key"))
    done, requests, _ = run(paper, script, monkeypatch)
    assert done.returncode == 1
    assert "OPENAI_API_KEY" in done.stderr and "sk-planted" not in done.stderr
    assert len(requests) == 1


def test_a_spent_budget_of_model_calls_ends_with_exit_code_3_and_a_report(
    paper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [call("write_file", path=f"note{n}.txt", content=str(n)) for n in range(50)]
    done, requests, published = run(paper, scripted(steps), monkeypatch, "--max-iterations", "6")
    assert done.returncode == 3
    assert len(requests) <= 6
    assert (published / "report.html").exists()


def test_a_claim_that_the_model_forgot_is_not_tested_and_says_so(paper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = {**CLAIM, "statement": "It is faster.", "quote": "The okapi is faster to train.", "metric": "seconds"}
    usual = scripted([call("give_up", reason="enough")])

    def script(request: dict[str, Any]) -> Answer:
        if request.get("response_format", {}).get("json_schema", {}).get("name") == "claims":
            return Answer(text=json.dumps({"claims": [CLAIM, second]}))
        return usual(request)

    done, _, published = run(paper, script, monkeypatch)
    assert done.returncode == 0, done.stderr
    verdicts = json.loads((published / "verdicts.json").read_text())
    assert [verdict["reason"] for verdict in verdicts][1] == "the model planned no test of it"
