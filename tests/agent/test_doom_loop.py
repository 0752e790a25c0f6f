"""The doom-loop detector on transcripts: every circle is caught, and nothing else is."""

import pytest

from ml_intern.agent.doom_loop import Circle, DoomLoopDetector
from ml_intern.agent.failure import failure_signature
from tests.agent.transcripts import TYPE_ERROR, Transcript, honest, loops, shell, shell_fails, write

LOOPS, HONEST = loops(), honest()


def circles(transcript: Transcript) -> list[tuple[int, Circle]]:
    """(number of the step, circle), from 1."""
    detector = DoomLoopDetector()
    seen = [detector.see_text(step) if isinstance(step, str) else detector.see(step) for step in transcript]
    return [(place, circle) for place, circle in enumerate(seen, start=1) if circle is not None]


def exact_rule(transcript: Transcript) -> int | None:
    """The step at which a rule of exact repetition catches it: the same call and result three times in a row, or a
    cycle of two to five calls twice in a row."""
    keys = [step if isinstance(step, str) else (step.name, step.arguments, step.result) for step in transcript]
    for end in range(1, len(keys) + 1):
        done = keys[:end]
        if len(done) >= 3 and len(set(map(repr, done[-3:]))) == 1:
            return end
        for length in range(2, 6):
            if end >= 2 * length and done[-length:] == done[-2 * length : -length]:
                return end
    return None


def test_there_are_enough_transcripts() -> None:
    assert len(LOOPS) >= 30 and len(HONEST) >= 30


@pytest.mark.parametrize("name", LOOPS)
def test_a_circle_is_caught(name: str) -> None:
    found = circles(LOOPS[name])
    assert found, "not caught"
    assert found[0][1].rung == "warn"


@pytest.mark.parametrize("name", HONEST)
def test_honest_work_is_left_alone(name: str) -> None:
    assert circles(HONEST[name]) == []


def test_a_rule_of_exact_repetition_misses_half_of_them() -> None:
    """What this detector is for."""
    missed = [name for name, transcript in LOOPS.items() if exact_rule(transcript) is None]
    assert len(missed) >= 12, missed


def test_the_ladder_is_climbed_one_rung_after_another_and_each_is_said_once() -> None:
    found = circles([shell_fails("python train.py", TYPE_ERROR)] * 20)
    assert [circle.rung for _, circle in found] == ["warn", "revise", "escalate", "abandon"]
    assert [place for place, _ in found] == [3, 5, 7, 9]


def test_the_words_name_what_repeats_and_how_often() -> None:
    ((_, circle), *_) = circles([shell_fails("python train.py", TYPE_ERROR)] * 3)
    assert "3 times" in circle.told
    assert "forward() missing N required positional argument" in circle.told


def test_a_warning_is_not_given_again_after_the_behaviour_changed() -> None:
    again = [shell_fails("python train.py", TYPE_ERROR)] * 3
    mended = [write("train.py", "mask"), shell("python train.py", "accuracy 0.9")]
    assert [circle.rung for _, circle in circles([*again, *mended, *again])] == ["warn"]
    assert [circle.rung for _, circle in circles([*again, *mended, *again, *again])] == ["warn", "revise"]


def test_after_the_context_was_shortened_the_same_may_be_read_again() -> None:
    detector = DoomLoopDetector()
    step = LOOPS["same read again and again"][0]
    assert not isinstance(step, str)
    assert [detector.see(step) for _ in range(2)] == [None, None]
    detector.compacted()
    assert [detector.see(step) for _ in range(2)] == [None, None]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("ValueError: shape (3, 4) at 0x7f00aa", "ValueError: shape (5, 6) at 0x7fbb11"),
        ("OSError: no file /a/b/c.txt", "OSError: no file /d/e/f.txt"),
        ("RuntimeError: job 11 at 10:11:12", "RuntimeError: job 12 at 10:15:00"),
    ],
)
def test_failures_that_differ_in_numbers_and_paths_are_one(first: str, second: str) -> None:
    assert failure_signature(first) == failure_signature(second)


def test_failures_of_another_type_or_place_are_two() -> None:
    assert failure_signature("KeyError: 'a'") != failure_signature("KeyError: 'b'")
    assert failure_signature("KeyError: 'a'") != failure_signature("IndexError: 'a'")
    frame = "Traceback (most recent call last):\n  File \"/w/{}.py\", line 3, in step\nKeyError: 'a'"
    assert failure_signature(frame.format("train")) != failure_signature(frame.format("data"))


def test_a_frame_inside_a_package_is_not_the_place_of_the_failure() -> None:
    text = (
        'Traceback (most recent call last):\n  File "/w/train.py", line 9, in main\n'
        '  File "/v/lib/python3.11/site-packages/torch/nn/linear.py", line 114, in forward\nRuntimeError: mat1'
    )
    assert failure_signature(text) == "RuntimeError: matN in train.py:main"
