"""Tier C without the half second that numpy and pyarrow take (and the five of torch and transformers, where the choice
is a warm one): a script is a fork of a process that has imported them.

For tests of what is made of a script's results. How scripts are started, limited and measured is tested with what a
person gets. `python -m tests.support.forked DESCRIPTOR SANDBOX` is its fork server.
"""

import importlib
import json
import os
import sys
from dataclasses import dataclass
from typing import IO, NoReturn

from ml_intern.run import fork_server
from ml_intern.run.sandbox import kernel, warm
from ml_intern.run.sandbox.base import Command
from ml_intern.run.sandbox.environment import import_environment
from ml_intern.run.sandbox.limits import limit
from ml_intern.run.sandbox.plain import PlainSandbox
from ml_intern.run.spec import RunSpec

_LIBRARIES = ("numpy", "pyarrow", "safetensors.numpy")


@dataclass
class _ForkedCommand(Command):
    """`plain` is what would have been started; a process that does nothing is started in its place."""

    spec: RunSpec | None = None
    plain: Command | None = None

    def enter(self, stream: IO[bytes]) -> tuple[int, IO[bytes]]:
        reader, output = os.pipe2(os.O_CLOEXEC)
        child = os.fork()
        if child == 0:
            self._become(output)
        os.close(output)
        return child, os.fdopen(reader, "rb", buffering=0)

    def close(self) -> None:
        assert self.plain
        self.plain.close()

    def _become(self, output: int) -> NoReturn:
        assert self.spec
        assert self.plain
        try:
            kernel.die_with_parent()
            os.setsid()
            warm._only_standard_streams(output, os.open("/dev/null", os.O_WRONLY))
            os.chdir(self.spec.cwd)
            limit(0, self.spec.limits)
            os.environ.clear()
            os.environ.update(self.plain.environment)
            warm._like_a_new_interpreter(self.spec)
            warm._run(self.spec.script)
        finally:
            os._exit(125)


class ForkedSandbox(PlainSandbox):
    def prepare(self, spec: RunSpec) -> Command:
        plain = super().prepare(spec)
        if not warm.is_fit(spec):
            return plain
        return _ForkedCommand(["/bin/true"], plain.environment, spec=spec, plain=plain)


def main() -> None:
    os.environ.update(import_environment())  # libraries fix their threads when they are imported
    for name in _LIBRARIES:
        importlib.import_module(name)
    if libraries := json.loads(sys.argv[2])["warm"]:
        warm.import_libraries(libraries)
    fork_server.main(lambda _: ForkedSandbox())


if __name__ == "__main__":
    main()
