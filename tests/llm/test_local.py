"""Model servers on this machine: found when they answer in time, never waited for."""

import json
import socket
import time
from email.message import Message

import pytest

from ml_intern.llm.inventory import inventory, search
from ml_intern.llm.local import LOCAL_SERVERS, LocalServer, local_models
from ml_intern.settings import ModelSettings, Settings
from tests.support.http import on_loopback
from tests.support.openai_server import Answer, in_turn, serving


def at(url: str, prefix: str = "openai") -> LocalServer:
    return LocalServer("a server", url, prefix)


def test_the_usual_places_are_asked() -> None:
    assert sorted(int(server.url.rsplit(":")[-1]) for server in LOCAL_SERVERS) == [1234, 8000, 8080, 11434]


def test_servers_that_answer_are_listed_with_their_models() -> None:
    with serving(in_turn(Answer()), ["qwen", "llama"]) as server:
        url = server.base.removesuffix("/v1")
        ollama = LocalServer("Ollama", url, "ollama_chat", "/api/tags", plain=True)
        found = local_models([at(url), ollama, at("http://127.0.0.1:9")])
        entries = {entry.id: entry for entry in inventory(Settings(), {}, [at(url), ollama])}
    assert [one.models for one in found] == [
        ("openai/qwen", "openai/llama"),
        ("ollama_chat/qwen", "ollama_chat/llama"),
    ]
    assert entries["ollama_chat/qwen"].pricing == "free" and entries["ollama_chat/qwen"].needs == ""
    assert entries["openai/qwen"].pricing == "unknown", "a server on this machine may be a door to a paid one"
    assert f'[models."openai/qwen"] base_url = "{url}/v1"' in entries["openai/qwen"].needs


def test_silent_servers_cost_a_third_of_a_second_together() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        assert local_models([at(url)] * 4) == []
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b"{}", b'{"data": 3}', b'{"data": [{"name": "x"}]}', b"\xff", b'{"data": ["x"]}']
)
def test_something_else_that_listens_there_is_no_model_server(body: bytes) -> None:
    def answer(path: str, headers: Message) -> tuple[int, dict[str, str], bytes]:
        return 200, {"Content-Type": "application/json"}, body

    with on_loopback(answer) as url:
        assert local_models([at(url)]) == []


def test_a_name_cannot_command_the_terminal() -> None:
    body = json.dumps({"data": [{"id": "a\x1b[2J\nb"}]}).encode()
    with on_loopback(lambda path, headers: (200, {}, body)) as url:
        assert local_models([at(url)])[0].models == ("openai/a?[2J?b",)


def test_configured_models_stand_with_price_context_and_what_is_missing() -> None:
    one = ModelSettings(api_key_env="MY_KEY", tools=False, fallback=("openai/gpt-5",))
    settings = Settings(models={"openai/gpt-4o-mini": one})
    (_, entry) = inventory(settings, {}, [])
    assert (entry.source, entry.pricing, entry.input_usd_per_million) == ("configured", "known", 0.15)
    assert entry.context_tokens == 128_000
    assert "MY_KEY is not set" in entry.needs and "then openai/gpt-5" in entry.note
    assert inventory(settings, {"MY_KEY": "x"}, [])[1].needs == ""


def test_keys_in_the_environment_are_shown_by_name_alone() -> None:
    entries = inventory(Settings(), {"GROQ_API_KEY": "gsk-SECRET", "AZURE_API_KEY": "SECRET"}, [])
    assert [entry.id for entry in entries] == ["recipes", "groq/…"]
    assert "GROQ_API_KEY set" in entries[1].note and "SECRET" not in str(entries)


def test_the_list_can_be_searched() -> None:
    found = {entry.id: entry for entry in search("gpt-4o-mini")}
    assert found["openai/gpt-4o-mini"].output_usd_per_million == 0.6
    assert search("no such model") == []
