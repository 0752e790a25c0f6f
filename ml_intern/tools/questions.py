"""A question to the person, and what is done if nobody answers. Knows nothing of who answers, or how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ml_intern.tools.bench import Bench
from ml_intern.tools.registry import Tool


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty")
    return text.strip()


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    question: Annotated[str, Field(max_length=2000), AfterValidator(_said)]
    meanwhile: Annotated[
        str, Field(max_length=1000, description="what you do if nobody answers"), AfterValidator(_said)
    ]
    changes: Literal["nothing", "claims", "metric", "seeds", "sealed data", "budget"] = Field(
        default="nothing", description="what of the approved plan or its budget the answer would change"
    )


def tools(bench: Bench) -> list[Tool]:
    return question_tools(bench.ask) if bench.ask is not None else []


def question_tools(ask: Callable[[str, str, str], str]) -> list[Tool]:
    """`ask` is given question, meanwhile and changes, and says how it went."""
    return [
        Tool(
            "ask_person",
            "Ask the person what the plan leaves open and you cannot find out. Often nobody is there: say what you do"
            " then; it is noted and listed in the report. What changes the plan or its budget is never decided so.",
            "read-only",
            _Asked,
            lambda asked: ask(asked.question, asked.meanwhile, asked.changes),
        )
    ]
