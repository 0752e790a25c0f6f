"""The body of a LaTeX paper, walked from its beginning to its end: sections, and what is lifted out of them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ml_intern.read.anchors import Unique, slug
from ml_intern.read.latex_algorithms import algorithm_lines
from ml_intern.read.latex_clean import guard
from ml_intern.read.latex_floats import LABEL, Part, blocks, captions, subparts
from ml_intern.read.latex_numbers import SETTING, Numbers
from ml_intern.read.latex_source import environment_end, group, option, skip_space
from ml_intern.read.latex_tables import TABULAR, Grid, build_tables, read_tabulars, split_rows, without_captions
from ml_intern.read.latex_text import to_text
from ml_intern.read.paper import Element, Paragraph, Section, Table

_FLOATS = {
    "table": "tab", "wraptable": "tab", "sidewaystable": "tab", "margintable": "tab", "longtable": "tab",
    "longtblr": "tab", "figure": "fig", "wrapfigure": "fig", "sidewaysfigure": "fig", "SCfigure": "fig",
    "SCtable": "tab", "marginfigure": "fig", "algorithm": "alg", "algorithm2e": "alg", "algorithmic": "alg",
    "minipage": "", "center": "", "tabular": "", "tabularx": "", "tabulary": "", "supertabular": "", "NiceTabular": "",
    "tblr": "",
}  # fmt: skip
_EQUATIONS = ("equation", "align", "flalign", "alignat", "gather", "eqnarray", "multline", "displaymath")
_BY_ROW = ("align", "flalign", "alignat", "gather", "eqnarray")
_MARK = re.compile(
    r"(?P<skip>\\[^a-zA-Z\[])"
    rf"|\\begin\s?\{{(?P<env>(?:{'|'.join([*_FLOATS, *_EQUATIONS])})\*?|appendix|appendices)\}}"
    r"|(?P<display>\\\[|\$\$)"
    r"|\\(?P<section>part|chapter|section|subsection|subsubsection|paragraph|subparagraph)(?P<star>\*?)\s?(?=[\[{])"
    r"|\\(?P<note>footnote|footnotetext)\s?(?=[\[{])"
    r"|\\(?P<appendix>appendix|appendices)(?![a-zA-Z])"
    r"|\\label\s?\{(?P<label>[^{}]*)\}"
    rf"|(?P<setting>{SETTING})"
)
_LEVELS = {"part": 0, "chapter": 0, "section": 1, "subsection": 2, "subsubsection": 3}
_ENVIRONMENT = re.compile(
    r"\\begin\s?\{(?:minipage|multicols\*?|adjustbox|spacing|thebibliography|wrapfigure|tabular|array)\}"
    r"(?:\s?\[[^\]]{0,500}\])*\s?\{[^{}]*\}|\\begin\s?\{adjustwidth\*?\}(?:\s?\{[^{}]*\}){2}"
    r"|\\(?:begin|end)\s?\{[^{}]*\}(?:\s?\[[^\]]{0,500}\])?"
)
_MATHS = re.compile(
    r"\\begin\s?\{(?:array|subarray|alignedat)\}(?:\s?\[[^\]]{0,40}\])?\s?\{[^{}]*\}"
    r"|\\(?:begin|end)\s?\{(?:array|subarray|cases|dcases|[bBpvV]?(?:small)?matrix|aligned|alignedat|split|gathered)\}"
)


class Body:
    """What a walk found. `names` (of labels) and `last` (numbers) are what an earlier walk of the same body learnt."""

    def __init__(self, citations: Mapping[str, str], names: Mapping[str, str], last: dict[str, int]) -> None:
        self.sections: list[Section] = []
        self.tables: list[Table] = []
        self.elements: list[Element] = []
        self.warnings: list[str] = []
        self.numbers = Numbers(last)
        self._citations, self._names = citations, names
        self._unique = Unique()
        self._open = ("sec:0", "", 1, "")  # anchor, title, level, number
        self._text: list[str] = []
        self._chapters = 0
        self._never_closed: set[str] = set()

    def text(self, latex: str) -> str:
        return to_text(latex, self._citations, self._names)

    def line(self, latex: str) -> str:
        return " ".join(self.text(latex).split())

    def walk(self, body: str) -> None:
        self._chapters = int(re.search(r"\\chapter\s?[\[{]", body) is not None)
        place = 0
        while match := _MARK.search(body, place):
            self._text.append(body[place : match.start()])
            place = self._mark(match, body)
        self._text.append(body[place:])
        self._close()

    def _mark(self, match: re.Match[str], body: str) -> int:
        """Does what stands at `match`; where the walk goes on."""
        if match["env"] in ("appendix", "appendices") or match["appendix"]:
            self.numbers.appendix()
        elif match["env"] or match["display"]:
            return self._environment(match["env"] or match["display"], match.end(), body)
        elif match["section"]:
            return self._section(match["section"], bool(match["star"]), match.end(), body)
        elif match["note"]:
            return self._footnote(body, match.end())
        elif match["label"] is not None:
            self._label(match["label"])
        elif match["setting"]:
            self.numbers.set(match["setting"])
        else:
            self._text.append(match[0])
        return match.end()

    def _label(self, label: str) -> None:
        """A label names its section where it follows the heading, or says so; else what it names is not known."""
        at_heading = not "".join(self._text[-3:]).strip()
        if at_heading or re.match(r"(sub)*s?(sec|app|chap|ch\b)", label):
            self.numbers.name(label, "sec", self._open[3])

    def _section(self, kind: str, starred: bool, place: int, body: str) -> int:
        _, place = option(body, place)
        place = skip_space(body, place)
        if body[place : place + 1] != "{":
            return place
        title, place = group(body, place)
        if kind.endswith("paragraph"):
            self._text.append(f"\n\n{self._without_notes(title)} ")
            return place
        self._close()
        level = _LEVELS[kind] + self._chapters
        shown = self.line(self._without_notes(title))
        number = "" if starred or kind == "part" else self.numbers.section(level)
        self._open = (self._unique(f"sec:{number or slug(shown)}"), shown, max(1, level), number)
        return place

    def _close(self) -> None:
        """Ends the open section."""
        anchor, title, level, _ = self._open
        paragraphs = self._paragraphs(anchor, "".join(self._text))
        self._text = []
        if title or paragraphs or anchor != "sec:0":
            self.sections.append(Section(anchor=anchor, title=title, level=level, paragraphs=paragraphs))

    def _paragraphs(self, anchor: str, latex: str) -> tuple[Paragraph, ...]:
        latex = re.sub(r"\\item(?![a-zA-Z])(?:\s?\[([^\[\]]{0,300})\])?", r"\n\n\1 ", latex)
        latex = _ENVIRONMENT.sub("\n\n", _MATHS.sub(" ", latex))
        texts = [text.strip() for text in self.text(latex).split("\n\n")]
        kept = [text for text in texts if re.search(r"\w", text)]
        return tuple(Paragraph(anchor=f"{anchor}/par:{i}", text=text) for i, text in enumerate(kept, start=1))

    def _footnote(self, latex: str, place: int) -> int:
        _, place = option(latex, place)
        place = skip_space(latex, place)
        if latex[place : place + 1] != "{":
            return place
        text, place = group(latex, place)
        label = LABEL.search(text)
        number = self.numbers.printed("note")
        self._add("note", "footnote", number, self.line(text), label[1] if label else "")
        return place

    def _without_notes(self, latex: str) -> str:
        """`latex` after its footnotes were lifted out of it."""
        out, place = [], 0
        for match in re.finditer(r"\\footnote(?:text)?\s?(?=[\[{])", latex):
            if match.start() >= place:
                out.append(latex[place : match.start()])
                place = self._footnote(latex, match.end())
        return "".join([*out, latex[place:]])

    def _environment(self, name: str, place: int, body: str) -> int:
        start, end = self._extent(name, place, body)
        if start == -1:
            if _FLOATS.get(name.rstrip("*")) != "":
                self.warnings.append(f"{name} is never closed")
            return place
        inner, kind = body[place:start], name.rstrip("*")
        if kind not in _FLOATS:
            self._text.append(f" {guard(self._equation(kind, inner, name.endswith('*')))} ")
            return end
        if kind in ("minipage", "center"):
            if not any(caption.kind for caption in captions(inner)):
                self._text.append("\n\n")
                return self._past_width(body, place)
            self._float("", inner)
        elif not _FLOATS[kind]:
            if not self._bare_table(f"\\begin{{{name}}}{inner}\\end{{{name}}}"):
                self._text.append(re.sub(r"(?<!\\)&", " ", inner.partition("}")[2]))
        elif kind in ("longtable", "longtblr"):
            self._float("tab", f"\\begin{{{name}}}{inner}\\end{{{name}}}")
        elif _FLOATS[kind] == "alg":
            self._algorithm(inner, kind)
        else:
            self._float(_FLOATS[kind], self._without_notes(inner))
        self._text.append("\n\n")
        return end

    def _extent(self, name: str, place: int, body: str) -> tuple[int, int]:
        if name in ("\\[", "$$"):
            closing = "\\]" if name == "\\[" else "$$"
            start = body.find(closing, place, place + 20_000)
            return start, start + 2
        if name in self._never_closed:
            return -1, -1
        start, end = environment_end(body, name, place)
        if start == -1:
            self._never_closed.add(name)
        return start, end

    def _past_width(self, body: str, place: int) -> int:
        """After the `[t]{0.5\\textwidth}` of a minipage."""
        match = re.compile(r"(?:\s?\[[^\]]{0,80}\])*\s?\{[^{}]{0,200}\}").match(body, place)
        return match.end() if match and "minipage" in body[place - 10 : place] else place

    def _equation(self, kind: str, inner: str, starred: bool) -> str:
        """Remembers every numbered line; returns what stays in the running text."""
        inner = _MATHS.sub(" ", inner) if kind in _BY_ROW else inner
        rows = split_rows(inner) if kind in _BY_ROW and not starred else [inner]
        numbered = not starred and kind in _EQUATIONS and kind != "displaymath"
        texts, waiting = [], ""
        for row in rows:
            tag = re.search(r"\\tag\*?\s?\{([^{}]*)\}", row)
            label = LABEL.search(row)
            shown = re.sub(r"\\tag\*?\s?\{[^{}]*\}", "", _MATHS.sub(" ", row))
            text = self.line(re.sub(r"(?<!\\)&|\\\\(?:\s?\[[^\]]{0,40}\])?", " ", shown)) or row.strip()
            waiting = f"{waiting} {text}".strip()
            if not waiting or not (tag or numbered) or re.search(r"\\(?:nonumber|notag)(?![a-zA-Z])", row):
                continue
            number = self.numbers.tagged("eq", self.line(tag[1])) if tag else self.numbers.printed("eq")
            self._add("eq", "equation", number, waiting, label[1] if label else "")
            texts.append(waiting)
            waiting = ""
        if waiting:
            self._add("eq", "equation", self.numbers.unprinted("eq"), waiting, "")
            texts.append(waiting)
        return " ".join(texts)

    def _algorithm(self, inner: str, kind: str) -> None:
        found = captions(inner)
        label = LABEL.search(inner)
        number = self.numbers.printed("alg") if found else self.numbers.unprinted("alg")
        caption = self.line(found[0].text) if found else ""
        lines = algorithm_lines(without_captions(inner), self.text)
        self._add("alg", "algorithm", number, "\n".join(filter(None, [caption, lines])), label[1] if label else "")

    def _add(self, prefix: str, kind: str, number: str, text: str, label: str) -> None:
        self.numbers.name(label, prefix, number)
        anchor = f"{prefix}:{number}"
        self.elements.append(Element.model_validate({"anchor": anchor, "kind": kind, "text": text, "label": label}))

    def _float(self, kind: str, inner: str) -> None:
        parts, rest = subparts(inner)
        for number, block in enumerate(blocks(rest)):
            meant = {"table": "tab", "figure": "fig", "algorithm": "alg"}.get(block.kind, kind)
            inside = parts if number == 0 else []
            if meant == "fig":
                self._figure(block, inside)
            elif meant or TABULAR.search(block.latex):
                self._table(block, inside, warn=bool(kind or block.kind))

    def _number(self, prefix: str, block: Part) -> str:
        number = self.numbers.printed(prefix) if block.numbered else self.numbers.unprinted(prefix)
        self.numbers.name(block.label, prefix, number)
        return number

    def _figure(self, block: Part, parts: list[Part]) -> None:
        latex = "".join([block.latex, *(part.latex for part in parts)])
        if TABULAR.search(latex) and "\\includegraphics" not in latex and "tikzpicture" not in latex:
            self._table(Part(block.latex, block.caption, numbered=False), parts, warn=False)
        texts = [block.caption, *(f"{part.name} {part.caption}" for part in parts if part.caption)]
        text = self.line(" ".join(texts))
        if text or block.label:
            number = self._number("fig", block)
            for part in parts:
                self.numbers.name(part.label, "fig", number + part.name.strip("()"))
            self._add("fig", "figure", number, text, block.label)

    def _table(self, block: Part, parts: list[Part], warn: bool) -> None:
        caption = self.line(block.caption)
        grids: list[Grid] = [
            Grid(columns, rows, caption, block.label) for columns, rows in read_tabulars(block.latex, self.text)
        ]
        for part in parts:
            own = self.line(f"{part.name} {part.caption}") if part.caption else ""
            shown = f"{caption} {own}".strip()
            grids += [Grid(*found, shown, part.label or block.label) for found in read_tabulars(part.latex, self.text)]
        if not grids and not warn:
            return
        number = self._number("tab", block)
        for part in parts:
            self.numbers.name(part.label, "tab", number + part.name.strip("()"))
        if not grids:
            self.warnings.append(f"table {block.label or '(no label)'} has no tabular that could be read")
        self.tables += build_tables(f"tab:{number}", grids)

    def _bare_table(self, latex: str) -> bool:
        """A tabular in the running text is a table when it holds a quantity; else it is layout."""
        grids = [Grid(columns, rows, "", "") for columns, rows in read_tabulars(latex, self.text)]
        if not any(cell.number for grid in grids for row in grid.rows for cell in row.cells[1:]):
            return False
        self.tables += build_tables(f"tab:{self.numbers.unprinted('tab')}", grids)
        return True
