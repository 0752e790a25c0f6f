"""Every prompt renders with real data, and none is longer than it has to be."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from ml_intern.agent.phases import PlanDraft
from ml_intern.agent.sketch import OF_A_COMPARISON, Sketch
from ml_intern.judge.metrics import metric_names
from ml_intern.plan.claim import TaskClaims
from ml_intern.recipes.book import load_book
from ml_intern.resources import prompts_dir, render_prompt
from tests.judge.synthetic import experiment

EXPERIMENT = load_book()[0].at("smoke") | {"id": "e", "title": "t", "audited": [], "resources": [], "hosts": []}
EXECUTOR: dict[str, Any] = {
    "experiment": EXPERIMENT,
    "excerpts": "[sec:1/par:1] Words.",
    "task": "",
    "failures": ("it was out of memory",),
    "example": None,
}
VALUES: dict[str, dict[str, Any]] = {
    "claims": {
        "title": "T",
        "text": "[sec:1/par:1] Words.",
        "part": 1,
        "parts": 1,
        "dropped": ["its quote is not in it"],
    },
    "task": {
        "text": "<task>words</task>",
        "part": 1,
        "parts": 1,
        "dropped": ["its quote is not in it"],
        "quotes": ["at least 90 %"],
        "numbers": ["90 %"],
    },
    "sketch": {"about": {"task": "words"}, "claims": [{"id": "C1", "statement": "s"}], "compared": True},
    "small_data": {
        "experiment": experiment(),
        "excerpts": "Words.",
        "task": "t",
        "failures": ("out of memory",),
        "failed": ["no"],
        "made_up": False,
    },
    "small_model": {
        "experiment": experiment(),
        "columns": {"x": "double, shape (rows, 6)", "y": "int64"},
        "split": "train 5",
        "config": {"steps": 5},
        "failed": ["KeyError: 'steps'"],
    },
    "hasty": {"tool": "finish"},
    "preferences": {"text": "<preferences>\nshort functions\n</preferences>"},
    "told": {"words": "<person>\ntry a smaller net\n</person>"},
    "plan": {"situation": {"scale": "small"}, "claims": [{"id": "C1", "statement": "s"}]},
    "executor": EXECUTOR,
    "review": {
        "about": {"experiment": "e", "verdicts": [], "may_be_tried_again": True},
        "open": [{"id": "f", "settings": {"steps": 100}}],
        "notes": "<notes>\ne: the data are small\n</notes>",
        "given_up": "<output>\nout of memory\n</output>",
    },
    "discussion": {"verdicts": [{"claim": "C1", "outcome": "reproduced"}], "task": ""},
    "revise": {"signature": "x fails", "count": 5, "experiment": {"id": "e"}, "transcript": "tool: FAILED"},
    "repair": {"problem": "experiments: Field required"},
    "nudge": {},
    "circle": {"signature": "x fails", "count": 5, "advice": "Look at the shapes.", "takes_over": False},
    "budget": {"share": 0.8},
    "past": {"summary": "All is well.", "files": ("train.py",), "failures": "<output>\nsmoke_run: FAILED\n</output>"},
    "unknown_outcome": {"tool": "edit_file"},
    "refused": {"tool": "fetch"},
    "question": {"id": "Q1", "outcome": "deferred", "meanwhile": "use 3 layers", "changes": "nothing"},
    "summary": {"transcript": "assistant: I write."},
    "tools": {"tools": [{"name": "add", "description": "Adds.", "parameters": {"type": "object"}}], "writes": True},
    "tool_result": {"tool": "add", "text": "3"},
    "schema": {"schema": {"type": "object"}},
    "try_tool": {"a": 17, "b": 25},
    "try_answer": {"country": "France"},
}


def test_every_prompt_is_tested() -> None:
    assert {path.stem for path in prompts_dir().glob("*.md")} == set(VALUES)


@pytest.mark.parametrize("name", VALUES)
def test_a_prompt_renders_with_real_data_and_is_short(name: str) -> None:
    text = render_prompt(name, **VALUES[name])
    assert not re.search(r"\{\{|\{%|%\}", text)
    assert len(text) / 4 < 3_000, "characters over four is about its tokens"


@pytest.mark.parametrize("name", [name for name, values in VALUES.items() if values])
def test_a_prompt_without_its_data_is_an_error(name: str) -> None:
    with pytest.raises(Exception, match=r"(?i)undefined"):
        render_prompt(name)


def test_an_audited_metric_brings_its_contract_into_the_executors_prompt() -> None:
    plain = render_prompt("executor", **EXECUTOR)
    audited = render_prompt("executor", **EXECUTOR | {"experiment": EXPERIMENT | {"audited": [{"name": "x"}]}})
    assert "evaluate.py" not in plain and "evaluate.py --predictions FILE" in audited


def test_a_language_model_brings_its_contract_into_the_executors_prompt() -> None:
    data = {"data": EXPERIMENT["data"] | {"task": "language-model"}}
    own = render_prompt("executor", **EXECUTOR | {"experiment": EXPERIMENT | data})
    plain = render_prompt("executor", **EXECUTOR)
    assert "transformers folder" in own and "predict.py --model" not in own and "build_model" not in own
    assert "transformers folder" not in plain and "predict.py --model" in plain


def test_the_executor_is_told_of_the_hosts_that_its_scripts_may_reach_and_else_of_no_network() -> None:
    plain = render_prompt("executor", **EXECUTOR)
    reaching = render_prompt("executor", **EXECUTOR | {"experiment": EXPERIMENT | {"hosts": ["data.example.org"]}})
    assert "There is no network." in plain
    assert "There is no network." not in reaching and "reach data.example.org over HTTP" in reaching


def test_the_examples_of_forms_are_valid_answers() -> None:
    for name, form in (("plan", PlanDraft), ("task", TaskClaims)):
        text = render_prompt(name, **VALUES[name]).replace("\n", " ")
        form.model_validate(json.JSONDecoder().raw_decode(text, text.index('{"', text.index("An example")))[0])


@pytest.mark.parametrize("kind", ["direction", "magnitude", "threshold"])
def test_a_sketch_is_asked_for_each_field_that_counts(kind: str) -> None:
    claims = [{"id": "C1", "statement": "s", "kind": kind}]
    compared = kind != "threshold"
    text = render_prompt("sketch", **VALUES["sketch"] | {"claims": claims, "compared": compared})
    asked = set(re.findall(r"\w+", text.rpartition("Answer with the JSON only: ")[2]))
    left_out = {"minimal_effect"} if kind == "direction" else set() if compared else set(OF_A_COMPARISON)
    assert asked == Sketch.model_fields.keys() - left_out
    assert all(f"`{name}`" in text for name in asked)


def test_a_planner_that_cannot_try_again_is_not_offered_it() -> None:
    about = VALUES["review"]["about"]
    assert "again" in render_prompt("review", **VALUES["review"])
    once = render_prompt("review", **VALUES["review"] | {"about": about | {"may_be_tried_again": False}})
    assert '"again"' not in once and "`again" not in once


def test_data_that_the_plan_wants_made_are_not_asked_to_be_none_made_up() -> None:
    resources = [
        {"name": "digits", "kind": "dataset", "id": "a/digits"}, {"name": "net", "kind": "model", "id": "a/net"},
    ]  # fmt: skip
    data = experiment().data.model_dump() | {"settings": {"rows": 90}}
    shown = VALUES["small_data"] | {"experiment": experiment(resources=resources, data=data)}
    asked, made = (render_prompt("small_data", **shown | {"made_up": made_up}) for made_up in (False, True))
    assert "none made up" in asked and "none made up" not in made
    assert 'that holds the folder digits; `settings` is {"rows": 90}.' in asked
    only_model = render_prompt("small_data", **shown | {"experiment": experiment(resources=resources[1:])})
    assert "`raw`" not in only_model


def test_the_planner_is_told_every_metric_that_the_harness_has() -> None:
    text = render_prompt("plan", **VALUES["plan"])
    for task in ("classification", "regression", "sequence", "language-model"):
        for name in set(metric_names(task)) - {"sequence_accuracy"}:  # another name of exact_match
            assert re.search(rf"\b{name}\b", text), name


def words_to_a_model(source: str) -> list[str]:
    """String literals with words in them that stand in the content of a message to a model."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Message"):
            continue
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        role = given.get("role")
        if "content" in given and isinstance(role, ast.Constant) and role.value in ("system", "user"):
            inner = [given["content"]]
            while inner:
                one = inner.pop()
                if isinstance(one, ast.Call) and getattr(one.func, "id", "") == "render_prompt":
                    continue
                if isinstance(one, ast.Constant) and isinstance(one.value, str) and re.search(r"\w", one.value):
                    found.append(one.value)
                inner += ast.iter_child_nodes(one)
    return found


def test_no_prompt_stands_in_python() -> None:
    package = Path(render_prompt.__code__.co_filename).parent
    assert words_to_a_model('Message(role="user", content=f"Go on, {name}.")') == ["Go on, "]
    assert words_to_a_model('Message(role="user", content=render_prompt("nudge"))') == []
    found = {path.name: words_to_a_model(path.read_text(encoding="utf-8")) for path in package.rglob("*.py")}
    assert {name: words for name, words in found.items() if words} == {}


def test_the_executor_is_shown_the_scripts_of_a_recipe_and_why_it_was_given_up_before() -> None:
    plain = render_prompt("executor", **EXECUTOR)
    shown = render_prompt("executor", **EXECUTOR | {"example": load_book()[0]})
    assert "it was out of memory" in plain and "An example of the form" not in plain
    assert load_book()[0].script("train.py") in shown
