"""Many short lives of the program, each a fork of a process that has imported all of it: a tenth of a second each.

A life is a process of its own, killed for real; what it leaves running falls to the process that started it. That one
must have no threads.
"""

import contextlib
import ctypes
import importlib
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.crashing import crash_at

_LONGEST = 300.0  # seconds of a life
_OURS: set[int] = set()  # children of this process that no life has left
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER


@dataclass(frozen=True)
class Life:
    """`places`: names of the boundaries that it came to, unless it was killed. `said`: the end of its output."""

    code: int
    places: list[str]
    said: str
    modules: list[str]

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


def live(home: Path, arguments: Sequence[str], kill_at: str = "", environment: dict[str, str] | None = None) -> Life:
    """One life of `ml-intern ARGUMENTS`, killed at the place of this name."""
    home.mkdir(parents=True, exist_ok=True)
    aside = home.with_name(f"{home.name}.said"), home.with_name(f"{home.name}.places")
    for path in aside:
        path.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        _become(home, arguments, kill_at, environment or {}, *aside)
    code = _end_of(pid)
    told = json.loads(aside[1].read_text()) if aside[1].exists() else {"places": [], "modules": []}
    return Life(code, told["places"], aside[0].read_text(errors="replace")[-3000:], told["modules"])


def _become(
    home: Path, arguments: Sequence[str], kill_at: str, environment: dict[str, str], said: Path, places: Path
) -> None:
    code = 1
    try:
        os.setsid()
        os.environ.update({"ML_INTERN_HOME": str(home), **environment})
        with said.open("wb") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        try:
            crash_at(kill_at, list(arguments), places)
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        told = {"places": json.loads(places.read_text()), "modules": sorted(sys.modules)}
        places.write_text(json.dumps(told))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _end_of(pid: int) -> int:
    handle = os.pidfd_open(pid)
    try:
        if not select.select([handle], [], [], _LONGEST)[0]:
            os.kill(pid, signal.SIGKILL)
            raise TimeoutError(f"a life of more than {_LONGEST:.0f} s")
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(handle)


def import_all(names: Sequence[str]) -> None:
    """What a life has imported, once for all that follow."""
    for name in names:
        if name.split(".")[0] not in ("__main__", "tests"):
            with contextlib.suppress(Exception):
                importlib.import_module(name)


def adopt() -> None:
    """What a life leaves running becomes a child of this process."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def not_an_orphan(pid: int) -> None:
    """A child that this process has started itself, beside all lives."""
    _OURS.add(pid)


def orphans(patience: float = 10.0) -> list[str]:
    """Command lines of what lives have left running, after a while; they are ended then."""
    deadline = time.monotonic() + patience
    while left := _children():
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    lines = [Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode() for pid in left]
    kill_orphans()
    return lines


def kill_orphans() -> int:
    """Ends what lives have left running, as an out-of-memory killer would; how many there were."""
    count = 0
    while left := _children():
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        count += len(left)
        time.sleep(0.01)
    return count


def _children() -> list[int]:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    me = os.getpid()
    found = [int(pid) for pid in Path(f"/proc/{me}/task/{me}/children").read_text().split()]
    return [pid for pid in found if pid not in _OURS]


def side_by_side(work: Sequence[Any], do: Callable[[int, Any], str], workers: int) -> list[tuple[Any, str]]:
    """(piece of work, what `do(worker, piece)` says of it), each worker a process. What differs is printed as it
    comes."""
    ends: list[tuple[Any, str]] = []
    pipes = []
    for worker in range(workers):
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.close(reader)
            adopt()
            for place in range(worker, len(work), workers):
                try:
                    end = do(worker, work[place])
                except BaseException:
                    end = f"broken: {traceback.format_exc()}"
                line = json.dumps([place, end]).encode() + b"\n"
                while line:
                    line = line[os.write(writer, line) :]
            os._exit(0)
        os.close(writer)
        pipes.append(os.fdopen(reader))
    open_ = dict.fromkeys(pipes)
    while open_:
        for pipe in select.select(list(open_), [], [])[0]:
            line = pipe.readline()
            if not line:
                del open_[pipe]
                continue
            place, end = json.loads(line)
            ends.append((work[place], end))
            if end not in ("same", "not reached"):
                print(f"{work[place]}: {end}", flush=True)
            if len(ends) % 100 == 0:
                print(f"  {len(ends)} of {len(work)}", flush=True)
    for _ in pipes:
        os.wait()
    return ends
