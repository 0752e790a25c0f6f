"""A paper from its LaTeX source: sections, paragraphs, tables, equations, figures, footnotes, references."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ml_intern.errors import PaperError
from ml_intern.read.latex_bib import references
from ml_intern.read.latex_body import Body
from ml_intern.read.latex_clean import check_braces
from ml_intern.read.latex_conditions import live, unclosed
from ml_intern.read.latex_inputs import Inputs
from ml_intern.read.latex_macros import Macros
from ml_intern.read.latex_numbers import SETTING
from ml_intern.read.latex_source import MAX_CHARS, decode, find_main, group
from ml_intern.read.latex_text import to_text
from ml_intern.read.paper import Paper, Section, Source


def read_latex(files: Mapping[str, bytes], source: Source) -> Paper:
    """The paper in `files` (path to bytes). Raises PaperError when there is none, or when it is hostile."""
    total = sum(len(data) for name, data in files.items() if name.endswith((".tex", ".bbl", ".bib")))
    if total > 4 * MAX_CHARS:
        raise PaperError("The LaTeX source is too large.", f"{total} bytes of text, {4 * MAX_CHARS} are allowed")
    main = find_main(files)
    inputs = Inputs(files, main)
    flat = inputs.flat()
    check_braces(flat)
    flat = live(flat)
    warnings = unclosed(flat)
    macros = Macros()
    flat = macros.expand(flat)
    flat = inputs.resolved(flat, macros.expand)
    check_braces(flat)
    warnings = [*inputs.warnings, *warnings, *inputs.unread()]
    preamble, body = _document(flat)
    found = references(files, body)
    abstract_latex, body = _cut_environment(body, "abstract")
    walked = _walk(preamble, _cut_environment(body, "thebibliography")[1], {part.label: part.label for part in found})
    abstract = _abstract(abstract_latex, flat)
    if not abstract:
        abstract = next((_joined(section) for section in walked.sections if section.anchor == "sec:abstract"), "")
    return Paper(
        source=source,
        title=_metadata(files, "title") or _command_text(flat, "title"),
        authors=_authors(flat, files),
        abstract=abstract,
        sections=tuple(walked.sections),
        tables=tuple(walked.tables),
        elements=(*walked.elements, *found),
        warnings=tuple(dict.fromkeys([*warnings, *walked.warnings])),
    )


def _walk(preamble: str, body: str, citations: Mapping[str, str]) -> Body:
    """The body, walked twice: what a label names is known at the end of the first walk only."""
    names: dict[str, str] = {}
    last: dict[str, int] = {}
    for _ in range(2):
        walked = Body(citations, names, last)
        for match in re.finditer(SETTING, preamble):
            walked.numbers.set(match[0])
        walked.walk(body)
        names, last = walked.numbers.names, walked.numbers.last
    return walked


def _document(flat: str) -> tuple[str, str]:
    head, mark, rest = flat.partition("\\begin{document}")
    if not mark:
        return "", flat
    return head, rest.partition("\\end{document}")[0]


def _abstract(environment: str, flat: str) -> str:
    return to_text(environment) or _command_text(flat, "abstract") or _command_text(flat, "articleABSTRACT")


def _command_text(latex: str, name: str) -> str:
    for match in re.finditer(rf"\\{name}\s?(?:\[[^\]]{{0,500}}\])?\s?(?=\{{)", latex):
        if text := to_text(group(latex, match.end())[0]).replace("\n\n", " "):
            return text
    return ""


def _metadata(files: Mapping[str, bytes], field: str) -> str:
    """ReScience's metadata.tex, where an article has one: `\\def \\codeURL…` style fields."""
    for name, data in files.items():
        if name.endswith("metadata.tex"):
            text = decode(data)
            if match := re.search(rf"\\def\s*\\article{field.upper()}\s*(?=\{{)", text):
                return to_text(group(text, match.end())[0]).replace("\n\n", " ")
    return ""


def _authors(flat: str, files: Mapping[str, bytes]) -> tuple[str, ...]:
    text = _metadata(files, "authors")
    if not text:
        found = [
            group(flat, match.end())[0] for match in re.finditer(r"\\author\s?(?:\[[^\]]{0,500}\])?\s?(?=\{)", flat)
        ]
        parts = [part for latex in found for part in re.split(r"\\(?:And|AND|and)\b", latex)]
        text = ", ".join(to_text(re.split(r"\\\\", part)[0]) for part in parts)
    names = [re.sub(r"\s*(\[\d+\]|[∗*†‡\d])+$", "", name).strip() for name in re.split(r",| and ", text)]
    return tuple(name for name in names if name and "@" not in name)[:60]


def _joined(section: Section) -> str:
    return " ".join(paragraph.text for paragraph in section.paragraphs)


def _cut_environment(body: str, name: str) -> tuple[str, str]:
    """(what stands in the first environment `name`, the body without it); what follows, an appendix often, stays."""
    before, found, rest = body.partition(f"\\begin{{{name}}}")
    if not found:
        return "", body
    inside, closed, after = rest.partition(f"\\end{{{name}}}")
    if not closed and name == "abstract":
        return "", body
    return inside, before + after
