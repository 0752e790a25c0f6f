"""Plays an attack on a stage: in a sandbox, or as a plain process, which shows that it works where nothing stops it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from ml_intern.run.attacks.case import Case
from ml_intern.run.attacks.stage import Stage
from ml_intern.run.compute.base import Compute
from ml_intern.run.spec import Limits, RunSpec

_PAYLOADS = Path(__file__).parent / "payloads"
_BREACH = "BREACH: "
_SECONDS = 20.0
_GIVEN = "as it was given\n"
_NESTED = "cwd/kept"  # to be read alone, in a folder that may be written


@dataclass(frozen=True)
class Played:
    """`breach`: what the attack reached, in words; empty where it was held. `output`: what it printed."""

    breach: str
    output: str


def play(case: Case, stage: Stage, compute: Compute) -> Played:
    """In the sandbox of `compute`. Raises RunError where it cannot be started."""
    folder = _workspace(case, stage)
    spec = RunSpec(
        run_id=f"attack-{case.number}",
        script=_payload(folder, case),
        arguments=_arguments(case, stage, folder, bare=False),
        cwd=folder / "cwd",
        log=folder / "run.log",
        reads=(folder / "given", folder / _NESTED),
        limits=Limits(seconds=_SECONDS, memory_mb=1024, output_mb=1),
    )
    given = (folder / "given" / "data.txt").read_text()
    result = compute.execute(spec, threading.Event())
    breach = _told(result.tail)
    if not breach and result.outcome in ("timeout", "memory", "output", "disk"):
        breach = f"it had to be stopped: {result.outcome}"
    # What was changed inside its own folder is no breach where the harness is told so.
    nested = _nested_changed(folder) if result.outcome == "ok" else ""
    return Played(_joined(breach, _changed(folder, given), nested, stage.damage(folder)), result.tail)


def play_bare(case: Case, stage: Stage) -> Played:
    """As a plain process of this user, with everything that a child of the harness gets when nobody takes care."""
    folder = _workspace(case, stage)
    (folder / "run.log").write_text("")
    (folder / "run.run").write_text("")
    given = (folder / "given" / "data.txt").read_text()
    command = [sys.executable, "-s", "-B", str(_payload(folder, case)), *_arguments(case, stage, folder, bare=True)]
    environment = {**os.environ, "HF_TOKEN": stage.secret}
    ran = subprocess.run(
        command, cwd=folder / "cwd", env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    forged = any((folder / name).read_text() for name in ("run.log", "run.run"))
    forgery = "its log was forged" if forged else ""
    breach = _joined(_told(ran.stdout), forgery, _changed(folder, given), _nested_changed(folder))
    return Played(_joined(breach, stage.damage(folder)), ran.stdout + ran.stderr)


def _workspace(case: Case, stage: Stage) -> Path:
    """A folder of its own, with the payloads in it and something to read."""
    folder = stage.root / f"run-{case.number}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(_PAYLOADS, folder / "payloads", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "given").mkdir()
    (folder / "given" / "data.txt").write_text(_GIVEN)
    (folder / _NESTED).mkdir(parents=True)
    (folder / _NESTED / "data.txt").write_text(_GIVEN)
    return folder


def _payload(folder: Path, case: Case) -> Path:
    return folder / "payloads" / f"{case.payload.split(':')[0]}.py"


def _arguments(case: Case, stage: Stage, folder: Path, *, bare: bool) -> tuple[str, str]:
    told = {
        **stage.told,
        "bare": bare,
        "given": [str(folder / "given" / "data.txt"), str(folder / "payloads" / "payload.py")],
        "nested": str(folder / _NESTED / "data.txt"),
        "log": str(folder / "run.log"),
        "journal": str(folder / "run.run"),
    }
    return case.payload.split(":")[1], json.dumps(told)


def _told(output: str) -> str:
    lines = [line[len(_BREACH) :] for line in output.splitlines() if line.startswith(_BREACH)]
    return "; ".join(lines)


def _changed(folder: Path, given: str) -> str:
    """What it was given to read, and the folder that holds it, as they are now."""
    path = folder / "given" / "data.txt"
    same = path.exists() and path.read_text() == given
    payload = folder / "payloads" / "payload.py"
    same = same and payload.exists() and payload.read_bytes() == (_PAYLOADS / "payload.py").read_bytes()
    strange = [*folder.glob("*/sitecustomize.py"), *folder.glob("moved")]
    return "" if same and not strange else "what it was given was changed"


def _nested_changed(folder: Path) -> str:
    path = folder / _NESTED / "data.txt"
    same = path.exists() and path.read_text() == _GIVEN
    return "" if same else "what it was given inside its own folder was changed"


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
