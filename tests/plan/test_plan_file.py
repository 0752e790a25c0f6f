"""plan.yaml: what is written is read back; what is wrong is named with its line and what is allowed."""

import json
import re
from pathlib import Path

import pytest

from ml_intern.errors import PlanError
from ml_intern.plan.plan import Plan
from ml_intern.plan.plan_file import dump_plan, load_plan, parse_plan
from tests.judge.synthetic import criterion, experiment, plan_of

PLAN = plan_of(experiment(criterion(paper_effect="1.2 points: “better”, \n in two lines — é")))
TEXT = dump_plan(PLAN)


def told(text: str) -> str:
    with pytest.raises(PlanError) as caught:
        parse_plan(text, "my.yaml")
    assert caught.value.exit_code == 2
    return str(caught.value)


def line_of(text: str, words: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), start=1) if words in line)


def test_what_was_written_is_read_back_with_the_same_hash() -> None:
    assert parse_plan(TEXT) == PLAN
    assert parse_plan(TEXT).digest() == PLAN.digest()


def test_layout_and_comments_do_not_change_the_hash() -> None:
    spaced = "# mine\n" + re.sub(r"\nscale:", "\n\n# why\nscale:  ", TEXT)
    assert parse_plan(spaced).digest() == PLAN.digest()


def test_one_changed_number_changes_the_hash_and_all_seeds() -> None:
    other = parse_plan(TEXT.replace("minimal_effect: 0.05", "minimal_effect: 0.04"))
    assert other.digest() != PLAN.digest()
    assert not set(other.seeds("e", "confirm", 20)) & set(PLAN.seeds("e", "confirm", 20))


@pytest.mark.parametrize(
    ("old", "new", "line_with", "said"),
    [
        ("scale: small", "scale: huge", "scale:", "'smoke', 'small' or 'paper'"),
        ("kind: direction", "kind: hope", "kind: hope", "Input should be"),
        ("minimal_effect: 0.05", "minimal_effect: -1", "minimal_effect", "greater than or equal to 0"),
        (
            "minimal_effect: 0.05",
            "minimal_efect: 0.05",
            "minimal_efect",
            "did you mean 'minimal_effect'? there are claim,",
        ),
        ("    setting: analogue", "    crashes: worst\n    setting: analogue", "crashes", "did you mean 'crash'?"),
        ("scale: small", "scale: small\nexperimants: []", "experimants", "there are version, paper, scale, claims,"),
        ("confirm: 5", "confirm: many", "confirm:", "valid integer"),
        ("confirm: 5", "confirm: 1", "confirm:", "greater than or equal to 2"),
        ("method: 1.0", "methud: 1.0", "contrast:", "names variant methud"),
        ("method: 1.0", "method: 2.0", "claim: C1", "must sum to 0"),
        ("- id: C1", "- id: C9", "claim: C1", "C1 is not among the plan's claims"),
        ("setting: analogue", "setting: similar", "setting:", "'same', 'scaled down' or 'analogue'"),
        ("id: e\n", "id: ../e\n", "id: ../e", "is not a name"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_is_allowed(old: str, new: str, line_with: str, said: str) -> None:
    assert old in TEXT
    text = TEXT.replace(old, new, 1)
    words = told(text)
    assert said in words
    if line_with:
        assert f"my.yaml, line {line_of(text, line_with)}:" in words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a plan"),
        ("- a\n- b\n", "not a plan"),
        ("paper: [1, 2\n", "line 2: this is not YAML"),
        ("paper:\n\ttitle: x\n", "line 2: this is not YAML"),
        ("paper: !!python/object/apply:os.system ['true']\n", "line 1: this is not YAML"),
        ("a: &a [x]\nb: [*a, *a]\n", "line 2: this is not YAML"),
        ("version: 1\nversion: 1\n", "the key 'version' stands here twice"),
        ("[" * 100_000, "nested too deeply"),
        ("# " + "x" * 2_000_001, "too long for a plan"),
    ],
)
def test_what_is_no_plan_is_refused_in_words(text: str, said: str) -> None:
    assert said in told(text)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"title: caf\xe9\n")
    for name in ("missing.yaml", "latin.yaml", "."):
        with pytest.raises(PlanError, match="cannot be read"):
            load_plan(tmp_path / name)


def test_explore_and_confirm_never_share_a_seed_and_more_seeds_keep_the_first() -> None:
    explore, confirm = set(PLAN.seeds("e", "explore", 20)), PLAN.seeds("e", "confirm", 100)
    assert not explore & set(confirm)
    assert confirm[:5] == PLAN.seeds("e", "confirm", 5)
    assert len(set(confirm)) == 100
    assert set(PLAN.seeds("e", "confirm", 5)).isdisjoint(PLAN.seeds("other", "confirm", 5))


def test_what_stands_twice_or_nowhere_is_named_with_its_line() -> None:
    data = PLAN.model_dump(mode="json")
    (claim,), (one,) = data["claims"], data["experiments"]
    for changes, first, said in (
        ({"claims": [claim, {"statement": "lost", **claim, "id": "C2"}]}, "statement", "claims.1: claim C2 is neither"),
        (
            {"experiments": [one, {"title": "again", **one}]},
            "title",
            "experiments.1: two experiments have the same id, e",
        ),
    ):
        text = json.dumps(data | changes, indent=1)
        place = [number for number, line in enumerate(text.splitlines(), start=1) if f'"{first}": ' in line][-1]
        opened = max(number for number, line in enumerate(text.splitlines()[:place], start=1) if line == "  {")
        assert f"my.yaml, line {opened}: {said}" in told(text)


def test_every_claim_needs_one_fate() -> None:
    data = PLAN.model_dump(mode="json")
    for left, said in (
        ([{"claim": "C1", "reason": "r"}], "both tested and left out"),
        ([{"claim": "C2", "reason": "r"}], "not among the plan's claims"),
    ):
        with pytest.raises(ValueError, match=said):
            Plan.model_validate({**data, "left_out": left})
    second = {**data["claims"][0], "id": "C2"}
    with pytest.raises(ValueError, match="neither tested nor left out"):
        Plan.model_validate({**data, "claims": [*data["claims"], second]})
