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
from ml_intern.llm.protocol import LLM, Listener
from ml_intern.llm.providers import preflight
from ml_intern.settings import Settings, load_settings


def open_model(
    name: str,
    config: Config,
    stop: threading.Event | None = None,
    listener: Listener | None = None,
    switched: Switched | None = None,
) -> LLM:
    """The model `name`, with those that the configuration lets answer in its place. `stop` ends its waiting between
    two tries. Raises InputError where the id is none, the configuration is not valid, or a key is missing."""
    settings = load_settings(config.settings_file)
    catalogue = Catalogue()
    sleep: Callable[[float], object] = stop.wait if stop else time.sleep
    names = [name, *(other for other in settings.model(name).fallback if other != name)]
    for one in names:
        _check(one, settings, catalogue)
        preflight(one, settings.model(one))
    models = [LitellmModel(one, sleep, settings.model(one), listener, catalogue) for one in names]
    return models[0] if len(models) == 1 else Fallback(models, switched)


def _check(name: str, settings: Settings, catalogue: Catalogue) -> None:
    """Raises InputError where `name` is plainly no id, with the ids that it may have been meant as."""
    if name in settings.models or catalogue.has(name):
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
