"""Tool calls that a model wrote as text, and arguments that are nearly JSON: read as what they plainly mean.

Small and local models write calls as fenced JSON or between tags of their training, and a file as a block of code with
its name: code in JSON is too much for them. A call is taken only where the name is that of a tool; what is no call
stays text. Knows nothing of what tools do, but that `write_file` writes a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from ml_intern.llm.fences import fenced_blocks
from ml_intern.llm.nearly_json import mended_json, repaired
from ml_intern.llm.protocol import Reply, ToolCall, ToolSpec
from ml_intern.llm.tag_calls import listed_calls, tag_calls
from ml_intern.llm.text_call import TextCall, outermost

_MENDED_OFTEN, _LOOKED_AT = 100, 500  # places in one reply
TEXT_ID = "text-"  # how the id of a call begins that stood in the text
_TAGGED = re.compile(
    r"<(?P<tag>tool_calls?|function_calls?|tools?|tool_use)>|\[TOOL_CALLS\](?![\w ]*\[ARGS\])|<\|python_tag\|>"
)
_ON_ITS_OWN = re.compile(r"^[ \t]*(?=[\[{])", re.MULTILINE)
_JSON_INFO = re.compile(r"(?:json|tool_call|tool|xml)?(?:[ \t]+[\w \t]*)?")
_FILE_INFO = re.compile(
    r"(?P<language>python|py|text|yaml|toml|markdown|md)?[ \t]*(?P<path>[\w./-]+\.[a-z]{1,5})?[ \t]*"
)
_NAMED_INSIDE = re.compile(r"\A\s*#[ \t]*(?:file:[ \t]*)?`?(?P<path>[\w./-]+\.py)`?:?[ \t]*\n")
# A name that stands alone above code is no line of the file. A list of names is no file.
_NAMED_ABOVE = re.compile(
    r"\A\s*`?(?P<path>[\w./-]+\.py)`?:?[ \t]*\n(?=\s*(?:import|from|def|class|@|#|\"\"\"|\w+ *=)[ \w\"])"
)
WRITER = "write_file"
_NAME_KEYS = ("name", "tool", "function", "tool_name", "action")
_DECODER = json.JSONDecoder(strict=False)  # models write line ends into strings as they are
_BROKEN = (
    f"A call of {WRITER} was no whole JSON: a string in it did not end. It was not carried out. Write the file as a "
    "block of code with its name behind the language: ```python train.py"
)
_ARGUMENT_KEYS = ("arguments", "parameters", "args", "input", "action_input")


def with_text_calls(reply: Reply, names: Collection[str], nameless: bool = False) -> Reply:
    """`reply`, with the calls that stand in its text made into calls, where it made none itself. Arguments that are
    no JSON are mended in any case. `nameless`: a block of Python is a file even where nothing says its name."""
    if reply.tool_calls:
        return reply.model_copy(update={"tool_calls": tuple(_mended(call) for call in reply.tool_calls)})
    found = text_calls(reply.content, names, nameless)
    whole = [call for call in found if call.name != WRITER or not call.half]
    problem = _BROKEN if len(whole) < len(found) else reply.problem
    return reply.model_copy(update={"tool_calls": as_calls(whole), "problem": problem}) if found else reply


def text_calls(text: str, names: Collection[str], nameless: bool = False) -> list[TextCall]:
    """The calls that stand in `text`, in order."""
    if listed := listed_calls(text, names):
        return listed
    files = list(_files(text, nameless)) if WRITER in names else []
    code = [(block.start, block.end) for block in fenced_blocks(text) if _is_code(block.info)]
    tagged = [call for call in tag_calls(text, names) if not any(start < call.place < end for start, end in code)]
    return outermost([*tagged, *_json_calls(text, names), *files])


def as_calls(found: Sequence[TextCall]) -> tuple[ToolCall, ...]:
    return tuple(
        ToolCall(id=f"{TEXT_ID}{place}", name=call.name, arguments=call.arguments)
        for place, call in enumerate(found, 1)
    )


def takes_nameless(tools: Sequence[ToolSpec]) -> bool:
    """Whether the tool that writes files finds out by itself which one a text is."""
    return any(tool.name == WRITER and "path" not in tool.parameters.get("required", []) for tool in tools)


def _mended(call: ToolCall) -> ToolCall:
    return call.model_copy(update={"arguments": mended_json(call.arguments)}) if call.arguments.strip() else call


def _json_calls(text: str, names: Collection[str]) -> Iterator[TextCall]:
    """Each call that is written as JSON."""
    spots = [
        (match.start(), match.end(), f"</{match['tag']}>" if match["tag"] else "\n\n")
        for match in _TAGGED.finditer(text)
    ]
    for block in fenced_blocks(text):
        if _JSON_INFO.fullmatch(block.info) and block.body.lstrip()[:1] in ("{", "["):
            spots.append((block.start, block.body_start, "```"))
    begin = len(text) - len(text.lstrip())
    if text[begin : begin + 1] in ("{", "[") and (not spots or _json_from(text, begin, "", mend=False)[2]):
        spots.append((0, begin, ""))
    elif not spots:
        yield from _among_words(text, names)
    done = mended = 0
    for start, begin, mark in sorted(spots)[:_LOOKED_AT]:
        if start < done:
            continue  # inside the call before it: a fence in the text of a file
        value, end, closed = _json_from(text, begin, mark, mend=mended < _MENDED_OFTEN)
        done, mended = end, mended + (not closed)
        for name, arguments in _calls_of(value, names):
            done = end
            half = not closed and _is_inside_a_string(text[begin:end])
            yield TextCall(start, end, name, arguments, closed, half)


def _among_words(text: str, names: Collection[str]) -> Iterator[TextCall]:
    """Whole JSON that begins a line; what is only nearly JSON could be anything there."""
    end = 0
    for match in list(_ON_ITS_OWN.finditer(text))[:_LOOKED_AT]:
        if match.start() < end:
            continue
        value, stop, closed = _json_from(text, match.end(), "", mend=False)
        for name, arguments in _calls_of(value, names) if closed else ():
            end = stop
            yield TextCall(match.start(), stop, name, arguments, closed)


def _json_from(text: str, begin: int, mark: str, mend: bool) -> tuple[Any, int, bool]:
    """(what stands there as JSON, where it ends, whether it came to its end). Whole JSON ends where it ends, whatever
    its strings hold; what is only nearly JSON is mended up to `mark`, where `mend`."""
    while text[begin : begin + 1].isspace():
        begin += 1
    try:
        value, end = _DECODER.raw_decode(text, begin)
        return value, end, True
    except RecursionError:
        return None, begin, False
    except ValueError:
        found = text.find(mark, begin) if mark else -1
    end = found if found >= 0 else len(text)
    closed = found >= 0 and text[begin:end].rstrip().endswith(("}", "]"))
    value = repaired(text[begin:end]) if mend else None
    return value, end, closed and not _is_inside_a_string(text[begin:end])


def _is_inside_a_string(text: str) -> bool:
    """Whether nearly-JSON breaks off within a string: half a file must not be mended into a whole one."""
    return len(re.findall(r'(?<!\\)(?:\\\\)*"', text)) % 2 == 1


def _files(text: str, nameless: bool) -> Iterator[TextCall]:
    """Each block of code that is a file."""
    for block in fenced_blocks(text):
        info = _FILE_INFO.fullmatch(block.info)
        if info is None:
            continue
        is_python = info["language"] in ("python", "py")
        above = _NAMED_ABOVE.match(block.body) if is_python else None
        inside = _NAMED_INSIDE.match(block.body) or above
        path = info["path"] or (inside["path"] if inside else "")
        given = {"path": path} if path else {}
        if path or (nameless and is_python):
            content = block.body[above.end() :] if above else block.body
            arguments = json.dumps({**given, "content": content}, ensure_ascii=False)
            yield TextCall(block.start, block.end, WRITER, arguments, block.closed)


def _is_code(info: str) -> bool:
    """Whether a block with these words behind its fence is a file, or code, and not a call."""
    return bool(info) and _FILE_INFO.fullmatch(info) is not None


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
