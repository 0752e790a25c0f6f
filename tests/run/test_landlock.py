"""Tier B with an older Landlock: what that does not keep out the filter does, or the tier's words say so."""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_intern.run.sandbox.landlock import LandlockSandbox
from tests.support.nobody import as_user

# Supervises a script as a kernel with this version of Landlock would confine it: no later right is asked for.
SUPERVISE = """
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from ml_intern.run.sandbox import kernel
from ml_intern.run.spec import Limits, RunSpec
if not kernel.landlock_version():
    sys.exit("no Landlock")
kernel.landlock_version = lambda: int(sys.argv[1])
from ml_intern.run.sandbox.landlock import LandlockSandbox
from ml_intern.run.supervisor import supervise
folder = Path(sys.argv[2])
(folder / "s").mkdir()
(folder / "s" / "s.py").write_text(sys.argv[3])
for place in (folder / "given", folder / "cwd" / "kept"):
    place.mkdir(parents=True)
    (place / "data").write_text("as given")
(folder / "own").mkdir()
for name in ("config.json", "hf_token"):
    (folder / "own" / name).write_text("as given")
(folder / "victim").write_text("a session's log")
spec = RunSpec(
    run_id="r",
    script=folder / "s" / "s.py",
    arguments=(str(folder),),
    cwd=folder / "cwd",
    log=folder / "log.txt",
    reads=(folder / "given", folder / "cwd" / "kept", folder / "own" / "config.json"),
    lists=(folder / "own",),
    limits=Limits(seconds=30),
)
sandbox = LandlockSandbox()
result = supervise(spec, sandbox)
outcome = f"{result.outcome}: {result.detail.split(': /')[0]}" if result.detail else result.outcome
print(outcome, result.tail.strip(), (folder / "victim").read_text(), (folder / "given" / "data").read_text(), sep="|")
print(*sandbox.not_covered, sep="\\n")
"""

EMPTY = """
import os, sys
def tried(act):
    try:
        act()
        return "no"
    except OSError:
        return "held"
victim, given = f"{sys.argv[1]}/victim", f"{sys.argv[1]}/given/data"
ways = [lambda path=path: os.truncate(path, 0) for path in (victim, given)]
ways += [
    lambda path=path, mode=mode: os.open(path, mode | os.O_TRUNC) for path in (victim, given) for mode in (0, 1, 2, 3)
]
print(*(tried(way) for way in ways))
open("own", "w").write("x" * 10)
open("own", "r+").truncate(5)
assert open("own").read() == "xxxxx" and open(given).read() == "as given"
"""


def supervised(version: int, folder: Path, code: str) -> list[str]:
    """Lines of what came of the script as an ordinary user, and of what the tier says that it does not cover."""
    done = as_user("-c", SUPERVISE, str(version), str(folder), code, home=folder)
    if "no Landlock" in done.stderr:
        pytest.skip("this kernel has no Landlock")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where an ordinary user may come, too: pytest's own folders are closed."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


@pytest.mark.parametrize("version", [2, 3])
def test_no_file_outside_is_emptied_whatever_this_kernels_landlock_knows(version: int, folder: Path) -> None:
    ended = supervised(version, folder, EMPTY)[0]
    assert ended == f"ok|{' '.join(['held'] * 10)}|a session's log|as given"


def test_what_an_older_landlock_lets_through_stands_in_the_tiers_words(folder: Path) -> None:
    name = f"ml-intern-{os.getpid()}-{folder.name}"
    with socket.socket(socket.AF_UNIX) as service:
        service.bind(f"\x00{name}")
        service.listen(1)
        code = f"import socket\nsocket.socket(socket.AF_UNIX).connect('\\0{name}')\nprint('connected')"
        ended, *words = supervised(5, folder, code)
    assert ended.startswith("ok|connected|")
    assert any("abstract unix sockets" in word for word in words)
    assert any("signal this user's other processes" in word for word in words)


def test_a_script_sets_its_own_limits_and_priority_but_nobody_elses(folder: Path) -> None:
    code = (
        "import os, resource\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (50, 60))\n"
        "os.nice(1); os.sched_setaffinity(0, os.sched_getaffinity(0))\n"
        "other, held = os.getppid(), 0\n"
        "for act in (\n"
        "    lambda: resource.prlimit(other, resource.RLIMIT_CPU, (1, 1)),\n"
        "    lambda: os.setpriority(os.PRIO_PROCESS, other, 19),\n"
        "    lambda: os.setpriority(os.PRIO_USER, 0, 19),\n"
        "    lambda: os.sched_setaffinity(other, {0}),\n"
        "    lambda: os.sched_setscheduler(other, os.SCHED_IDLE, os.sched_param(0)),\n"
        "):\n"
        "    try: act()\n"
        "    except PermissionError: held += 1\n"
        "print(held)\n"
    )
    assert supervised(6, folder, code)[0].startswith("ok|5|")


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user may have this tier")
def test_the_tier_is_not_for_root() -> None:
    with pytest.raises(Exception, match=r"not for root|no Landlock"):
        LandlockSandbox()


@pytest.mark.parametrize("change", ["open('kept/data', 'a').write('x')", "os.rename('kept', 'k')", "os.utime('kept')"])
def test_what_was_to_be_read_alone_in_a_writable_folder_is_not_changed_unnoticed(change: str, folder: Path) -> None:
    code = f"import os\n{change}\nprint('changed')"
    assert supervised(6, folder, code)[0].startswith("failed: It changed what it was given to read alone|changed|")


def test_a_folder_of_a_model_is_listed_and_only_what_belongs_to_the_model_is_read(folder: Path) -> None:
    code = (
        "import os, sys\n"
        "print(sorted(os.listdir(f'{sys.argv[1]}/own')), open(f'{sys.argv[1]}/own/config.json').read())\n"
        "for act in (lambda: open(f'{sys.argv[1]}/own/hf_token'), lambda: os.listdir(sys.argv[1])):\n"
        "    try: act()\n"
        "    except PermissionError: print('held')\n"
    )
    ended = "\n".join(supervised(6, folder, code))
    assert ended.startswith("ok|['config.json', 'hf_token'] as given\nheld\nheld|")


def test_what_was_only_read_there_fails_nothing(folder: Path) -> None:
    assert supervised(6, folder, "print(open('kept/data').read())")[0].startswith("ok|as given|")
