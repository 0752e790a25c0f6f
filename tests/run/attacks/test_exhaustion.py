"""Attacks on the machine's resources: processes, memory, disk, output. Each ends in words that say which it was."""

import time
from pathlib import Path

import pytest

from tests.run.test_supervisor import processes_with
from tests.support.compute import ISOLATED, every_kind, require, run_script
from tests.support.marks import mark_of

# Starts up to 300 children and says how many it got.
FORK = """
import os, signal, time
children = []
try:
    while len(children) < 300:
        pid = os.fork()
        if pid == 0:
            time.sleep(30)
            os._exit(0)
        children.append(pid)
except BlockingIOError as error:
    print("stopped:", error)
print(len(children))
for pid in children:
    os.kill(pid, signal.SIGKILL)
"""


@pytest.mark.parametrize("kind", ["bubblewrap", "warm"])
def test_36_a_fork_bomb_ends_at_the_limit_and_leaves_nothing(kind: str, tmp_path: Path) -> None:
    result = run_script(kind, tmp_path, FORK, processes=100, seconds=20)
    assert "Resource temporarily unavailable" in result.tail
    assert int(result.tail.split()[-1]) <= 100


def test_36_without_a_sandbox_the_same_code_starts_them_all(tmp_path: Path) -> None:
    result = run_script("none", tmp_path, FORK, processes=100, seconds=20)
    assert int(result.tail.split()[-1]) == 300


@every_kind
def test_37_memory_is_ended_at_the_limit(kind: str, tmp_path: Path) -> None:
    code = "import time\nkept = []\nwhile True:\n    kept.append(bytearray(20 << 20))\n    time.sleep(0.02)"
    result = run_script(kind, tmp_path, code, memory_mb=200, seconds=20)
    assert result.outcome == "memory"
    assert "200 MiB" in result.detail


@every_kind
def test_38_one_file_cannot_fill_the_disk(kind: str, tmp_path: Path) -> None:
    code = "with open('big', 'wb') as file:\n    while True:\n        file.write(bytes(1 << 20))"
    result = run_script(kind, tmp_path, code, file_mb=20, seconds=20)
    assert result.outcome == "failed"
    assert "20 MiB" in result.detail
    assert (tmp_path / "cwd" / "big").stat().st_size <= 20 << 20


@every_kind
def test_38_many_files_cannot_fill_the_disk_either(kind: str, tmp_path: Path) -> None:
    code = "import time\nfor n in range(10**6):\n    open(str(n), 'wb').write(bytes(4 << 20))\n    time.sleep(0.02)"
    result = run_script(kind, tmp_path, code, disk_mb=60, seconds=30)
    assert result.outcome == "disk"
    assert "60 MiB" in result.detail


@pytest.mark.parametrize("place", ["/tmp", "/dev/shm"])
def test_39_memory_file_systems_have_a_size(place: str, tmp_path: Path) -> None:
    code = f"with open('{place}/big', 'wb') as file:\n    for _ in range(400):\n        file.write(bytes(1 << 20))"
    result = run_script("bubblewrap", tmp_path, code, memory_mb=256, seconds=20)
    assert result.outcome in ("failed", "memory")
    assert "No space left" in result.tail or result.outcome == "memory"


@every_kind
def test_40_endless_output_is_cut_and_the_end_of_it_is_kept(kind: str, tmp_path: Path) -> None:
    result = run_script(kind, tmp_path, "while True: print('y' * 100_000)", output_mb=2, seconds=30)
    assert result.outcome == "output"
    assert (tmp_path / "log.txt").stat().st_size <= 2 << 20


@every_kind
def test_56_output_that_is_no_text_is_kept_as_it_is_and_shown_as_text(kind: str, tmp_path: Path) -> None:
    result = run_script(kind, tmp_path, "import os; os.write(1, b'\\xff\\xfe\\x00abc\\x80'); raise SystemExit(3)")
    assert (result.outcome, result.exit_code) == ("failed", 3)
    assert (tmp_path / "log.txt").read_bytes() == b"\xff\xfe\x00abc\x80"
    assert "abc" in result.tail


@every_kind
def test_58_many_small_files_are_ended_at_the_limit(kind: str, tmp_path: Path) -> None:
    code = "import time\nfor n in range(10**7):\n    open(str(n), 'w').close()\n    n % 500 or time.sleep(0.05)"
    result = run_script(kind, tmp_path, code, files=3000, seconds=30)
    assert result.outcome == "disk"
    assert "3000 files" in result.detail


@pytest.mark.parametrize("kind", ["bubblewrap", "warm"])
@pytest.mark.parametrize("place", ["/tmp", "/dev/shm"])
def test_58_file_systems_of_its_own_hold_no_more_files_than_its_folders(kind: str, place: str, tmp_path: Path) -> None:
    code = f"import os, time\nfor n in range(20_000):\n    os.symlink('x', f'{place}/{{n}}')\ntime.sleep(20)"
    result = run_script(kind, tmp_path, code, files=1000, memory_mb=256, seconds=15)
    assert result.outcome == "disk"
    assert "1000 files" in result.detail


@every_kind
def test_open_files_are_limited_and_the_words_say_so(kind: str, tmp_path: Path) -> None:
    result = run_script(kind, tmp_path, "kept = [open('/dev/null') for _ in range(5000)]", open_files=256)
    assert result.outcome == "failed"
    assert "256 files" in result.detail


DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in (0, 1, 2):
            os.close(number)
        os.execv(sys.executable, [sys.executable, "-c", "import time; open('up', 'w'); time.sleep(60)", MARK])
    os._exit(0)
while not os.path.exists("up"):
    time.sleep(0.02)
time.sleep(AFTER)
"""


@every_kind
@pytest.mark.parametrize("after", [0.5, 60], ids=["after its end", "after a timeout"])
def test_34_a_daemon_does_not_outlive_its_run(kind: str, after: float, tmp_path: Path) -> None:
    mark = f"daemon-{mark_of(tmp_path)}-{kind}"
    code = DAEMON.replace("MARK", repr(mark)).replace("AFTER", str(after))
    result = run_script(kind, tmp_path, code, seconds=20.0 if after < 1 else 2.0)
    assert result.outcome == ("ok" if after < 1 else "timeout")
    assert (tmp_path / "cwd" / "up").exists(), "the daemon never ran"
    time.sleep(0.05)
    assert processes_with(mark) == []


@pytest.mark.parametrize("kind", ISOLATED)
def test_two_runs_cannot_talk_through_shared_memory_or_tmp(kind: str, tmp_path: Path) -> None:
    require(kind)
    if kind == "landlock":
        pytest.skip("not covered: torch's workers need /dev/shm, which is one for the whole machine")
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    places = [f"{place}/left-by-{mark_of(tmp_path)}" for place in ("/dev/shm", "/tmp", "/var/tmp")]
    leave = f"for name in {places!r}:\n    try: open(name, 'w').write('x')\n    except OSError: pass\nprint('left')"
    assert run_script(kind, tmp_path / "first", leave).tail == "left\n"
    found = run_script(kind, tmp_path / "second", f"import os; print([n for n in {places!r} if os.path.exists(n)])")
    assert found.tail == "[]\n"
    assert not [name for name in places if Path(name).exists()]


@every_kind
def test_a_tree_too_deep_to_be_walked_hides_nothing_and_is_removed(kind: str, tmp_path: Path) -> None:
    """Below 4,096 characters no path leads: neither counting nor removing would reach what lies there."""
    code = "import os\nfor _ in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\nopen('big', 'w').write('x' * 99999)"
    result = run_script(kind, tmp_path, code, seconds=20)
    assert result.outcome == "disk"
    assert "100 folders in folders" in result.detail
    assert list((tmp_path / "cwd").iterdir()) == []


@every_kind
@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("for _ in range(18):\n    os.mkdir('d' * 250)\n    os.chdir('d' * 250)\nfill(open('big', 'wb'))", "disk"),
        ("for n in range(4):\n    file = open('x', 'wb')\n    os.unlink('x')\n    fill(file)", "disk"),
        ("for n in range(4):\n    fill(open(os.memfd_create('m'), 'wb'))", "memory"),
    ],
    ids=["below long names", "in files without a name", "in memory without an address"],
)
def test_what_is_hidden_from_a_walk_counts_too(kind: str, code: str, outcome: str, tmp_path: Path) -> None:
    fill = "def fill(file):\n    kept.append(file)\n    file.write(bytes(60 << 20))\n    file.flush()\n"
    fill = f"import os, time\nkept = []\n{fill}"
    result = run_script(kind, tmp_path, fill + code + "\ntime.sleep(20)", disk_mb=50, memory_mb=200, seconds=15)
    if "memfd" in code and kind != "none":  # there it is not to be had at all
        assert "PermissionError" in result.tail
    else:
        assert result.outcome == outcome
