"""`ml-intern recipes`: lists the recipe book."""

from __future__ import annotations

from typing import Annotated

import typer

from ml_intern.errors import InputError


def recipes(name: Annotated[str, typer.Argument(help="One recipe, with its page.")] = "") -> None:
    """List the built-in experiments, or show one."""
    from ml_intern.recipes.book import load_book

    book = load_book()
    if not name:
        for recipe in book:
            tested = sum(bool(claim.tests) for claim in recipe.claims)
            typer.echo(f"{recipe.id:<24} {recipe.title} ({tested} kinds of claim)")
        return
    found = next((recipe for recipe in book if recipe.id == name), None)
    if found is None:
        raise InputError(f"There is no recipe {name!r}.", f"there are: {', '.join(recipe.id for recipe in book)}")
    typer.echo(found.page())
    for claim in found.claims:
        typer.echo(f"- {claim.id}: {claim.statement}" + ("" if claim.tests else f" (not tested: {claim.untested})"))
