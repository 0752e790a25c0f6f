"""Transcripts of agents that work by shell commands: the tool as it is named, its results as they are fenced; made up.

The shapes are the usual ones: `cd X &&`, `timeout 60`, pipes, `|| true`, here-documents, jobs in the background.
"""

from tests.agent.transcripts import IMPORT_ERROR, TRACE, TYPE_ERROR, Step, Transcript, call, failing, read, write


def traceback(error: str = TYPE_ERROR, line: int = 40) -> str:
    return TRACE.format(place="/s", line=line, inner=line - 12, error=error)


def ran(command: str, output: str, files: dict[str, str] | None = None) -> Step:
    result = f"exit code 0 after {1 + len(command) / 7:.1f} s\n<output>\n{output}\n</output>"
    return call("run_command", result, command=command, files=files)


def ran_badly(command: str, output: str, files: dict[str, str] | None = None) -> Step:
    result = f"failed after 1.3 s: It ended with exit code 1.\n<output>\n{output}\n</output>"
    return failing("run_command", result, command=command, files=files)


def begun(id: int, command: str) -> Step:
    told = f"job {id} runs in the background, for at most 900 s"
    return call("run_command", told, command=command, background=True)


def edited(turn: int) -> tuple[Step, dict[str, str]]:
    """train.py written anew, and the files after it."""
    return write("e1/train.py", f"# try {turn}"), {"e1/train.py": f"# try {turn}"}


def shell_loops() -> dict[str, Transcript]:
    """Name to a transcript that must be caught."""
    out: dict[str, Transcript] = {}

    def mended_again_and_again(name: str, command: str, beside: str, hidden: str = "") -> None:
        """train.py is edited, run and looked at, and fails as before. `hidden`: what stands behind its traceback."""
        steps: Transcript = []
        for turn in range(10):
            edit, files = edited(turn)
            trace = traceback(line=40 + turn)
            fails = ran(command, f"{trace}{hidden}", files) if hidden else ran_badly(command, trace, files)
            steps += [edit, fails, *([ran(beside.format(turn=turn), f"# try {turn}", files)] if beside else [])]
        out[name] = steps

    said = mended_again_and_again
    said(
        "cd && python, between looks at the file",
        "cd $SCRIPTS && python train.py",
        "cd $SCRIPTS && sed -n 1,9p train.py",
    )
    said("timeout, between other programs under it", "timeout 60 python train.py", "timeout 60 python check.py")
    said(
        "a here-document, between other ones",
        "python - <<'EOF'\nimport train\ntrain.main()\nEOF",
        "python - <<'EOF'\nprint({turn})\nEOF",
    )
    said("python -c, between other code", 'python -c "import train; train.main()"', 'python -c "print({turn})"')
    said(
        "a variable before the program",
        "CUDA_VISIBLE_DEVICES= python train.py",
        "CUDA_VISIBLE_DEVICES= python check.py",
    )
    said("lines of a script", "set -e\ncd $SCRIPTS\n# as planned\npython train.py", "set -e\ncd $SCRIPTS\nls -l")
    said("bash -c", "bash -c 'cd $SCRIPTS && python train.py'", "bash -c 'cd $SCRIPTS && wc -l train.py'")
    said("a failure behind a pipe", "python $SCRIPTS/train.py 2>&1 | tail -5", "", "\n")
    said("a failure behind tee", "python $SCRIPTS/train.py 2>&1 | tee log", "tail -1 log", "\n")
    said("a failure behind || true", "python $SCRIPTS/train.py || true", "", "\n")
    said("a failure behind an echo of its end", 'python train.py; echo "exit code: $?"', "", "\nexit code: 1")
    said(
        "a failure with a long message behind a pipe",
        "python train.py | cat",
        "",
        "\n\tMissing key(s): 'head.weight'\n",
    )
    out["only the last line of a failure"] = [
        step
        for turn in range(6)
        for step in (edited(turn)[0], ran("cd $SCRIPTS && python train.py 2>&1 | tail -1", TYPE_ERROR))
    ]
    out["other arguments, each behind a pipe"] = [
        ran(f"python train.py --lr {lr} 2>&1 | tail -3", traceback()) for lr in (0.1, 0.03, 0.01, 0.003)
    ]
    out["the same program by other ways"] = [
        ran_badly(command, traceback(IMPORT_ERROR))
        for command in ("python train.py", "cd $SCRIPTS && python3 train.py", "timeout 99 python $SCRIPTS/train.py")
    ]
    for words, id_of in (("", int), (", ids as words", str)):
        out[f"jobs in the background that fail alike{words}"] = [
            step
            for turn in range(6)
            for step in (
                edited(turn)[0],
                begun(2 * turn + 1, "cd $SCRIPTS && python train.py"),
                begun(2 * turn + 2, "python check.py"),
                failing(
                    "wait_for",
                    f"failed after 3.0 s: It ended with exit code 1.\n<output>\n{traceback()}\n</output>",
                    id=id_of(2 * turn + 1),
                ),
                call("wait_for", f"exit code 0 after 3.1 s\n<output>\n{turn}\n</output>", id=id_of(2 * turn + 2)),
            )
        ]
    out["taken back after every new try"] = [
        write("e1/train.py", text) for turn in range(6) for text in ("# as it was", f"# try {turn}")
    ]
    return out


def second_circles() -> dict[str, tuple[Transcript, str]]:
    """Name to a transcript with a circle that was warned of and never mended, and to the words of the one after it."""
    warned = [ran_badly("cd $SCRIPTS && python train.py", traceback())] * 3
    return {
        "a failure, then reading for ever": (
            [*warned, *(read(f"p{n}", f"page {n}") for n in range(60))],
            "only looked",
        ),
        "a failure, then nothing new": (
            [*warned, *(call("note", "noted", text=f"note {n}") for n in range(30))],
            "nothing new",
        ),
        "a failure, then another behind a pipe": (
            [*warned, *[ran("python data.py | tail -2", traceback("KeyError: 'label'"))] * 3],
            "KeyError",
        ),
    }


def shell_honest() -> dict[str, Transcript]:
    """Name to a transcript in which nothing goes in circles; the shapes are those of the circles."""
    out: dict[str, Transcript] = {}

    def mended(name: str, command: str, beside: str, hidden: bool = False) -> None:
        """Fails twice in one way, works, and so three times over."""
        steps: Transcript = []
        for turn in range(9):
            edit, files = edited(turn)
            fails = (ran if hidden else ran_badly)(command, traceback(), files)
            works = ran(command, f"accuracy 0.{81 + turn}", files)
            steps += [edit, works if turn % 3 == 2 else fails, ran(beside, f"# try {turn}", files)]
        out[name] = steps

    look = "cd $SCRIPTS && sed -n 1,9p train.py"
    mended("cd && python, mended each time", "cd $SCRIPTS && python train.py", look)
    mended("timeout, mended each time", "timeout 60 python train.py", look)
    mended("a here-document, mended each time", "python - <<'EOF'\nimport train\ntrain.main()\nEOF", look)
    mended("python -c, mended each time", 'python -c "import train; train.main()"', look)
    mended("behind a pipe, mended each time", "python train.py 2>&1 | tail -5", look, hidden=True)
    mended("behind || true, mended each time", "python train.py || true", look, hidden=True)
    out["mended under another command than it failed under"] = [
        step
        for turn in range(3)
        for step in (
            ran_badly("cd $SCRIPTS && timeout 60 python train.py", traceback()),
            ran_badly("python $SCRIPTS/train.py 2>&1", traceback()),
            edited(turn)[0],
            ran("python3 train.py | tail -1", f"accuracy 0.8{turn}"),
        )
    ]
    out["a sweep under timeout behind a pipe"] = [
        ran(f"cd $SCRIPTS && timeout 60 python train.py --lr {lr} | tail -1", f"accuracy 0.8{place}")
        for place, lr in enumerate((1, 0.3, 0.1, 0.03, 0.01, 0.003))
    ]
    out["a sweep that tells of what diverged"] = [
        ran(
            f"python sweep.py --width {width}",
            f"lr 1:\n{traceback('FloatingPointError: nan')}\nlr 0.1: accuracy 0.{width}",
        )
        for width in (16, 32, 48, 64)
    ]
    out["a log with an old failure in it, looked at while it grows"] = [
        ran("tail -9 log", f"{traceback()}\nbegun anew\nepoch {epoch} loss {1 / (epoch + 1):.3f}") for epoch in range(9)
    ]
    out["an old failure, looked at by more and more lines"] = [
        ran(f"cd $SCRIPTS && tail -{n} log | head -20", traceback(line=40 + n)) for n in range(6)
    ]
    out["a job in the background that prints a log"] = [
        step
        for job in (1, 2, 3, 4)
        for step in (
            begun(job, f"tail -{job} log"),
            call("wait_for", f"exit code 0 after 1.{job} s\n<output>\n{traceback(line=job + 20)}\n</output>", id=job),
        )
    ]
    out["a metric whose name ends like an error's"] = [
        ran(f"python train.py --lr {lr}", f"MeanSquaredError: 0.{lr}") for lr in range(1, 9)
    ]
    out["probes by here-document that all work"] = [
        ran(f"python - <<'EOF'\nimport data\nprint(data.rows[{n}])\nEOF", f"row {n}") for n in range(12)
    ]
    out["probes of what is installed"] = [
        ran_badly(f"python -c 'import {name}'", f"ModuleNotFoundError: No module named '{name}'")
        for name in ("flash_attn", "xformers", "apex", "bitsandbytes")
    ]
    out["a job in the background, looked at until it ends, twice over"] = [
        step
        for job in (1, 2)
        for step in (
            begun(job, "cd $SCRIPTS && python train.py"),
            *(
                call("look_at", f"job {job}: running for {9 * n} s\n<output>\nepoch {n}\n</output>", acts=False, id=job)
                for n in range(8)
            ),
            call(
                "wait_for", f"exit code 0 after 90.{job} s\n<output>\naccuracy 0.9{job}\n</output>", acts=False, id=job
            ),
        )
    ]
    out["variants tried by an edit that is taken back, each with a result"] = [
        step
        for turn in range(6)
        for step in (
            write("e1/train.py", f"# width {turn}"),
            ran("cd $SCRIPTS && python train.py | tail -1", f"accuracy 0.8{turn}", {"e1/train.py": f"# width {turn}"}),
            write("e1/train.py", "# as it was"),
        )
    ]
    out["two mistakes one after the other behind pipes"] = [
        step
        for turn, error in enumerate((TYPE_ERROR, TYPE_ERROR, IMPORT_ERROR, IMPORT_ERROR, "KeyError: 'label'"))
        for step in (edited(turn)[0], ran("python train.py 2>&1 | tail -5", traceback(error)))
    ]
    out["tests that show that errors are raised"] = [
        ran(f"python probe.py {n}", f"as it should be:\nValueError: shape {n}\nall {n + 3} raise") for n in range(6)
    ]
    out["the parts of a long file, behind cd"] = [
        ran(f"cd $SCRIPTS && sed -n {n},{n + 50}p train.py", f"lines {n} and on") for n in range(1, 900, 50)
    ]
    return out
