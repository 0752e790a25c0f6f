"""Every family of tools that an executor is given. A family is one file of this folder that has a function
`tools(bench) -> list[Tool]`; it is found because it is there."""

from __future__ import annotations

import importlib
import pkgutil

import ml_intern.tools
from ml_intern.tools.bench import Bench
from ml_intern.tools.registry import Tool


def executor_tools(bench: Bench) -> list[Tool]:
    """Family by family, in the order of their names. Raises ValueError where two tools have one name."""
    found: dict[str, Tool] = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(ml_intern.tools.__path__)):
        make = getattr(importlib.import_module(f"{ml_intern.tools.__name__}.{name}"), "tools", None)
        for tool in make(bench) if callable(make) else ():
            if tool.name in found:
                raise ValueError(f"{name}.py offers a tool {tool.name!r}, which another family has already.")
            found[tool.name] = tool
    return list(found.values())
