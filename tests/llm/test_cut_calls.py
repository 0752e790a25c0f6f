"""A reply that the limit on its length cut: what was whole by then is carried out, what was not is not."""

import json

import pytest

from ml_intern.llm.protocol import Message, Request, ToolSpec, Usage
from ml_intern.llm.replies import reply_of
from ml_intern.llm.stream import CallDraft, Draft

PARAMETERS = {"type": "object", "properties": {"path": {}, "content": {}}, "required": ["path"]}
ASKED = Request(
    messages=(Message(role="user", content="Write."),),
    tools=(ToolSpec(name="write_file", description="", parameters=PARAMETERS),),
)
WHOLE = "```python data.py\nx = 1\n```\n"


def cut(content: str = "", calls: tuple[CallDraft, ...] = ()) -> list[object]:
    reply = reply_of(Draft(content=content, calls=list(calls), finish="length"), ASKED, Usage(), "m")
    assert "cut" in reply.problem
    return [json.loads(call.arguments).get("path") for call in reply.tool_calls]


@pytest.mark.parametrize(
    "half",
    [
        "```python train.py\nimport torch\nx = y[0]",
        "```python train.py\nif x >",
        '```json\n{"name": "write_file", "arguments": {"path": "train.py", "content": "x = y[0]',
        '```json\n{"name": "write_file", "arguments": {"path": "train.py", "content": "x = {}"',
        '<tool_call>{"name": "write_file", "arguments": {"path": "train.py", "content": "x = y[0]',
        "<function=write_file><parameter=path>train.py</parameter><parameter=content>x = y[0]",
    ],
)
def test_half_a_call_in_text_is_not_carried_out_whatever_it_ends_with(half: str) -> None:
    assert cut(half) == []
    if not half.startswith("<function"):
        assert cut(WHOLE + half) == ["data.py"]


@pytest.mark.parametrize(
    "whole",
    [
        WHOLE,
        WHOLE + "Now the trai",
        '```json\n{"name": "write_file", "arguments": {"path": "data.py", "content": ""}}',
        '<tool_call>{"name": "write_file", "arguments": {"path": "data.py"}}</tool_call>',
        "<function=write_file><parameter=path>data.py</parameter></function>",
    ],
)
def test_a_call_that_was_whole_before_the_cut_is_carried_out(whole: str) -> None:
    assert cut(whole) == ["data.py"]


@pytest.mark.parametrize("arguments", ["", '{"path": "train.py", "content": "x'])
def test_half_a_call_of_the_api_is_not_carried_out(arguments: str) -> None:
    first = CallDraft(0, "a", "write_file", '{"path": "data.py"}')
    assert cut(calls=(first, CallDraft(1, "b", "write_file", arguments))) == ["data.py"]
    assert cut(calls=(first,)) == ["data.py"]
