"""An algorithm as lines of text: the commands of algorithmic, algpseudocode and algorithm2e become their keywords."""

from __future__ import annotations

import re
from collections.abc import Callable

from ml_intern.read.latex_source import group, option, skip_space

_HEADS = {
    "for": ("for", "do"), "forall": ("for all", "do"), "foreach": ("for each", "do"), "while": ("while", "do"),
    "if": ("if", "then"), "uif": ("if", "then"), "eif": ("if", "then"), "elsif": ("else if", "then"),
    "elseif": ("else if", "then"), "lif": ("if", "then"), "lfor": ("for", "do"), "uelseif": ("else if", "then"),
    "procedure": ("procedure", ""), "function": ("function", ""), "until": ("until", ""), "lwhile": ("while", "do"),
    "kwin": ("Input:", ""), "kwdata": ("Data:", ""), "kwresult": ("Result:", ""), "kwout": ("Output:", ""),
    "kwret": ("return", ""), "tcp": ("//", ""), "tcc": ("//", ""), "tcpstar": ("//", ""), "comment": ("//", ""),
}  # fmt: skip
_WORDS = {
    "state": "", "statex": "", "statep": "", "require": "Require:", "ensure": "Ensure:", "input": "Input:",
    "output": "Output:", "else": "else", "repeat": "repeat", "loop": "loop", "until": "until", "uelse": "else",
    "lelse": "else",
}  # fmt: skip
_ENDS = re.compile(r"^end(for|if|while|loop|procedure|function|forall|case)$", re.IGNORECASE)
_INLINE = {"return": "return", "kwto": "to", "to": "to", "and": "and", "or": "or", "not": "not", "true": "true",
           "false": "false", "print": "print", "kwby": "by", "downto": "down to"}  # fmt: skip
_COMMAND = re.compile(r"\\([a-zA-Z]+)\*?|\\(;|.)", re.DOTALL)
_MAX_DEPTH = 20


def algorithm_lines(latex: str, to_text: Callable[[str], str]) -> str:
    """The steps, one a line; the caption and the label are somebody else's."""
    latex = re.sub(r"\\(?:begin|end)\s?\{algorithm(?:ic|2e)?\*?\}(?:\s?\[[^\]]{0,40}\])?", " ", latex)
    latex = re.sub(r"^\s*\[[^\]]{0,40}\]", "", latex)
    lines = [" ".join(to_text(line).split()) for line in _broken(latex, 0).split("\n")]
    return "\n".join(line for line in lines if re.search(r"\w", line))


def _broken(latex: str, depth: int) -> str:
    """`latex` with a line break wherever a step begins, and its keywords as words."""
    latex = latex.replace("\n", " ")
    out: list[str] = []
    place = 0
    for match in _COMMAND.finditer(latex):
        if match.start() < place:
            continue
        out.append(latex[place : match.start()])
        piece, place = _step(latex, match, depth)
        out.append(piece)
    return "".join([*out, latex[place:]])


def _step(latex: str, match: re.Match[str], depth: int) -> tuple[str, int]:
    if match[2]:
        return ("\n" if match[2] in ";\\" else match[0]), match.end()
    name = match[1].lower()
    place = skip_space(latex, match.end())
    if _ENDS.match(name) or match[1].startswith("Set") or name == "dontprintsemicolon":
        end = group(latex, place)[1] if latex[place : place + 1] == "{" and match[1].startswith("Set") else match.end()
        return ("\n" if name.startswith("end") else " "), end
    if name in _HEADS and latex[place : place + 1] in ("{", "[", "("):
        return _head(latex, name, place, depth)
    if name in _WORDS and match[1] != "to":
        word = f"\n{_WORDS[name]} "
        if name in ("else", "uelse", "lelse", "loop", "repeat") and latex[place : place + 1] == "{":
            body, place = group(latex, place)
            return f"{word}\n{_nested(body, depth)}\n", place
        return word, match.end()
    if name in _INLINE and match[1] not in ("to", "not"):
        return f" {_INLINE[name]} ", match.end()
    return match[0], match.end()


def _head(latex: str, name: str, place: int, depth: int) -> tuple[str, int]:
    """A keyword and its condition; algorithm2e gives the bodies as further groups."""
    before, after = _HEADS[name]
    _, place = option(latex, place)
    if latex[place : place + 1] == "(":  # algorithm2e: a comment at the end of the line
        place = skip_space(latex, latex.find(")", place) + 1 or place + 1)
    if latex[place : place + 1] != "{":
        return f"\n{before} ", place
    condition, place = group(latex, place)
    line = f"\n{before} {_nested(condition, depth)} {after}"
    if name in ("procedure", "function"):
        arguments = skip_space(latex, place)
        if latex[arguments : arguments + 1] == "{":
            inner, place = group(latex, arguments)
            line += f"({inner})"
        return line + "\n", place
    if not after:
        return line + ("\n" if name not in ("until",) else " "), place
    out = [line]
    for word in ("", "else\n") if name == "eif" else ("",):
        body = skip_space(latex, place)
        if latex[body : body + 1] != "{":
            break
        inner, place = group(latex, body)
        out.append(f"\n{word}{_nested(inner, depth)}")
    return "".join(out) + "\n", place


def _nested(latex: str, depth: int) -> str:
    return latex if depth >= _MAX_DEPTH else _broken(latex, depth + 1)
