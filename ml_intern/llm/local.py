"""Model servers on this machine: which answer, and with which models."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

_SECONDS = 0.3


@dataclass(frozen=True)
class LocalServer:
    """`url` has no path. `prefix` stands before its models' names in an id. `plain`: reached without configuration."""

    name: str
    url: str
    prefix: str
    path: str = "/v1/models"
    plain: bool = False

    @property
    def base_url(self) -> str:
        return self.url if self.plain else f"{self.url}/v1"


LOCAL_SERVERS = (
    LocalServer("Ollama", "http://127.0.0.1:11434", "ollama_chat", "/api/tags", plain=True),
    LocalServer("llama.cpp", "http://127.0.0.1:8080", "openai"),
    LocalServer("vLLM", "http://127.0.0.1:8000", "hosted_vllm"),
    LocalServer("LM Studio", "http://127.0.0.1:1234", "lm_studio"),
)


@dataclass(frozen=True)
class Found:
    server: LocalServer
    models: tuple[str, ...]


def local_models(servers: Sequence[LocalServer] = LOCAL_SERVERS) -> list[Found]:
    """The servers that answer within 0.3 seconds, all asked at once, each with its model ids."""
    if not servers:
        return []
    with ThreadPoolExecutor(len(servers)) as pool:
        answers = list(pool.map(_models, servers))
    return [Found(server, models) for server, models in zip(servers, answers, strict=True) if models is not None]


def _models(server: LocalServer) -> tuple[str, ...] | None:
    import httpx

    try:
        answer: Any = httpx.get(server.url + server.path, timeout=_SECONDS, trust_env=False).raise_for_status().json()
        listed = answer["models"] if server.path == "/api/tags" else answer["data"]
        names = [one["name"] if server.path == "/api/tags" else one["id"] for one in listed]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return None  # nobody there, or something else that listens on this port
    # Names come from whatever listens there: nothing that a terminal would obey is shown.
    return tuple(f"{server.prefix}/{re.sub(r'[^ -~]', '?', str(name))[:200]}" for name in names[:100])
