"""Tier C: a plain subprocess under limits, with an environment that holds no secret. No isolation beyond that."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from ml_intern.run.spec import RunSpec

# Names that pass from the harness's own environment: search path, language, and what steers numeric libraries.
_PASSED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "SYSTEMROOT")
_PASSED_PREFIXES = ("OPENBLAS_", "MKL_", "KMP_")


def clean_environment(spec: RunSpec) -> dict[str, str]:
    """An environment made from an allowlist: no token, no key, no home directory of the person."""
    environment = {
        name: value for name, value in os.environ.items() if name in _PASSED or name.startswith(_PASSED_PREFIXES)
    }
    threads = str(spec.threads)
    environment |= {
        "HOME": str(spec.cwd),
        "TMPDIR": str(spec.cwd),
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HOME": str(spec.cwd / "hf"),
        "TOKENIZERS_PARALLELISM": "false",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "MPLBACKEND": "agg",
    }
    return environment


class PlainSandbox:
    """Limits only. `tier` says so."""

    @property
    def tier(self) -> str:
        return "C (limits only, no isolation)"

    def prepare(self, spec: RunSpec) -> tuple[list[str], Mapping[str, str]]:
        return [sys.executable, "-s", "-B", str(spec.script), *spec.arguments], clean_environment(spec)
