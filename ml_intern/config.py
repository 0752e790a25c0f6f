"""Where things live and which services are asked. Values come from the environment; nothing here is global state."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ml_intern.errors import InputError


@dataclass(frozen=True)
class Config:
    """Settings of one invocation.

    home: holds `sessions/`, `hub/`, `store/`, `cache/` and `config.toml`.
    arxiv_api, arxiv_site: base URLs (tests have a stand-in).
    arxiv_interval: least seconds between two requests to arXiv (its terms of use ask for three).
    max_download: most bytes of one model or data set that is fetched. hub_endpoint: another Hub than the public one.
    sync_interval: seconds between two uploads of a session that is synced.
    """

    home: Path
    arxiv_api: str = "https://export.arxiv.org/api/query"
    arxiv_site: str = "https://arxiv.org"
    arxiv_interval: float = 3.0
    max_download: int = 20_000_000_000
    hub_endpoint: str | None = None
    sync_interval: float = 180.0

    @classmethod
    def from_environment(cls) -> Config:
        """Reads `ML_INTERN_HOME`, `ML_INTERN_ARXIV_API`, `ML_INTERN_ARXIV_SITE`, `ML_INTERN_ARXIV_INTERVAL`,
        `ML_INTERN_MAX_DOWNLOAD_GB`, `ML_INTERN_SYNC_INTERVAL`. Raises InputError."""
        import platformdirs

        env = os.environ
        home = env.get("ML_INTERN_HOME") or platformdirs.user_data_dir("ml-intern")
        config = cls(home=Path(home).expanduser().absolute())
        interval = env.get("ML_INTERN_ARXIV_INTERVAL") or str(config.arxiv_interval)
        sync = env.get("ML_INTERN_SYNC_INTERVAL") or str(config.sync_interval)
        most = env.get("ML_INTERN_MAX_DOWNLOAD_GB") or str(config.max_download / 1e9)
        return cls(
            home=config.home,
            arxiv_api=env.get("ML_INTERN_ARXIV_API") or config.arxiv_api,
            arxiv_site=env.get("ML_INTERN_ARXIV_SITE") or config.arxiv_site,
            arxiv_interval=_number("ML_INTERN_ARXIV_INTERVAL", interval, "a number of seconds, like 3"),
            sync_interval=_number("ML_INTERN_SYNC_INTERVAL", sync, "a number of seconds, like 180"),
            hub_endpoint=env.get("HF_ENDPOINT") or None,
            max_download=int(1e9 * _number("ML_INTERN_MAX_DOWNLOAD_GB", most, "a number of gigabytes, like 20")),
        )

    @property
    def settings_file(self) -> Path:
        """What a person says about models and approvals; `ml_intern.settings` reads it."""
        return self.home / "config.toml"

    @property
    def sessions(self) -> Path:
        return self.home / "sessions"

    @property
    def hub(self) -> Path:
        return self.home / "hub"

    @property
    def store(self) -> Path:
        return self.home / "store"

    @property
    def cache(self) -> Path:
        return self.home / "cache"


def _number(name: str, value: str, wanted: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < 3600:
        raise InputError(f"{name} is {value!r}.", next=f"Give {wanted}.")
    return number
