"""`ml-intern models`: what is listed, and the trial of one."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import ml_intern_inside as ml_intern
from tests.support.openai_server import Answer, in_turn, serving

HEAVY = ("torch", "transformers", "datasets", "litellm", "openai", "numpy")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_API_BASE", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def able(request: dict[str, Any]) -> Answer:
    """What a good model says to the two questions of the trial."""
    if "tools" in request:
        words = request["messages"][-1]["content"].split()
        a, b = (
            int(words[at + 2].strip(",."))
            for at, word in enumerate(words)
            if word in ("a", "b") and "=" in words[at + 1]
        )
        return Answer(calls=[("add", json.dumps({"a": a, "b": b}))], pause=0.01)
    return Answer(text='{"capital": "Paris"}', pause=0.01)


def configured(home: Path, base: str, *more: str) -> None:
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text("\n".join(['[models."openai/scripted"]', f'base_url = "{base}"', *more]))


def test_listing_is_quick_and_shows_names_of_keys_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    configured(tmp_path, "http://127.0.0.1:9/v1", "input_usd_per_million = 2", "output_usd_per_million = 8")
    done = ml_intern("models", home=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split()[0] == "recipes"
    assert "openai/scripted" in lines[1] and "$2 in, $8 out" in lines[1] and "configured" in lines[1]
    assert "OPENAI_API_KEY set" in done.stdout and "sk-planted" not in done.stdout
    assert str(tmp_path / "config.toml") in done.stdout


def test_listing_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from ml_intern.cli.main import app\n"
        "assert 'recipes' in CliRunner().invoke(app, ['models', '--search', 'gpt-4o']).output + 'recipes'\n"
        "assert 'recipes' in CliRunner().invoke(app, ['models']).output\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"ML_INTERN_HOME": str(tmp_path)}
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_json_is_json(tmp_path: Path) -> None:
    entries = json.loads(ml_intern("models", "--json", home=tmp_path).stdout)
    assert entries[0]["id"] == "recipes" and entries[0]["pricing"] == "free"
    found = json.loads(ml_intern("models", "--search", "gpt-4o-mini", "--json", home=tmp_path).stdout)
    assert any(entry["id"] == "openai/gpt-4o-mini" and entry["context_tokens"] == 128_000 for entry in found)


def test_a_mistake_in_the_configuration_is_exit_code_2(tmp_path: Path) -> None:
    configured(tmp_path, "http://127.0.0.1:9/v1", 'api_key = "sk-planted"')
    for arguments in (("models",), ("models", "test", "openai/scripted")):
        done = ml_intern(*arguments, home=tmp_path)
        assert done.returncode == 2
        assert "line 3" in done.stderr and "sk-planted" not in done.stderr


def test_a_model_that_works_is_told_in_full(tmp_path: Path) -> None:
    with serving(able) as server:
        configured(tmp_path, server.base, "input_usd_per_million = 2", "output_usd_per_million = 8")
        done = ml_intern("models", "test", "openai/scripted", home=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for line in (
        "works",
        "tool call          native",
        "structured answer  native",
        "streamed           yes, first token",
    ):
        assert line in done.stdout
    assert "cost               $0.000560" in done.stdout


def test_a_model_that_answers_by_text_works_too_and_an_unknown_price_is_unknown(tmp_path: Path) -> None:
    def by_text(request: dict[str, Any]) -> Answer:
        if "tools" in request or "response_format" in request:
            return Answer(status=400, text="tools and response_format are not supported")
        text = request["messages"][-1]["content"]
        if "capital" in text:
            return Answer(text='Here: {"capital": "Paris"}')
        numbers = [
            int(word.strip(",.")) for word in text.split("This is a test")[1].split() if word.strip(",.").isdigit()
        ]
        call = {"name": "add", "arguments": {"a": numbers[0], "b": numbers[1]}}
        return Answer(text=f"```json\n{json.dumps(call)}\n```")

    with serving(by_text) as server:
        configured(tmp_path, server.base)
        done = ml_intern("models", "test", "openai/scripted", "--json", home=tmp_path)
    trial = json.loads(done.stdout)
    assert done.returncode == 0
    assert (trial["tools"], trial["answer"], trial["cost_usd"]) == ("by text", "by text", None)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(text="I would add them."), "It did not call the tool as asked"),
        (Answer(calls=[("add", '{"a": 1, "b": 2}')]), "calls add"),
        (Answer(status=401, text="Incorrect key"), "Set api_key_env in config.toml to a valid key"),
        (Answer(status=429, text="Please try again in 20m."), "in 20 minutes"),
    ],
)
def test_a_model_that_does_not_work_is_exit_code_1_with_what_to_do(tmp_path: Path, answer: Answer, words: str) -> None:
    with serving(in_turn(answer)) as server:
        configured(tmp_path, server.base)
        done = ml_intern("models", "test", "openai/scripted", home=tmp_path)
    assert done.returncode == 1
    assert "does NOT work" in done.stdout and words in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("model", "words"),
    [("openai/gpt-5", "OPENAI_API_KEY is not set"), ("gpt", "no model 'gpt'"), ("recipes", "needs no test")],
)
def test_what_cannot_be_tried_is_exit_code_2(tmp_path: Path, model: str, words: str) -> None:
    done = ml_intern("models", "test", model, home=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_missing_key_ends_a_run_before_the_paper_is_read(tmp_path: Path) -> None:
    done = ml_intern("run", "--paper", "2401.01234", "--model", "openai/gpt-5", "--yes", home=tmp_path)
    assert done.returncode == 2
    assert "OPENAI_API_KEY is not set" in done.stderr and "downloaded" not in done.stderr
