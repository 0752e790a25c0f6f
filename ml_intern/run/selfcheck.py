"""Which sandbox this machine gets: the strongest one in which the attempts of `sandbox/probe.py` come to nothing.

That one holds is kept for as long as the machine runs and nothing that it depends on has changed; that one does not is
asked again each time, for it may have been a busy minute, or somebody may have followed the advice.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ml_intern.errors import InputError, MlInternError, RunError
from ml_intern.run.compute.local import LocalCompute
from ml_intern.run.sandbox import probe
from ml_intern.run.sandbox.choice import CONTAINER, KINDS, Choice
from ml_intern.run.sandbox.namespaces import advice
from ml_intern.run.spec import Limits, RunSpec

ISOLATING = tuple(kind for kind in KINDS if kind != "none")
# What tier B cannot keep out on older kernels; its own words say so.
_FORGIVEN = {"landlock": frozenset({"signal_harness", "abstract_socket"})}
_MOST_OF_A_PROBLEM = 300  # characters


class Examined(BaseModel):
    """One kind of sandbox on this machine. `found`: attempt to what it reached (empty: nothing). `problem`: why it
    cannot be used; empty where it can."""

    model_config = ConfigDict(frozen=True)

    kind: str
    tier: str = ""
    problem: str = ""
    found: dict[str, str] = {}

    @property
    def works(self) -> bool:
        return not self.problem


def choose(wanted: str, home: Path) -> Choice:
    """The sandbox for `wanted`, one of KINDS or `auto` (the strongest that isolates and works). Raises InputError for a
    name that there is not, RunError where it cannot be had here."""
    if wanted == "none":
        return Choice("none", home)
    if wanted not in (*ISOLATING, CONTAINER, "auto"):
        raise InputError(f"There is no sandbox {wanted!r}.", next=f"Give auto, {', '.join((*KINDS, CONTAINER))}.")
    failed: list[Examined] = []
    for kind in ISOLATING if wanted == "auto" else (wanted,):
        examined = examine(kind, home)
        if examined.works:
            return Choice(kind, home, instead=_instead(failed, examined) if failed else "")
        failed.append(examined)
    what = "No isolating sandbox works here." if wanted == "auto" else f"The sandbox {wanted} does not work here."
    instead = "Give --sandbox none to run under limits only, if you trust the paper and the model."
    problems = "\n".join(f"{one.kind}: {one.problem}" for one in failed)
    raise RunError(what, problems, " ".join(word for word in (advised(failed), instead) if word))


def advised(failed: Iterable[Examined]) -> str:
    """What a person would have to change for a stronger sandbox, after these could not be used; empty where nobody
    knows."""
    from ml_intern.run.sandbox.bubblewrap import find_bubblewrap

    problem = next((one.problem for one in failed if one.kind == "bubblewrap"), "")
    return advice(binary=find_bubblewrap(), problem=problem)


def _instead(failed: Sequence[Examined], taken: Examined) -> str:
    why = "; ".join(f"{one.kind}: {one.problem[:_MOST_OF_A_PROBLEM]}" for one in failed)
    words = (
        f"A stronger sandbox cannot be used here ({why}).",
        advised(failed),
        f"Until then it is tier {taken.tier}.",
    )
    return " ".join(word for word in words if word)


def examine(kind: str, home: Path, *, fresh: bool = False) -> Examined:
    """What the attempts reach in a sandbox of this kind; `fresh`: ask again although it is known to hold."""
    place = home / "cache" / "sandbox.json"
    known = _known(place)
    key = _depends_on(kind)
    if not fresh and key in known:
        with contextlib.suppress(ValueError):
            kept = Examined.model_validate(known[key])
            if kept.works:
                return kept
    examined = _examine(kind, home)
    others = {name: value for name, value in known.items() if value.get("kind") != kind}
    _write(place, others | ({key: examined.model_dump()} if examined.works else {}))
    return examined


def _examine(kind: str, home: Path) -> Examined:
    try:
        home.joinpath("cache").mkdir(parents=True, exist_ok=True)
        choice = Choice(kind, home)
        tier = choice.tier
    except (OSError, RunError) as error:
        return Examined(kind=kind, problem=_in_a_line(error))
    folder = Path(tempfile.mkdtemp(prefix="selfcheck-", dir=home / "cache"))
    try:
        found = _attempt(choice, folder)
    except (OSError, MlInternError) as error:
        return Examined(kind=kind, tier=tier, problem=_in_a_line(error))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    forgiven = _FORGIVEN.get(kind, frozenset())
    breached = [f"{name}: {reached}" for name, reached in found.items() if reached and name not in forgiven]
    return Examined(kind=kind, tier=tier, problem="; ".join(breached), found=found)


def _attempt(choice: Choice, folder: Path) -> dict[str, str]:
    """Lays out what the probe shall not reach, and runs it. Raises RunError where it says nothing."""
    canary, workspace = folder / "canary", folder / "workspace"
    canary.write_text(secrets.token_hex())
    canary.chmod(0o666)
    workspace.mkdir()
    with _listening(socket.AF_INET, ("127.0.0.1", 0)) as tcp, _listening(socket.AF_UNIX, _abstract()) as unix:
        told: dict[str, Any] = {
            "canary": str(canary),
            "forbidden": str(folder / "forbidden"),
            "pid": os.getpid(),
            "born": _born(),
            "port": tcp.getsockname()[1],
            "abstract": unix.getsockname()[1:].decode(),
        }
        spec = RunSpec(
            run_id="selfcheck",
            script=Path(probe.__file__),
            arguments=(json.dumps(told),),
            cwd=workspace,
            log=folder / "probe.log",
            limits=Limits(seconds=20, memory_mb=512, output_mb=1),
        )
        compute = LocalCompute(choice, slots=1)
        try:
            result = compute.execute(spec, threading.Event())
        finally:
            compute.close()
    if result.outcome != "ok":
        raise RunError("The self-check did not come to its end.", f"{result.detail} {result.tail}".strip())
    try:
        found = {str(name): str(reached) for name, reached in json.loads(result.tail).items()}
    except ValueError:
        raise RunError("The self-check said nothing that can be read.", result.tail[-300:]) from None
    if (folder / "forbidden").exists():
        found["write_outside"] = "wrote outside its folders"
    if not canary.stat().st_size:
        found["empty_outside"] = "emptied a file outside its folders"
    return found


@contextlib.contextmanager
def _listening(family: int, address: Any) -> Iterator[socket.socket]:
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind(address)
        listener.listen(1)
        yield listener


def _abstract() -> bytes:
    return b"\x00ml-intern-" + secrets.token_hex(8).encode()


def _born() -> str:
    """When this process started, in the kernel's own unit: with its number it names one process."""
    return Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19]


def _depends_on(kind: str) -> str:
    """Changes with everything that the answer rests on."""
    from ml_intern.run.sandbox.bubblewrap import find_bubblewrap

    binary = find_bubblewrap() if kind == "bubblewrap" else None
    stamp = f"{binary} {binary.stat().st_mtime_ns} {binary.stat().st_size}" if binary else ""
    here = Path(__file__).parent
    code = [path.read_bytes() for path in sorted([*(here / "sandbox").glob("*.py"), here / "supervisor.py"])]
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    parts = [
        kind,
        boot,
        os.uname().release,
        str(os.getuid()),
        sys.executable,
        stamp,
        advice(binary=binary),
        os.environ.get("ML_INTERN_IMAGE", ""),
    ]
    return hashlib.sha256("\n".join(parts).encode() + b"".join(code)).hexdigest()[:32]


def _known(place: Path) -> dict[str, Any]:
    try:
        found = json.loads(place.read_text())
    except (OSError, ValueError):
        return {}
    return {name: value for name, value in found.items() if isinstance(value, dict)} if isinstance(found, dict) else {}


def _write(place: Path, known: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(known, indent=1))
        draft.replace(place)


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())
