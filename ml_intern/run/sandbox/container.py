"""A container of docker or (rootless) podman, through their command line: where a team runs everything in an image.

The image brings Python and the packages; the person names it. Knows nothing of what the script is for.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ml_intern.errors import RunError
from ml_intern.run.sandbox import roots
from ml_intern.run.sandbox.base import Command
from ml_intern.run.sandbox.environment import CLIENT, clean_environment
from ml_intern.run.sandbox.ownership import NOBODY, take_back
from ml_intern.run.sandbox.places import prepared_places
from ml_intern.run.spec import RunSpec

IMAGE = "ML_INTERN_IMAGE"
_TEMPORARY = "/tmp"  # noqa: S108  # inside, a file system of the run's own
_SECONDS = 60


def find_client() -> Path | None:
    """podman first: it needs no daemon with root's rights."""
    return next((Path(found) for name in ("podman", "docker") if (found := shutil.which(name))), None)


class ContainerSandbox:
    """`client`: podman or docker; `image`: holds `python3` and the packages. Raises RunError where one is missing."""

    def __init__(self, client: Path, image: str) -> None:
        if not image:
            what = "A container needs an image with Python and the packages."
            raise RunError(what, next=f"Set {IMAGE}, for instance to one that `pip install ml-intern` was run in.")
        self.client, self.image = client, image
        self._root = os.geteuid() == 0
        self._environment = {name: os.environ[name] for name in ("PATH", *CLIENT) if name in os.environ}
        self._digest = self._ask("image", "inspect", "--format", "{{.Id}}", image).removeprefix("sha256:")[:12]

    @property
    def tier(self) -> str:
        return f"A ({self.client.name} {self.image} {self._digest})"

    def prepare(self, spec: RunSpec) -> Command:
        if spec.proxy is not None:
            raise RunError("The plan names hosts, and this sandbox has no way to them.", next="Use bubblewrap.")
        reads, writes = prepared_places(spec, as_nobody=self._root)
        name = f"ml-intern-{hashlib.sha256(str(spec.log).encode()).hexdigest()[:16]}"
        self.end(name)  # what a supervisor that was killed left running
        note = spec.log.with_suffix(".cid")
        note.unlink(missing_ok=True)
        argv = [*self.argv(spec, name, note, reads, writes), "python3", "-s", "-B", str(spec.script), *spec.arguments]
        command = _ContainerCommand(argv, self._environment, cwd=Path("/"), measures=False)
        command.sandbox, command.name, command.note, command.writes = self, name, note, tuple(writes)
        return command

    def argv(self, spec: RunSpec, name: str, note: Path, reads: list[Path], writes: list[Path]) -> list[str]:
        """The command line up to the image; `note`: a file that the client writes once the container is made."""
        limits = spec.limits
        user = f"{NOBODY}:{NOBODY}" if self._root else f"{os.getuid()}:{os.getgid()}"
        words = [str(self.client), "run", "--rm", "--init", "--name", name, "--cidfile", str(note), "--pull", "never"]
        words += [
            "--network",
            "none",
            "--read-only",
            "--cap-drop",
            "ALL",
            "--security-opt",
            "no-new-privileges",
            "--user",
            user,
        ]
        if self.client.name == "podman" and not self._root:
            words += ["--userns", "keep-id"]
        words += ["--memory", f"{limits.memory_mb}m", "--memory-swap", f"{limits.memory_mb}m"]
        words += ["--cpus", str(spec.threads), "--pids-limit", str(limits.processes), "--ipc", "private"]
        words += ["--shm-size", f"{limits.memory_mb // 2}m"]
        words += ["--tmpfs", f"{_TEMPORARY}:size={limits.memory_mb // 4}m,mode=1777"]
        words += ["--ulimit", f"nofile={limits.open_files}", "--ulimit", "core=0"]
        words += ["--ulimit", f"fsize={limits.file_mb * 2**20}", "--hostname", "sandbox", "--workdir", str(spec.cwd)]
        words += ["--gpus", "all"] if spec.gpu else []
        for path in sorted([*reads, *writes], key=lambda path: len(path.parts)):
            mode = "rw" if path in writes else "ro"
            words += ["--volume", f"{path}:{path}:{mode}"]
        for variable, value in self._variables(spec).items():
            words += ["--env", f"{variable}={value}"]
        return [*words, self.image]

    def end(self, name: str) -> None:
        """Ends and removes a container; nothing where there is none."""
        try:
            command = [str(self.client), "rm", "--force", name]
            subprocess.run(command, env=self._environment, capture_output=True, timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            raise RunError(
                f"The container {name} cannot be ended.", next=f"{self.client.name} rm --force {name}"
            ) from None

    @staticmethod
    def _variables(spec: RunSpec) -> Mapping[str, str]:
        """The clean ones, without this machine's search paths: the image has its own."""
        paths = ("PATH", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
        kept = {name: value for name, value in clean_environment(spec).items() if name not in paths}
        return kept | {"TMPDIR": _TEMPORARY}

    def _ask(self, *words: str) -> str:
        try:
            told = subprocess.run(
                [self.client, *words], env=self._environment, capture_output=True, text=True, timeout=_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RunError(f"{self.client.name} does not answer.", str(error), "Is its service running?") from None
        if told.returncode:
            why = " ".join(told.stderr.split())[:500]
            what = f"{self.client.name} has no image {self.image}."
            raise RunError(what, why, f"{self.client.name} pull {self.image}: nothing is pulled by itself.")
        return told.stdout.strip()


@dataclass
class _ContainerCommand(Command):
    sandbox: ContainerSandbox | None = None
    name: str = ""
    note: Path | None = None
    writes: tuple[Path, ...] = ()

    def kill(self) -> None:
        if self.sandbox is not None:
            self.sandbox.end(self.name)

    def ended(self) -> str:
        self.kill()
        for folder in roots.outermost(self.writes):
            take_back(folder)
        made = self.note is not None and self.note.exists()
        if made and self.note is not None:
            self.note.unlink()
        return "" if made else "the container could not be made"

    def exit_code(self, code: int) -> int:
        return 128 - code if 128 < code <= 192 else code
