"""Where things live and which services are asked. Values come from the environment; nothing here is global state."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """Settings of one invocation.

    home: holds `sessions/`, `hub/` and `cache/`. arxiv_api, arxiv_site: base URLs (tests run a stand-in there).
    arxiv_interval: least seconds between two requests to arXiv (its terms of use ask for three).
    """

    model_config = ConfigDict(frozen=True)

    home: Path
    arxiv_api: str = "https://export.arxiv.org/api/query"
    arxiv_site: str = "https://arxiv.org"
    arxiv_interval: float = 3.0

    @classmethod
    def from_environment(cls) -> Config:
        """Reads `ML_INTERN_HOME`, `ML_INTERN_ARXIV_API`, `ML_INTERN_ARXIV_SITE`, `ML_INTERN_ARXIV_INTERVAL`."""
        import platformdirs

        env = os.environ
        home = env.get("ML_INTERN_HOME") or platformdirs.user_data_dir("ml-intern")
        values: dict[str, object] = {"home": Path(home).expanduser().absolute()}
        for field in ("arxiv_api", "arxiv_site", "arxiv_interval"):
            if value := env.get(f"ML_INTERN_{field.upper()}"):
                values[field] = value
        return cls.model_validate(values)

    @property
    def sessions(self) -> Path:
        return self.home / "sessions"

    @property
    def hub(self) -> Path:
        return self.home / "hub"

    @property
    def cache(self) -> Path:
        return self.home / "cache"
