"""Writes a session in one of the formats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Literal

if TYPE_CHECKING:
    from ml_intern.session.export.session import Session

Format = Literal["trace", "claude-code", "html", "json"]


def write_export(session: Session, format: Format, out: BinaryIO) -> None:
    """UTF-8; the formats of JSON are pure ASCII."""
    for part in _parts(session, format):
        out.write(part.encode())


def _parts(session: Session, format: Format) -> Iterator[str]:
    if format == "json":
        from ml_intern.session.export.document import document

        yield from document(session)
    elif format == "html":
        from ml_intern.session.export.page import page

        yield page(session)
    else:
        from ml_intern.session.export.claude_code import claude_code_lines
        from ml_intern.session.export.trace import trace_lines

        lines = trace_lines(session) if format == "trace" else claude_code_lines(session)
        yield from (line + "\n" for line in lines)
