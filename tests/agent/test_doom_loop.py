"""The doom-loop detector on transcripts: every circle is caught, and nothing else is."""

import pytest

from ml_intern.agent.doom_loop import Circle, DoomLoopDetector
from ml_intern.agent.failure import failure_signature, is_masked
from tests.agent.shell_transcripts import ran, second_circles, shell_honest, shell_loops, traceback
from tests.agent.transcripts import TYPE_ERROR, Transcript, honest, loops, shell, shell_fails, write

LOOPS, HONEST = loops() | shell_loops(), honest() | shell_honest()
SECOND = second_circles()
CAUGHT_AT = {
    "same call, same result": 3,
    "same read again and again": 3,
    "same call, keys in another order": 3,
    "a cycle of 2 reads": 5,
    "a cycle of 3 reads": 7,
    "a cycle of 4 reads": 9,
    "a cycle of 5 reads": 11,
    "a cycle of 6 reads": 13,
    "a cycle of commands with the time in their output": 6,
    "same traceback, other arguments": 3,
    "same traceback, other lines after edits": 6,
    "an import mended in circles": 5,
    "a timestamp in the failure": 3,
    "a process id in the failure": 3,
    "a temporary path in the failure": 3,
    "a random seed in the failure": 3,
    "an address in the failure": 3,
    "another working directory each time": 3,
    "an id of a run in the failure": 3,
    "a random number in the failure, nothing changed": 3,
    "edits there and back": 4,
    "edits there and back between runs that fail otherwise": 7,
    "a round of three contents": 5,
    "only talk": 2,
    "talk after a few calls": 4,
    "malformed arguments": 3,
    "tools that do not exist": 3,
    "polling that does not change": 3,
    "a job that is looked at and never moves": 6,
    "the tool that is refused": 3,
    "out of memory at the same size": 3,
    "the same failure far apart": 9,
    "reading for ever, always something new": 40,
    "a file written with the same content": 3,
    "one variant works, the other fails, edits between": 9,
    "other code works, what matters does not": 12,
    "cd && python, between looks at the file": 8,
    "timeout, between other programs under it": 8,
    "a here-document, between other ones": 8,
    "python -c, between other code": 8,
    "a variable before the program": 8,
    "lines of a script": 8,
    "bash -c": 8,
    "a failure behind a pipe": 6,
    "a failure behind tee": 8,
    "a failure behind || true": 6,
    "a failure behind an echo of its end": 6,
    "a failure with a long message behind a pipe": 6,
    "only the last line of a failure": 6,
    "other arguments, each behind a pipe": 3,
    "the same program by other ways": 3,
    "jobs in the background that fail alike": 14,
    "jobs in the background that fail alike, ids as words": 14,
    "taken back after every new try": 7,
}


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
    assert len(LOOPS) >= 50 and len(HONEST) >= 50


@pytest.mark.parametrize("name", LOOPS)
def test_a_circle_is_caught(name: str) -> None:
    found = circles(LOOPS[name])
    assert found, "not caught"
    assert found[0][1].rung == "warn"


def test_each_is_caught_as_early_as_ever() -> None:
    """By the number of the step; a later one is a loss."""
    assert {name: circles(LOOPS[name])[0][0] for name in LOOPS} == CAUGHT_AT


@pytest.mark.parametrize("name", SECOND)
def test_a_circle_that_was_told_of_and_never_mended_hides_no_other(name: str) -> None:
    transcript, words = SECOND[name]
    told = [circle.signature for _, circle in circles(transcript)]
    assert "TypeError" in told[0] and any(words in signature for signature in told[1:]), told


def test_a_circle_that_goes_on_is_not_told_of_as_nothing_new_too() -> None:
    told = [circle.signature for _, circle in circles([shell_fails("python train.py", TYPE_ERROR)] * 40)]
    assert len(set(told)) == 1


@pytest.mark.parametrize(
    ("output", "masked"),
    [
        (traceback(), True),
        (f"{traceback()}\nexit code: 1", True),
        (f"{traceback()}\nlr 0.1: accuracy 0.9", False),
        ("torch.OutOfMemoryError: CUDA out of memory.\nCompile with CUDA_LAUNCH_BLOCKING=1", True),
        ("  ValueError: what a program says by the way", False),
        (traceback("KeyboardInterrupt"), True),
        (traceback("KeyError: 0"), True),
        ("lr 0.1\nKeyError: 'label'", True),
        ("KeyboardInterrupt", False),
        ("epoch 3\nMeanSquaredError: 0.031", False),
        ("epoch 3\nMeanSquaredError:", False),
        ("epoch 3\nMeanSquaredError: nan in the end", False),
        ("epoch 3\nMeanAbsoluteError: 0.12 (baseline 0.3)", False),
        ("", False),
    ],
)
def test_a_failure_that_exit_code_0_hides_is_one(output: str, masked: bool) -> None:
    assert is_masked(ran("python train.py | cat", output).result) is masked


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
