"""The environment variables of a script: made from an allowlist, so that no token or key is among them."""

from __future__ import annotations

import os
from pathlib import Path

from ml_intern.run.spec import RunSpec

# Names that pass from the harness's own environment: search path, language, and what steers numeric libraries.
_PASSED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "SYSTEMROOT")
_PASSED_PREFIXES = ("OPENBLAS_", "MKL_", "KMP_")


# What reaches the process that builds sandboxes, and never a script: where podman or docker and their images are.
CLIENT = (
    "HOME",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "DOCKER_HOST",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "CONTAINER_HOST",
    "ML_INTERN_IMAGE",
)


def passed_environment(*more: str) -> dict[str, str]:
    """What passes of this process's variables, and those named in `more`."""
    wanted = (*_PASSED, *more)
    return {name: value for name, value in os.environ.items() if name in wanted or name.startswith(_PASSED_PREFIXES)}


RELAY_PORT = 3128  # of run/network/relay.py, in a run's own network
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


def import_environment() -> dict[str, str]:
    """What libraries read when they are imported, for a process whose forks become scripts with one thread. Caches lie
    where each script has a /tmp of its own."""
    one = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return dict.fromkeys(one, "1") | {
        "PYTHONHASHSEED": "0",
        "PYTHONSAFEPATH": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HOME": "/tmp/hf",  # noqa: S108
        "TOKENIZERS_PARALLELISM": "false",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "MPLBACKEND": "agg",
    }


def clean_environment(spec: RunSpec, temporary: Path | None = None) -> dict[str, str]:
    """A script's variables: no token, no key, no home directory of the person. `temporary`: where its temporary files
    go, if not into its own folder."""
    threads = str(spec.threads)
    return passed_environment() | {
        "HOME": str(spec.cwd),
        "TMPDIR": str(temporary or spec.cwd),
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
        **(dict.fromkeys(_PROXIES, f"http://127.0.0.1:{RELAY_PORT}") if spec.proxy else {}),
        **spec.environment,
    }
