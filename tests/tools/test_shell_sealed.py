"""What a command cannot reach: sealed rows, labels, predictions, the ledger, other sessions, secrets, the network."""

import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ml_intern.judge.splits import draw_split
from ml_intern.judge.tables import read_table
from ml_intern.run.sandbox.choice import KINDS
from ml_intern.run.selfcheck import ISOLATING
from tests.tools.bench import AtBench, at_bench

SECRET = "planted-hf_0123456789"
# Everything that can be found, followed and read from the root down, beside the system's and Python's own folders.
LOOK = """
import json, os, sys
import pyarrow as pa

own = [os.path.realpath(place) for place in (sys.prefix, sys.base_prefix, *filter(None, sys.path[2:]))]
skipped = ("/proc", "/sys", "/dev", "/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", *own)
files, rows, secrets = [], [], []
tops = ["/", *(f"/proc/{name}/{way}" for name in os.listdir("/proc") if name.isdigit() for way in ("root", "cwd"))]
for top in tops:
    for folder, names, found in os.walk(top):
        names[:] = [name for name in names if not os.path.realpath(os.path.join(folder, name)).startswith(skipped)]
        for name in found:
            path = os.path.join(folder, name)
            try:
                content = open(path, "rb").read(20_000_000) if os.path.isfile(path) else b""
            except OSError:
                continue
            files.append(os.path.realpath(path))
            if b"planted-hf" in content and not path.endswith("program.py"):
                secrets.append(path)
            try:
                rows += [row["x"] for row in pa.ipc.open_stream(content).read_all().to_pylist()]
            except (pa.ArrowInvalid, KeyError, TypeError):
                pass
for name in os.listdir("/proc"):
    try:
        if b"planted-hf" in open(f"/proc/{name}/environ", "rb").read():
            secrets.append(f"/proc/{name}/environ")
    except OSError:
        pass
json.dump({"files": sorted(set(files)), "rows": rows, "secrets": secrets}, open("seen.json", "w"))
"""

unsealed = pytest.mark.xfail(strict=True, reason="tier C does not isolate: only a sandbox keeps this out")
in_reach = pytest.mark.parametrize("kind", [*ISOLATING, pytest.param("none", marks=unsealed)])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A person's home with a key, and the sessions in it."""
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    sessions = tmp_path / "sessions"
    for place in (
        tmp_path / ".cache/huggingface/token",
        sessions / "other/plan.yaml",
        sessions / "other/bench/e/scratch/s",
    ):
        place.parent.mkdir(parents=True)
        place.write_text(SECRET)
    yield sessions / "mine"


def full_session(bench: AtBench) -> None:
    """As it looks in the middle of its life: runs, ledger, predictions, labels, another experiment, and a background
    command beside."""
    bench.workshop.laboratory().confirm(1)
    assert len(list(bench.workshop.places.predictions.glob("e/*.gz"))) > 2
    other = bench.workshop.folder / "bench" / "other" / "scratch" / "file"
    other.parent.mkdir(parents=True)
    other.write_text(SECRET)
    assert "ok" in bench.say("smoke_run")
    assert bench.sh("sleep 50; echo $DATA", background=True).startswith("job 1 runs")


def look(bench: AtBench, background: bool) -> dict[str, Any]:
    said = bench.say("run_python", code=LOOK, seconds=29, background=background)
    if background:
        said = bench.say("wait_for", id=2)
    assert said.startswith("exit code 0"), said
    folder = bench.bench.folder / ("background/2" if background else "scratch")
    return dict(json.loads((folder / "seen.json").read_text()))


@in_reach
@pytest.mark.parametrize("background", [False, True], ids=["at once", "background"])
def test_of_all_rows_and_files_it_finds_only_those_of_training(home: Path, kind: str, background: bool) -> None:
    with at_bench(home, kind) as bench:
        full_session(bench)
        seen = look(bench, background)
        (folder,) = bench.workshop.places.data.glob("*/table")
        table = read_table(folder)
        seed = bench.workshop.plan.seeds("e", "explore", 1)[0]
        split = draw_split(table, bench.workshop.experiment.data, seed)
    rows = table.column("x").to_pylist()
    given = {tuple(row) for row in seen["rows"]}
    assert given == {tuple(rows[row]) for row in (*split.train, *split.validation)}
    assert seen["secrets"] == []
    top = home.parents[1].resolve()
    found = {str(Path(file).relative_to(top)) for file in seen["files"] if Path(file).is_relative_to(top)}
    bench_files = r"bench/e/(programs/2|scratch|background/[12])/[\w.]+"
    allowed = rf"sessions/mine/(frozen/[\w.]+|data/views/[\w-]+/(train|validation)/[\w.-]+|{bench_files})"
    assert [name for name in sorted(found) if not re.fullmatch(allowed, name)] == []
    assert "sessions/mine/frozen/train.py" in found


@in_reach
def test_a_known_path_does_not_help(home: Path, kind: str) -> None:
    """Files as a session has them, made by hand: this is tried where scripts have no libraries, too."""
    with at_bench(home, kind) as bench:
        places = [
            "data/0f/table/table.arrow",
            "data/0f/raw/a.csv",
            "predictions/e/labels-test.jsonl.gz",
            "bench/f/scratch/a",
        ]
        places += ["evidence.jsonl", "events.jsonl", "runs/r1/train.log", "workspace/f/train.py", "../other/plan.yaml"]
        for path in (home / place for place in places):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("sealed")
            said = bench.sh(f"ln -sf {path} link; head -c 100 {path} || head -c 100 link || dd if={path} count=1")
            assert said.startswith("FAILED") and "sealed" not in said, f"{path} is in reach"
        log = home / "bench/e/logs/1.log"
        assert log.is_file() and bench.sh(f"cat {log}").startswith("FAILED")


@pytest.mark.parametrize("kind", KINDS)
def test_no_secret_of_the_environment_reaches_a_command(home: Path, kind: str) -> None:
    with at_bench(home, kind) as bench:
        said = bench.sh("env; cat /proc/self/environ | tr '\\0' '\\n'")
        said += bench.say("run_python", code="import os\nprint(dict(os.environ))")
        said += bench.sh("env", background=True) + bench.say("wait_for", id=3)
    assert said.count("SCRATCH=") == 3 and "SCRATCH'" in said
    assert "planted" not in said
    assert f"HOME={os.environ.get('HOME', '/nonexistent')}\n" not in said


@in_reach
def test_there_is_no_network(home: Path, kind: str) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        at_bench(home, kind, changes={"hosts": ["example.org"]}) as bench,
    ):
        assert "proxy" not in bench.sh("env").lower()  # nor the way to the plan's hosts that training has
        port = server.getsockname()[1]
        for code in (
            f"import socket; socket.create_connection(('127.0.0.1', {port}), 3)",
            f"import urllib.request as u; u.build_opener(u.ProxyHandler()).open('http://127.0.0.1:{port}', timeout=3)",
        ):
            said = bench.say("run_python", code=code, seconds=10)
            assert said.startswith("FAILED") and "Error" in said and "timeout after" not in said, said


@in_reach
def test_the_harness_cannot_be_signalled(home: Path, kind: str) -> None:
    with at_bench(home, kind) as bench:
        said = bench.sh(f"kill -0 {os.getpid()} && echo reached")
    assert "\nreached\n" not in said
