"""LaTeX files to one flat text: what the main file inputs put in place, and what its own packages define.

Knows nothing of sections or tables. Bounded: hostile input raises PaperError instead of taking time or memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from ml_intern.errors import PaperError
from ml_intern.read.latex_clean import clean
from ml_intern.read.latex_packages import LOADED, definitions, file_names
from ml_intern.read.latex_source import MAX_CHARS, decode

_MAX_DEPTH = 40
_MADE = re.compile(r"[#\\]")  # in a name: macros make it
_INPUT = re.compile(
    r"\\(?:(?:input|include|subfile|subfileinclude)(?![a-zA-Z])\s*(?:\{([^{}]*)\}|([^\s{}\\]+))"
    r"|(?:sub)?(?:import|inputfrom|includefrom)(?![a-zA-Z])\*?\s*\{([^{}]*)\}\s*\{([^{}]*)\})"
)
_UNKNOWN = re.compile(r"\\(?:input|include|subfile|subfileinclude)(?![a-zA-Z])\s*\{[^{}\n]{0,200}\{")
_MAX_ROUNDS = 3  # of inputs whose names are made by macros, in files that were input so
_LEFTOVER = re.compile(
    r"(?:^|[/_. -])(?:old|backup|bak|unused|template|sample|example|letter|cover|rebuttal|response|reply|readme|macosx|"
    r"metadata)(?![a-z])",
    re.IGNORECASE,
)
_LEFTOVER_WORDS = 30  # fewer are no text that a reader would miss


def named_inputs(data: bytes) -> list[str]:
    """What a file asks for with \\input and its like, its packages, and the files of its bibliography."""
    text = clean(decode(data))
    names = [_target(match) for match in _INPUT.finditer(text)]
    names += [name for match in LOADED.finditer(text) for name in file_names(match)]
    for match in re.finditer(r"\\(?:bibliography|addbibresource)\s*\{([^{}]*)\}", text):
        names += [name.strip().removesuffix(".bib") + ".bib" for name in match[1].split(",")]
    return [name for name in names if name and "\0" not in name and len(name) < 300]


def _target(match: re.Match[str]) -> str:
    """The path that an \\input names; of \\import, which names folder and file, both."""
    if match[4] is not None:
        return f"{match[3].strip().rstrip('/')}/{match[4].strip()}".lstrip("/")
    return (match[1] if match[1] is not None else match[2] or "").strip().strip('"')


class Inputs:
    """The files of a paper (path to bytes), read from `main` on. `warnings` grows while they are."""

    def __init__(self, files: Mapping[str, bytes], main: str) -> None:
        self.warnings: list[str] = []
        self._files = files
        self._by_name = {str(PurePosixPath(name)): name for name in files}
        self._main = main
        self._read: set[str] = set()
        self._loaded: set[str] = set()
        self._total = 0

    def flat(self) -> str:
        """The main file with its inputs in place, comments dropped. An input whose name a macro makes stays."""
        return self._text(self._main, ())

    def resolved(self, text: str, expand: Callable[[str], str]) -> str:
        """`text` with the inputs in place whose names macros make; `expand` knows the macros. What cannot be made out
        is dropped with a warning."""
        for _ in range(_MAX_ROUNDS):
            if not _INPUT.search(text):
                break
            text = expand(_INPUT.sub(lambda match: self._put(match, (self._main,)), text))
        lost = [match[0] for match in _INPUT.finditer(text)] + [f"{match[0]}…" for match in _UNKNOWN.finditer(text)]
        self.warnings += [f"{self._main}: {one} was not read: macros make its name that are not known" for one in lost]
        return _INPUT.sub("", text)

    def unread(self) -> list[str]:
        """A warning where files with text in them were never asked for."""
        names = [name for name in self._files if name.lower().endswith((".tex", ".ltx")) and name not in self._read]
        lost = [name for name in sorted(names) if not self._is_leftover(name)]
        if not lost:
            return []
        shown = ", ".join(lost[:5]) + (", …" if len(lost) > 5 else "")
        return [f"{len(lost)} .tex file{'s were' if len(lost) > 1 else ' was'} never read: {shown}"]

    def _is_leftover(self, name: str) -> bool:
        if _LEFTOVER.search(name):
            return True
        if len(self._files[name]) > MAX_CHARS:
            return False
        text = re.sub(r"\\[a-zA-Z@]+(?:\[[^\]]*\])?", " ", clean(decode(self._files[name])))
        return len(re.findall(r"[a-zA-Z]{3,}", text)) < _LEFTOVER_WORDS

    def _text(self, name: str, stack: tuple[str, ...]) -> str:
        if name in stack:
            raise PaperError("The LaTeX source includes itself.", f"{' → '.join((*stack, name))}", "Mend the \\input.")
        if len(stack) > _MAX_DEPTH:
            raise PaperError("The LaTeX source is nested too deeply.", f"{name} is {_MAX_DEPTH} \\input deep")
        self._read.add(name)
        text = self._cleaned(name)
        if stack and "\\begin{document}" in text:
            text = text.split("\\begin{document}", 1)[1].split("\\end{document}", 1)[0]
        text = LOADED.sub(lambda match: match[0] + self._defined(match), text)
        return _INPUT.sub(lambda match: self._kept(match, (*stack, name)), text)

    def _cleaned(self, name: str) -> str:
        data = self._files[name]
        if len(data) > MAX_CHARS:
            raise PaperError(f"{name} is too large to be a paper.", f"{len(data)} bytes, {MAX_CHARS} are allowed")
        text = clean(decode(data))
        self._total += len(text)
        if self._total > MAX_CHARS:
            raise PaperError("The LaTeX source is too large.", f"over {MAX_CHARS} characters once inputs are in place")
        return text

    def _kept(self, match: re.Match[str], stack: tuple[str, ...]) -> str:
        return match[0] if _MADE.search(_target(match)) else self._put(match, stack)

    def _put(self, match: re.Match[str], stack: tuple[str, ...]) -> str:
        target = _target(match)
        if "#" in target:
            return match[0]
        found = self._found(target, PurePosixPath(stack[-1]).parent, ".tex")
        if found is not None:
            return self._text(found, stack)
        if target:
            self.warnings.append(f"{stack[-1]}: \\input{{{target}}} is not among the files")
        return ""

    def _defined(self, match: re.Match[str]) -> str:
        """What the packages (or the class) that are loaded there define, where they are the paper's own files."""
        out = []
        for name in file_names(match):
            found = self._found(name, PurePosixPath(self._main).parent, "")
            if found is not None and found not in self._loaded:
                self._loaded.add(found)
                text = self._cleaned(found)
                out += [self._defined(other) for other in LOADED.finditer(text)]
                out.append(definitions(text))
        return "\n".join(part for part in ("", *out, "") if part or out)

    def _found(self, target: str, here: PurePosixPath, suffix: str) -> str | None:
        """The file that `target` names: from the main file's folder, from `here`, or anywhere, since archives are often
        packed flat."""
        for base in (PurePosixPath(self._main).parent, here):
            for ending in dict.fromkeys(("", suffix)):
                name = self._by_name.get(_normal(base / (target + ending)))
                if name is not None:
                    return name
        wanted = PurePosixPath(target).name
        wanted = wanted.removesuffix(suffix) + suffix if suffix else wanted
        same = [name for name in self._files if PurePosixPath(name).name == wanted]
        return same[0] if len(same) == 1 else None


def _normal(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            if parts:
                parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)
