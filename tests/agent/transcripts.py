"""Transcripts of agents at work: thirty-odd that go in circles, as many that only look so; made up.

A transcript is a list of steps; a string stands for an answer without a tool call.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ml_intern.agent.doom_loop import Step

Transcript = list[Step | str]

TRACE = """Traceback (most recent call last):
  File "{place}/train.py", line {line}, in <module>
    main()
  File "{place}/train.py", line {inner}, in main
    loss = step(batch)
{error}"""


def call(
    name: str, result: str, *, acts: bool = True, files: Mapping[str, str] | None = None, **arguments: Any
) -> Step:
    """A call that worked; `files` maps names to contents after it."""
    hashes = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in (files or {}).items()}
    return Step(name, json.dumps(arguments), result, False, acts, hashes)


def failing(name: str, result: str, *, files: Mapping[str, str] | None = None, **arguments: Any) -> Step:
    step = call(name, f"FAILED: {result}", files=files, **arguments)
    return Step(step.name, step.arguments, step.result, True, True, step.files)


def shell(command: str, result: str, **rest: Any) -> Step:
    return call("shell", result, command=command, **rest)


def shell_fails(command: str, error: str, line: int = 40, place: str = "/workspace", **rest: Any) -> Step:
    text = TRACE.format(place=place, line=line, inner=line - 12, error=error)
    return failing("shell", f"exit code 1\n{text}", command=command, **rest)


def write(path: str, text: str, files: Mapping[str, str] | None = None) -> Step:
    return call(
        "write_file",
        f"{path}: {len(text)} characters written",
        files={**(files or {}), path: text},
        path=path,
        content=text,
    )


def read(path: str, text: str) -> Step:
    return call("read_file", text, acts=False, path=path)


TYPE_ERROR = "TypeError: forward() missing 1 required positional argument: 'mask'"
IMPORT_ERROR = "ModuleNotFoundError: No module named 'flash_attn'"
MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate {size:.2f} GiB"


def loops() -> dict[str, Transcript]:
    """Name to a transcript that must be caught."""
    out: dict[str, Transcript] = {}
    out["same call, same result"] = [shell("ls", "a.py")] * 8
    out["same read again and again"] = [read("train.py", "import torch")] * 8
    out["same call, keys in another order"] = [
        Step("read_file", text, "x = 1", False, False)
        for text in ('{"path": "a", "limit": 5}', '{"limit": 5, "path": "a"}', '{"limit":5,"path":"a"}') * 3
    ]
    for length in range(2, 7):
        cycle = [read(f"file{place}.py", f"content {place}") for place in range(length)]
        out[f"a cycle of {length} reads"] = cycle * 5
    out["a cycle of commands with the time in their output"] = [
        shell(command, f"{text} at 2026-11-24 10:{minute:02d}:31")
        for minute in range(8)
        for command, text in (("git status", "nothing to commit"), ("python check.py", "not ready"))
    ]
    out["same traceback, other arguments"] = [
        shell_fails(f"python train.py --lr {lr}", TYPE_ERROR) for lr in (0.1, 0.01, 0.001, 0.0001, 0.5)
    ]
    out["same traceback, other lines after edits"] = [
        step
        for turn in range(6)
        for step in (
            write("train.py", f"# try {turn}\nimport torch"),
            shell_fails(
                "python train.py", TYPE_ERROR, line=40 + turn, files={"train.py": f"# try {turn}\nimport torch"}
            ),
        )
    ]
    out["an import mended in circles"] = [
        shell_fails(
            "python train.py",
            IMPORT_ERROR if turn % 2 else "ImportError: cannot import name 'Trainer' from 'transformers'",
        )
        for turn in range(12)
    ]
    out["a timestamp in the failure"] = [
        shell_fails("python train.py", f"RuntimeError: failed at 2026-11-24T10:{turn:02d}:07.113Z") for turn in range(6)
    ]
    out["a process id in the failure"] = [
        shell_fails("python train.py", f"RuntimeError: worker (pid {4000 + 37 * turn}) exited") for turn in range(6)
    ]
    out["a temporary path in the failure"] = [
        shell_fails("python train.py", f"FileNotFoundError: [Errno 2] No such file: '/tmp/tmp{turn}x7ab_q/data.bin'")
        for turn in range(6)
    ]
    out["a random seed in the failure"] = [
        shell_fails("python train.py", f"ValueError: seed {92831 + 7919 * turn} gives an empty split")
        for turn in range(6)
    ]
    out["an address in the failure"] = [
        shell_fails("python train.py", f"TypeError: <object at 0x7f{turn}a3c9e10> is not callable") for turn in range(6)
    ]
    out["another working directory each time"] = [
        shell_fails("python train.py", TYPE_ERROR, place=f"/tmp/run{turn}") for turn in range(6)
    ]
    out["an id of a run in the failure"] = [
        failing(
            "smoke_run",
            f"The smoke run ended with: failed. run r{hashlib.sha256(bytes([turn])).hexdigest()[:12]} gave nothing",
        )
        for turn in range(6)
    ]
    out["a random number in the failure, nothing changed"] = [
        shell_fails("python train.py", f"ValueError: loss is {2.3041 - 0.01 * turn:.4f}, expected below 1")
        for turn in range(6)
    ]
    out["edits there and back"] = [write("train.py", text) for text in ("a = 1", "a = 2") * 4]
    out["edits there and back between runs that fail otherwise"] = [
        step
        for turn in range(5)
        for step in (
            write("train.py", "a = 1"), failing("smoke_run", f"KeyError: 'x{'y' * turn}'"),
            write("train.py", "a = 2"), failing("smoke_run", f"IndexError: {'z' * turn}"),
        )
    ]  # fmt: skip
    out["a round of three contents"] = [write("train.py", text) for text in ("a = 1", "a = 2", "a = 3") * 3]
    out["only talk"] = ["I will now write the script.", "Let me write the script.", "I am about to begin."]
    out["talk after a few calls"] = [
        read("a", "1"),
        read("b", "2"),
        "Next I would train.",
        "I would train.",
        "Training is next.",
    ]
    out["malformed arguments"] = [
        failing("write_file", f"the arguments of write_file are not valid: {what}")
        for what in ("path: Field required", "content: Field required", "JSON is cut", "path: Field required")
    ]
    out["tools that do not exist"] = [
        failing(name, f"there is no tool {name!r}; there are write_file, read_file")
        for name in ("bash", "python", "run", "bash")
    ]
    out["polling that does not change"] = [shell("tail -1 train.log", "epoch 3 loss 0.41")] * 6
    out["a job that is looked at and never moves"] = [
        step
        for _ in range(6)
        for step in (call("look", "running, no output", acts=False, run="r1"), shell("sleep 60", ""))
    ]
    out["the tool that is refused"] = [
        failing("submit", f"The plan has no variant {name!r}.", variant=name) for name in ("a", "b", "c", "d")
    ]
    out["out of memory at the same size"] = [
        shell_fails(f"python train.py --workers {turn}", MEMORY.format(size=2)) for turn in range(6)
    ]
    out["the same failure far apart"] = [
        step
        for turn in range(5)
        for step in (
            read(f"notes{turn}", f"note {turn}"),
            write(f"help{turn}.py", f"x = {turn}"),
            shell_fails("python train.py", TYPE_ERROR),
        )
    ]
    out["reading for ever, always something new"] = [read(f"paper-{page}", f"page {page}") for page in range(60)]
    out["a file written with the same content"] = [write("a.py", "x = 1")] * 6
    out["one variant works, the other fails, edits between"] = [
        step
        for number in range(6)
        for step in (
            write("train.py", f"version {number}"),
            call("smoke_run", f"smoke run of baseline: ok in {number}.1 s", variant="baseline"),
            failing("smoke_run", f"The smoke run of method ended with: failed. {TYPE_ERROR}", variant="method"),
        )
    ]
    out["other code works, what matters does not"] = [
        step
        for number in range(6)
        for step in (
            call("run_python", f"{number}", code=f"print({number})"),
            failing(
                "run_python",
                f"exit code 1\n{MEMORY.format(size=number + 1.5)}",
                code=f"train(step={number}); # {number}",
            ),
        )
    ]
    return out


def honest() -> dict[str, Transcript]:
    """Name to a transcript in which nothing goes in circles."""
    out: dict[str, Transcript] = {}
    out["polling a log that grows"] = [
        shell("tail -1 train.log", f"epoch {e} loss {1 / (e + 1):.3f}") for e in range(30)
    ]
    out["polling with only the elapsed steps changing"] = [
        call("look", f"running, step {40 * turn} of 4000", acts=False, run="r1") for turn in range(30)
    ]
    out["a sweep over learning rates"] = [
        shell(f"python train.py --lr {lr}", f"accuracy {0.9 + 0.001 * place:.3f}")
        for place, lr in enumerate((1, 0.3, 0.1, 0.03, 0.01, 0.003))
    ]
    out["a sweep over seeds"] = [shell(f"python train.py --seed {seed}", f"accuracy 0.9{seed}") for seed in range(10)]
    out["a sweep that fails for some values"] = [
        step
        for size in (512, 256, 128, 64)
        for step in (
            shell_fails(f"python train.py --batch {size}", MEMORY.format(size=size / 100)),
            shell(f"python train.py --batch {size // 3}", f"accuracy 0.{size}"),
        )
    ]
    out["the ladder down from out of memory"] = [
        *(
            shell_fails(f"python train.py --batch {size}", MEMORY.format(size=size / 100))
            for size in (256, 128, 64, 32)
        ),
        shell("python train.py --batch 16", "accuracy 0.91"),
    ]
    out["an aim that comes nearer"] = [
        step
        for turn, score in enumerate((0.71, 0.78, 0.83, 0.86, 0.88))
        for step in (
            write("train.py", f"width = {turn}"),
            failing(
                "smoke_run", f"AssertionError: accuracy {score} is below 0.9", files={"train.py": f"width = {turn}"}
            ),
        )
    ]
    out["one mistake mended after another"] = [
        step
        for turn, error in enumerate(
            ("NameError: name 'np' is not defined", "KeyError: 'label'", "ValueError: shapes (3,) (4,)", TYPE_ERROR)
        )
        for step in (shell_fails("python train.py", error), write("train.py", f"# version {turn}"))
    ]
    out["the same mistake twice, then mended"] = [
        shell_fails("python train.py", TYPE_ERROR),
        write("train.py", "mask = None"),
        shell_fails("python train.py", TYPE_ERROR),
        write("train.py", "mask = ones"),
        shell("python train.py", "accuracy 0.9"),
    ]
    out["the same mistake again after it worked"] = [
        step
        for turn in range(3)
        for step in (
            shell_fails("python train.py", TYPE_ERROR),
            shell_fails("python train.py", TYPE_ERROR),
            write("train.py", f"fix {turn}"),
            shell("python train.py", f"accuracy 0.9{turn}"),
        )
    ]
    out["one edit taken back"] = [write("train.py", text) for text in ("a = 1", "a = 2", "a = 1", "a = 3")]
    out["two files taken back once each"] = [
        write("a.py", "1"),
        write("a.py", "2", {"b.py": "1"}),
        write("b.py", "2", {"a.py": "2"}),
        write("a.py", "1", {"b.py": "2"}),
        write("b.py", "1", {"a.py": "1"}),
        write("c.py", "1", {"a.py": "1", "b.py": "1"}),
    ]
    out["tests run after every edit, and pass"] = [
        step
        for turn in range(8)
        for step in (
            write("train.py", f"v = {turn}"),
            shell("pytest -q", "3 passed", files={"train.py": f"v = {turn}"}),
        )
    ]
    out["the same file read after every edit"] = [
        step for turn in range(8) for step in (read("settings.json", "{}"), write("train.py", f"v = {turn}"))
    ]
    out["listing between other work"] = [
        step for turn in range(6) for step in (shell("ls", "a.py b.py"), shell(f"python step{turn}.py", f"done {turn}"))
    ]
    out["reading a long paper"] = [read(f"section-{n}", f"text {n}") for n in range(30)]
    out["reading a paper, then writing"] = [
        *(read(f"section-{n}", f"text {n}") for n in range(30)),
        write("train.py", "x"),
    ]
    out["a long search with many hits"] = [call("search", f"hit {n}", acts=False, words=f"word {n}") for n in range(35)]
    out["a failure between successes"] = [
        step
        for turn in range(6)
        for step in (
            shell(f"python probe.py {turn}", f"value {turn}"),
            shell_fails("python other.py", TYPE_ERROR) if turn == 3 else shell("ls", f"{turn}"),
        )
    ]
    out["each variant fails once"] = [
        failing("smoke_run", f"{kind}: {name}", variant=name)
        for kind, name in (("KeyError", "base"), ("ValueError", "mixup"), ("TypeError", "dropout"))
    ]
    out["one thought aloud, then work"] = ["The data come first.", write("data.py", "x"), shell("python data.py", "ok")]
    out["a thought aloud now and then"] = [
        step for turn in range(5) for step in (f"Step {turn} is next.", write(f"part{turn}.py", f"x = {turn}"))
    ]
    out["one malformed call, then a good one"] = [
        step
        for turn in range(5)
        for step in (
            failing("write_file", "the arguments of write_file are not valid: path"),
            write(f"f{turn}.py", f"x = {turn}"),
        )
    ]
    out["the same command after the data changed"] = [
        step
        for turn in range(6)
        for step in (shell(f"python make.py {turn}", f"made {turn}"), shell("wc -l data.csv", "100"))
    ]
    out["two experiments with the same steps"] = [
        step
        for name in ("one", "two", "three", "four")
        for step in (
            write(f"{name}/train.py", f"# {name}"),
            call("smoke_run", f"smoke run of {name}: ok", variant=name),
            call("explore", f"accuracy of {name} 0.8", variant=name),
        )
    ]
    out["a download that is tried again after the network came back"] = [
        failing("fetch", "timeout", data="d"),
        failing("fetch", "timeout", data="d"),
        call("fetch", "fetched d", data="d"),
        failing("fetch", "timeout", data="e"),
        failing("fetch", "timeout", data="e"),
        call("fetch", "fetched e", data="e"),
    ]
    out["different errors of one command"] = [
        shell_fails("python train.py", f"{kind}: {text}")
        for kind, text in (
            ("KeyError", "'a'"),
            ("KeyError", "'b_label'"),
            ("IndexError", "list"),
            ("ValueError", "nan"),
            ("OSError", "disk"),
        )
    ]
    out["waiting with a number that counts down"] = [
        shell("squeue -j 5", f"PENDING, {30 - turn} before it") for turn in range(25)
    ]
    out["a table filled row by row"] = [
        write("results.csv", "\n".join(f"{n},0.{n}" for n in range(rows))) for rows in range(1, 20)
    ]
    out["a training that diverges for rates that shrink"] = [
        shell_fails(f"python train.py --lr {lr}", f"FloatingPointError: loss is {value} at step {step}")
        for lr, value, step in ((1.0, 9e9, 3), (0.3, 4e6, 11), (0.1, 8e3, 57), (0.03, 150.5, 300))
    ] + [shell("python train.py --lr 0.01", "accuracy 0.9")]
    out["looking twice at the same place"] = [
        read("a.py", "1"),
        read("b.py", "2"),
        read("a.py", "1"),
        write("c.py", "3"),
    ]
    out["a bisect"] = [
        shell(f"git checkout {commit} && pytest -q", f"{commit}: {'1 failed' if commit > 'd' else 'passed'}")
        for commit in "hdfge"
    ]
    out["two variants fail in one way, one after the other, and are mended"] = [
        failing("smoke_run", f"The smoke run of method ended with: failed. {TYPE_ERROR}", variant="method"),
        write("train.py", "version 1"),
        failing("smoke_run", f"The smoke run of method ended with: failed. {TYPE_ERROR}", variant="method"),
        write("train.py", "version 2"),
        call("smoke_run", "smoke run of method: ok in 1.1 s", variant="method"),
        write("train.py", "version 3"),
        failing("smoke_run", f"The smoke run of method ended with: failed. {TYPE_ERROR}", variant="method"),
        write("train.py", "version 4"),
        call("smoke_run", "smoke run of method: ok in 1.2 s", variant="method"),
        call("smoke_run", "smoke run of baseline: ok in 1.3 s", variant="baseline"),
    ]
    return out
