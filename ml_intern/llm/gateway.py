"""Any model that litellm reaches. The only file that imports litellm."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import math
import os
import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from ml_intern.errors import ModelError
from ml_intern.llm.catalogue import Catalogue, Facts
from ml_intern.llm.faults import LONGEST_WAIT, CutStream, Fault, fault_of
from ml_intern.llm.openai_client import openai_client
from ml_intern.llm.protocol import Again, Attempt, Delta, Listener, Reply, Request, Usage
from ml_intern.llm.providers import VARIABLES, Access, access, key_variables, provider_of, takes_cache_marks
from ml_intern.llm.replies import reply_of
from ml_intern.llm.stream import LONGEST, REPEATS, Draft, from_stream, from_whole
from ml_intern.llm.wire import Manner, arguments
from ml_intern.settings import ModelSettings

_CHARS_PER_TOKEN = 3  # on the safe side for English and code
_LONGEST_ANSWER = 16_384  # tokens: what a call asks for at most, where nothing else is configured
_TRIES = 5
_CONNECT_SECONDS = 15.0
_PLAINLY = re.compile(r"not support|unsupported|requires? -|not implemented|not allowed", re.IGNORECASE)
_REFUSED = "The provider's filter, or the model itself, ended the reply twice without an answer."


class LitellmModel:
    """A litellm model id (`openai/…`, `anthropic/…`, `ollama_chat/…`).

    Keys and base URLs come from `settings`, else from the environment variables that litellm documents. `sleep` waits
    between two tries and returns something true where the run was told to stop; `stopped` says so while a reply is
    written. `listener` hears a reply while it is written. `again` is asked before a try that failed is made again.
    `manner` is how the model is spoken to: what it refuses once is not asked of it again.
    """

    def __init__(
        self,
        model: str,
        sleep: Callable[[float], object] = time.sleep,
        settings: ModelSettings | None = None,
        listener: Listener | None = None,
        catalogue: Catalogue | None = None,
        again: Again | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._model, self._sleep, self._stopped, self.listener = model, sleep, stopped, listener
        self._settings = settings or ModelSettings()
        self._may_go_on: Again = again or (lambda _: True)
        self.facts: Facts = (catalogue or Catalogue()).facts(model, self._settings)
        self.manner = Manner(tools=self._settings.tools is not False, stream=self._settings.stream)
        self._client: tuple[Access, Any] | None = None

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
        size = _size(request)
        dearest = max(facts.input or 0.0, facts.cache_write or 0.0)
        longest = self._longest_answer() or _LONGEST_ANSWER
        return math.ceil(1e6 * (dearest * size / 2 + (facts.output or 0.0) * longest))

    def warm_up(self) -> None:
        """The seconds of importing litellm, now instead of at the first call."""
        _litellm()

    def complete(self, request: Request) -> Reply:
        """The reply, after as many tries as a passing fault is worth. Raises ModelError, and KeyboardInterrupt where
        the run is told to stop."""
        litellm = _litellm()
        tries, asked_again, before = 0, False, ""
        while True:
            tries += 1
            draft = Draft()
            try:
                draft = self._asked(litellm, request, draft)
            except Exception as error:  # every provider's errors come through here, under many names
                fault = fault_of(error, self._secrets())
                self._again()
                if self._is_a_refusal(fault, before) and self._other_manner(fault, request):
                    tries -= 1
                    continue
                before = fault.message
                attempt = self._broken_off(litellm, draft, request, fault, tries)
                if not fault.passing or fault.far or tries == _TRIES:
                    raise self._error(fault, attempt) from error
                if not self._may_go_on(attempt):
                    raise self._error(fault, Attempt(why=fault.kind, pause=attempt.pause)) from error
                if self._sleep(attempt.pause):
                    raise KeyboardInterrupt from None
                continue
            usage = self._usage(litellm, draft, request)
            reply = reply_of(draft, request, usage, self._model)
            refused = reply.finish == "content_filter" and not reply.tool_calls
            if asked_again and refused:
                raise self._error(Fault("refusal", _REFUSED), Attempt(why="refusal", usage=usage))
            if asked_again or not (refused or (draft.empty and draft.finish != "length")):
                return reply
            asked_again = True
            # An empty reply is mostly an accident, and a refusal often: once more, then it is what the model says.
            if not self._may_go_on(Attempt(why="refusal" if refused else "empty reply", usage=usage)):
                return reply_of(draft, request, Usage(), self._model)  # what it used was accounted for just now
            self._again()

    def _asked(self, litellm: Any, request: Request, draft: Draft) -> Draft:
        """One try, whose reply is put together in `draft`. Raises whatever litellm raises, and CutStream."""
        given = arguments(request, self.manner, takes_cache_marks(self._model)) | self._options()
        # With tools, litellm would look for tool servers, and needs a package for it that is not here.
        response = litellm.completion(model=self._model, num_retries=0, max_retries=0, _skip_mcp_handler=True, **given)
        if not self.manner.stream:
            return from_whole(response)
        try:
            from_stream(response, self._tell, draft)
        except Exception as error:
            if "repeating the same chunk" not in str(error):
                raise
            draft.finish = REPEATS  # litellm has heard enough; the model is told so
        finally:  # litellm makes up a usage, too; what the server said stands in its chunks
            draft.reported = any(getattr(chunk, "usage", None) is not None for chunk in response.chunks)
        if not response.chunks:  # the server took no notice of `stream`
            self.manner = replace(self.manner, stream=False)
            self._may_go_on(Attempt(why="no stream", unclear=True))  # there was an answer, and nobody has it
            return self._asked(litellm, request, draft)
        # litellm makes up a friendly end where the server's stream just stopped; its own record tells.
        if draft.finish == REPEATS or (draft.finish == "length" and draft.chars > LONGEST):
            self._may_go_on(Attempt(why="endless reply", unclear=True))  # its usage would have come at its end
            return draft
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
        if provider_of(self._model) == "openai":
            out["client"] = self._openai_client(reach)
        if self._settings.effort and self.manner.effort:
            out |= {"reasoning_effort": self._settings.effort, "allowed_openai_params": ["reasoning_effort"]}
        if reach.base_url or provider_of(self._model) != "openai":
            out["extra_headers"] = _blanked_headers() or None
        return {name: value for name, value in out.items() if value is not None}

    def _openai_client(self, reach: Access) -> Any:
        """One for all calls: it keeps the connection."""
        if self._client is None or self._client[0] != reach:
            self._client = reach, openai_client(reach)
        return self._client[1]

    def _longest_answer(self) -> int | None:
        """Tokens to ask for at most: where the model's own limit is known, and where what is held for a call rests on
        it."""
        if self._settings.max_output_tokens:
            return self._settings.max_output_tokens
        longest = self.facts.max_output_tokens or (_LONGEST_ANSWER if self.facts.pricing == "known" else None)
        if longest is None:
            return None
        beside = self.facts.context_tokens or 2 * _LONGEST_ANSWER  # the prompt takes up to a half: `context_chars`
        return min(longest, _LONGEST_ANSWER, beside // 2)

    def _is_a_refusal(self, fault: Fault, before: str) -> bool:
        """A server that breaks over a request may hold at the next try: it refuses where it says so, or says the same
        twice."""
        return fault.kind == "request" or fault.message == before or bool(_PLAINLY.search(fault.message))

    def _other_manner(self, fault: Fault, request: Request) -> bool:
        """True where the server refused a way of speaking that there is another for."""
        found = self.manner.without(fault.message, request) if fault.kind in ("request", "overloaded") else None
        if found is not None:
            self.manner = found
        return found is not None

    def _broken_off(self, litellm: Any, draft: Draft, request: Request, fault: Fault, tries: int) -> Attempt:
        """What is known of a try that failed. A provider that has written a part of its answer will charge for it; one
        that reports its tokens as it goes is counted with what it had written by then."""
        pause = _pause(tries, fault.wait)
        if not draft.reported:
            return Attempt(why=fault.kind, unclear=fault.unclear or draft.chars > 0, pause=pause)
        written = math.ceil(draft.chars / _CHARS_PER_TOKEN)
        draft.usage.completion_tokens = max(getattr(draft.usage, "completion_tokens", 0) or 0, written)
        return Attempt(why=fault.kind, usage=self._usage(litellm, draft, request), pause=pause)

    def _error(self, fault: Fault, attempt: Attempt) -> ModelError:
        """`attempt`: the last one, as far as the run has not heard of it."""
        error = fault.error(self._model, key_variables(self._model, self._settings))
        error.unclear, usage = attempt.unclear, attempt.usage
        error.input_tokens, error.output_tokens, error.cost_usd = (
            usage.input_tokens,
            usage.output_tokens,
            usage.cost_usd,
        )
        return error

    def _tell(self, delta: Delta) -> None:
        if delta.kind != "again" and self._stopped():
            raise KeyboardInterrupt
        if self.listener is not None:
            with contextlib.suppress(Exception):  # whoever watches cannot break a call
                self.listener(delta)

    def _again(self) -> None:
        self._tell(Delta(kind="again"))

    def _secrets(self) -> list[str]:
        names = {name for names in VARIABLES.get(provider_of(self._model), ()) for name in names}
        values = [os.environ.get(name, "") for name in names | {self._settings.api_key_env} if name]
        return [value for value in values if value and value != "none"]

    def _usage(self, litellm: Any, draft: Draft, request: Request) -> Usage:
        """What the server counted; where it counts nothing, what characters make on the safe side."""
        given = draft.usage
        if not getattr(given, "prompt_tokens", 0) and not getattr(given, "completion_tokens", 0):
            return self._counted(request, draft.chars)
        details = getattr(given, "prompt_tokens_details", None)
        usage = Usage(
            input_tokens=getattr(given, "prompt_tokens", 0) or 0,
            output_tokens=getattr(given, "completion_tokens", 0) or 0,
            cached_tokens=getattr(details, "cached_tokens", 0) or 0,
        )
        written = getattr(given, "cache_creation_input_tokens", 0) or 0
        return usage.model_copy(update={"cost_usd": self._cost(litellm, given, usage, written)})

    def _counted(self, request: Request, written: int) -> Usage:
        counted = Usage(
            input_tokens=math.ceil(_size(request) / _CHARS_PER_TOKEN),
            output_tokens=math.ceil(written / _CHARS_PER_TOKEN),
        )
        return counted.model_copy(update={"cost_usd": self.facts.cost(counted)})

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


def _pause(tries: int, asked: float | None) -> float:
    """Seconds: what the provider asked for, else doubling; with jitter, so that many do not come back at once."""
    if asked is None:
        return min(2.0 ** (tries - 1), LONGEST_WAIT) * random.uniform(0.5, 1.0)  # noqa: S311 -- no secret
    return asked * random.uniform(1.0, 1.1)  # noqa: S311 -- no secret


def _size(request: Request) -> int:
    """Characters of the prompt, tools and the schema of the answer included."""
    size = sum(
        len(message.content) + sum(len(call.arguments) for call in message.tool_calls) for message in request.messages
    )
    size += len(json.dumps(request.answer_schema)) if request.answer_schema is not None else 0
    return size + sum(len(json.dumps(tool.model_dump())) for tool in request.tools)


def _blanked_headers() -> dict[str, str]:
    """The OpenAI client sends these headers from the environment to every server; they are OpenAI's alone."""
    environment = os.environ
    names = {"OpenAI-Organization": ("OPENAI_ORGANIZATION", "OPENAI_ORG_ID"), "OpenAI-Project": ("OPENAI_PROJECT_ID",)}
    out = {name: "" for name, variables in names.items() if any(environment.get(one) for one in variables)}
    lines = environment.get("OPENAI_CUSTOM_HEADERS", "").splitlines()
    return out | {line.partition(":")[0].strip(): "" for line in lines if ":" in line}


@contextlib.contextmanager
def _nothing_collected() -> Iterator[None]:
    """For an import that makes a million objects which all stay: looking for garbage among them is a quarter of its
    time, and would be again at each later collection."""
    if "litellm" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def _litellm() -> Any:
    # Before the import: it would fetch a price list and, for Claude, a list of headers, and load a .env file otherwise.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    with _nothing_collected():
        import litellm

    if "LITELLM_LOG" not in os.environ:  # its warnings would fall into the live view; what matters is raised
        logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
    litellm.suppress_debug_info = True  # else it prints advice to stdout with every error
    litellm.disable_streaming_logging = True
    # It would load a tokenizer, 50 MB of it, to price an empty text at each call, and may fetch another over the
    # network; what a server did not count is counted here.
    litellm.disable_token_counter = True
    litellm.disable_hf_tokenizer_download = True
    litellm.utils.json_data = None  # 20 MB: a tokenizer that it has parsed and does not look at again
    litellm.modify_params = True  # thinking is left out where a history has no thoughts that Anthropic would ask for
    return litellm
