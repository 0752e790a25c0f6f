"""From a model id to something that answers. Knows nothing of `recipes`, which is no language model."""

from __future__ import annotations

import difflib
import threading
import time
from collections.abc import Callable

from ml_intern.config import Config
from ml_intern.errors import InputError
from ml_intern.llm.catalogue import Catalogue
from ml_intern.llm.fallback import Fallback, Switched
from ml_intern.llm.gateway import LitellmModel
from ml_intern.llm.protocol import LLM, Again, Listener
from ml_intern.llm.providers import preflight
from ml_intern.settings import Effort, Settings, load_settings


def open_model(
    name: str,
    config: Config,
    stop: threading.Event | None = None,
    listener: Listener | None = None,
    switched: Switched | None = None,
    effort: Effort | None = None,
    again: Again | None = None,
) -> LLM:
    """The model `name`, with those that the configuration lets answer in its place. `stop` ends its waiting between two
    tries, and a reply that is being written; `again` says whether there is to be another. `effort` wins over the
    configuration's. Raises InputError where the id is none, the configuration is not valid, or a key is missing."""
    settings = load_settings(config.settings_file)
    catalogue = Catalogue()
    sleep: Callable[[float], object] = stop.wait if stop else time.sleep
    names = [name, *(other for other in settings.model(name).fallback if other != name)]
    for one in names:
        _check(one, settings, catalogue)
        preflight(one, settings.model(one))
    over = {"effort": effort} if effort else {}
    known = [settings.model(one).model_copy(update=over) for one in names]
    stopped: Callable[[], bool] = stop.is_set if stop else lambda: False
    models = [
        LitellmModel(one, sleep, own, listener, catalogue, again, stopped)
        for one, own in zip(names, known, strict=True)
    ]
    return models[0] if len(models) == 1 else Fallback(models, switched, again=again)


def _check(name: str, settings: Settings, catalogue: Catalogue) -> None:
    """Raises InputError where `name` is plainly no id, with the ids that it may have been meant as."""
    whose = catalogue.provider(name)
    if "/" not in name and whose not in ("openai", "anthropic"):
        if whose or name in settings.models:  # litellm would take it for another service's, or for nobody's
            meant = f"{whose or 'openai'}/{name}"
            raise InputError(f"{name!r} does not say whose model it is.", next=f"Write {meant}, in config.toml too.")
    elif name in settings.models or whose:
        return
    provider, slash, _ = name.partition("/")
    known = catalogue.providers()
    if slash and (provider in known or not difflib.get_close_matches(provider, known, 1, 0.75)):
        return
    near = difflib.get_close_matches(name, [*settings.models, *catalogue.chat_models()], 3, 0.7)
    if slash and not near:
        near = [f"{one}/…" for one in difflib.get_close_matches(provider, known, 3, 0.75)]
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    raise InputError(
        f"There is no model {name!r}.{meant}",
        next="Give `recipes`, or a litellm id like openai/gpt-5; `ml-intern models` shows what there is.",
    )
