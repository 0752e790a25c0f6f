"""Calls that stand in a model's text, in the shapes that models write, and arguments that are nearly JSON."""

import json
import time

import pytest

from ml_intern.llm.nearly_json import mended_json
from ml_intern.llm.protocol import Reply, ToolCall
from ml_intern.llm.text_calls import with_text_calls

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
        f"```json experiment\n{ONE}\n```",
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
        '<invoke name="write_file">\n<parameter name="path">a.py</parameter>\n</invoke>',
        '<function_calls>\n<invoke name="write_file">\n<parameter name="path">a.py</parameter>\n</invoke>',
        '<function_call name="write_file">{"path": "a.py"}</function_call>',
        "I write it.\n<write_file>\n<path>a.py</path>\n</write_file>",
        '<write_file>{"path": "a.py"}</write_file>',
        '<tool_call><name>write_file</name><arguments>{"path": "a.py"}</arguments></tool_call>',
        "<tool_call><name>write_file</name><arguments><path>a.py</path></arguments></tool_call>",
        "<tool_call>write_file\n<arg_key>path</arg_key>\n<arg_value>a.py</arg_value>\n</tool_call>",
        f"<tool_use>{ONE}</tool_use>",
        f"<tool_calls>[{ONE}]</tool_calls>",
        f"<|python_tag|>{ONE}",
        '[TOOL_CALLS]write_file[ARGS]{"path": "a.py"}',
        '[write_file(path="a.py")]',
        f"I write it now.\n\n{ONE}",
        f"I write it now.\n\n{ONE}\n\nThen I go on.",
    ],
)
def test_a_call_in_text_is_a_call(text: str) -> None:
    assert calls(text) == [("write_file", {"path": "a.py"})]


INNER = '<invoke name="finish"></invoke>\n<parameter=x>1</parameter>\n<finish/>'


def test_what_a_file_holds_between_tags_is_its_text_and_no_call() -> None:
    text = f"<write_file>\n<path>a.md</path>\n<content>\n{INNER}\n</content>\n</write_file>"
    assert calls(text) == [("write_file", {"path": "a.md", "content": INNER})]
    fenced = calls(f"```python train.py\n{INNER}\n```")
    assert [name for name, _ in fenced] == ["write_file"]


@pytest.mark.parametrize("inner", [*INNER.splitlines(), "<tool_call>finish</tool_call>", "<finish>\n</finish>"])
def test_tags_in_a_string_of_a_call_in_json_are_its_text(inner: str) -> None:
    arguments = {"path": "a.md", "content": f"#\n{inner}\n"}
    whole = json.dumps({"name": "write_file", "arguments": arguments})
    for text in (f"<tool_call>{whole}</tool_call>", f"```json\n{whole}\n```", whole.replace("\\n", "\n")):
        assert calls(text) == [("write_file", arguments)]


def test_calls_of_several_shapes_are_all_carried_out() -> None:
    assert calls(f'<tool_call>{ONE}</tool_call>\n<invoke name="finish"></invoke>') == [
        ("write_file", {"path": "a.py"}),
        ("finish", {}),
    ]
    assert calls("```python train.py\nx = 1\n```\n<finish/>") == [
        ("write_file", {"path": "train.py", "content": "x = 1\n"}),
        ("finish", {}),
    ]
    assert calls("<finish>soon</finish>\n<write_file>\n<path>a.py</path>\n</write_file>") == [
        ("write_file", {"path": "a.py"})
    ]


@pytest.mark.parametrize("text", ["<finish>\n" * 20_000, "<p>" * 60_000, "<tool_call>x " * 20_000])
def test_tags_without_an_end_are_read_in_no_time(text: str) -> None:
    began = time.process_time()
    calls(text)
    assert time.process_time() - began < 2


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
        "Then <write_file> is called with <path>.",
        "<p>write_file</p>\n<write_file>as you said</write_file>",
        "[write_file('a.py')]",
        "[write_file(path=open('x'))]",
        'Its answer was\n{"learning_rate": 0.1}',
        '<invoke name="remove_everything"><parameter name="path">a.py</parameter></invoke>',
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


@pytest.mark.parametrize(
    "text",
    [
        "Here it is:\n```python a.py\nx = 1\n```\nDone.",
        "```a.py\nx = 1\n```",
        "```python\n# a.py\nx = 1\n```",
        "```python\n# file: a.py\nx = 1\n```",
        "```py a.py\nx = 1\n",
    ],
)
def test_a_block_of_code_with_a_name_is_a_file(text: str) -> None:
    (found,) = calls(text)
    content = found[1]["content"]
    assert found[0] == "write_file" and found[1]["path"] == "a.py"
    assert isinstance(content, str) and content.endswith("x = 1\n")


@pytest.mark.parametrize("info", ["", "python", "text"])
def test_a_list_of_files_is_no_file(info: str) -> None:
    assert calls(f"There are:\n```{info}\nmodel.py\ntrain.py\n```\n") == []
    assert calls(f"I run it:\n```{info}\ntrain.py\n```\n") == []


def test_a_name_that_stands_alone_at_the_beginning_is_no_line_of_the_file() -> None:
    for text in ("```python\nmodel.py\n\nx = 1\n```", "```python model.py\nmodel.py\nx = 1\n```"):
        ((name, given),) = calls(text)
        assert (name, given["path"], str(given["content"]).strip()) == ("write_file", "model.py", "x = 1")


def test_a_file_and_a_call_keep_their_order() -> None:
    text = f'```python b.py\nprint("{{}}")\n```\n```json\n{ONE}\n```\n```json\n{{"name": "finish"}}\n```'
    assert [name for name, _ in calls(text)] == ["write_file", "write_file", "finish"]


def test_code_without_a_name_is_a_file_only_where_its_name_can_be_found_out() -> None:
    reply = Reply(content="```python\nx = 1\n```\nIt prints:\n```\n1\n```")
    assert with_text_calls(reply, TOOLS).tool_calls == ()
    (call,) = with_text_calls(reply, TOOLS, nameless=True).tool_calls
    assert json.loads(call.arguments) == {"content": "x = 1\n"}
    assert with_text_calls(reply, ("finish",), nameless=True).tool_calls == ()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("```bash\npython data.py\n```\n```python train.py\nx = 1\n```", ["train.py"]),
        ("```python data.py\nx = 1\n```\n```bash\nls\n```\n```python train.py\nx = 2\n```", ["data.py", "train.py"]),
        ("```python data.py\nx = 1\n```python train.py\nx = 2\n```", ["data.py", "train.py"]),
        ('```json\n{"name": "finish"}\n```\n```python train.py\nx = 1\n```', [None, "train.py"]),
    ],
)
def test_a_file_is_not_swallowed_by_the_block_before_it(text: str, names: list[str | None]) -> None:
    assert [arguments.get("path") for _, arguments in calls(text)] == names


@pytest.mark.parametrize("ends", ["\\n", "\n"])
def test_a_fence_inside_the_content_of_a_file_does_not_end_its_call(ends: str) -> None:
    content = ends.join(["# T", "```python", "x = 1", "```", "</tool_call>", "Done."])
    call = f'{{"name": "write_file", "arguments": {{"path": "notes.md", "content": "{content}"}}}}'
    for text in (f"```json\n{call}\n```", f"<tool_call>\n{call}\n</tool_call>", f"It is:\n```json\n{call}```\nso."):
        ((name, arguments),) = calls(text)
        assert (name, arguments["content"]) == ("write_file", content.replace("\\n", "\n"))


def test_a_file_of_markdown_may_hold_blocks() -> None:
    ((_, arguments),) = calls("```markdown notes.md\n# T\n```python\nx = 1\n```\nEnd.\n```\n")
    assert arguments["content"] == "# T\n```python\nx = 1\n```\nEnd.\n"


def test_half_a_file_in_broken_json_is_not_written_and_that_is_said() -> None:
    text = '```json\n{"name": "write_file", "arguments": {"path": "a.md", "content": "# \'T\n```\n'
    reply = with_text_calls(Reply(content=text), TOOLS)
    assert reply.tool_calls == () and "did not end" in reply.problem
