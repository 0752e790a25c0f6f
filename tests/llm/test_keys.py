"""A key goes to the service that it belongs to, and nowhere else; a missing one is named before anything is asked."""

import contextlib
import subprocess
import sys

import pytest

from ml_intern.errors import InputError, ModelError
from ml_intern.llm.gateway import LitellmModel
from ml_intern.llm.providers import VARIABLES, preflight
from ml_intern.settings import ModelSettings
from tests.llm.scripted import PLAIN, talking
from tests.support.openai_server import Answer

OTHERS = (
    "OPENAI_ORGANIZATION", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "HOSTED_VLLM_API_KEY", "LM_STUDIO_API_KEY",
    "OLLAMA_API_KEY", "LITELLM_PROXY_API_KEY", "LLAMAFILE_API_KEY",
)  # fmt: skip
SERVED = (
    "openai/x", "hosted_vllm/x", "lm_studio/x", "llamafile/x", "litellm_proxy/x", "openrouter/a/b", "groq/x",
    "deepseek/deepseek-chat", "mistral/x", "cerebras/x", "nvidia_nim/x", "perplexity/x", "deepinfra/x", "moonshot/x",
    "together_ai/x", "fireworks_ai/x", "xai/grok-4", "anthropic/claude-sonnet-4-5", "huggingface/a/b",
    "cohere/command-r", "ollama_chat/x",
)  # fmt: skip


@pytest.fixture
def canaries(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {*OTHERS, *(name for sets in VARIABLES.values() for names in sets for name in names)}:
        if not name.endswith("_BASE"):
            monkeypatch.setenv(name, f"CANARY-{name}")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Gateway-Secret: CANARY-header")
    monkeypatch.setenv("OPENAI_API_BASE", "http://127.0.0.1:9/CANARY")
    monkeypatch.setenv("OWN_KEY", "own-secret")


@pytest.mark.usefixtures("canaries")
@pytest.mark.parametrize("model", SERVED)
@pytest.mark.parametrize("named", ["", "OWN_KEY"])
def test_no_other_hosts_server_is_sent_a_key_of_the_environment(model: str, named: str) -> None:
    refusal = Answer(status=400, text="no")
    with talking(refusal, model=model, api_key_env=named) as talk, pytest.raises(ModelError):
        talk.model.complete(PLAIN)
    assert talk.server.headers, "the server that is configured was asked"
    for headers in talk.server.headers:
        assert "CANARY" not in str(headers) and "127.0.0.1:9" not in str(headers)
    assert ("own-secret" in str(talk.server.headers)) == bool(named)


@pytest.mark.usefixtures("canaries")
def test_an_answer_comes_through_with_the_key_that_is_named() -> None:
    with talking(Answer(text="Yes."), api_key_env="OWN_KEY") as talk:
        assert talk.model.complete(PLAIN).content == "Yes."
    assert talk.server.keys == ["Bearer own-secret"]


def test_a_key_in_an_error_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWN_KEY", "plain1234word")
    refusal = Answer(status=401, text="Incorrect API key provided: plain1234word, or sk-abc-1234567")
    with talking(refusal, api_key_env="OWN_KEY") as talk, pytest.raises(ModelError) as caught:
        talk.model.complete(PLAIN)
    assert "plain1234word" not in str(caught.value) and "1234567" not in str(caught.value)
    assert "Set OWN_KEY to a valid key" in str(caught.value)


@pytest.mark.parametrize(
    ("model", "settings", "environment", "missing"),
    [
        ("openai/gpt-5", {}, {}, "OPENAI_API_KEY"),
        ("openai/gpt-5", {}, {"OPENAI_API_KEY": "x"}, ""),
        ("gpt-5", {}, {}, "OPENAI_API_KEY"),
        ("anthropic/claude-sonnet-4-5", {}, {}, "ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN"),
        ("claude-sonnet-4-5", {}, {"ANTHROPIC_AUTH_TOKEN": "x"}, ""),
        ("gemini/gemini-2.5-pro", {}, {"GOOGLE_API_KEY": "x"}, ""),
        ("azure/x", {}, {"AZURE_API_KEY": "x"}, "AZURE_API_KEY and AZURE_API_BASE and AZURE_API_VERSION"),
        ("ollama_chat/llama3", {}, {}, ""),
        ("hosted_vllm/x", {}, {}, "HOSTED_VLLM_API_BASE"),
        ("hosted_vllm/x", {"base_url": "http://127.0.0.1:8000/v1"}, {}, ""),
        ("openai/x", {"base_url": "http://127.0.0.1:8000/v1"}, {}, ""),
        ("openai/x", {"base_url": "https://a.example/v1", "api_key_env": "A_KEY"}, {"OPENAI_API_KEY": "x"}, "A_KEY"),
        ("somewhere_new/x", {}, {}, ""),
    ],
)
def test_what_is_missing_is_named_before_anything_is_asked(
    model: str, settings: dict[str, str], environment: dict[str, str], missing: str
) -> None:
    if not missing:
        preflight(model, ModelSettings(**settings), environment)
        return
    with pytest.raises(InputError, match=f"{missing} is not set"):
        preflight(model, ModelSettings(**settings), environment)


def test_an_address_that_leads_elsewhere_is_not_followed_with_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWN_KEY", "own-secret")
    with talking(Answer(text="stolen")) as thief:
        away = Answer(status=307, headers={"Location": thief.server.base.replace("127.0.0.1", "localhost") + "/x"})
        with talking(away, api_key_env="OWN_KEY") as talk:
            monkeypatch.setattr(talk.model, "_sleep", lambda _: None)
            with contextlib.suppress(ModelError):
                talk.model.complete(PLAIN)
    assert "own-secret" not in str(thief.server.headers)


def test_a_model_without_settings_leaves_its_key_to_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with talking(Answer(text="Yes.")) as talk:
        monkeypatch.setenv("OPENAI_API_BASE", talk.server.base)
        monkeypatch.setenv("OPENAI_BASE_URL", talk.server.base)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
        assert LitellmModel("openai/x").complete(PLAIN).content == "Yes."
    assert talk.server.keys == ["Bearer sk-mine"]


HOSTS = """
import socket
asked = []
resolve = socket.getaddrinfo
def noted(host, *rest, **more):
    asked.append(host)
    return resolve(host, *rest, **more)
socket.getaddrinfo = noted
from tests.llm.scripted import CONVERSATION, talking
from tests.support.openai_server import Answer
for model in ("openai/x", "anthropic/claude-sonnet-4-5", "ollama_chat/x"):
    with talking(Answer(text="Yes."), model=model) as talk:
        talk.model.complete(CONVERSATION)
print(sorted(set(asked) - {"localhost"}))  # where an Ollama would be
"""


def test_no_other_host_is_asked_for_anything() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", HOSTS], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("['127.0.0.1']", "")
