"""Finds what the program reads at run time (prompts), in a checkout and in an installed wheel alike."""

from __future__ import annotations

from pathlib import Path

from ml_intern.errors import MlInternError

_PACKAGE = Path(__file__).parent


def prompts_dir() -> Path:
    """The folder of prompts: inside the package when installed, at the top of a checkout otherwise."""
    for candidate in (_PACKAGE / "_prompts", _PACKAGE.parent / "prompts"):
        if candidate.is_dir():
            return candidate
    raise MlInternError("The prompts are missing.", f"neither {_PACKAGE / '_prompts'} nor a checkout's prompts/ exists")


def render_prompt(name: str, **values: object) -> str:
    """Prompt `name` (without `.md`) with its Jinja variables filled in; an unknown variable is an error."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(prompts_dir()),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 -- prompts are plain text for a model, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(f"{name}.md").render(**values)
