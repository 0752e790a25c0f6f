"""What this machine knows to be secret: made here for the log, uploads, exports, and for what is told to a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ml_intern.config import Config

if TYPE_CHECKING:
    from ml_intern.redaction import Redactor


def redactor(config: Config) -> Redactor:
    """Knows the secrets of this process's environment, the keys that config.toml names the variables of, and the token
    that the Hub's client would use. Raises InputError where config.toml cannot be read."""
    from ml_intern.redaction import Redactor
    from ml_intern.settings import load_settings

    models = load_settings(config.settings_file).models.values()
    keys = frozenset(model.api_key_env for model in models)
    return Redactor.from_environment(os.environ, _saved_token(), keys)


def _saved_token() -> dict[str, str]:
    """The token of `hf auth login`, without importing the client for it."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    path = Path(os.environ.get("HF_TOKEN_PATH") or Path(home) / "token").expanduser()
    try:
        token = path.read_text().strip()
    except OSError:
        return {}
    return {"the saved Hub token": token} if token else {}
