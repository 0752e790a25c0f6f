"""Tool calls that a model wrote as text, and arguments that are nearly JSON: read as what they plainly mean.

Small and local models write calls as fenced JSON or between tags of their training. A call is taken only where the name
is that of a tool; what is no call stays text. Knows nothing of what tools do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import Any

from ml_intern.llm.protocol import Reply, ToolCall

TEXT_ID = "text-"  # how the id of a call begins that stood in the text
_BLOCK = re.compile(
    r"<(?P<tag>tool_call|function_call|tool)>(?P<tagged>.*?)(?:</(?P=tag)>|\Z)"
    r"|\[TOOL_CALLS\]\s*(?P<listed>\[.*?\])\s*(?=\Z|\n\n)"
    r"|```(?:json|tool_call|tool|xml)?[ \t]*\n(?P<fenced>\s*[\[{].*?)(?:\n?```|\Z)",
    re.DOTALL,
)
_FUNCTION = re.compile(r"<function=(?P<name>[\w.-]+)>(?P<body>.*?)(?:</function>|\Z)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=(?P<name>[\w.-]+)>\n?(?P<value>.*?)\n?(?:</parameter>|\Z)", re.DOTALL)
_NAME_KEYS = ("name", "tool", "function", "tool_name", "action")
_ARGUMENT_KEYS = ("arguments", "parameters", "args", "input", "action_input")


def with_text_calls(reply: Reply, names: Collection[str]) -> Reply:
    """`reply`, with the calls that stand in its text made into calls, where it made none itself. Arguments that are
    no JSON are mended in any case."""
    if reply.tool_calls:
        return reply.model_copy(update={"tool_calls": tuple(_mended(call) for call in reply.tool_calls)})
    found = list(_found(reply.content, names))
    if not found:
        return reply
    calls = tuple(
        ToolCall(id=f"{TEXT_ID}{place}", name=name, arguments=arguments)
        for place, (name, arguments) in enumerate(found, 1)
    )
    return reply.model_copy(update={"tool_calls": calls})


def mended_json(text: str) -> str:
    """`text` if it is JSON; else the JSON object that it was plainly meant to be; else `text` as it is."""
    try:
        json.loads(text)
        return text
    except ValueError:
        pass
    import json_repair

    value: Any = json_repair.loads(text)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) and value else text


def _mended(call: ToolCall) -> ToolCall:
    return call.model_copy(update={"arguments": mended_json(call.arguments)}) if call.arguments.strip() else call


def _found(text: str, names: Collection[str]) -> Iterator[tuple[str, str]]:
    """(name, arguments as JSON) of each call, in order."""
    for function in _FUNCTION.finditer(text):
        if function["name"] in names:
            yield function["name"], _body(function["body"])
    if _FUNCTION.search(text):
        return
    blocks = [match["tagged"] or match["listed"] or match["fenced"] or "" for match in _BLOCK.finditer(text)]
    stripped = text.strip()
    if not blocks and stripped.startswith(("{", "[")):
        blocks = [stripped]
    for block in blocks:
        yield from _calls_of(_loads(block), names)


def _body(body: str) -> str:
    """Arguments of the form `<parameter=x>…` or a JSON object."""
    parameters = {match["name"]: match["value"] for match in _PARAMETER.finditer(body)}
    return json.dumps(parameters, ensure_ascii=False) if parameters else mended_json(body.strip() or "{}")


def _loads(block: str) -> Any:
    try:
        return json.loads(block)
    except ValueError:
        import json_repair

        return json_repair.loads(block)


def _calls_of(value: Any, names: Collection[str]) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for item in value:
            yield from _calls_of(item, names)
    if not isinstance(value, dict):
        return
    if isinstance(value.get("function"), dict):  # the shape of the API itself
        yield from _calls_of(value["function"], names)
        return
    name = next((value[key] for key in _NAME_KEYS if isinstance(value.get(key), str)), None)
    if name not in names:
        return
    arguments = next((value[key] for key in _ARGUMENT_KEYS if key in value), None)
    if arguments is None:
        arguments = {key: item for key, item in value.items() if key not in _NAME_KEYS}
    yield str(name), arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
