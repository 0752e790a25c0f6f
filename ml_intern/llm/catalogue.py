"""What a model costs and holds: the configuration's word first, then the price list that comes with litellm.

The list is read as a file, so that showing prices does not cost the seconds of importing litellm.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ml_intern.llm.protocol import Usage
from ml_intern.llm.providers import FREE, VARIABLES, provider_of
from ml_intern.settings import ModelSettings

Pricing = Literal["known", "unknown", "free"]
_LIST = "model_prices_and_context_window_backup.json"
_DEFAULT_CONTEXT_TOKENS = 32_000


@dataclass(frozen=True)
class Facts:
    """Prices in dollars for one token; None where nobody knows."""

    pricing: Pricing = "unknown"
    input: float | None = None
    output: float | None = None
    cached: float | None = None
    cache_write: float | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None

    @property
    def usable_context_tokens(self) -> int:
        return self.context_tokens or _DEFAULT_CONTEXT_TOKENS

    def cost(self, usage: Usage, written: int = 0) -> float | None:
        """Dollars for a call; None where the price is not known. `written`: input tokens that went into a cache."""
        if self.pricing == "free":
            return 0.0
        if self.pricing == "unknown":
            return None
        price = self.input or 0.0
        cached_price = price if self.cached is None else self.cached
        written_price = price if self.cache_write is None else self.cache_write
        plain = max(0, usage.input_tokens - usage.cached_tokens - written)
        return (
            plain * price
            + usage.cached_tokens * cached_price
            + written * written_price
            + usage.output_tokens * (self.output or 0.0)
        )


class Catalogue:
    """litellm's price list."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or _installed_list()

    @cached_property
    def _entries(self) -> dict[str, dict[str, Any]]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8")) if self._path else {}
        except (OSError, ValueError):
            return {}  # prices are unknown then, and nothing else is lost
        return {name: entry for name, entry in found.items() if isinstance(entry, dict) and name != "sample_spec"}

    def chat_models(self) -> list[str]:
        """The ids to give for the listed models that can chat."""
        return sorted(
            name if name.startswith(f"{provider}/") else f"{provider}/{name}"
            for name, entry in self._entries.items()
            if entry.get("mode") == "chat" and (provider := _reached_as(entry)) in VARIABLES
        )

    def providers(self) -> list[str]:
        """Every provider that is known, by the list or by this program."""
        listed = {_reached_as(entry) for entry in self._entries.values()}
        return sorted({*listed, *VARIABLES, *FREE, "hosted_vllm", "litellm_proxy"})

    def provider(self, model: str) -> str:
        """Whose model the list says it is; empty where it is not listed."""
        entry = self._entry(model)
        return _reached_as(entry) if entry else ""

    def facts(self, model: str, settings: ModelSettings | None = None) -> Facts:
        settings = settings or ModelSettings()
        entry = self._entry(model) or {}
        context = settings.context_tokens or _whole(entry.get("max_input_tokens"))
        longest = settings.max_output_tokens or _whole(entry.get("max_output_tokens"))
        elsewhere = settings.base_url and provider_of(model) not in FREE  # the list's price is another service's
        prices = _configured(settings) or ({} if elsewhere else _listed(model, entry))
        return Facts(context_tokens=context, max_output_tokens=longest, **prices)

    def _entry(self, model: str) -> dict[str, Any] | None:
        """The list leaves the provider out of some ids, and has the provider as a field then."""
        if model in self._entries:
            return self._entries[model]
        provider, _, rest = model.partition("/")
        entry = self._entries.get(rest)
        return entry if entry is not None and _reached_as(entry) == provider else None


def _reached_as(entry: Mapping[str, Any]) -> str:
    """The provider's name in a model id; the list names some by the service or the maker behind it, too."""
    listed = str(entry.get("litellm_provider", ""))
    if listed == "bedrock_converse":
        return "bedrock"
    return "vertex_ai" if listed.startswith("vertex_ai-") else listed


def _configured(settings: ModelSettings) -> dict[str, Any]:
    inward, outward = settings.input_usd_per_million, settings.output_usd_per_million
    if inward is None or outward is None:
        return {}
    cached = settings.cached_input_usd_per_million
    return {
        "pricing": "free" if inward == outward == 0 and not cached else "known",
        "input": inward / 1e6,
        "output": outward / 1e6,
        "cached": None if cached is None else cached / 1e6,
    }


def _listed(model: str, entry: dict[str, Any]) -> dict[str, Any]:
    if provider_of(model) in FREE:
        return {"pricing": "free"}
    inward, outward = entry.get("input_cost_per_token"), entry.get("output_cost_per_token")
    if not inward and not outward:  # the list says 0 for many a model whose price it does not know
        return {}
    return {
        "pricing": "known",
        "input": inward or 0.0,
        "output": outward or 0.0,
        "cached": entry.get("cache_read_input_token_cost"),
        "cache_write": entry.get("cache_creation_input_token_cost"),
    }


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and value > 0 else None


def _installed_list() -> Path | None:
    spec = importlib.util.find_spec("litellm")  # finds the package without importing it
    return Path(spec.origin).parent / _LIST if spec and spec.origin else None
