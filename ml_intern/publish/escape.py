"""Text of papers and models is untrusted: it is made harmless before it stands in Markdown or HTML."""

from __future__ import annotations

import html
import re

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def md(text: str) -> str:
    """`text` as plain words of one line of Markdown: no markup, no HTML, no table break."""
    text = " ".join(_CONTROLS.sub("", text).split())
    text = html.escape(text, quote=False)
    return re.sub(r"([\\`*_{}\[\]#|~!])", r"\\\1", text)


def code(text: str) -> str:
    """`text` for a code span of Markdown."""
    return " ".join(_CONTROLS.sub("", text).replace("`", "'").split())


def without_controls(value: object) -> object:
    """A value that a template prints, without terminal escapes and marks that turn text around."""
    return _CONTROLS.sub("", value) if type(value) is str else value


def md_prose(text: str) -> str:
    """Several paragraphs of `md`."""
    return "\n\n".join(md(part) for part in text.split("\n\n") if part.strip())


def sentence(text: str) -> str:
    """`text` beginning with a capital and ending with a full stop; not escaped."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", "…")) else ".") if text else ""
