"""Thoughts that a model writes into its text between `<think>` tags, told apart from the answer, also while it streams.

Only tags at the beginning count: a script that a model writes may hold the same words.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import Literal

Part = tuple[Literal["text", "reasoning"], str]
_OPENING = re.compile(r"\s*<(think|thinking|thought|reasoning)>")
_MAY_OPEN = re.compile(r"\s*(<[a-z]{0,9})?\Z")
# Some servers put the opening tag into the prompt: then only the closing one is seen.
_CLOSED_ONLY = re.compile(r"\A((?:(?!<think)[\s\S])*?)</think(?:ing)?>[ \t]*(?:\n|\Z)")


class ThoughtSplitter:
    """`feed` takes text as it comes and gives the parts that are clear; `rest` gives what was held back."""

    def __init__(self) -> None:
        self._held = ""
        self._closing = ""
        self._answer = False

    def feed(self, text: str) -> Iterator[Part]:
        self._held += text
        while self._held:
            if self._answer:
                yield "text", self._held
                self._held = ""
            elif self._closing:
                if not (yield from self._thought()):
                    return
            elif opening := _OPENING.match(self._held):
                self._closing = f"</{opening[1]}>"
                self._held = self._held[opening.end() :]
            elif _MAY_OPEN.match(self._held):
                return
            else:
                self._answer = True

    def rest(self) -> Iterator[Part]:
        if self._held:
            yield ("reasoning" if self._closing else "text"), self._held
        self._held = ""

    def _thought(self) -> Generator[Part, None, bool]:
        """Gives what is thought for sure; returns True when the thought is closed."""
        thought, closed, after = self._held.partition(self._closing)
        if closed:
            self._closing, self._held = "", after
            if thought:
                yield "reasoning", thought
            return True
        keep = len(self._closing) - 1  # the closing tag may come in two pieces
        if len(self._held) > keep:
            yield "reasoning", self._held[:-keep]
            self._held = self._held[-keep:]
        return False


def split_thoughts(text: str) -> tuple[str, str]:
    """(reasoning, answer) of a whole text."""
    splitter = ThoughtSplitter()
    parts = [*splitter.feed(text), *splitter.rest()]
    reasoning = "".join(part for kind, part in parts if kind == "reasoning")
    answer = "".join(part for kind, part in parts if kind == "text")
    if not reasoning and (closed := _CLOSED_ONLY.match(answer)):
        return closed[1].strip(), answer[closed.end() :].lstrip("\n")
    return (reasoning.strip(), answer.lstrip("\n")) if reasoning or answer != text else ("", text)
