"""Which models there are here: configured, reached by a key in the environment, served on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ml_intern.errors import InputError
from ml_intern.llm.catalogue import Catalogue, Facts, Pricing
from ml_intern.llm.local import LOCAL_SERVERS, LocalServer, local_models
from ml_intern.llm.providers import VARIABLES, preflight, set_variables
from ml_intern.settings import ModelSettings, Settings

Source = Literal["built in", "configured", "environment", "local server", "list"]


class Entry(BaseModel):
    """One line. An id that ends in `…` stands for all models of a provider. `needs` is what is missing before it can be
    asked; empty where nothing is."""

    model_config = ConfigDict(frozen=True)

    id: str
    source: Source
    pricing: Pricing
    input_usd_per_million: float | None = None
    output_usd_per_million: float | None = None
    context_tokens: int | None = None
    note: str = ""
    needs: str = ""


def inventory(
    settings: Settings,
    environment: Mapping[str, str] = os.environ,
    servers: Sequence[LocalServer] = LOCAL_SERVERS,
    catalogue: Catalogue | None = None,
) -> list[Entry]:
    """Names of variables only, never what is in them."""
    catalogue = catalogue or Catalogue()
    out = [Entry(id="recipes", source="built in", pricing="free", note="needs no key, plays built-in experiments")]
    for name, one in settings.models.items():
        out.append(_entry(name, "configured", catalogue.facts(name, one), _note(one), _needs(name, one, environment)))
    for provider in VARIABLES:
        if variables := set_variables(provider, environment):
            out.append(
                Entry(
                    id=f"{provider}/…",
                    source="environment",
                    pricing="unknown",
                    note=f"{' and '.join(variables)} set; `ml-intern models --search {provider}/` lists prices",
                )
            )
    for found in local_models(servers):
        where = f"{found.server.name} at {found.server.url}"
        if not found.models:
            out.append(
                Entry(id=f"{found.server.prefix}/…", source="local server", pricing="free", note=f"{where}, no model")
            )
        for name in found.models:
            if name not in settings.models:
                out.append(_entry(name, "local server", _local(catalogue, name), where, _table(found.server, name)))
    return out


def search(text: str, catalogue: Catalogue | None = None) -> list[Entry]:
    """The chat models of litellm's list whose id holds `text`."""
    catalogue = catalogue or Catalogue()
    names = [name for name in catalogue.chat_models() if text.lower() in name.lower()]
    return [_entry(name, "list", catalogue.facts(name), "", "") for name in names]


def _entry(name: str, source: Source, facts: Facts, note: str, needs: str) -> Entry:
    def per_million(price: float | None) -> float | None:
        return None if price is None or facts.pricing == "unknown" else round(price * 1e6, 6)

    return Entry(
        id=name,
        source=source,
        pricing=facts.pricing,
        input_usd_per_million=per_million(facts.input),
        output_usd_per_million=per_million(facts.output),
        context_tokens=facts.context_tokens,
        note=note,
        needs=needs,
    )


def _note(one: ModelSettings) -> str:
    parts = [one.base_url, f"key from {one.api_key_env}" if one.api_key_env else ""]
    parts += ["tools by text" if one.tools is False else "", f"effort {one.effort}" if one.effort else ""]
    parts += [f"then {', '.join(one.fallback)}" if one.fallback else ""]
    return "; ".join(part for part in parts if part)


def _needs(name: str, one: ModelSettings, environment: Mapping[str, str]) -> str:
    try:
        preflight(name, one, environment)
    except InputError as error:
        return error.what
    return ""


def _local(catalogue: Catalogue, name: str) -> Facts:
    """A server on this machine may be a door to a paid service: only a kind that never is counts as free."""
    return catalogue.facts(name, ModelSettings(base_url="http://127.0.0.1"))


def _table(server: LocalServer, name: str) -> str:
    return "" if server.plain else f'in config.toml: [models."{name}"] base_url = "{server.base_url}"'
