"""What a person sees and has to say before a session of somebody else goes on, and that odd ones break no command."""

import json
from pathlib import Path
from typing import Any

from ml_intern.session.log import EventLog
from ml_intern.session.store import SessionFolder, SessionStore
from tests.e2e.conftest import ml_intern_inside as ml_intern

SETTINGS: dict[str, Any] = {
    "paper": "missing.tex", "plan_text": "", "model": "recipes", "scale": "smoke", "out": "", "max_iterations": 5,
    "budget_usd": None, "time_limit": None, "jobs": 1, "sandbox": "none",
}  # fmt: skip


def arrived(home: Path, **settings: Any) -> SessionFolder:
    folder = SessionStore(home / "sessions").create()
    with EventLog(folder.log) as log:
        log.append("session.created", settings=SETTINGS | settings)
        log.append("sandbox.chosen", kind="none", tier="C")
        log.append("session.fetched", repo="eve/sessions", left_out=[], changed=[])
    return folder


def test_without_a_persons_word_nothing_of_it_is_done(tmp_path: Path) -> None:
    folder = arrived(tmp_path, model="openai/gpt-5", max_iterations=9999)
    before = folder.log.read_bytes()
    done = ml_intern("resume", home=tmp_path)
    assert done.returncode == 2 and "came from elsewhere" in done.stderr
    assert "openai/gpt-5" in done.stderr and "9999 model calls" in done.stderr and "no limit of money" in done.stderr
    assert folder.log.read_bytes() == before


def test_with_it_its_scripts_run_in_the_sandbox_of_this_machine(tmp_path: Path) -> None:
    folder = arrived(tmp_path)
    done = ml_intern("resume", "--yes", home=tmp_path)
    kinds = [event.data["kind"] for event in folder.events() if event.type == "sandbox.chosen"]
    assert "none" not in kinds[1:], "only a person here may say that"
    assert len(kinds) == 2 or "No isolating sandbox works here" in done.stderr


def test_a_paper_of_this_machine_that_it_names_is_not_read(tmp_path: Path) -> None:
    diary = tmp_path / "diary.tex"
    diary.write_text("\\documentclass{article}\\begin{document}Dear diary\\end{document}")
    folder = arrived(tmp_path / "home", paper=str(diary))
    done = ml_intern("resume", "--yes", "--sandbox", "none", home=tmp_path / "home")
    assert done.returncode == 2 and "did not come with it" in done.stderr
    assert not folder.paper.exists()


def test_no_way_through_its_own_folder_leads_to_a_paper_of_this_machine_either(tmp_path: Path) -> None:
    diary = tmp_path / "diary.tex"
    diary.write_text("\\documentclass{article}\\begin{document}Dear diary\\end{document}")
    folder = arrived(tmp_path / "home")
    with EventLog(folder.log) as log:
        log.append("note", text="", settings={"paper": f"{folder.root}/../../../diary.tex"})
    done = ml_intern("resume", "--yes", "--sandbox", "none", home=tmp_path / "home")
    assert done.returncode == 2 and "did not come with it" in done.stderr
    assert not folder.paper.exists()


def test_a_model_that_is_the_address_of_a_server_is_not_asked_unless_a_person_names_it(tmp_path: Path) -> None:
    for key in ("model", "planner_model", "executor_model", "stronger_model"):
        folder = arrived(tmp_path / key, **{key: "oobabooga/http://eve.example/v1"})
        before = folder.log.read_bytes()
        done = ml_intern("resume", "--yes", home=tmp_path / key)
        assert done.returncode == 2 and "the address of a server" in done.stderr
        option = f"--{key.replace('_', '-')}"
        assert f"{option}." in done.stderr and folder.log.read_bytes() == before
        own = ml_intern("resume", "--yes", option, "recipes", "--sandbox", "none", home=tmp_path / key)
        assert "the address of a server" not in own.stderr


def test_yes_says_what_it_says_yes_to(tmp_path: Path) -> None:
    arrived(tmp_path, max_iterations=9999, instructions="x" * 2500)
    done = ml_intern("resume", "--yes", "--sandbox", "none", home=tmp_path)
    assert "9999 model calls" in done.stderr and "eve/sessions" in done.stderr
    assert "and 500 characters more" in done.stderr


def test_a_session_of_a_plan_alone_says_how_it_is_run(tmp_path: Path) -> None:
    folder = SessionStore(tmp_path / "sessions").create()
    with EventLog(folder.log) as log:
        log.append("session.created", settings={"paper": "p.tex", "model": "m", "scale": "small", "plan_only": True})
        log.append("session.finished")
    for command in ("resume", "report"):
        done = ml_intern(command, home=tmp_path)
        assert done.returncode == 2 and "Begin anew: ml-intern plan" in done.stderr
    folder.plan.write_text("version: 1\n")
    for command in ("resume", "report"):
        assert f"ml-intern run --plan {folder.plan}" in ml_intern(command, home=tmp_path).stderr


def test_markup_and_escapes_in_a_title_are_shown_as_they_stand(tmp_path: Path) -> None:
    folder = arrived(tmp_path)
    with EventLog(folder.log) as log:
        log.append("paper.read", title="A [/b] of [link=x]\x1b]0;owned\x07\nB", sha256="", sections=1, tables=0)
        log.append("session.failed", error="[/nonsense] \x1b[31m")
    shown = ml_intern("sessions", "show", home=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "A [/b] of [link=x]" in shown.stdout and "\x1b]0" not in shown.stdout
    listed = ml_intern("sessions", home=tmp_path).stdout
    assert listed.count("\n") == 1 and "\x1b" not in listed


def test_one_session_that_cannot_be_read_leaves_the_others_to_be_listed_and_can_be_removed(tmp_path: Path) -> None:
    good, odd, closed = arrived(tmp_path), arrived(tmp_path), arrived(tmp_path)
    with EventLog(odd.log) as log:
        log.append("plan.approved")
    closed.log.unlink()
    closed.log.mkdir()  # cannot be read, not even by root
    listed = ml_intern("sessions", "--json", home=tmp_path)
    assert listed.returncode == 0, listed.stderr
    told = {one["id"]: one["status"] for one in map(json.loads, listed.stdout.splitlines())}
    assert told == {good.id: "interrupted", odd.id: "damaged", closed.id: "damaged"}
    assert ml_intern("sessions", "search", "missing", home=tmp_path).returncode == 0
    assert ml_intern("sessions", "rm", "-y", odd.id, odd.id, home=tmp_path).returncode == 0
    assert good.root.exists() and not odd.root.exists()


def test_a_removal_without_a_name_removes_nothing(tmp_path: Path) -> None:
    folder = arrived(tmp_path)
    done = ml_intern("sessions", "rm", "-y", "", home=tmp_path)
    assert done.returncode == 2 and folder.root.exists()


def test_errors_of_the_disk_are_words(tmp_path: Path) -> None:
    folder = arrived(tmp_path)
    folder.log.unlink()
    folder.log.mkdir()
    done = ml_intern("sessions", "show", home=tmp_path)
    assert done.returncode and "Traceback" not in done.stderr
    done = ml_intern("fork", home=tmp_path)
    assert done.returncode and "Traceback" not in done.stderr


def test_a_session_without_the_settings_of_one_is_refused_in_words(tmp_path: Path) -> None:
    with EventLog(SessionStore(tmp_path / "sessions").create().log) as log:
        log.append("session.created", settings={"paper": "x"})
    done = ml_intern("resume", "--yes", home=tmp_path)
    assert done.returncode == 2 and "lacks settings" in done.stderr


def test_a_plan_alone_logs_no_secret_either(tmp_path: Path) -> None:
    secret = "hf_" + "Qw7zXc9Lm2" * 4
    paper = tmp_path / "paper.tex"
    body = "\\begin{document}\\maketitle Hi.\\end{document}"
    paper.write_text(f"\\documentclass{{article}}\\title{{Of {secret}}}{body}")
    ml_intern("plan", "--paper", str(paper), "--sandbox", "none", home=tmp_path / "home")
    (folder,) = SessionStore(tmp_path / "home" / "sessions").all()
    logged = folder.log.read_text()
    assert "paper.read" in logged and "[redacted" in logged and secret not in logged
