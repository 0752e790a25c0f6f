"""Which files of an experiment's folder a script reads beside itself, as far as its imports tell."""

from __future__ import annotations

import ast
from pathlib import Path


def read_by(folder: Path, script: str) -> tuple[str, ...]:
    """The local modules that `script` imports, and those that they import, sorted, as paths from `folder`. A file that
    is no Python imports nothing: it fails when it is run."""
    found: set[str] = set()
    waiting = [script]
    while waiting:
        for module in _imported(folder / waiting.pop()):
            parts = module.split(".")
            for name in (f"{'/'.join(parts)}.py", f"{'/'.join(parts)}/__init__.py", f"{parts[0]}.py"):
                if name not in found and name != script and (folder / name).is_file():
                    found.add(name)
                    waiting.append(name)
    return tuple(sorted(found))


def _imported(path: Path) -> set[str]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or ""} if node.module else {alias.name for alias in node.names}
    return names
