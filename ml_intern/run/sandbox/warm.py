"""A script that is a fork of this process, where torch is imported already, inside a sandbox that bubblewrap built.

bubblewrap builds the walls around a process that only waits; a child of this process enters its namespaces, gives up
every privilege, and becomes the script. What it inherits is imported libraries, and no secret: the process that forks
has an environment made from an allowlist and has run no code but libraries'. Source: setns(2), capabilities(7).
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import random
import re
import runpy
import signal
import sys
import tempfile
import threading
import traceback
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from ml_intern.run.sandbox import kernel
from ml_intern.run.sandbox.limits import limit, limit_processes
from ml_intern.run.sandbox.ownership import NOBODY
from ml_intern.run.sandbox.roots import gpu_devices
from ml_intern.run.spec import Libraries, RunSpec

_ENTERED = b"+"
# What training scripts import first, slowest of all. Imported, not used: nothing starts a thread or asks for a GPU.
# Most need no more than torch, which takes half as long.
_TORCH = ("numpy", "pyarrow", "torch.utils.data", "torch._inductor.config", "safetensors.torch")
LIBRARIES: dict[Libraries, tuple[str, ...]] = {"torch": _TORCH, "transformers": (*_TORCH, "transformers")}
_IMPORTS_TRANSFORMERS = re.compile(rb"^[ \t]*(?:import|from)\b.*\b(?:transformers|peft|trl)\b", re.MULTILINE)
_LAZY = ("Trainer", "AutoModel", "AutoTokenizer")  # of transformers, which imports them when they are first named


def import_libraries(wanted: Libraries) -> None:
    """Imports what there is of these, in the state that a script finds: no generator moved, no thread started."""
    import importlib

    # A broken library may raise anything; a script that needs it hears of it when it imports it itself.
    for name in LIBRARIES[wanted]:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    for name in _LAZY if "transformers" in sys.modules else ():
        with contextlib.suppress(Exception):
            getattr(sys.modules["transformers"], name)
    _without_tidying()


def _without_tidying() -> None:
    """What libraries have begun is not tidied up at the end of each fork: there it frees nothing, might remove what all
    of them share, and took as long as a small script. What a script itself begins is."""
    for one in list(getattr(weakref.finalize, "_registry", ())):
        one.atexit = False
    with contextlib.suppress(Exception):  # it logs how long torch.compile took; a fork has compiled nothing yet
        atexit.unregister(sys.modules["torch._dynamo.utils"].dump_compile_times)


def is_fit(spec: RunSpec) -> bool:
    """Whether a fork serves this run as well as a Python of its own: libraries fix their threads and look for GPUs when
    they are imported, and packages of a layer must come before those that are imported already."""
    gpu = spec.gpu and gpu_devices()
    return spec.threads == 1 and not gpu and spec.proxy is None and "PYTHONPATH" not in spec.environment


def libraries_of(folder: Path) -> Libraries | None:
    """What the scripts in `folder` import that takes long, or speak of; None: a fork is not worth the wait."""
    texts = [path.read_bytes() for path in sorted(folder.glob("*.py"))[:50] if path.is_file()]
    if any(_IMPORTS_TRANSFORMERS.search(text) for text in texts):
        return "transformers"
    return "torch" if any(b"torch" in text for text in texts) else None


def enter(
    spec: RunSpec,
    inside: int,
    program: bytes,
    environment: Mapping[str, str],
    output: int,
    told: int,
    *,
    as_nobody: bool,
) -> int:
    """Forks a child that becomes the script, in the namespaces of the process of the pidfd `inside`, under the filter
    `program`. `output`: gets stdout and stderr; `told`: a `+` once it is inside, or why it is not. Returns its process
    id; its exit code is the script's, or 128 and the signal that ended it."""
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        _close_but(output, told, inside)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        kernel.die_with_parent()
        if as_nobody:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            kernel.die_with_parent()  # another user: the kernel has forgotten it
        limit(0, spec.limits)
        kernel.enter_namespaces(inside)
        script = os.fork()  # only a child lives in the process numbers of the sandbox
        if script == 0:
            _become(spec, program, environment, output, told)
        os.close(told)
        kernel.drop_capabilities()
        status = os.waitpid(script, 0)[1]
        code = os.waitstatus_to_exitcode(status)
        os._exit(code if code >= 0 else 128 - code)
    except BaseException as error:
        _tell(told, f"{type(error).__name__}: {error}".encode())
        os._exit(125)


def _become(spec: RunSpec, program: bytes, environment: Mapping[str, str], output: int, told: int) -> NoReturn:
    try:
        kernel.die_with_parent()
        os.setsid()
        _only_standard_streams(output, told)
        os.chdir(spec.cwd)
        limit_processes(spec.limits)
        kernel.drop_capabilities()
        kernel.no_new_privileges()
        kernel.install_filter(program)
        os.environ.clear()
        os.environ.update(environment)
        _like_a_new_interpreter(spec)
    except BaseException as error:
        _tell(_TOLD, f"{type(error).__name__}: {error}".encode())
        os._exit(125)
    _tell(_TOLD, _ENTERED)
    _run(spec.script)


# Read now: the script's variables replace these.
_NOT_THE_SCRIPTS = [str(Path(place).absolute()) for place in os.environ.get("PYTHONPATH", "").split(":") if place]
_TOLD = 3  # where `told` lies once everything else is closed


def _close_but(*kept: int) -> None:
    """The supervisor's own descriptors: its answer to the harness, its journal's lock."""
    for entry in os.listdir("/proc/self/fd"):  # noqa: PTH208
        if int(entry) > 2 and int(entry) not in kept:
            with contextlib.suppress(OSError):
                os.close(int(entry))


def _only_standard_streams(output: int, told: int) -> None:
    for number in (1, 2):
        os.dup2(output, number)
    if told != _TOLD:
        os.dup2(told, _TOLD, inheritable=False)
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.closerange(_TOLD + 1, os.sysconf("SC_OPEN_MAX"))


def _like_a_new_interpreter(spec: RunSpec) -> None:
    """What `python -s -B script` would begin with."""
    for one in (signal.SIGCHLD, signal.SIGTERM, signal.SIGALRM):
        signal.signal(one, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.set_wakeup_fd(-1)
    sys.argv = [str(spec.script), *spec.arguments]
    sys.path[:] = [str(spec.script.parent), *(place for place in sys.path if place in _library_places())]
    sys.dont_write_bytecode = True
    for number, name in ((1, "stdout"), (2, "stderr")):
        setattr(sys, name, open(number, "w", buffering=1, closefd=False, encoding="utf-8", errors="backslashreplace"))  # noqa: SIM115
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    tempfile.tempdir = None  # the folder of the process that imported libraries; this one's is not the same
    random.seed()  # a fork would go on where all others do
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    gc.unfreeze()
    gc.enable()


def _library_places() -> set[str]:
    """The search path without this package's own places: a script sees the installed libraries alone."""
    own = [str(Path(__file__).resolve().parents[3]), *_NOT_THE_SCRIPTS]
    return {place for place in sys.path if place and str(Path(place).absolute()) not in own}


def _run(script: Path) -> NoReturn:
    """As the interpreter would: exit codes, a traceback that begins in the script, and what is to be done at exit."""
    code = 0
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as error:
        code = _exit_code(error)
    except KeyboardInterrupt:
        _print_from(script)
        code = 130
    except BaseException:
        _print_from(script)
        code = 1
    finally:
        with contextlib.suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]
        with contextlib.suppress(BaseException):
            atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(BaseException):
                stream.flush()
    os._exit(code)


def _exit_code(error: SystemExit) -> int:
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    print(error.code, file=sys.stderr)
    return 1


def _print_from(script: Path) -> None:
    kind, error, trace = sys.exc_info()
    while trace is not None and trace.tb_frame.f_code.co_filename != str(script):
        trace = trace.tb_next
    traceback.print_exception(kind, error, trace)


def _tell(told: int, words: bytes) -> None:
    with contextlib.suppress(OSError):
        os.write(told, words[:1000])
        os.close(told)
