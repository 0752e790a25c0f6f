"""A task that a person typed, as a short Paper of one section: claims are grounded in its words like in a paper's."""

from __future__ import annotations

import hashlib
import re

from ml_intern.errors import InputError
from ml_intern.read.paper import Paper, Paragraph, Section, Source
from ml_intern.read.show import printable

_LONGEST = 20_000  # characters
_TITLE = 80


def read_task(text: str) -> Paper:
    """Blank lines end paragraphs (`sec:1/par:N`); the title is the beginning. Raises InputError."""
    text = printable(text.encode("utf-8", "replace").decode())
    if len(text) > _LONGEST:
        raise InputError(f"The task is {len(text)} characters long.", next=f"Say it in at most {_LONGEST}.")
    parts = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text)]
    parts = [part for part in parts if part]
    if not re.search(r"\w", text):
        raise InputError(
            "The task has no words.", next='ml-intern run "train a classifier on …, at least 90 % accuracy"'
        )
    paragraphs = [Paragraph(anchor=f"sec:1/par:{place}", text=part) for place, part in enumerate(parts, start=1)]
    return Paper(
        source=Source(kind="task", locator="", sha256=hashlib.sha256(text.encode()).hexdigest()),
        title=_title(parts[0]),
        sections=(Section(anchor="sec:1", title="Task", paragraphs=tuple(paragraphs)),),
    )


def _title(text: str) -> str:
    """The first sentence, cut at a word where it is long."""
    first = re.split(r"(?<=[.!?])\s", text)[0].rstrip(".")
    return first if len(first) <= _TITLE else first[:_TITLE].rsplit(" ", 1)[0].rstrip(" ,;:") + " …"
