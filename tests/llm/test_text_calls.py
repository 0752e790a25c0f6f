"""Calls that stand in a model's text, in the shapes that models write, and arguments that are nearly JSON."""

import json

import pytest

from ml_intern.llm.protocol import Reply, ToolCall
from ml_intern.llm.text_calls import mended_json, with_text_calls

TOOLS = ("write_file", "finish")
ONE = '{"name": "write_file", "arguments": {"path": "a.py"}}'


def calls(text: str) -> list[tuple[str, dict[str, object]]]:
    reply = with_text_calls(Reply(content=text), TOOLS)
    return [(call.name, json.loads(call.arguments)) for call in reply.tool_calls]


@pytest.mark.parametrize(
    "text",
    [
        f"I write it.\n```json\n{ONE}\n```\nThen I go on.",
        f"```\n{ONE}\n```",
        f"```json\n[{ONE}]\n```",
        f"<tool_call>\n{ONE}\n</tool_call>",
        f"<tool_call>{ONE}",
        ONE,
        f"[TOOL_CALLS] [{ONE}]",
        '<function=write_file>{"path": "a.py"}</function>',
        "<function=write_file>\n<parameter=path>\na.py\n</parameter>\n</function>",
        '```json\n{"tool": "write_file", "parameters": {"path": "a.py"}}\n```',
        '```json\n{"name": "write_file", "path": "a.py"}\n```',
        '```json\n{"type": "function", "function": {"name": "write_file", "arguments": {"path": "a.py"}}}\n```',
        '```json\n{"name": "write_file", "arguments": {"path": "a.py",}}\n```',
    ],
)
def test_a_call_in_text_is_a_call(text: str) -> None:
    assert calls(text) == [("write_file", {"path": "a.py"})]


def test_several_calls_keep_their_order() -> None:
    text = f"```json\n{ONE}\n```\nand\n```json\n" + '{"name": "finish", "arguments": {}}\n```'
    assert calls(text) == [("write_file", {"path": "a.py"}), ("finish", {})]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The work is done.",
        '```json\n{"name": "remove_everything", "arguments": {}}\n```',
        '```python\nprint({"name": "write_file"})\n```',
        '```json\n{"learning_rate": 0.1}\n```',
        "```json\n[1, 2, 3]\n```",
        "Use write_file to write a file.",
    ],
)
def test_what_is_no_call_stays_text(text: str) -> None:
    reply = Reply(content=text)
    assert with_text_calls(reply, TOOLS) is reply


def test_a_real_call_is_not_doubled_by_its_text() -> None:
    call = ToolCall(id="1", name="finish", arguments="{}")
    reply = with_text_calls(Reply(content=f"```json\n{ONE}\n```", tool_calls=(call,)), TOOLS)
    assert reply.tool_calls == (call,)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ('{"path": "a.py", "content": "x = 1', {"path": "a.py", "content": "x = 1"}),
        ("{'path': 'a.py', 'deep': True,}", {"path": "a.py", "deep": True}),
        ('{"content": "line 1\nline 2"}', {"content": "line 1\nline 2"}),
        ('```json\n{"a": 1}\n```', {"a": 1}),
    ],
)
def test_arguments_that_are_nearly_json_are_mended(text: str, meant: dict[str, object]) -> None:
    assert json.loads(mended_json(text)) == meant
    reply = with_text_calls(Reply(tool_calls=(ToolCall(id="1", name="x", arguments=text),)), TOOLS)
    assert json.loads(reply.tool_calls[0].arguments) == meant


@pytest.mark.parametrize("text", ["nonsense", "[1", "", "null"])
def test_what_no_object_can_be_made_of_is_left_for_the_tool_to_refuse(text: str) -> None:
    assert mended_json(text) == text
