"""`sessions export`: JSON kinds to stdout, the page to a file, words where a session or a place is not to be had."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from ml_intern.cli.export import export
from ml_intern.errors import InputError
from ml_intern.session.log import EventLog

ID = "20261125-031500-beef"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ML_INTERN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    with EventLog(tmp_path / "home" / "sessions" / ID / "events.jsonl") as log:
        log.append("session.created", settings={"model": "recipes"})
        log.append("paper.read", title="Schlängeln \u202e", sections=1, tables=0, warnings=[])
    return tmp_path


def run(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(export)
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("format", ["trace", "json"])
def test_the_json_kinds_go_to_stdout(format: str) -> None:
    done = run("last", "--format", format)
    assert done.exit_code == 0 and done.stdout.isascii() and ID in done.stdout
    assert json.loads(done.stdout.splitlines()[0] if format == "trace" else done.stdout)


def test_the_page_goes_to_a_file_named_after_the_session(home: Path) -> None:
    done = run(ID[:10], "--format", "html")
    assert done.exit_code == 0 and done.stdout == "" and f"{ID}.html" in done.stderr
    assert "Schlängeln [U+202E]" in (home / f"{ID}.html").read_text("utf-8")
    assert run(ID, "--format", "html", "--out", "-").stdout.startswith("<!doctype html>")


def test_out_names_another_file(home: Path) -> None:
    assert run(ID, "--out", "new/trace.jsonl").exit_code == 0
    assert len((home / "new" / "trace.jsonl").read_text().splitlines()) == 1


def test_the_document_has_outputs_that_are_kept_beside_the_log(home: Path) -> None:
    with EventLog(home / "home" / "sessions" / ID / "events.jsonl") as log:
        digest = log.keep("all of a long output")
        log.append("output.kept", purpose="build e", digest=digest)
    assert json.loads(run("last", "--format", "json").stdout)["outputs"] == {digest: "all of a long output"}


def test_what_cannot_be_is_said_in_words(home: Path) -> None:
    assert run(ID, "--format", "xml").exit_code == 2
    assert isinstance(run("nothing").exception, InputError)
    (home / "file").write_text("x")
    assert isinstance(run(ID, "--out", "file/below").exception, InputError)


def test_a_key_that_only_config_toml_names_is_not_exported(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a log that was written before anybody knew it to be one."""
    key = "Zq8vN3xW0kLr7TyB2mPcQ"
    monkeypatch.setenv("LAB_SERVER", key)
    with EventLog(home / "home" / "sessions" / ID / "events.jsonl") as log:
        log.append("note", text=f"HTTP 401 for {key}")
    assert key in run(ID, "--format", "json").stdout
    (home / "home" / "config.toml").write_text('[models."openai/qwen"]\napi_key_env = "LAB_SERVER"\n')
    for format in ("trace", "json", "claude-code"):
        assert key not in run(ID, "--format", format).stdout
    assert "HTTP 401 for [redacted: value of LAB_SERVER]" in run(ID, "--format", "json").stdout
