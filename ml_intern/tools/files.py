"""Files of one workspace: list, read, write, edit, search. Paths stay beneath it; links and devices are refused."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from pydantic import BaseModel, Field

from ml_intern.errors import InputError
from ml_intern.judge.settings_file import SETTINGS
from ml_intern.tools.bench import Bench
from ml_intern.tools.beneath import files_beneath, read_beneath, remove_unfinished, write_beneath
from ml_intern.tools.registry import Tool, fenced

_MAX_BYTES = 1_000_000
_FENCE = "file_text"  # a mark that hardly any file holds, so that what is read can be copied into an edit


class _Write(BaseModel):
    path: str = Field(description="path within the workspace, like train.py")
    content: str


class _Read(BaseModel):
    path: str
    first_line: int = Field(default=1, ge=1)
    lines: int = Field(default=400, ge=1, le=2000)


class _Edit(BaseModel):
    path: str
    old: str = Field(min_length=1, description="stands in the file exactly once, blanks and line ends included")
    new: str


class _Search(BaseModel):
    words: str = Field(min_length=1, description="found where they stand exactly so, in any file")


class _Nothing(BaseModel):
    pass


def tools(bench: Bench) -> list[Tool]:
    return file_tools(bench.laboratory.places.scripts)


def file_tools(root: Path) -> list[Tool]:
    """Tools on the files under `root`, which is made."""
    root.mkdir(parents=True, exist_ok=True)
    remove_unfinished(root)  # it would count as a script, and be frozen and published with them

    def write_file(arguments: _Write) -> str:
        _refuse_settings(arguments.path)
        if len(arguments.content.encode()) > _MAX_BYTES:
            raise InputError(f"{arguments.path} is larger than {_MAX_BYTES} bytes.", next="Write smaller files.")
        write_beneath(root, arguments.path, arguments.content)
        return f"{arguments.path}: {len(arguments.content)} characters written"

    def read_file(arguments: _Read) -> str:
        lines = _read(root, arguments.path).splitlines(keepends=True)
        start = arguments.first_line - 1
        if start >= len(lines):
            return f"({arguments.path} has {len(lines)} lines)" if lines else "(empty)"
        shown = "".join(lines[start : start + arguments.lines])
        rest = len(lines) - start - arguments.lines
        return fenced(_FENCE, shown) + (
            f"\n… {rest} more lines, from line {start + arguments.lines + 1}" if rest > 0 else ""
        )

    def edit_file(arguments: _Edit) -> str:
        _refuse_settings(arguments.path)
        text = _read(root, arguments.path)
        count = text.count(arguments.old)
        if count != 1:
            advice = "Read the file and copy the words." if count == 0 else "Give more of what stands around it."
            raise InputError(f"`old` stands {count} times in {arguments.path}.", next=advice)
        write_beneath(root, arguments.path, text.replace(arguments.old, arguments.new))
        return f"{arguments.path}: changed"

    def search_files(arguments: _Search) -> str:
        hits = []
        for path in files_beneath(root):
            for number, line in enumerate(_read(root, path).splitlines(), start=1):
                if arguments.words in line:
                    hits.append(f"{path}:{number}: {line.strip()[:200]}")
        return fenced(_FENCE, "\n".join(hits[:100])) if hits else "found nowhere"

    def list_files(_: _Nothing) -> str:
        return "\n".join(files_beneath(root)[:500]) or "(empty)"

    return [
        Tool(
            "write_file", "Write a text file of the workspace, whole.", "workspace", _Write, write_file, repeatable=True
        ),
        Tool("edit_file", "Replace one place of a file by other words.", "workspace", _Edit, edit_file),
        Tool("read_file", "Read a text file of the workspace, by lines.", "read-only", _Read, read_file),
        Tool(
            "search_files", "Lines of the workspace's files that hold some words.", "read-only", _Search, search_files
        ),
        Tool("list_files", "List the files of the workspace.", "read-only", _Nothing, list_files),
    ]


def _refuse_settings(path: str) -> None:
    """The harness's own file. Where a file system knows no case, another spelling is the same file."""
    if PurePosixPath(path).name.casefold() == SETTINGS and len(PurePosixPath(path).parts) == 1:
        raise InputError(
            f"{SETTINGS} is written by the harness.",
            "it holds the plan's settings, and reports print those",
            "Read it in the scripts as it is. Where a shared setting does not work, amend_plan changes it.",
        )


def _read(root: Path, name: str) -> str:
    return read_beneath(root, name, _MAX_BYTES).decode("utf-8", errors="replace")
