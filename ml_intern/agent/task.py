"""What holds for a task that a person set: its numbers are the person's, and a draft of a plan cannot change them."""

from __future__ import annotations

import re
from typing import Any

from ml_intern.agent.criteria import tested_otherwise
from ml_intern.agent.demand import demanded
from ml_intern.errors import PlanError
from ml_intern.judge.metrics import OUTSIDE, ceiling, higher_is_better, is_metric
from ml_intern.plan.claim import Claim, TaskClaims
from ml_intern.plan.folding import fold, sentences
from ml_intern.plan.numbers import quantities
from ml_intern.plan.plan import ClaimTest, Plan
from ml_intern.read.paper import Paper

_SHORTEST = 12  # characters of a quote
# Words for all sealed rows, and those that any sentence has: a slice that is called so is not named by them.
_SAY_NOTHING = {
    "data", "example", "examples", "held", "heldout", "out", "part", "row", "rows", "sample", "samples", "sealed",
    "set", "split", "test", "unseen", "a", "above", "all", "an", "and", "any", "are", "at", "be", "below", "by", "each",
    "every", "for", "from", "given", "has", "have", "in", "is", "it", "least", "less", "more", "most", "must", "no",
    "not", "of", "on", "only", "or", "over", "percent", "reach", "reaches", "should", "than", "that", "the", "this",
    "to", "under", "use", "when", "with",
}  # fmt: skip
_BETWEEN = r"[^\w,;:.!?()]*_*"  # two words of one name
_MOST_QUOTES = 60  # a schema with more is not narrowed


def task_of(paper: Paper | None) -> str:
    """The task's words; empty for a paper."""
    if paper is None or paper.source.kind != "task":
        return ""
    return "\n\n".join(text for _, text in paper.texts())


def quotes(paper: Paper) -> tuple[str, ...]:
    """What a claim of a task may quote: its sentences, and their parts between commas."""
    found = [sentence for _, text in paper.texts() for sentence in sentences(text)]
    parts = [part.strip() for sentence in found for part in re.split(r"[,;:](?=\s)", sentence)]
    return tuple(dict.fromkeys([*found, *(part for part in parts if len(part) >= _SHORTEST)]))


def claims_schema(paper: Paper) -> dict[str, Any]:
    """The schema of a task's claims, narrowed to what the task says: a server that holds a model to it leaves it no way
    to misquote. A long task is left open."""
    schema = TaskClaims.model_json_schema()
    allowed = quotes(paper)
    if len(allowed) <= _MOST_QUOTES:
        claim = schema["$defs"]["ProposedClaim"]["properties"]
        claim["quote"]["enum"] = list(allowed)
        claim["anchor"]["enum"] = [anchor for anchor, _ in paper.texts()]
    return schema


def without_threshold(paper: Paper, claims: tuple[Claim, ...]) -> tuple[str, ...]:
    """Numbers of the task that no claim takes as one to reach, as printed."""
    taken = {number for claim in claims if claim.kind == "threshold" for number in quantities(claim.quote)}
    return tuple(number for number in quantities(task_of(paper)) if number not in taken)


def check_task(plan: Plan) -> None:
    """Raises PlanError where a test does not ask what the task asks: another number, another side, seen rows; or where
    a number to reach is only measured."""
    if not plan.paper.task:
        return
    claims = {claim.id: claim for claim in plan.claims}
    for number, experiment in enumerate(plan.experiments):
        for position, test in enumerate(experiment.tests):
            if problem := problem_of(claims[test.claim], test):
                what = f"The test of {test.claim} in {experiment.id} is not what the task asks."
                raise PlanError(what, problem, place=("experiments", number, "tests", position))
    for where, _, test in tested_otherwise(plan, "threshold"):
        raise PlanError(
            f"{test.claim} states a number to reach, and the plan only measures.",
            "without a test of kind threshold it could not be missed",
            "Test it by kind threshold, or leave it out with the reason.",
            where,
        )


def problem_of(claim: Claim, test: ClaimTest) -> str:
    """Why `test` does not ask what the task's `claim` asks; empty where it does."""
    if claim.kind == "threshold" and test.kind not in ("threshold", "measurement"):
        return f"a claim of kind threshold is tested by kind threshold, not {test.kind}"
    if test.kind != "threshold":
        return ""
    name, named = test.metric.name, claim.metric.lower()
    if is_metric(named) and named != name:
        return f"the claim is about {named}, not about {name}"
    target = test.target or 0.0
    found = quantities(claim.quote)
    values = {value for several in found.values() for value in several}
    if "error" in claim.quote.lower():  # 5 % errors are an accuracy of 0.95
        values |= {1 - value for value in values if 0 < value < 1}
    if not any(abs(value - target) <= 1e-9 * max(1.0, abs(value)) for value in values):
        return f"its target {target:g} is none of the numbers in the quote: {', '.join(found) or 'there is none'}"
    if is_metric(name) and test.higher_is_better != higher_is_better(name):
        return f"of {name}, {'higher' if higher_is_better(name) else 'lower'} is better"
    best = ceiling(name) if is_metric(name) else None
    if best is not None and (target > best if test.higher_is_better else target < best):
        return f"its target {target:g} lies beyond the best value of {name}, {best:g}"
    asked = demanded(claim, name, test.higher_is_better)
    if asked and not any(_as_strict(target, value, test.higher_is_better) for value in asked):
        return f"its target {target:g} is not the number that the quote asks of {name}: {_shown(asked)}"
    if name in OUTSIDE:
        return ""
    return _problem_of_rows(claim, test.metric.rows, name)


def _problem_of_rows(claim: Claim, rows: str, metric: str) -> str:
    """A number is to be reached on all sealed rows, or on the slice that the quote names: others may be easier."""
    if not rows.startswith("test"):
        return "it is measured on rows that training sees; use rows: test"
    if rows == "test" or _names(claim.quote, rows.removeprefix("test:"), metric):
        return ""
    return f"it is measured on {rows} alone, of which the quote does not speak; use rows: test"


def _names(quote: str, part: str, metric: str) -> bool:
    """Whether the name of a slice, `part`, stands in the quote, its words and numbers one behind the other."""
    whole = _words(part)
    telling = [word for word in whole if not _says_nothing(word)]
    if all(word.isdecimal() for word in telling) or set(telling) <= set(_words(metric)):
        return False
    return any(_stand_together(words, fold(quote).lower()) for words in (whole, telling))


def _says_nothing(word: str) -> bool:
    stem = word.removesuffix("s")
    return not stem or word in _SAY_NOTHING or stem in _SAY_NOTHING


def _stand_together(words: list[str], text: str) -> bool:
    """The s of a plural makes no difference."""
    name = f"s?{_BETWEEN}".join(re.escape(word.removesuffix("s")) for word in words)
    return re.search(rf"(?<![^\W_]){name}s?(?![^\W_]|\.\d)", text) is not None


def _words(text: str) -> list[str]:
    """In small letters; numbers by themselves."""
    return re.findall(r"[^\W\d_]+|\d+", fold(text).lower())


def _as_strict(target: float, asked: float, higher: bool) -> bool:
    """Whether who reaches `target` reaches what was `asked`."""
    slack = 1e-9 * max(1.0, abs(asked))
    return target >= asked - slack if higher else target <= asked + slack


def _shown(values: tuple[float, ...]) -> str:
    return " or ".join(f"{value:g}" for value in values)
