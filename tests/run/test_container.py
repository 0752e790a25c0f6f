"""The container tier, as far as it goes on a machine without docker: its command line, its failures, its end.

The stand-in client checks what it is asked and runs the script as a plain process; isolation is docker's own.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from ml_intern.errors import RunError
from ml_intern.run.compute.local import LocalCompute
from ml_intern.run.sandbox.choice import Choice
from ml_intern.run.spec import Limits, RunSpec
from tests.run.test_supervisor import processes_with
from tests.support.marks import mark_of

CLIENT = """#!{python}
import json, os, signal, subprocess, sys
state = {state!r}
words = sys.argv[1:]
with open(state + "/asked.jsonl", "a") as log:
    log.write(json.dumps({{"words": words, "environment": dict(os.environ)}}) + "\\n")
if words[:2] == ["image", "inspect"]:
    if words[-1] != "team/image":
        sys.exit("Error: no such image")
    print("sha256:0123456789abcdef")
elif words[0] == "rm":
    try:
        os.killpg(int(open(state + "/" + words[-1]).read()), signal.SIGKILL)
    except (OSError, ValueError):
        pass
elif words[0] == "run":
    if os.path.exists(state + "/broken"):
        sys.exit("Error: cannot create container")
    value = lambda name: words[words.index(name) + 1]
    open(value("--cidfile"), "w").write("id")
    script = words[words.index("team/image") + 1:]
    variables = dict(w.split("=", 1) for w, before in zip(words[1:], words) if before == "--env")
    process = subprocess.Popen([{python!r}, *script[1:]], cwd=value("--workdir"), env=variables, start_new_session=True)
    open(state + "/" + value("--name"), "w").write(str(process.pid))
    code = process.wait()
    sys.exit(code if code >= 0 else 128 - code)
"""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of what the stand-in client was asked; it stands first in the search path."""
    folder = tmp_path / "client"
    folder.mkdir()
    client = folder / "docker"
    client.write_text(CLIENT.format(python=sys.executable, state=str(folder)))
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("ML_INTERN_IMAGE", "team/image")
    monkeypatch.setenv("HF_TOKEN", "hf_planted")
    return folder


def execute(folder: Path, code: str, stop: threading.Event | None = None, **limits: float) -> object:
    script = folder / "script" / "run.py"
    script.parent.mkdir()
    script.write_text(code)
    (folder / "data").mkdir()
    spec = RunSpec(
        run_id="r1",
        script=script,
        arguments=("--seed", "1"),
        cwd=folder / "cwd",
        log=folder / "run.log",
        reads=(folder / "data",),
        writes=(folder / "out",),
        limits=Limits.model_validate(limits),
    )
    (folder / "out").mkdir()
    compute = LocalCompute(Choice("docker", folder), 1)
    try:
        return compute.execute(spec, stop or threading.Event())
    finally:
        compute.close()


def asked(state: Path, command: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (state / "asked.jsonl").read_text().splitlines()]
    return [line for line in lines if line["words"][0] == command]


def test_a_script_runs_in_a_container_without_network_rights_or_secrets(state: Path, tmp_path: Path) -> None:
    result = execute(tmp_path, "import sys; print(sys.argv[1:])")
    assert (result.outcome, result.tail) == ("ok", "['--seed', '1']\n")
    assert result.sandbox == "A (docker team/image 0123456789ab)"
    assert (result.cpu_seconds, result.peak_memory_mb) == (0.0, 0.0)  # not seen: better nothing than the client's own
    (run,) = asked(state, "run")
    words = run["words"]
    for pair in (
        ("--network", "none"),
        ("--cap-drop", "ALL"),
        ("--security-opt", "no-new-privileges"),
        ("--pull", "never"),
    ):
        assert words[words.index(pair[0]) + 1] == pair[1]
    assert "--read-only" in words and "--privileged" not in words
    assert words[words.index("--user") + 1].split(":")[0] != "0"
    volumes = {word for word, before in zip(words[1:], words, strict=False) if before == "--volume"}
    places = {"data": "ro", "script": "ro", "out": "rw", "cwd": "rw"}
    assert volumes == {f"{tmp_path / name}:{tmp_path / name}:{mode}" for name, mode in places.items()}
    assert "hf_planted" not in json.dumps(run)


def test_a_container_is_ended_by_its_name_at_a_timeout(state: Path, tmp_path: Path) -> None:
    mark = f"container-{mark_of(tmp_path)}"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)', {mark!r}])"
    assert execute(tmp_path, code, seconds=1.0).outcome == "timeout"
    deadline = time.monotonic() + 5
    while processes_with(mark):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (run,) = asked(state, "run")
    name = run["words"][run["words"].index("--name") + 1]
    assert {line["words"][-1] for line in asked(state, "rm")} == {name}


def test_an_exit_code_and_a_signal_are_the_scripts_own(state: Path, tmp_path: Path) -> None:
    for number, (code, exit_code) in enumerate(
        (("raise SystemExit(125)", 125), ("import os; os.kill(os.getpid(), 11)", -11))
    ):
        (tmp_path / str(number)).mkdir()
        result = execute(tmp_path / str(number), code)
        assert (result.outcome, result.exit_code) == ("failed", exit_code)


def test_a_container_that_cannot_be_made_is_no_failure_of_the_script(state: Path, tmp_path: Path) -> None:
    (state / "broken").touch()
    with pytest.raises(RunError, match="could not be started") as error:
        execute(tmp_path, "print(1)")
    assert "cannot create container" in str(error.value)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("ML_INTERN_IMAGE", "", "needs an image"),
        ("ML_INTERN_IMAGE", "not/there", "no image not/there"),
        ("PATH", "/nowhere", "neither podman nor docker"),
    ],
)
def test_what_is_missing_is_said(
    state: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(RunError, match=words):
        _ = Choice("docker", tmp_path).tier
    assert os.environ[variable] == value
