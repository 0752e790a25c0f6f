"""A model or data set that a plan names, and what is known of it before it is fetched."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ml_intern.errors import InputError

_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPOSITORY = re.compile(r"(?:[\w.-]{1,96}/)?[\w.-]{1,96}")


def _is_repository(value: str) -> str:
    if not _REPOSITORY.fullmatch(value) or ".." in value or "--" in value:
        raise ValueError(f"{value!r} is not the id of a repository, like 'openai/gsm8k'")
    return value


class ResourceError(InputError):
    """A resource is not there, not allowed, or too large."""


class Resource(BaseModel):
    """`name`: the folder that scripts find it under. `revision`: a branch, tag or commit in a draft, the commit once it
    is pinned. `files`: glob patterns of what is wanted; empty: everything (of a model with safetensors no other
    weights). `bytes`, `licence`: filled in when it is pinned, before anything is fetched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    kind: Literal["model", "dataset"]
    id: Annotated[str, AfterValidator(_is_repository)]
    revision: str = ""
    files: tuple[str, ...] = ()
    bytes: int = Field(default=0, ge=0)
    licence: str = ""

    @property
    def is_pinned(self) -> bool:
        return bool(_COMMIT.fullmatch(self.revision)) and self.bytes > 0

    @property
    def shown(self) -> str:
        """In a line, for a person who approves it."""
        size = f"{self.bytes / 1e6:.1f} MB" if self.bytes else "size unknown"
        return f"{self.kind} {self.id}@{self.revision[:12] or 'newest'}, {size}, licence {self.licence or 'not stated'}"
