"""What a script sees of the machine in tier A, where its own folders and the harness's lie in odd places."""

import contextlib
import os
import site
import subprocess
import sys
import threading
from pathlib import Path

import pygments

from ml_intern.run.compute.local import LocalCompute
from ml_intern.run.sandbox.choice import Choice
from ml_intern.run.spec import RunSpec
from tests.support.compute import require, run_script


def test_the_harnesss_home_is_not_seen_even_in_a_folder_that_is_shown(tmp_path: Path) -> None:
    require("bubblewrap")
    home = Path(pygments.__file__).parent  # any folder of this Python environment stands in for it
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "s.py").write_text(f"import os, numpy\nprint(os.listdir({str(home)!r}))")
    spec = RunSpec(
        run_id="r", script=tmp_path / "s" / "s.py", arguments=(), cwd=tmp_path / "cwd", log=tmp_path / "log.txt"
    )
    with contextlib.closing(LocalCompute(Choice("bubblewrap", home), 1)) as compute:
        result = compute.execute(spec, threading.Event())
    assert (result.outcome, result.tail) == ("ok", "[]\n")


def test_only_its_own_folders_can_be_written(tmp_path: Path) -> None:
    """By trying every folder that is mounted; /tmp and /dev/shm are its own, too."""
    code = (
        "import os\n"
        "for line in sorted({line.split()[4] for line in open('/proc/self/mountinfo')}):\n"
        "    try:\n"
        "        open(os.path.join(line, 'planted'), 'w').close()\n"
        "        print(line)\n"
        "    except OSError:\n"
        "        pass\n"
    )
    result = run_script("bubblewrap", tmp_path, code)
    assert result.tail.split() == sorted(["/dev/shm", "/tmp", str(tmp_path / "cwd")])


def test_a_python_that_is_reached_through_a_persons_folder_shows_nothing_beside_its_link(tmp_path: Path) -> None:
    """As uv and pipx lay it out: the environment's python is a link to ~/.local/bin, and that one leads elsewhere; on
    the way there is a folder that is a link, too."""
    require("bubblewrap")
    kept = tmp_path / "home" / ".local" / "share" / "keyrings" / "login.keyring"
    kept.parent.mkdir(parents=True)
    kept.write_text("a person's keyring")
    name = f"python3.{sys.version_info.minor}"
    (tmp_path / "home" / "current").symlink_to(Path(sys.base_prefix))
    first = tmp_path / "home" / ".local" / "bin" / name
    first.parent.mkdir()
    first.symlink_to(tmp_path / "home" / "current" / "bin" / name)
    environment = tmp_path / "home" / "project" / ".venv"
    subprocess.run([first, "-m", "venv", "--without-pip", environment], check=True, timeout=60)
    code = f"import os, sys, json\nprint(os.path.exists({str(kept)!r}), os.path.exists({str(first)!r}), sys.prefix)"
    program = (
        "import sys; from pathlib import Path; from tests.support.compute import run_script\n"
        "print(run_script('bubblewrap', Path(sys.argv[1]), sys.argv[2]).tail)\n"
    )
    places = os.pathsep.join([str(Path(__file__).parents[2]), *site.getsitepackages()])
    (tmp_path / "run").mkdir()
    done = subprocess.run(
        [environment / "bin" / "python", "-c", program, tmp_path / "run", code],
        env={**os.environ, "PYTHONPATH": places},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == ["False", "True", str(environment)], done.stdout + done.stderr
