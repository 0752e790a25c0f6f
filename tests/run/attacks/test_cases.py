"""Every attack of the table: held by each sandbox that claims it, and real where nothing stops it."""

import os
from collections.abc import Iterator

import pytest

from ml_intern.run.attacks.case import CASES, Case
from ml_intern.run.attacks.play import play, play_bare
from ml_intern.run.attacks.stage import Stage
from tests.support.compute import ISOLATED, require, shared_compute

ME = "root" if os.geteuid() == 0 else "user"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage() as planted:
        yield planted


def _name(case: Case) -> str:
    return f"{case.number}-{case.payload.split(':')[1]}"


@pytest.mark.parametrize("kind", ISOLATED)
@pytest.mark.parametrize("case", CASES, ids=_name)
def test_a_sandbox_holds_it(case: Case, kind: str, stage: Stage) -> None:
    require(kind)
    if kind in case.uncovered:
        pytest.skip(f"not covered: {case.uncovered[kind]}")
    played = play(case, stage, shared_compute(kind))
    assert played.breach == ""
    # A payload that never came to its end has tried nothing; one that signals everybody may have ended itself.
    assert played.output.strip() == "held", played.output


@pytest.mark.parametrize("case", [c for c in CASES if c.works_for in ("anybody", ME)], ids=_name)
def test_without_a_sandbox_it_works(case: Case, stage: Stage) -> None:
    played = play_bare(case, stage)
    assert played.breach, played.output


def test_the_numbers_and_payloads_are_each_used_once() -> None:
    assert len({case.number for case in CASES}) == len(CASES) == len({case.payload for case in CASES})
    assert sum(case.number > 100 for case in CASES) >= 10
