"""The file `config.toml` of `$ML_INTERN_HOME`: what a person says about models, and what they approve of in advance.

Knows nothing of how models are asked, or who obeys the rules. Keys never stand in it: it names the environment variable
that holds one.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ml_intern.errors import InputError

Effort = Literal["minimal", "low", "medium", "high"]
ToolClass = Literal["read-only", "workspace", "external", "experiment"]
Decision = Literal["allow", "ask", "refuse"]
_NAME_OF_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_LIKE_A_KEY = re.compile(r"(?i)^(bearer )?(sk|hf|gsk|xai|pk|key|r8|nvapi|AIza|AKIA)[-_A-Z0-9]|^[A-Za-z0-9+/=.-]{20,}$")
_KEY_NAMES = ("api_key", "key", "token", "api_token", "secret", "password")
_NO_KEYS = "Put the key into an environment variable and that variable's name into api_key_env. The file holds no keys."


class ModelSettings(BaseModel):
    """One table `[models."ID"]`.

    base_url: the server that is asked in place of the provider's; then `api_key_env` is the only key it is sent.
    api_key_env: the name of the environment variable that holds the key.
    input_usd_per_million, output_usd_per_million, cached_input_usd_per_million: prices; they win over litellm's list.
    context_tokens, max_output_tokens: what the model takes and gives at most.
    tools: false where it knows no tool calls (they go by text then). stream: false where the server cannot stream.
    fallback: models that answer in its place where it cannot, in order. effort: how long a reasoning model thinks.
    timeout_seconds: the longest silence while a reply is awaited.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str = ""
    api_key_env: str = ""
    input_usd_per_million: float | None = Field(default=None, ge=0)
    output_usd_per_million: float | None = Field(default=None, ge=0)
    cached_input_usd_per_million: float | None = Field(default=None, ge=0)
    context_tokens: int | None = Field(default=None, ge=512)
    max_output_tokens: int | None = Field(default=None, ge=16)
    tools: bool | None = None
    stream: bool = True
    fallback: tuple[str, ...] = ()
    effort: Effort | None = None
    timeout_seconds: float = Field(default=900.0, gt=0, le=86_400)

    @field_validator("base_url")
    @classmethod
    def _a_url(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@?#]*)?", value):
            raise ValueError("a URL like http://127.0.0.1:8080/v1 is needed, without a user, a password or a query")
        return value.rstrip("/")

    @field_validator("api_key_env")
    @classmethod
    def _a_name(cls, value: str) -> str:
        if value and (not _NAME_OF_VARIABLE.fullmatch(value) or ("_" not in value and len(value) >= 16)):
            raise ValueError("the NAME of an environment variable is needed, like OPENAI_API_KEY, never a key itself")
        return value

    @model_validator(mode="after")
    def _a_whole_price(self) -> Self:
        if (self.input_usd_per_million is None) != (self.output_usd_per_million is None):
            raise ValueError("a price has two parts: give input_usd_per_million and output_usd_per_million (0 if free)")
        if self.cached_input_usd_per_million is not None and self.input_usd_per_million is None:
            raise ValueError("a price of cached input counts beside input_usd_per_million and output_usd_per_million")
        return self


class ApprovalRule(BaseModel):
    """One table `[[approvals.rules]]`; the first that fits a call decides about it.

    tool: the name of a tool, with * and ?. class: a class of tools. Left out, it fits any. What only looks (read-only)
    is always allowed, whatever a rule says. do: allow, ask a person, or refuse.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tool: str = Field(default="", max_length=200)
    kind: Literal["workspace", "experiment", "external"] | None = Field(default=None, alias="class")
    do: Decision

    @model_validator(mode="after")
    def _about_something(self) -> ApprovalRule:
        if not self.tool and self.kind is None:
            raise ValueError("a rule names a tool, a class, or both")
        return self

    def fits(self, tool: str, kind: ToolClass) -> bool:
        return self.kind in (None, kind) and fnmatchcase(tool, self.tool or "*")


class ApprovalSettings(BaseModel):
    """The table `[approvals]`.

    gpu_minutes, usd: what the runs of one session may use of GPUs (minutes times GPUs) and of paid machines at most;
    None means no limit. answer_seconds: how long a question of the model waits for the person at the terminal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: tuple[ApprovalRule, ...] = ()
    gpu_minutes: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    usd: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    answer_seconds: float = Field(default=120.0, ge=0, le=86_400)


class Settings(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: dict[str, ModelSettings] = {}
    approvals: ApprovalSettings = ApprovalSettings()

    def model(self, name: str) -> ModelSettings:
        return self.models.get(name) or ModelSettings()


def load_settings(path: Path) -> Settings:
    """What the file at `path` says; nothing where there is none. Raises InputError that names key, line and what is
    allowed, and never repeats a value that may be a key."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read.", str(error)) from error
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is no valid TOML.", str(error), "Mend that line.") from error
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = tuple(map(str, first["loc"]))
        line = _line_of(text, place)
        where = f"{path}, line {line}" if line else str(path)
        raise InputError(f"{where}: {_problem(first, place)}", next=_allowed(first, place)) from error


def _problem(error: Any, place: tuple[str, ...]) -> str:
    name = ".".join(f'"{part}"' if not re.fullmatch(r"[\w-]+", part) else part for part in place)
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return f"there is no setting {name}."
    value = error["input"]
    if isinstance(value, bool | int | float):
        return f"{name} is {str(value).lower()}: {message}."
    shown = isinstance(value, str) and len(value) <= 40 and not _LIKE_A_KEY.search(value)
    if shown and place[-1] not in ("api_key_env", "base_url"):  # both may hold a key by mistake
        return f"{name} is {value!r}: {message}."
    return f"{name}: {message}."


def _allowed(error: Any, place: tuple[str, ...]) -> str:
    if place[-1] == "api_key_env" or place[-1].lower() in _KEY_NAMES:
        return _NO_KEYS
    if error["type"] != "extra_forbidden":
        return ""
    if len(place) == 1:
        return 'The file takes tables like [models."openai/gpt-5"], and [approvals].'
    if place[0] == "approvals":
        return f"Allowed are: {'tool, class, do' if len(place) > 2 else ', '.join(ApprovalSettings.model_fields)}."
    return f"Allowed are: {', '.join(ModelSettings.model_fields)}."


def _line_of(text: str, place: tuple[str, ...]) -> int | None:
    """The line where the setting at `place` is given, else that of its table."""
    inside: tuple[str, ...] = ()
    best: tuple[int, int] | None = None
    seen: Counter[tuple[str, ...]] = Counter()
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped.startswith("["):
            inside = _header(stripped)
            if stripped.startswith("[["):  # one of several tables, which are counted from 0
                seen[inside] += 1
                inside = (*inside, str(seen[inside] - 1))
            path = inside
        elif match := re.match(r'("[^"]*"|\'[^\']*\'|[\w-]+)\s*=', stripped):
            path = (*inside, match[1].strip("\"'"))
        else:
            continue
        shared = min(len(path), len(place))
        if shared and place[:shared] == path[:shared] and (best is None or shared > best[0]):
            best = (shared, number)
    return best[1] if best else None


def _header(line: str) -> tuple[str, ...]:
    """The names in `[a."b"]`; empty where the line only looks like a table's head."""
    try:
        table: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return ()
    names = []
    while isinstance(table, dict) and table:
        name, table = next(iter(table.items()))
        names.append(name)
    return tuple(names)
