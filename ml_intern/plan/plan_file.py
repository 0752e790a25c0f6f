"""plan.yaml: written for a person to read and edit; read back with errors that name the line."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from ml_intern.errors import PlanError
from ml_intern.plan.mistakes import Mistake, mistakes
from ml_intern.plan.plan import Plan

_MAX_CHARS = 2_000_000
_HEADER = """\
# The plan of an ml-intern run: which claims are tested, how, and what will count as reproduced.
# Edit it by hand and run it with `ml-intern run --plan FILE`. Once approved it is frozen by its hash.
"""


class _Dumper(yaml.SafeDumper):
    """Multi-line text as blocks, lists indented; nothing aliased."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


class _Loader(yaml.SafeLoader):
    """Refuses what a plan never needs and a reader would overlook: aliases, and the same key twice."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "a plan has no aliases (*name)", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                problem = f"the key {key.value!r} stands here twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def dump_plan(plan: Plan) -> str:
    """The plan as YAML, also what holds its default; only what is empty anyway is left out."""
    stated = plan.model_dump(mode="json", exclude_defaults=True)
    data = _without_empty(plan.model_dump(mode="json"), stated)
    body = yaml.dump({"version": plan.version, **data}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return _HEADER + body


def _without_empty(value: Any, stated: Any) -> Any:
    """`value` without empty parts that are not in `stated`, and with ids first."""
    if isinstance(value, list):
        rest = stated if isinstance(stated, list) else [None] * len(value)
        return [_without_empty(one, other) for one, other in zip(value, rest, strict=True)]
    if not isinstance(value, dict):
        return value
    known = stated if isinstance(stated, dict) else {}
    kept = {key: one for key, one in value.items() if key in known or one not in (None, "", [], {})}
    first = {"id": kept["id"]} if "id" in kept else {}
    return {key: _without_empty(one, known.get(key)) for key, one in {**first, **kept}.items()}


def load_plan(path: Path) -> Plan:
    """Reads plan.yaml and checks its form. Raises PlanError that names the line."""
    return parse_plan(text_of(path), str(path))


def text_of(path: Path) -> str:
    """Raises PlanError."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"The plan {path} cannot be read.", str(error), "Give the path of a plan.yaml.") from None


def parse_plan(text: str, name: str = "plan.yaml") -> Plan:
    """As `load_plan`, from text; `name` stands in the errors."""
    if len(text) > _MAX_CHARS:
        raise PlanError(f"{name} is too long for a plan.", f"{len(text)} characters, {_MAX_CHARS} are allowed")
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            data = loader.construct_document(node) if node is not None else None
        finally:
            loader.dispose()
    except RecursionError:
        raise PlanError(f"{name} is not a plan.", "it is nested too deeply") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise PlanError(f"{name}{where}: this is not YAML.", problem, "Mend the line.") from None
    if not isinstance(data, dict):
        raise PlanError(f"{name} is not a plan.", "it is empty or no mapping", "`ml-intern plan` writes one.")
    try:
        return Plan.model_validate(data)
    except ValidationError as error:
        lines = [_describe(name, node, mistake) for mistake in mistakes(error)]
        raise PlanError("\n".join(lines), next="Mend the lines named and run again.") from None


def at_line(error: PlanError, text: str, name: str = "plan.yaml") -> PlanError:
    """The same error of a plan.yaml that could be parsed, with the line of its place; as it is where it has none."""
    if not error.place:
        return error
    line = _line(yaml.compose(text, Loader=_Loader), list(error.place))
    return PlanError(f"{name}, line {line}: {error.what}", error.why, error.next, error.place)


def _describe(name: str, node: yaml.Node | None, mistake: Mistake) -> str:
    place = list(mistake.place)
    dotted = ".".join(map(str, place)) or "the plan"
    words = _unknown_key(str(place[-1]), _keys_at(place[:-1])) if mistake.type == "extra_forbidden" else mistake.words
    return f"{name}, line {_line(node, place)}: {dotted}: {words}"


def _unknown_key(key: str, known: list[str]) -> str:
    nearest = get_close_matches(key, known, 1)
    meant = f"did you mean {nearest[0]!r}? " if nearest else ""
    return f"there is no key {key!r}: {meant}there are {', '.join(known)}"


def _keys_at(place: list[Any]) -> list[str]:
    """The keys that a plan has at a place."""
    kind: type[BaseModel] | None = Plan
    for part in place:
        field = kind.model_fields.get(str(part)) if kind is not None and not isinstance(part, int) else None
        kind = _model_in(field.annotation) if field is not None else kind
    return list(kind.model_fields) if kind is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The first model that an annotation like `tuple[Experiment, ...]` names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)


def _line(node: yaml.Node | None, place: list[Any]) -> int:
    """Line (from 1) of the deepest part of `place` that exists."""
    line = 1
    for part in place:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
