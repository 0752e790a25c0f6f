"""A session on disk as a run leaves it in the middle, made in milliseconds."""

import hashlib
import json
from pathlib import Path
from typing import Any

from ml_intern.session.blobs import LONGEST
from ml_intern.session.disk import write_whole
from ml_intern.session.log import EventLog
from ml_intern.session.store import SessionFolder, SessionStore

SCRIPT = "import json\nprint('trains')\n"
FINAL = SCRIPT + "# mended\n"


def write_session(home: Path, id: str = "20261125-100000-abcd", secret: str = "", runs: int = 2) -> SessionFolder:
    """Read, planned, approved; experiment `zoo` built and so many of its runs measured; experiment `park` is being
    built: its train.py was written and mended. `secret` turns up in a tool's result, a script, a log and a name."""
    folder = SessionFolder(SessionStore(home / "sessions").root / id)
    folder.root.mkdir(parents=True)
    write_whole(folder.paper, json.dumps({"title": "Zebras"}))
    write_whole(folder.plan, "version: 1\n")
    write_whole(folder.frozen("zoo") / "train.py", SCRIPT)
    write_whole(folder.data("zoo") / "abc" / "table" / "table.arrow", b"\0\1table")
    write_whole(folder.data("zoo") / "abc" / "table.json", '{"table": "of this hash"}')
    write_whole(folder.data("zoo") / "views" / "abc-1" / "train" / "state.json", "{}")
    with EventLog(folder.log) as log:
        log.append("session.created", settings={"paper": "zoo.tex", "out": "/somewhere/out", "max_iterations": 300})
        log.append("paper.read", title="Zebras", sha256="0", sections=1, tables=0, warnings=[])
        log.append("plan.drafted", digest="d1", experiments=1, claims=1)
        log.append("plan.approved", digest="d1")
        log.append("experiment.built", experiment="zoo", scripts="s1", note="")
        for number in range(runs):
            measure(folder, log, f"r{number}")
        log.append("run.started", run="r-open", experiment="zoo", variant="v", seed=9, phase="confirm", metrics="m")
        folder.run("r-open").mkdir(parents=True)
        log.append("conversation.started", purpose="build park", prompt="Build it.")
        _write_script(folder, log, SCRIPT)
        _write_script(folder, log, FINAL + (f"KEY = {secret!r}\n" if secret else ""))
        log.append("tool.intent", purpose="build park", id="9", name="read_file", arguments="{}", kind="read-only")
        result = "x" * (LONGEST + 10) + (f"\nHF_TOKEN={secret}\n" if secret else "")
        log.append("tool.result", purpose="build park", id="9", name="read_file", result=result, failed=False)
    write_whole(folder.root / "workspace" / "park" / "train.py", "# half of an edit that the log does not know")
    if secret:
        write_whole(folder.run("r0") / "train.log", f"Traceback\n  token = {secret}\n")
    return folder


def measure(folder: SessionFolder, log: EventLog, run: str, weights: bytes = b"\0weights") -> None:
    """One run: its record in the ledger, its files, its event."""
    weights = weights + run.encode()
    write_whole(folder.run(run) / "out" / "model.safetensors", weights)
    write_whole(folder.run(run) / "predict" / "model" / "model.safetensors", weights)
    write_whole(folder.run(run) / "train.log", "trained\n")
    write_whole(folder.run(run) / "train.run", '{"event": "started", "pid": 1}\n')
    write_whole(folder.predictions / "zoo" / f"{run}-test.jsonl.gz", b"\x1f\x8bp" + run.encode())
    record: dict[str, Any] = {"run_id": run, "predictions": {"test": [f"zoo/{run}-test.jsonl.gz", "h"]}, "labels": {}}
    with folder.ledger.open("ab") as ledger:
        ledger.write(json.dumps({"evidence": record, "previous": "", "hash": ""}).encode() + b"\n")
    log.append("evidence.recorded", run=run, experiment="zoo", variant="v", seed=1, phase="confirm", outcome="ok",
               seconds=1.0, metrics={})  # fmt: skip


def _write_script(folder: SessionFolder, log: EventLog, content: str) -> None:
    arguments = json.dumps({"path": "train.py", "content": content})
    call = {"purpose": "build park", "id": "8", "name": "write_file"}
    log.append("model.asked", purpose="build park", model="m", messages=1, chars=1, held=0, sent=[], digest="")
    made = [{"id": "8", "name": "write_file", "arguments": arguments}]
    used = {"input_tokens": 1, "output_tokens": 1, "cost_usd": 0.0, "seconds": 0.1}
    log.append("model.replied", purpose="build park", content="", digest="", tool_calls=made, **used)
    log.append("tool.intent", **call, arguments=arguments, kind="workspace")
    digest = folder.blobs.put(content.encode())
    assert digest == hashlib.sha256(content.encode()).hexdigest()
    log.append("tool.result", **call, result="written", failed=False, acts=True, files={"park/train.py": digest})
