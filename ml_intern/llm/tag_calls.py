"""Tool calls written between tags, or as a list of Python calls: the shapes of several families of models.

`<function=NAME>`, `<invoke name="NAME">`, `<NAME>` of a tool with a tag for each argument, `<tool_call>` with tags or
with the name alone, `[TOOL_CALLS]NAME[ARGS]{…}`, `[NAME(argument="…")]`. A call is taken only where the name is that of
a tool.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Collection, Iterator

from ml_intern.llm.nearly_json import mended_json
from ml_intern.llm.text_call import TextCall

_NAMED = re.compile(
    r"<(?:function=(?P<after>[\w.-]+)|(?P<tag>invoke|function|function_call|tool_call|tool_use|tool)"
    r"\s+name=[\"'](?P<name>[\w.-]+)[\"'])\s*(?P<empty>/)?>"
)
# What opens an argument, in any of the shapes.
_ARGUMENT = re.compile(
    r"<parameter(?:=(?P<after>[\w.-]+)|\s+name=[\"'](?P<name>[\w.-]+)[\"'][^>]*)>"
    r"|<arg_key>\s*(?P<key>[\w.-]+)\s*</arg_key>\s*<arg_value>"
    r"|<(?P<tag>[\w.-]+)>"
)
_CALL = re.compile(
    r"<(?:tool_call|function_call|tool_use)>\s*(?P<body>[^\s{\[].*?)(?P<end></(?:tool_call|function_call|tool_use)>|\Z)",
    re.DOTALL,
)
_NAME = re.compile(r"\s*<(?:name|tool_name)>\s*(?P<name>[\w.-]+)\s*</(?:name|tool_name)>\s*")
_GIVEN = re.compile(r"<(?P<tag>arguments|parameters|input)>(?P<body>.*?)(?:</(?P=tag)>|\Z)", re.DOTALL)
_BARE_NAME = re.compile(r"\s*(?P<name>[\w.-]+)\s*(?=<arg_key>|\Z)")
_ARGS = re.compile(r"\[TOOL_CALLS\]\s*(?P<name>[\w.-]+)\s*(?:\[CALL_ID\]\s*\w+\s*)?\[ARGS\]\s*")
_LIST = re.compile(r"\A\s*(?:<\|python_(?:tag|start)\|>)?\s*(?P<list>\[.*\])\s*(?:<\|python_end\|>)?\s*\Z", re.DOTALL)
_DECODER = json.JSONDecoder(strict=False)
_LONGEST_LIST = 20_000  # characters


def tag_calls(text: str, names: Collection[str]) -> list[TextCall]:
    """The calls between tags; some may stand inside others."""
    return [
        call for shape in (_named, _wrapped, _own_tags, _bracketed) for call in shape(text, names) if call.name in names
    ]


def listed_calls(text: str, names: Collection[str]) -> list[TextCall]:
    """Those of a text that is one list of Python calls with constants as arguments; else none."""
    match = _LIST.match(text)
    if not match or len(text) > _LONGEST_LIST:
        return []
    try:
        tree = ast.parse(match["list"].strip(), mode="eval").body
        calls = tree.elts if isinstance(tree, ast.List) else []
        given = [
            (call.func.id, {str(one.arg): ast.literal_eval(one.value) for one in call.keywords})
            for call in calls
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.args
        ]
        place, end = match.span("list")
        found = [TextCall(place, end, name, json.dumps(arguments), True) for name, arguments in given]
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return []
    return found if len(found) == len(calls) and all(call.name in names for call in found) else []


class _Ends:
    """Where closing tags stand, found in a time that grows with the text and not with its square."""

    def __init__(self, text: str) -> None:
        self._text, self._none = text, set[str]()

    def after(self, place: int, tag: str) -> tuple[int, bool]:
        """(where `</tag>` begins after `place`, or the text ends; whether it is there)."""
        at = -1 if tag in self._none else self._text.find(f"</{tag}>", place)
        if at < 0:
            self._none.add(tag)
        return (at, True) if at >= 0 else (len(self._text), False)


def _named(text: str, _: Collection[str]) -> Iterator[TextCall]:
    ends, done = _Ends(text), 0
    for match in _NAMED.finditer(text):
        if match.start() < done:
            continue  # inside the call before it: the text of a file
        done, closed = (match.end(), True) if match["empty"] else ends.after(match.end(), match["tag"] or "function")
        body = text[match.end() : done]
        yield TextCall(match.start(), done, match["after"] or match["name"], _arguments(body), closed)


def _wrapped(text: str, _: Collection[str]) -> Iterator[TextCall]:
    """`<tool_call>` around tags, or around a name and pairs of keys and values."""
    for match in _CALL.finditer(text):
        name = _NAME.match(match["body"]) or _BARE_NAME.match(match["body"])
        if name is None:
            continue
        rest = match["body"][name.end() :]
        given = _GIVEN.search(rest)
        arguments = _arguments(given["body"] if given else rest)
        yield TextCall(match.start(), match.end(), name["name"], arguments, bool(match["end"]))


def _own_tags(text: str, names: Collection[str]) -> Iterator[TextCall]:
    """A tool's name as the tag, on a line that it begins; with tags or JSON inside, or nothing."""
    if not names:
        return
    opening = re.compile(
        rf"^[ \t]*<(?P<name>{'|'.join(map(re.escape, sorted(names)))})[ ]?(?P<empty>/)?>", re.MULTILINE
    )
    ends, done = _Ends(text), 0
    for match in opening.finditer(text):
        if match.start() < done:
            continue
        end, closed = (match.end(), True) if match["empty"] else ends.after(match.end(), match["name"])
        body = text[match.end() : end].strip()
        if not body or body.startswith(("<", "{")):
            done = end
            yield TextCall(match.start(), end, match["name"], _arguments(body), closed)


def _bracketed(text: str, _: Collection[str]) -> Iterator[TextCall]:
    for match in _ARGS.finditer(text):
        try:
            value, end = _DECODER.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            yield TextCall(match.start(), len(text), match["name"], mended_json(text[match.end() :]), False)
            return
        yield TextCall(match.start(), end, match["name"], json.dumps(value, ensure_ascii=False), True)


def _arguments(body: str) -> str:
    """Arguments between tags, or a JSON object. What stands inside a value is no other one."""
    text = body.strip()
    if not text.startswith("<"):
        return mended_json(text or "{}")
    found: dict[str, str] = {}
    ends, done = _Ends(text), 0
    for match in _ARGUMENT.finditer(text):
        if match.start() < done:
            continue
        closing = "arg_value" if match["key"] else match["tag"] or "parameter"
        end, closed = ends.after(match.end(), closing)
        if not closed and match["tag"]:
            continue  # a word between angle brackets
        done = end
        value = text[match.end() : end].removeprefix("\n")
        found[match["after"] or match["name"] or match["key"] or match["tag"]] = value.removesuffix("\n")
    return json.dumps(found, ensure_ascii=False)
