"""Killed by SIGKILL at boundaries all over a run, it is resumed to the same end. `tests/soak` tries all of them."""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.support.zoo import Life, finish, live, outcome, processes_of

PLACES = 2  # each is some ten seconds


@pytest.mark.parametrize("place", range(PLACES))
def test_killed_somewhere_it_ends_as_if_it_had_not_been(place: int, zoo: tuple[Path, Life, dict[str, Any]]) -> None:
    folder, life, wanted = zoo
    home = folder / f"killed-{place}"
    part = life.boundaries // PLACES
    at = random.Random(place).randrange(place * part + 1, (place + 1) * part)
    assert live(home, kill_at=at).killed
    last = finish(home)
    assert last.code == 0, last.said
    assert outcome(home) == wanted, f"killed at boundary {at}"
    assert processes_of(home) == []


def test_killed_in_every_life_it_comes_to_its_end(zoo: tuple[Path, Life, dict[str, Any]]) -> None:
    folder, life, wanted = zoo
    home = folder / "again-and-again"
    lives = 0
    while lives < 12 and live(home, kill_at=life.boundaries // 3).killed:
        lives += 1
    assert 2 <= lives < 12
    assert outcome(home) == wanted
