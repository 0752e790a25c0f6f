"""A paper from its LaTeX source: sections, paragraphs, tables, equations, figures, footnotes, references."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ml_intern.errors import PaperError
from ml_intern.read.anchors import Unique, slug
from ml_intern.read.latex_source import MAX_CHARS, Macros, decode, find_main, flatten, group
from ml_intern.read.latex_tables import TABULAR, build_table, read_tabular
from ml_intern.read.latex_text import to_text
from ml_intern.read.paper import Element, Paper, Paragraph, Section, Source, Table

_FLOAT = re.compile(
    r"\\begin\s*\{(table\*?|wraptable|sidewaystable\*?|longtable|figure\*?|wrapfigure|algorithm\*?|algorithmic"
    r"|equation\*?|align\*?|gather\*?|eqnarray\*?|multline\*?|displaymath)\}|\\\[|\$\$"
)
_EQUATIONS = ("equation", "align", "gather", "eqnarray", "multline", "displaymath")
_SECTION = re.compile(r"\\(part|chapter|section|subsection|subsubsection|paragraph)(\*?)\s*(?:\[[^\]]*\])?\s*(?=\{)")
_LEVELS = {"part": 1, "chapter": 1, "section": 1, "subsection": 2, "subsubsection": 3}
_LABEL = re.compile(r"\\label\s*\{([^}]*)\}")


def read_latex(files: Mapping[str, bytes], source: Source) -> Paper:
    """The paper in `files` (path to bytes). Raises PaperError when there is none, or when it is hostile."""
    total = sum(len(data) for name, data in files.items() if name.endswith((".tex", ".bbl", ".bib")))
    if total > 4 * MAX_CHARS:
        raise PaperError("The LaTeX source is too large.", f"{total} bytes of text, {4 * MAX_CHARS} are allowed")
    main = find_main(files)
    flat, warnings = flatten(files, main)
    macros = Macros()
    flat = macros.expand(macros.take(flat))
    preamble, body = _document(flat)
    references = _references(files, body)
    citations = {element.label: element.anchor.removeprefix("ref:") for element in references}
    reader = _Reader(citations)
    sections = reader.sections(_cut_bibliography(body))
    abstract = _abstract(flat) or next((_joined(s) for s in sections if s.anchor == "sec:abstract"), "")
    return Paper(
        source=source,
        title=_metadata(preamble, body, files, "title") or _command_text(flat, "title"),
        authors=_authors(flat, files),
        abstract=abstract,
        sections=tuple(sections),
        tables=tuple(reader.tables),
        elements=(*reader.elements, *references),
        warnings=tuple(dict.fromkeys([*warnings, *reader.warnings])),
    )


class _Reader:
    """Walks the body once; floats are lifted out of the text before it is cut into sections."""

    def __init__(self, citations: Mapping[str, str]) -> None:
        self.citations = citations
        self.tables: list[Table] = []
        self.elements: list[Element] = []
        self.warnings: list[str] = []
        self._numbers = {"tab": 0, "eq": 0, "fig": 0, "alg": 0, "note": 0}

    def text(self, latex: str) -> str:
        return to_text(latex, self.citations)

    def sections(self, body: str) -> list[Section]:
        body = re.sub(r"\\begin\s*\{abstract\}.*?\\end\s*\{abstract\}", "", body, flags=re.DOTALL)
        body = self._lift_footnotes(self._lift_floats(body))
        found = list(_SECTION.finditer(body))
        unique = Unique()
        sections = []
        first = body[: found[0].start()] if found else body
        if paragraphs := self._paragraphs("sec:0", first):
            sections.append(Section(anchor="sec:0", title="", paragraphs=paragraphs))
        counters = [0, 0, 0]
        appendix = body.find("\\appendix")
        for number, match in enumerate(found):
            if match[1] == "paragraph":
                continue
            title, after = group(body, match.end())
            end = next((m.start() for m in found[number + 1 :] if m[1] != "paragraph"), len(body))
            level = _LEVELS[match[1]]
            if match[1] in ("part", "chapter"):
                continue
            title_text = self.text(title)
            if match[2]:
                anchor = f"sec:{slug(title_text)}"
            else:
                if appendix != -1 and match.start() > appendix and counters[0] >= 0 and not self._in_appendix:
                    self._in_appendix, counters = True, [0, 0, 0]
                counters = [c + (i == level - 1) if i < level else 0 for i, c in enumerate(counters)]
                anchor = f"sec:{self._number(counters[:level])}"
            anchor = unique(anchor)
            paragraphs = self._paragraphs(anchor, body[after:end])
            sections.append(Section(anchor=anchor, title=title_text, level=level, paragraphs=paragraphs))
        return sections

    _in_appendix = False

    def _number(self, counters: list[int]) -> str:
        first = chr(ord("A") + (counters[0] - 1) % 26) if self._in_appendix and counters[0] else str(counters[0])
        return ".".join([first, *map(str, counters[1:])])

    def _paragraphs(self, anchor: str, latex: str) -> tuple[Paragraph, ...]:
        latex = re.sub(r"\\item\b", "\n\n", latex)
        latex = re.sub(r"\\paragraph\*?\s*(?=\{)", "\n\n", latex)
        latex = re.sub(r"\\(begin|end)\s*\{[^}]*\}(\[[^\]]*\])?", "\n\n", latex)
        texts = [text.strip() for text in self.text(latex).split("\n\n")]
        kept = [text for text in texts if re.search(r"\w", text)]
        return tuple(Paragraph(anchor=f"{anchor}/par:{i}", text=text) for i, text in enumerate(kept, start=1))

    def _lift_floats(self, body: str) -> str:
        out, place = [], 0
        while match := _FLOAT.search(body, place):
            out.append(body[place : match.start()])
            name = match[1] or match[0]
            closing = {"\\[": "\\]", "$$": "$$"}.get(name, f"\\end{{{name}}}")
            end = body.find(closing, match.end())
            if end == -1:
                self.warnings.append(f"{name} is never closed")
                place = match.end()
                continue
            end += len(closing)
            out.append(self._float(name.rstrip("*"), body[match.start() : end], body[match.end() : end - len(closing)]))
            place = end
        return "".join([*out, body[place:]])

    def _float(self, name: str, whole: str, inner: str) -> str:
        """Remembers a float; returns what stays in the running text."""
        label = match[1] if (match := _LABEL.search(inner)) else ""
        if name in _EQUATIONS or name in ("\\[", "$$"):
            text = self.text(re.sub(r"(?<!\\)&", " ", inner)).replace("\n\n", " ")
            if text or inner.strip():
                self._add("eq", "equation", text or inner.strip(), label)
            return f" {text} "
        if name in ("table", "wraptable", "sidewaystable", "longtable") or TABULAR.search(inner):
            self._table(whole if name == "longtable" else inner, label)
        elif name in ("figure", "wrapfigure"):
            self._add("fig", "figure", self.text(_caption(inner)), label)
        else:
            self._add("alg", "algorithm", self.text(f"{_caption(inner)} {inner}"), label)
        return "\n\n"

    def _add(self, prefix: str, kind: str, text: str, label: str) -> None:
        self._numbers[prefix] += 1
        anchor = f"{prefix}:{self._numbers[prefix]}"
        self.elements.append(Element.model_validate({"anchor": anchor, "kind": kind, "text": text, "label": label}))

    def _table(self, latex: str, label: str) -> None:
        tabulars, place = [], 0
        captions = len(re.findall(r"\\caption\b", latex))
        while match := TABULAR.search(latex, place):
            closing = f"\\end{{{match[1]}}}"
            end = latex.find(closing, match.end())
            place = len(latex) if end == -1 else end + len(closing)
            columns, rows = read_tabular(latex[match.start() : place], self.text)
            if rows:
                tabulars.append((columns, rows))
        if not tabulars:
            self.warnings.append(f"table {label or '(no label)'} has no tabular that could be read")
        if captions > 1 and captions == len(tabulars):
            pieces = _caption_list(latex)
            for piece, tabular in zip(pieces, tabulars, strict=True):
                self._numbers["tab"] += 1
                anchor = f"tab:{self._numbers['tab']}"
                self.tables += build_table(anchor, [tabular], self.text(piece), label)
            return
        self._numbers["tab"] += 1
        self.tables += build_table(f"tab:{self._numbers['tab']}", tabulars, self.text(_caption(latex)), label)

    def _lift_footnotes(self, body: str) -> str:
        out, place = [], 0
        for match in re.finditer(r"\\footnote(?:text)?\s*(?:\[[^\]]*\])?\s*(?=\{)", body):
            if match.start() < place:
                continue
            text, end = group(body, match.end())
            self._add("note", "footnote", self.text(text), "")
            out.append(body[place : match.start()])
            place = end
        return "".join([*out, body[place:]])


def _document(flat: str) -> tuple[str, str]:
    head, mark, rest = flat.partition("\\begin{document}")
    if not mark:
        return "", flat
    return head, rest.partition("\\end{document}")[0]


def _caption(latex: str) -> str:
    captions = _caption_list(latex)
    return captions[-1] if captions else ""


def _caption_list(latex: str) -> list[str]:
    out = []
    for match in re.finditer(r"\\caption\*?\s*(?:of\s*\{\w+\})?\s*(?:\[[^\]]*\])?\s*(?=\{)", latex):
        text = group(latex, match.end())[0]
        if text.strip():
            out.append(text)
    return out


def _abstract(flat: str) -> str:
    if match := re.search(r"\\begin\s*\{abstract\}(.*?)\\end\s*\{abstract\}", flat, re.DOTALL):
        return to_text(match[1])
    return _command_text(flat, "abstract") or _command_text(flat, "articleABSTRACT")


def _command_text(latex: str, name: str) -> str:
    for match in re.finditer(rf"\\{name}\s*(?:\[[^\]]*\])?\s*(?=\{{)", latex):
        if text := to_text(group(latex, match.end())[0]).replace("\n\n", " "):
            return text
    return ""


def _metadata(preamble: str, body: str, files: Mapping[str, bytes], field: str) -> str:
    """ReScience's metadata.tex, where an article has one: `\\def \\codeURL…` style fields."""
    for name, data in files.items():
        if name.endswith("metadata.tex"):
            text = decode(data)
            if match := re.search(rf"\\def\s*\\article{field.upper()}\s*(?=\{{)", text):
                return to_text(group(text, match.end())[0]).replace("\n\n", " ")
    return ""


def _authors(flat: str, files: Mapping[str, bytes]) -> tuple[str, ...]:
    text = _metadata("", "", files, "authors")
    if not text:
        found = [group(flat, match.end())[0] for match in re.finditer(r"\\author\s*(?:\[[^\]]*\])?\s*(?=\{)", flat)]
        parts = [part for latex in found for part in re.split(r"\\(?:And|AND|and)\b", latex)]
        text = ", ".join(to_text(re.split(r"\\\\", part)[0]) for part in parts)
    names = [re.sub(r"\s*(\[\d+\]|[∗*†‡\d])+$", "", name).strip() for name in re.split(r",| and ", text)]
    return tuple(name for name in names if name and "@" not in name)[:60]


def _joined(section: Section) -> str:
    return " ".join(paragraph.text for paragraph in section.paragraphs)


def _cut_bibliography(body: str) -> str:
    """The body without its bibliography; what stands after it (an appendix, often) stays."""
    start = body.find("\\begin{thebibliography}")
    if start == -1:
        return body
    end = body.find("\\end{thebibliography}", start)
    return body[:start] + ("" if end == -1 else body[end + len("\\end{thebibliography}") :])


def _references(files: Mapping[str, bytes], body: str) -> tuple[Element, ...]:
    """From the `.bbl`, the body's own bibliography, or the `.bib`."""
    texts = [decode(data) for name, data in files.items() if name.endswith(".bbl")]
    out: dict[str, str] = {}
    for text in [*texts, body]:
        for item in re.split(r"\\bibitem\b", text)[1:]:
            if match := re.match(r"\s*(?:\[.*?\])?\s*\{([^}]*)\}", item, re.DOTALL):
                entry = item[match.end() :].split("\\end{thebibliography}")[0].replace("\\newblock", " ")
                out.setdefault(match[1].strip(), to_text(entry).replace("\n\n", " "))
        for match in re.finditer(r"\\entry\{([^}]*)\}(.*?)\\endentry", text, re.DOTALL):
            title = re.search(r"\\field\{title\}(?=\{)", match[2])
            out.setdefault(match[1], to_text(group(match[2], title.end())[0]) if title else "")
    if not out:
        for name, data in files.items():
            if name.endswith(".bib"):
                out |= _bib_entries(decode(data))
    return tuple(
        Element(anchor=f"ref:{key}", kind="reference", text=text, label=key) for key, text in out.items() if key
    )


def _bib_entries(text: str) -> dict[str, str]:
    out = {}
    for match in re.finditer(r"@(\w+)\s*\{\s*([^,\s]+)\s*,", text):
        if match[1].lower() in ("comment", "string", "preamble"):
            continue
        body, _ = group(text, text.index("{", match.start()))
        fields = {}
        for name in ("author", "title", "year", "journal", "booktitle"):
            if found := re.search(rf"\b{name}\s*=\s*", body, re.IGNORECASE):
                rest = body[found.end() :]
                value = group(rest, 0)[0] if rest.startswith("{") else re.split(r'"|,\s*\n', rest.lstrip('"'))[0]
                fields[name] = to_text(value)
        out[match[2]] = ". ".join(value for value in fields.values() if value)
    return out
