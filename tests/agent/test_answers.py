"""The JSON of a structured answer is found among words, fences and braces of another kind."""

import json
import time

import pytest

from ml_intern.agent.answers import json_in

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


def test_very_many_braces_take_no_time() -> None:
    began = time.process_time()
    json_in('{"' * 50_000)
    assert time.process_time() - began < 2
