"""The services that model ids begin with: which environment variables hold their keys, which are free, which cache.

Checked against litellm 1.106's `validate_environment`; a provider that is not listed here is left to litellm to judge.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from ml_intern.errors import InputError
from ml_intern.settings import ModelSettings

# Any one of the sets will do; all variables of a set are needed.
VARIABLES: dict[str, tuple[tuple[str, ...], ...]] = {
    "openai": (("OPENAI_API_KEY",),),
    "anthropic": (("ANTHROPIC_API_KEY",), ("ANTHROPIC_AUTH_TOKEN",)),
    "azure": (("AZURE_API_KEY", "AZURE_API_BASE", "AZURE_API_VERSION"),),
    "bedrock": (("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_PROFILE",), ("AWS_ROLE_ARN",)),
    "cerebras": (("CEREBRAS_API_KEY",),),
    "cohere": (("COHERE_API_KEY",),),
    "dashscope": (("DASHSCOPE_API_KEY",),),
    "deepinfra": (("DEEPINFRA_API_KEY",),),
    "deepseek": (("DEEPSEEK_API_KEY",),),
    "fireworks_ai": (("FIREWORKS_AI_API_KEY",), ("FIREWORKS_API_KEY",)),
    "gemini": (("GEMINI_API_KEY",), ("GOOGLE_API_KEY",)),
    "groq": (("GROQ_API_KEY",),),
    "huggingface": (("HF_TOKEN",), ("HUGGINGFACE_API_KEY",)),
    "mistral": (("MISTRAL_API_KEY",),),
    "moonshot": (("MOONSHOT_API_KEY",),),
    "nvidia_nim": (("NVIDIA_NIM_API_KEY",),),
    "openrouter": (("OPENROUTER_API_KEY",),),
    "perplexity": (("PERPLEXITYAI_API_KEY",), ("PERPLEXITY_API_KEY",)),
    "together_ai": (("TOGETHERAI_API_KEY",), ("TOGETHER_AI_TOKEN",)),
    "xai": (("XAI_API_KEY",),),
}
FREE = ("ollama", "ollama_chat", "lm_studio", "llamafile")  # run on a machine of one's own
# Their base URL has no /v1: litellm adds the whole path.
BARE_BASE = ("anthropic", "ollama", "ollama_chat")
_BASES = {"hosted_vllm": "HOSTED_VLLM_API_BASE", "lm_studio": "LM_STUDIO_API_BASE"}


@dataclass(frozen=True)
class Access:
    """What litellm is told about where to go and with which key; empty where the environment decides."""

    base_url: str = ""
    key: str = ""


def provider_of(model: str) -> str:
    """What stands before the first slash; the two families whose ids litellm takes without it."""
    if "/" in model:
        return model.split("/", 1)[0]
    return "anthropic" if model.startswith("claude") else "openai"


def set_variables(provider: str, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The variables of the first set that is complete."""
    sets = VARIABLES.get(provider, ())
    return next((names for names in sets if all(environment.get(name) for name in names)), ())


def key_variables(model: str, settings: ModelSettings) -> str:
    """In words: the variables that this model's key may come from."""
    if settings.api_key_env:
        return settings.api_key_env
    if settings.base_url:
        return "api_key_env in config.toml"
    sets = VARIABLES.get(provider_of(model), ((f"{provider_of(model).upper()}_API_KEY",),))
    return " or ".join(" and ".join(names) for names in sets)


def access(model: str, settings: ModelSettings, environment: Mapping[str, str] = os.environ) -> Access:
    """A server of the configuration gets the key that is named for it there, and no other: without a key of its own
    litellm would send it the provider's from the environment."""
    key = environment.get(settings.api_key_env, "") if settings.api_key_env else ""
    if not settings.base_url:
        return Access(key=key)
    base = settings.base_url
    if provider_of(model) in BARE_BASE:
        base = base.removesuffix("/v1")
    return Access(base, key or "none")


def preflight(model: str, settings: ModelSettings, environment: Mapping[str, str] = os.environ) -> None:
    """Raises InputError where a call of this model is bound to fail for want of a variable."""
    provider = provider_of(model)
    if settings.api_key_env:
        missing = "" if environment.get(settings.api_key_env) else settings.api_key_env
    elif settings.base_url:
        return
    elif provider in _BASES:
        missing = "" if environment.get(_BASES[provider]) else _BASES[provider]
    elif provider not in VARIABLES or set_variables(provider, environment):
        return
    else:
        missing = key_variables(model, settings)
    if not missing:
        return
    raise InputError(
        f"The model {model} cannot be asked: {missing} is not set.",
        next=f"Set {missing} (for a server that wants no key, any value will do), or use --model recipes, "
        "which needs none. `ml-intern models` shows what there is.",
    )


def takes_cache_marks(model: str) -> bool:
    """True where prompt caching has to be asked for by marks. Other servers may refuse a request that has them."""
    provider = provider_of(model)
    claude = "claude" in model or "anthropic" in model.partition("/")[2]
    return provider == "anthropic" or (provider in ("openrouter", "bedrock", "vertex_ai") and claude)
