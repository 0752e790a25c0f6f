"""Any model that litellm reaches. The only file that imports litellm."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ml_intern.llm.catalogue import Catalogue, Facts
from ml_intern.llm.faults import LONGEST_WAIT, CutStream, Fault, fault_of
from ml_intern.llm.protocol import Delta, Listener, Reply, Request, Usage
from ml_intern.llm.providers import VARIABLES, access, key_variables, provider_of, takes_cache_marks
from ml_intern.llm.replies import reply_of
from ml_intern.llm.stream import Draft, from_stream, from_whole
from ml_intern.llm.wire import Manner, arguments
from ml_intern.settings import ModelSettings

_CHARS_PER_TOKEN = 3  # on the safe side for English and code
_LONGEST_ANSWER = 16_384  # tokens: what a call asks for at most, where nothing else is configured
_TRIES = 5
_CONNECT_SECONDS = 15.0


class LitellmModel:
    """A litellm model id (`openai/…`, `anthropic/…`, `ollama_chat/…`).

    Keys and base URLs come from `settings`, else from the environment variables that litellm documents. `sleep` waits
    between two tries and returns something true where the run was told to stop. `listener` hears a reply while it is
    written. `manner` is how the model is spoken to: what it refuses once is not asked of it again.
    """

    def __init__(
        self,
        model: str,
        sleep: Callable[[float], object] = time.sleep,
        settings: ModelSettings | None = None,
        listener: Listener | None = None,
        catalogue: Catalogue | None = None,
    ) -> None:
        self._model, self._sleep, self.listener = model, sleep, listener
        self._settings = settings or ModelSettings()
        self.facts: Facts = (catalogue or Catalogue()).facts(model, self._settings)
        self.manner = Manner(tools=self._settings.tools is not False, stream=self._settings.stream)

    @property
    def id(self) -> str:
        return self._model

    @property
    def context_chars(self) -> int:
        return self.facts.usable_context_tokens * _CHARS_PER_TOKEN // 2

    def ceiling(self, request: Request) -> int | None:
        """The whole prompt at one token for two characters, and the longest answer that is asked for."""
        facts = self.facts
        if facts.pricing != "known":
            return 0 if facts.pricing == "free" else None
        size = sum(
            len(message.content) + sum(len(call.arguments) for call in message.tool_calls)
            for message in request.messages
        )
        size += sum(len(json.dumps(tool.model_dump())) for tool in request.tools)
        dearest = max(facts.input or 0.0, facts.cache_write or 0.0)
        longest = self._longest_answer() or _LONGEST_ANSWER
        return math.ceil(1e6 * (dearest * size / 2 + (facts.output or 0.0) * longest))

    def warm_up(self) -> None:
        """The seconds of importing litellm, now instead of at the first call."""
        _litellm()

    def complete(self, request: Request) -> Reply:
        """The reply, after as many tries as a passing fault is worth. Raises ModelError."""
        litellm = _litellm()
        tries, before = 0, Usage()
        while True:
            tries += 1
            try:
                draft = self._asked(litellm, request)
            except Exception as error:  # every provider's errors come through here, under many names
                fault = fault_of(error, self._secrets())
                self._again()
                if self._other_manner(fault, request):
                    tries -= 1
                    continue
                if not fault.passing or fault.far or tries == _TRIES:
                    raise fault.error(self._model, key_variables(self._model, self._settings)) from error
                self._pause(tries, fault.wait)
                continue
            usage = _sum(before, self._usage(litellm, draft))
            if not draft.empty or draft.finish in ("length", "content_filter") or tries > 1:
                return reply_of(draft, request, usage, self._model)
            before = usage
            self._again()  # an empty reply is mostly an accident: once more, then it is what the model says

    def _asked(self, litellm: Any, request: Request) -> Draft:
        """One try. Raises whatever litellm raises, and CutStream."""
        given = arguments(request, self.manner, takes_cache_marks(self._model)) | self._options()
        # With tools, litellm would look for tool servers, and needs a package for it that is not here.
        response = litellm.completion(model=self._model, num_retries=0, max_retries=0, _skip_mcp_handler=True, **given)
        if not self.manner.stream:
            return from_whole(response)
        draft = from_stream(response, self._tell)
        if not response.chunks:  # the server took no notice of `stream`
            self.manner = replace(self.manner, stream=False)
            return self._asked(litellm, request)
        # litellm makes up a friendly end where the server's stream just stopped; its own record tells.
        ended = response.received_finish_reason or response.intermittent_finish_reason
        if not ended and getattr(response.chunks[-1], "usage", None) is None:
            raise CutStream("the stream ended before the reply did")
        return draft

    def _options(self) -> dict[str, Any]:
        import httpx

        reach = access(self._model, self._settings)
        timeout = httpx.Timeout(self._settings.timeout_seconds, connect=_CONNECT_SECONDS)
        out: dict[str, Any] = {"timeout": timeout, "max_tokens": self._longest_answer()}
        out |= {"api_base": reach.base_url or None, "api_key": reach.key or None}
        if provider_of(self._model).startswith("ollama"):
            out["num_ctx"] = self.facts.usable_context_tokens  # else it cuts long prompts without a word
        if self._settings.effort:
            out |= {"reasoning_effort": self._settings.effort, "allowed_openai_params": ["reasoning_effort"]}
        if reach.base_url or provider_of(self._model) != "openai":
            out["extra_headers"] = _blanked_headers() or None
        return {name: value for name, value in out.items() if value is not None}

    def _longest_answer(self) -> int | None:
        """Tokens to ask for at most, where the model's own limit is known."""
        if self._settings.max_output_tokens:
            return self._settings.max_output_tokens
        longest = self.facts.max_output_tokens
        return min(longest, _LONGEST_ANSWER) if longest else None

    def _other_manner(self, fault: Fault, request: Request) -> bool:
        """True where the server refused a way of speaking that there is another for."""
        found = self.manner.without(fault.message, request) if fault.kind in ("request", "overloaded") else None
        if found is not None:
            self.manner = found
        return found is not None

    def _pause(self, tries: int, asked: float | None) -> None:
        """What the provider asked for, else doubling; with jitter, so that many do not come back at once."""
        if asked is None:
            seconds = min(2.0 ** (tries - 1), LONGEST_WAIT) * random.uniform(0.5, 1.0)  # noqa: S311 -- no secret
        else:
            seconds = asked * random.uniform(1.0, 1.1)  # noqa: S311 -- no secret
        if self._sleep(seconds):
            raise KeyboardInterrupt

    def _tell(self, delta: Delta) -> None:
        if self.listener is not None:
            with contextlib.suppress(Exception):  # whoever watches cannot break a call
                self.listener(delta)

    def _again(self) -> None:
        self._tell(Delta(kind="again"))

    def _secrets(self) -> list[str]:
        names = {name for names in VARIABLES.get(provider_of(self._model), ()) for name in names}
        values = [os.environ.get(name, "") for name in names | {self._settings.api_key_env} if name]
        return [value for value in values if value and value != "none"]

    def _usage(self, litellm: Any, draft: Draft) -> Usage:
        given = draft.usage
        details = getattr(given, "prompt_tokens_details", None)
        usage = Usage(
            input_tokens=getattr(given, "prompt_tokens", 0) or 0,
            output_tokens=getattr(given, "completion_tokens", 0) or 0,
            cached_tokens=getattr(details, "cached_tokens", 0) or 0,
        )
        written = getattr(given, "cache_creation_input_tokens", 0) or 0
        return usage.model_copy(update={"cost_usd": self._cost(litellm, given, usage, written)})

    def _cost(self, litellm: Any, given: Any, usage: Usage, written: int) -> float | None:
        """What the configuration says, else what litellm works out for a listed price (it knows steps and tiers), else
        what the provider itself reports."""
        cost = self.facts.cost(usage, written)
        if self.facts.pricing == "known" and self._settings.input_usd_per_million is None:
            with contextlib.suppress(Exception):  # it raises many things for a model that it cannot place
                cost = sum(litellm.cost_per_token(model=self._model, usage_object=given)) or cost
        if cost is None and provider_of(self._model) == "openrouter":
            cost = getattr(given, "cost", None) or None
        return cost


def _sum(one: Usage, other: Usage) -> Usage:
    unknown = one.cost_usd is None or other.cost_usd is None
    return Usage(
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cached_tokens=one.cached_tokens + other.cached_tokens,
        cost_usd=None if unknown else (one.cost_usd or 0.0) + (other.cost_usd or 0.0),
    )


def _blanked_headers() -> dict[str, str]:
    """The OpenAI client sends these headers from the environment to every server; they are OpenAI's alone."""
    environment = os.environ
    names = {"OpenAI-Organization": ("OPENAI_ORGANIZATION", "OPENAI_ORG_ID"), "OpenAI-Project": ("OPENAI_PROJECT_ID",)}
    out = {name: "" for name, variables in names.items() if any(environment.get(one) for one in variables)}
    lines = environment.get("OPENAI_CUSTOM_HEADERS", "").splitlines()
    return out | {line.partition(":")[0].strip(): "" for line in lines if ":" in line}


def _litellm() -> Any:
    # Before the import: it would fetch a price list and, for Claude, a list of headers, and load a .env file otherwise.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    import litellm

    if "LITELLM_LOG" not in os.environ:  # its warnings would fall into the live view; what matters is raised
        logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
    litellm.suppress_debug_info = True  # else it prints advice to stdout with every error
    litellm.disable_streaming_logging = True
    litellm.disable_hf_tokenizer_download = True  # else it may fetch a tokenizer to count what a server did not
    litellm.modify_params = True  # thinking is left out where a history has no thoughts that Anthropic would ask for
    return litellm
