"""The way round the client's walk along types: what a server receives is what it would receive without it."""

import pytest

from ml_intern.llm.gateway import LitellmModel
from ml_intern.llm.openai_client import openai_client
from ml_intern.llm.protocol import Message, Request, ToolCall, ToolSpec
from ml_intern.llm.providers import Access
from ml_intern.settings import ModelSettings
from tests.support.openai_server import Answer, in_turn, serving

PROPERTIES = {"path": {"type": "string"}, "lines": {"type": "array", "items": {"type": "integer"}}}
TOOL = ToolSpec(name="write_file", description="Write.", parameters={"type": "object", "properties": PROPERTIES})
CALL = ToolCall(id="call_0", name="write_file", arguments='{"path": "a"}')
ASKED = Request(
    messages=(
        Message(role="system", content="You write."),
        Message(role="user", content="Hello"),
        Message(role="assistant", content="", tool_calls=(CALL,)),
        Message(role="tool", content="written", tool_call_id="call_0"),
    ),
    tools=(TOOL,),
    answer_schema={"type": "object", "properties": {"title": {"type": "string"}}},
    answer_name="answer",
)


@pytest.mark.parametrize("model", ["openai/scripted", "openai/gpt-4o", "openai/o1", "openai/gpt-5"])
def test_a_server_receives_the_same_body_as_from_litellms_own_client(
    monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    bodies = []
    for verify in ("", "True"):
        monkeypatch.setenv("SSL_VERIFY", verify)
        with serving(in_turn(Answer(text="done"))) as server:
            monkeypatch.setenv("OPENAI_BASE_URL", server.base)
            assert (openai_client(Access()) is None) == bool(verify)
            asked = LitellmModel(model, sleep=lambda _: None, settings=ModelSettings(effort="low"))
            assert asked.complete(ASKED).content == "done"
        bodies.append(server.requests)
    assert bodies[0] == bodies[1]
    assert [message["role"] for message in bodies[0][0]["messages"]][1:] == ["user", "assistant", "tool"]
    assert bodies[0][0]["tools"][0]["function"]["parameters"]["properties"] == PROPERTIES


def test_without_a_key_litellm_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert openai_client(Access(base_url="http://127.0.0.1:1/v1")) is None
    assert openai_client(Access(base_url="http://127.0.0.1:1/v1", key="none")) is not None


def test_the_environments_key_is_not_sent_to_a_server_that_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    assert openai_client(Access("http://127.0.0.1:1/v1", "none")).api_key == "none"
