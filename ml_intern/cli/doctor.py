"""`ml-intern doctor`: what this machine has for a run, line by line."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import metadata

import typer

from ml_intern.config import Config

_PACKAGES = (
    "torch",
    "transformers",
    "datasets",
    "accelerate",
    "huggingface_hub",
    "litellm",
    "scikit-learn",
    "pypdfium2",
)
_TOKENS = ("HF_TOKEN", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENROUTER_API_KEY")


def doctor() -> None:
    """Show Python, packages, cores, memory, GPU, sandbox, tokens (present or not), disk."""
    from ml_intern.run.compute.local import LocalCompute, usable_cores
    from ml_intern.run.sandbox.plain import PlainSandbox

    config = Config.from_environment()
    compute = LocalCompute(PlainSandbox())
    _line("python", platform.python_version())
    for package in _PACKAGES:
        try:
            _line(package, metadata.version(package))
        except metadata.PackageNotFoundError:
            _line(package, "MISSING: run the README's first command")
    _line("machine", compute.hardware)
    _line("runs at once", f"{compute.slots} (one a core of {usable_cores()})")
    _line("gpu", _gpu())
    _line("sandbox", compute.tier)
    for name in _TOKENS:
        _line(name, "set" if os.environ.get(name) else "not set")
    _line("home", str(config.home))
    place = next(parent for parent in (config.home, *config.home.parents) if parent.exists())
    _line("disk free", f"{shutil.disk_usage(place).free / 2**30:.1f} GiB")
    _line("model", "recipes (default; needs no key)")


def _gpu() -> str:
    # torch would take seconds to import: the driver's own tool answers at once.
    if shutil.which("nvidia-smi") is None:
        return "none found (no nvidia-smi)"
    import subprocess

    asked = subprocess.run(
        ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        timeout=20,
    )
    return asked.stdout.strip().replace("\n", "; ") or "none found"


def _line(name: str, value: str) -> None:
    typer.echo(f"{name:<18} {value}")
