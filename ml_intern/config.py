"""Where things live and which services are asked. Values come from the environment; nothing here is global state."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ml_intern.errors import InputError


@dataclass(frozen=True)
class Config:
    """Settings of one invocation.

    home: holds `sessions/`, `hub/` and `cache/`. arxiv_api, arxiv_site: base URLs (tests run a stand-in there).
    arxiv_interval: least seconds between two requests to arXiv (its terms of use ask for three).
    """

    home: Path
    arxiv_api: str = "https://export.arxiv.org/api/query"
    arxiv_site: str = "https://arxiv.org"
    arxiv_interval: float = 3.0

    @classmethod
    def from_environment(cls) -> Config:
        """Reads `ML_INTERN_HOME`, `ML_INTERN_ARXIV_API`, `ML_INTERN_ARXIV_SITE`, `ML_INTERN_ARXIV_INTERVAL`. Raises
        InputError."""
        import platformdirs

        env = os.environ
        home = env.get("ML_INTERN_HOME") or platformdirs.user_data_dir("ml-intern")
        config = cls(home=Path(home).expanduser().absolute())
        interval = env.get("ML_INTERN_ARXIV_INTERVAL") or str(config.arxiv_interval)
        return cls(
            home=config.home,
            arxiv_api=env.get("ML_INTERN_ARXIV_API") or config.arxiv_api,
            arxiv_site=env.get("ML_INTERN_ARXIV_SITE") or config.arxiv_site,
            arxiv_interval=_seconds("ML_INTERN_ARXIV_INTERVAL", interval),
        )

    @property
    def sessions(self) -> Path:
        return self.home / "sessions"

    @property
    def hub(self) -> Path:
        return self.home / "hub"

    @property
    def cache(self) -> Path:
        return self.home / "cache"


def _seconds(name: str, value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 3600:
        raise InputError(f"{name} is {value!r}.", next="Give a number of seconds, like 3.")
    return seconds
