"""A bench for tests of tools: the workshop's experiment, in a sandbox of some kind, and calls as a model makes them."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_intern.llm.protocol import ToolCall
from ml_intern.tools.bench import Bench
from ml_intern.tools.families import executor_tools
from ml_intern.tools.registry import Toolbox
from tests.judge.workshop import Workshop
from tests.support.compute import require, shared_compute


@dataclass
class AtBench:
    workshop: Workshop
    bench: Bench
    toolbox: Toolbox

    def say(self, name: str, **arguments: Any) -> str:
        return self.toolbox.carry_out(ToolCall(id="1", name=name, arguments=json.dumps(arguments)))

    def sh(self, command: str, **more: Any) -> str:
        return self.say("run_command", command=command, **more)


@contextmanager
def at_bench(folder: Path, kind: str = "none", **workshop: Any) -> Iterator[AtBench]:
    """Opened twice on one folder it is what a resumed session has."""
    require(kind)
    shop = Workshop(folder, sandbox=kind, **workshop)
    with again(shop) as opened:
        yield opened


@contextmanager
def again(shop: Workshop) -> Iterator[AtBench]:
    laboratory = shop.laboratory()
    compute = shared_compute(shop.sandbox)
    with Bench(laboratory, compute, threading.Event(), shop.folder / "bench" / "e") as bench:
        yield AtBench(shop, bench, Toolbox(executor_tools(bench)))
