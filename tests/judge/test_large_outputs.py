"""Outputs that are small on disk and huge to whoever copies or reads them."""

from pathlib import Path

import pytest

from ml_intern.judge import guards
from ml_intern.judge.lines import TooLong, bounded_lines
from ml_intern.judge.measure import _read_predictions
from ml_intern.judge.metrics import PredictionError
from tests.judge.workshop import TRAIN, Workshop, at_the_end


def with_hole(path: Path, size: int, begin: bytes = b"") -> Path:
    with path.open("wb") as file:
        file.write(begin)
        file.truncate(size)
    return path


def test_holes_in_the_output_of_training_stay_holes_where_the_harness_copies_it(tmp_path: Path) -> None:
    train = at_the_end(TRAIN, 'for n in range(4):\n    (args.out / f"{n}.bin").open("wb").truncate(100 << 20)')
    shop = Workshop(tmp_path, {"train.py": train})
    assert shop.confirmed(1).outcomes == {"ok"}
    copies = list(shop.places.runs.glob("*/predict/model/*.bin"))
    assert len(copies) == 8 and sum(path.stat().st_blocks * 512 for path in copies) < 1 << 20


def test_predictions_in_one_endless_line_are_refused_with_words(tmp_path: Path) -> None:
    path = with_hole(tmp_path / "predictions.jsonl", 100 << 20, b'{"prediction": 1}\n')
    with pytest.raises(PredictionError) as refused:
        _read_predictions(path, 2)
    assert "line 2 has over 16,000,000 characters" in refused.value.why


def test_lines_are_read_until_there_are_too_many_characters(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_text("abc\n" * 10 + "last")
    assert list(bounded_lines(path, 4, 44)) == ["abc\n"] * 10 + ["last"]
    for longest, most, why in ((3, 44, "line 1"), (4, 43, "it has over 43")):
        with pytest.raises(TooLong, match=why):
            list(bounded_lines(path, longest, most))


def test_a_log_is_read_up_to_a_line_that_no_log_has_and_that_is_told(tmp_path: Path) -> None:
    path = with_hole(tmp_path / "metrics.jsonl", 100 << 20, b'{"step": 1}\n')
    assert guards.read_metrics(path) == [{"step": 1}]
    (guard,) = guards.unread_log(guards.training_log(path))
    assert "line 2 has over 1,000,000 characters" in guard.message and not guard.fatal
    path.write_text('{"step": 1}\n' + "x" * 20_000 + '\n{"step": 2}\n')
    assert (
        guards.read_metrics(path) == [{"step": 1}, {"step": 2}] and guards.unread_log(guards.training_log(path)) == []
    )
