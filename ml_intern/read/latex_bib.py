"""The references of a LaTeX paper: from its `.bbl`, from the body's own bibliography, or from the `.bib`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ml_intern.read.latex_clean import clean
from ml_intern.read.latex_source import decode, group
from ml_intern.read.latex_text import to_text
from ml_intern.read.paper import Element

_MONTHS = {
    month: month.capitalize()
    for month in ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
}
_FIELDS = ("author", "editor", "title", "journal", "journaltitle", "booktitle", "publisher", "year", "date")


def references(files: Mapping[str, bytes], body: str) -> tuple[Element, ...]:
    """Every entry, by its key. Of a `.bib` only those that `body` cites: it may hold a library."""
    out: dict[str, str] = {}
    for text in [*(clean(decode(data)) for name, data in files.items() if name.endswith(".bbl")), body]:
        out = _items(text) | _biblatex_entries(text) | out
    if not out:
        cited = _cited(body)
        for name, data in files.items():
            if name.endswith(".bib"):
                entries = _bib_entries(decode(data))
                out |= {key: text for key, text in entries.items() if "*" in cited or key in cited}
    return tuple(
        Element(anchor=f"ref:{key}", kind="reference", text=text, label=key) for key, text in out.items() if key
    )


def _items(text: str) -> dict[str, str]:
    out: dict[str, str] = {}
    for item in re.split(r"\\bibitem\b", text)[1:]:
        if match := re.match(r"\s*(?:\[.*?\])?\s*\{([^}]*)\}", item, re.DOTALL):
            entry = item[match.end() :].split("\\end{thebibliography}")[0].replace("\\newblock", " ")
            out.setdefault(match[1].strip(), _line(entry))
    return out


def _biblatex_entries(text: str) -> dict[str, str]:
    """Entries of the `.bbl` that biblatex writes."""
    out = {}
    for piece in re.split(r"\\entry\s?(?=\{)", text)[1:]:
        key, place = group(piece, 0)
        entry = piece[place:].split("\\endentry")[0]
        families = [group(entry, match.end())[0] for match in re.finditer(r"\bfamily=(?=\{)", entry)]
        fields = {match[1]: group(entry, match.end())[0] for match in re.finditer(r"\\field\{(\w+)\}(?=\{)", entry)}
        shown = [", ".join(families), *(fields.get(name, "") for name in _FIELDS)]
        out[key] = ". ".join(_line(value) for value in shown if value)
    return out


def _cited(body: str) -> set[str]:
    keys: set[str] = set()
    for match in re.finditer(r"\\[a-zA-Z]*[cC]ite[a-zA-Z]*\*?((?:\s?\[[^\[\]]{0,300}\])*\s?\{[^{}]{0,5000}\})+", body):
        for argument in re.findall(r"\{([^{}]*)\}", match[0]):
            keys |= {key.strip() for key in argument.split(",")}
    return keys


def _bib_entries(text: str) -> dict[str, str]:
    words: dict[str, str] = dict(_MONTHS)
    out = {}
    place = 0
    for match in re.finditer(r"@(\w+)\s*([{(])", text):
        if match.start() < place:
            continue
        kind = match[1].lower()
        if kind == "comment":
            continue
        closing = ")" if match[2] == "(" else "}"
        if kind == "string":
            fields, place = _fields(text, match.end(), closing, words)
            words |= fields
            continue
        key = re.compile(r"\s*([^,\s{}()=]+)\s*,").match(text, match.end())
        if key is None:
            continue
        fields, place = _fields(text, key.end(), closing, words)
        shown = [fields.get(name, "") for name in _FIELDS]
        out[key[1]] = ". ".join(_line(value).rstrip(".") for value in shown if value)
    return out


def _fields(text: str, place: int, closing: str, words: Mapping[str, str]) -> tuple[dict[str, str], int]:
    """`name = value, …` up to the end of the entry, and the place after it."""
    out: dict[str, str] = {}
    name = re.compile(r"[\s,]*([\w:-]+)\s*=\s*")
    while match := name.match(text, place):
        value, place = _value(text, match.end(), words)
        out.setdefault(match[1].lower(), value)
        if not re.compile(r"\s*,").match(text, place):
            break
    return out, place


def _value(text: str, place: int, words: Mapping[str, str]) -> tuple[str, int]:
    """`{…}`, `"…"`, a number or a word of `words`, joined by `#`."""
    parts = []
    while True:
        if text[place : place + 1] == "{":
            part, place = group(text, place)
        elif text[place : place + 1] == '"':
            part, place = _quoted(text, place + 1)
        else:
            word = re.compile(r"[^\s,#{}()\"]*").match(text, place)
            part = word[0] if word else ""
            place += len(part)
            part = words.get(part.lower(), part)
        parts.append(part)
        joined = re.compile(r"\s*#\s*").match(text, place)
        if joined is None:
            return "".join(parts), place
        place = joined.end()


def _quoted(text: str, place: int) -> tuple[str, int]:
    """Up to the quote that no brace hides."""
    start, depth = place, 0
    for match in re.compile(r'\\.|["{}]', re.DOTALL).finditer(text, place, place + 20_000):
        if match[0] == '"' and not depth:
            return text[start : match.start()], match.end()
        depth += {"{": 1, "}": -1}.get(match[0], 0)
    return text[start:place], place


def _line(latex: str) -> str:
    return to_text(latex).replace("\n\n", " ")
