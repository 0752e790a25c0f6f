"""What a command is for is told of every command line, however it is written."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ml_intern.agent.doom_loop import DoomLoopDetector, Step
from ml_intern.agent.shell_work import Work, only_shows, work_of

PIECES = (
    "<<EOF\n", "\nEOF\n", "EOF", "<<-'A'", "HEREDOC-", "HEREDOC-0", "\0", "\x000", "\x00x", "bash -c ", "bash",
    "sh <<A",
    "python -", "-c", "'", '"', "\\", "\n", " ", ";", "|", "&&", "2>&1", "<", "<<<", ">", "(", ")", "#", "X=1", "nohup",
    "$(", "{", "}", "train.py", "/", "''", "\ud800", "\u2028", "timeout 5",
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=10).map("".join))
@example("grep HEREDOC-x train.py")
@example("cat > HEREDOC-1")
@example('bash -c "python - <<EOF\nprint(1)\nEOF\n"')
@example("".join(f"bash <<A{depth}\n" for depth in range(1_500)))
@example("python -c '\ud800'")
def test_no_command_line_is_too_odd_to_look_at(command: str) -> None:
    assert isinstance(work_of(command), Work)
    DoomLoopDetector().see(Step("run_command", json.dumps({"command": command}), "exit code 0", failed=False))


@pytest.mark.parametrize(
    ("command", "work"),
    [
        ("python - <<EOF\nprint(1)\nEOF", Work("python", "print(1)")),
        ('bash -c "python - <<EOF\nprint(1)\nEOF\n"', Work("python", "print(1)")),
        ("bash <<A\npython - <<B\nprint(1)\nB\nA", Work("python", "print(1)")),
        ("./HEREDOC-0 HEREDOC-1", Work("HEREDOC-0 HEREDOC-1")),
        ("python HEREDOC-0", Work("python HEREDOC-0")),
    ],
)
def test_the_work_is_told_whatever_its_words_look_like(command: str, work: Work) -> None:
    assert work_of(command) == work


@pytest.mark.parametrize(
    ("command", "shows"),
    [
        ("cat train.log", True),
        ("grep -r Traceback . | tail", True),
        ("cp -r a . && ls .", True),
        ("find . -name 'x.log'", True),
        ("python train.py || true", False),
        ("source run.sh || true", False),
        ("cd a; . ./run.sh | tail", False),
        ("find . -name x.py -exec python {} \\;", False),
        ('echo "$(python train.py 2>&1)"', False),
        ("cat > t.py <<'EOF'\n" + "x = 1\n" * 4000 + "EOF\npython t.py || true", False),
    ],
)
def test_only_what_starts_no_other_program_shows_failures_of_before(command: str, shows: bool) -> None:
    assert only_shows(command) is shows
