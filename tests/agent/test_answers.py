"""The JSON of a structured answer is found among words and fences; what is wrong with it is said in few words."""

import json
import time
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from ml_intern.agent.answers import answer_in, json_in
from ml_intern.agent.phases import PlanDraft
from ml_intern.llm.nearly_json import mended_json
from ml_intern.plan.mistakes import problems
from tests.judge.synthetic import experiment

ANSWER = '{"claims": [{"statement": "f{x} wins", "n": {"a": 1}}]}'


@pytest.mark.parametrize(
    "text",
    [
        ANSWER,
        f"Here it is:\n```json\n{ANSWER}\n```\nSay so if {{more}} is wanted.",
        f"With the set {{x, y}} and f{{z}} this is\n{ANSWER}",
        f'{{"claims": []}} would be too little, so: {ANSWER} as in {{the}} paper.',
        f"Nothing but {{}} first. {ANSWER}",
    ],
)
def test_it_is_found_behind_prose_with_braces(text: str) -> None:
    assert json.loads(json_in(text)) == json.loads(ANSWER)


def test_what_is_nearly_json_is_given_on_to_be_mended() -> None:
    assert json_in('The set {x}:\n{"claims": [1, 2,]} so.') == '{"claims": [1, 2,]}'
    assert json_in('The set {x}:\n```json\n{"claims": [1, 2,]}\n```\nand {y}.') == '{"claims": [1, 2,]}'
    assert json_in("no JSON at all") == "no JSON at all"


INNER = '{"statement": "f wins by a long way over all the others", "n": {"a": 1}}'


@pytest.mark.parametrize(
    "nearly",
    [
        f'{{"claims": [{INNER}, {INNER},]}}',
        f'{{"claims": [{INNER} {INNER}]}}',
        f'{{"claims": [{INNER}, {INNER}], // two\n}}',
        f'{{"claims": [{INNER}, {INNER}], "note": "the {{so called}} "best" of 5\' 3" each"}}',
        f'{{"claims": [{INNER}, {INNER}]',
    ],
)
@pytest.mark.parametrize("around", ["{}", "Here:\n```json\n{}\n```\nwith {{x}}.", 'Of {{"a": 1}} and {{z}}:\n{}'])
def test_one_slip_makes_no_inner_object_the_answer(nearly: str, around: str) -> None:
    found = json.loads(mended_json(json_in(around.format(nearly))))
    assert found["claims"] == [json.loads(INNER)] * 2


def test_what_stands_behind_an_object_with_a_slip_is_another() -> None:
    assert json_in(f'{{"claims": [1,]}} is too little: {ANSWER}') == ANSWER


class Decision(BaseModel):
    model_config = ConfigDict(extra="forbid")

    decision: Literal["continue", "stop"]
    reason: str = ""


MEANT = '{"decision": "continue", "reason": "x"}'


@pytest.mark.parametrize(
    "text",
    [
        f'```json\n{{"decision": "stop", "reason": "x" "y and more of it"}}\n```\nThat is not valid. Again:\n{MEANT}',
        f'I fill in {{"decision": "continue" | "stop", "reason": "what led to it, in a sentence"}}: {MEANT}',
        f'The form is {{"decision": "stop", "amendments": [{{"experiment": "e"}}]}}. {MEANT}',
        f'I write {{"decision": [ and so on\n{MEANT}',
        f'I write {{"decision": [ and so on\n{MEANT} with {{"reason": [',
        MEANT.replace('",', '"'),
        MEANT[:-1],
    ],
)
def test_the_answer_is_what_fits_and_not_a_draft_of_it(text: str) -> None:
    assert answer_in(text, Decision).model_dump() == json.loads(MEANT)


def test_where_nothing_fits_it_is_said_what_is_wrong_with_the_longest() -> None:
    with pytest.raises(ValidationError) as caught:
        answer_in('{"a": 1} and {"decision": "pause", "reason": "none"}', Decision)
    assert problems(caught.value)[0].startswith("decision: ")


def told(form: type[BaseModel], given: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        form.model_validate_json(given if isinstance(given, str) else json.dumps(given))
    return problems(caught.value)


GOOD = experiment().model_dump(mode="json")
TEST = GOOD["tests"][0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"setting": "other"}, ["setting: Input should be 'same', 'scaled down' or 'analogue', not \"other\""]),
        ({"wishes": {"a": [1] * 99}}, ["wishes: there is no such field"]),
        ({"variants": [{"settings": {}}]}, ["variants.0.name: this is missing"]),
        ({"variants": []}, ["variants: Tuple should have at least 1 item after validation, not 0"]),
        (
            {"tests": [TEST | {"contrast": {"x": 1, "y": -1}}]},
            ["tests.0.contrast: experiment e: the test of C1 names variant x, y; there are method, baseline"],
        ),
        ({"seeds": {"confirm": 1}}, ["seeds.confirm: Input should be greater than or equal to 2, not 1"]),
    ],
)
def test_a_repair_is_told_where_what_is_wrong_and_nothing_else(changes: dict[str, object], said: list[str]) -> None:
    assert told(PlanDraft, {"experiments": [GOOD | changes]}) == [f"experiments.0.{line}" for line in said]


def test_what_is_no_object_is_not_repeated() -> None:
    assert told(PlanDraft, [GOOD]) == ["the answer: Input should be an object"]
    assert told(PlanDraft, "so be it") == ["the answer: Invalid JSON: expected value at line 1 column 1"]


def test_very_many_braces_take_no_time() -> None:
    began = time.process_time()
    json_in('{"' * 50_000)
    assert time.process_time() - began < 2
