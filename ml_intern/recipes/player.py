"""The model id `recipes`: plays the recipe book through the same requests that a language model gets.

It sees nothing but the request: the paper as the prompt quotes it, the tools, and their results. No key, no network,
deterministic. What it cannot find in the prompt it does not claim.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ml_intern.errors import ModelError
from ml_intern.llm.protocol import Message, Reply, Request, ToolCall
from ml_intern.plan.folding import fold, sentences
from ml_intern.plan.plan import Scale
from ml_intern.recipes.book import ClaimPattern, Recipe, load_book
from ml_intern.recipes.negation import asserts

_PART = re.compile(r"^\[(?P<anchor>(?:sec|tab|fig|note):[^\]\n]*)\] (?P<text>.*)$", re.MULTILINE)
_JSON = re.compile(r"^```json (?P<name>[\w-]+)\n(?P<body>.*?)\n```$", re.MULTILINE | re.DOTALL)

_CONSTANTS = ("minimal_effect", "margin", "floor")
_FIXED = (
    "minimal effects, margins and floors are constants of the recipe, the same for whatever paper makes the claim; "
    "they are not derived from this paper's numbers"
)


class RecipesModel:
    """Implements `LLM`. Raises ModelError on a request that no recipe knows how to answer."""

    def __init__(self, book: tuple[Recipe, ...] | None = None) -> None:
        self.book = load_book() if book is None else book

    @property
    def id(self) -> str:
        return "recipes"

    @property
    def context_chars(self) -> int:
        return 100_000_000

    def ceiling(self, request: Request) -> int:
        return 0

    def complete(self, request: Request) -> Reply:
        prompt = "\n".join(message.content for message in request.messages if message.role in ("system", "user"))
        match request.answer_name:
            case "claims":
                return _answer(self._claims(prompt))
            case "plan":
                return _answer(self._plan(prompt))
            case "review":
                return _answer({"decision": "continue", "reason": "a recipe's plan stands as it is"})
        if request.tools:
            return self._build(request.messages, prompt)
        return Reply(content=_discussion(prompt))

    def _claims(self, prompt: str) -> dict[str, Any]:
        parts = [(part["anchor"], part["text"]) for part in _PART.finditer(prompt)]
        whole = "\n".join(text for _, text in parts)
        claims = []
        for recipe in self.book:
            if not recipe.fits(whole):
                continue
            for pattern in recipe.claims:
                if found := _first_match(pattern, parts):
                    claims.append(_proposal(recipe, pattern, *found))
        return {"claims": claims}

    def _plan(self, prompt: str) -> dict[str, Any]:
        blocks = _blocks(prompt)
        scale: Scale = blocks["situation"]["scale"]
        patterns = {f"{recipe.id}/{pattern.id}": (recipe, pattern) for recipe in self.book for pattern in recipe.claims}
        experiments: dict[str, dict[str, Any]] = {}
        left_out = []
        for claim in blocks["claims"]:
            recipe, pattern = patterns.get(claim["subject"], (None, None))
            if recipe is None or pattern is None:
                left_out.append({"claim": claim["id"], "reason": "no recipe tests it"})
            elif not pattern.tests:
                left_out.append({"claim": claim["id"], "reason": pattern.untested or "it cannot be tested in small"})
            elif scale not in recipe.scales:
                left_out.append({"claim": claim["id"], "reason": f"recipe {recipe.id} has no scale {scale!r}"})
            else:
                experiment = experiments.setdefault(recipe.id, {**recipe.at(scale), "recipe": recipe.id, "tests": []})
                experiment["tests"] += [{**test, "claim": claim["id"]} for test in pattern.tests]
        for experiment in experiments.values():
            if any(name in test for test in experiment["tests"] for name in _CONSTANTS):
                experiment["deviations"] = [*experiment["deviations"], _FIXED]
        return {"experiments": list(experiments.values()), "left_out": left_out}

    def _build(self, messages: tuple[Message, ...], prompt: str) -> Reply:
        """Writes the scripts, tries them at smoke size, explores where the plan says so, and finishes."""
        experiment = _blocks(prompt)["experiment"]
        recipe = next((recipe for recipe in self.book if recipe.id == experiment["recipe"]), None)
        if recipe is None:
            return _call("give_up", reason=f"no recipe is called {experiment['recipe']!r}")
        results = [message for message in messages if message.role == "tool"]
        failed = next((result for result in results if result.content.startswith("FAILED")), None)
        if failed is not None:
            return _call("give_up", reason=f"recipe {recipe.id} failed: {failed.content[:1500]}")
        if not results:
            calls = [("write_file", {"path": name, "content": recipe.script(name)}) for name in recipe.files]
            return _calls(calls)
        steps: list[tuple[str, dict[str, Any]]] = [("smoke_run", {})]
        if experiment["seeds"]["explore"]:
            steps.append(("explore", {}))
        steps.append(("finish", {"note": f"scripts of recipe {recipe.id}, unchanged"}))
        return _calls([steps[min(len(results) - len(recipe.files), len(steps) - 1)]])


def _first_match(pattern: ClaimPattern, parts: list[tuple[str, str]]) -> tuple[str, str] | None:
    for anchor, text in parts:
        for sentence in sentences(text):
            other = pattern.unless and re.search(pattern.unless, sentence, re.IGNORECASE)
            if not other and asserts(pattern.pattern, sentence):
                return anchor, sentence
    return None


def _proposal(recipe: Recipe, pattern: ClaimPattern, anchor: str, sentence: str) -> dict[str, Any]:
    numbers = re.findall(r"(?<![\w.\[])\d+\.\d+(?![\w.])", sentence)
    return {
        "statement": pattern.statement,
        "quote": fold(sentence),
        "anchor": anchor,
        "kind": pattern.kind,
        "method": pattern.method,
        "baseline": pattern.baseline,
        "metric": pattern.metric,
        "higher_is_better": pattern.higher_is_better,
        "numbers": [{"text": number, "anchor": anchor} for number in dict.fromkeys(numbers)],
        "subject": f"{recipe.id}/{pattern.id}",
    }


def _blocks(prompt: str) -> dict[str, Any]:
    found = {block["name"]: json.loads(block["body"]) for block in _JSON.finditer(prompt)}
    if not found:
        raise ModelError("The recipes model got a request that it cannot answer.", "no JSON block stands in the prompt")
    return found


def _discussion(prompt: str) -> str:
    verdicts = _blocks(prompt).get("verdicts", [])
    lines = [
        "This text was put together by the built-in recipes, not by a language model.",
        "Each claim was tested by a fixed, small experiment from the recipe book; what it says about the paper is"
        " limited by how close that experiment's setting is to the paper's, which stands beside each verdict.",
    ]
    failed = [verdict for verdict in verdicts if verdict["outcome"] == "not reproduced"]
    if failed:
        lines.append("A claim that was not reproduced here may hold at the paper's scale and on its data.")
    return "\n\n".join(lines)


def _answer(value: dict[str, Any]) -> Reply:
    return Reply(content=json.dumps(value, ensure_ascii=False))


def _call(name: str, **arguments: Any) -> Reply:
    return _calls([(name, arguments)])


def _calls(calls: list[tuple[str, dict[str, Any]]]) -> Reply:
    return Reply(
        tool_calls=tuple(
            ToolCall(id=f"call-{number}", name=name, arguments=json.dumps(arguments))
            for number, (name, arguments) in enumerate(calls, start=1)
        )
    )
