"""The command line with a scripted model in it, killed by SIGKILL at a chosen boundary.

A boundary lies before and after everything that reaches the disk or another process, and in the middle of each write.
`python -m tests.support.crashing KILL_AT ARGUMENTS…`; KILL_AT 0 never kills and says on stderr how many there were.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import httpx

from ml_intern.llm.protocol import Reply, Request, ToolCall, Usage
from tests.judge.workshop import HONEST

CLAIM: dict[str, Any] = {
    "statement": "A zebra is more accurate than an okapi.",
    "quote": "A zebra that sees all six features is more accurate than an okapi, which sees one.",
    "anchor": "sec:1/par:1", "kind": "direction", "method": "zebra", "baseline": "okapi", "metric": "accuracy",
    "higher_is_better": True,
}  # fmt: skip
EXPERIMENT: dict[str, Any] = {
    "id": "zoo", "title": "zebra against okapi",
    "data": {"name": "made up", "revision": "data.py", "inputs": ["x"], "label": "y"},
    "variants": [{"name": "zebra", "settings": {"features": 6}}, {"name": "okapi", "settings": {"features": 1}}],
    "seeds": {"explore": 0, "confirm": 2, "extra": 0},
    "metrics": [{"name": "accuracy"}],
    "select": {"name": "accuracy", "rows": "validation"}, "select_higher_is_better": True,
    "tests": [{"claim": "C1", "kind": "direction", "metric": {"name": "accuracy"}, "higher_is_better": True,
               "contrast": {"zebra": 1, "okapi": -1}, "minimal_effect": 0.05}],
    "setting": "analogue",
}  # fmt: skip
PAPER = r"""\documentclass{article}\title{Zebras and Okapis}\begin{document}
\section{Results}
A zebra that sees all six features is more accurate than an okapi, which sees one.
\end{document}
"""


class ZooModel:
    """Says the same to the same conversation, so that a resumed run can be compared with an undisturbed one."""

    id = "openai/zoo"
    context_chars = 1_000_000

    def ceiling(self, request: Request) -> int:
        return 1000

    def complete(self, request: Request) -> Reply:
        usage = Usage(input_tokens=10, output_tokens=10, cost_usd=0.0005)
        answers = {"claims": {"claims": [CLAIM]}, "plan": {"experiments": [EXPERIMENT], "left_out": []}}
        if request.answer_name:
            return Reply(content=json.dumps(answers[request.answer_name]), usage=usage)
        if not request.tools:
            return Reply(content="The zebra won here.", usage=usage)
        turns = [message for message in request.messages if message.role == "assistant"]
        files = [("write_file", {"path": name, "content": text}) for name, text in HONEST.items()]
        script = [files, [("read_file", {"path": "train.py"}), ("smoke_run", {})], [("finish", {"note": "done"})]]
        calls = [
            ToolCall(id=f"{len(turns)}-{place}", name=name, arguments=json.dumps(arguments))
            for place, (name, arguments) in enumerate(script[min(len(turns), 2)])
        ]
        return Reply(tool_calls=tuple(calls), usage=usage)


class Boundaries:
    """Counts them, and kills this process at one."""

    def __init__(self, kill_at: int) -> None:
        self.kill_at, self.count = kill_at, 0
        self._lock = threading.Lock()

    def here(self) -> None:
        with self._lock:
            self.count += 1
            if self.count == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    def around(self, holder: Any, name: str) -> None:
        real = getattr(holder, name)

        def wrapped(*args: Any, **options: Any) -> Any:
            self.here()
            result = real(*args, **options)
            self.here()
            return result

        setattr(holder, name, wrapped)

    def in_writes(self) -> None:
        real: Callable[[int, Any], int] = os.write

        def write(fd: int, data: Any) -> int:
            if fd <= 2:
                return real(fd, data)
            self.here()
            if self.count + 1 == self.kill_at and len(data) > 1:
                real(fd, bytes(data)[: len(data) // 2])
                self.here()
            done = real(fd, data)
            self.here()
            return done

        os.write = write  # type: ignore[assignment]


def main() -> None:
    from ml_intern.cli import common
    from ml_intern.cli import main as command_line

    common.open_model = lambda *_, **__: ZooModel()  # type: ignore[assignment]
    boundaries = Boundaries(int(sys.argv[1]))
    boundaries.in_writes()
    for name in ("fsync", "fdatasync", "replace", "rename", "truncate", "ftruncate", "unlink", "mkdir"):
        boundaries.around(os, name)
    boundaries.around(subprocess.Popen, "__init__")
    boundaries.around(socket, "send_fds")  # a run is handed to its supervisor
    boundaries.around(httpx.Client, "send")  # the Hub
    sys.argv = ["ml-intern", *sys.argv[2:]]
    try:
        command_line.main()
    finally:
        sys.stderr.write(f"boundaries: {boundaries.count}\n")


if __name__ == "__main__":
    main()
