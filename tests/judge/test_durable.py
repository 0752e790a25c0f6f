"""Evidence names files: they are on disk before it is, and it is noticed where they are gone all the same."""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ml_intern.agent.pipeline import require_files
from ml_intern.errors import MlInternError
from ml_intern.judge.ledger import Ledger, lost_files
from tests.judge.workshop import Workshop

Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Two runs, and in `flushed.txt` what was flushed, in order; `evidence.jsonl` is the ledger."""
    made = Workshop(tmp_path_factory.mktemp("durable"), slots=1)
    flushed: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("fsync", "fdatasync"):
            patch.setattr(os, name, _recording(getattr(os, name), flushed))
        made.confirmed(1)
    (made.folder / "flushed.txt").write_text("\n".join(flushed))
    return made


def _recording(real: Callable[[int], None], flushed: list[str]) -> Callable[[int], None]:
    def flush(fd: int) -> None:
        flushed.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        real(fd)

    return flush


def test_what_a_record_names_is_on_disk_before_the_record(workshop: Workshop) -> None:
    flushed = (workshop.folder / "flushed.txt").read_text().splitlines()
    place = flushed.index(str(workshop.ledger.path))
    first, *_ = workshop.ledger.evidence
    out, predictions = workshop.places.runs / first.run_id / "out", workshop.places.predictions
    before = set(flushed[:place])
    assert {str(out / "model.safetensors"), str(out / "metrics.jsonl"), str(out), str(out.parent)} <= before
    assert {str(predictions.parent), str(predictions), str(predictions / workshop.experiment.id)} <= before
    parts = [path for path in flushed[:place] if path.endswith(".part")]  # flushed before they have their names
    assert len(parts) >= len({*first.predictions.values(), *first.labels.values()}) > 0


def resumed(workshop: Workshop) -> tuple[Any, Ledger]:
    """What a resume looks at: a log with an event for each record, from event 10 on."""
    ledger = Ledger(workshop.ledger.path)
    events = [
        SimpleNamespace(seq=10 + place, type="evidence.recorded", data={"run": record.run_id})
        for place, record in enumerate(ledger.evidence)
    ]
    folder = SimpleNamespace(predictions=workshop.places.predictions, id="ID")
    return SimpleNamespace(log=SimpleNamespace(events=events), folder=folder), ledger


def test_evidence_whose_files_are_whole_is_taken_as_it_is(workshop: Workshop) -> None:
    context, ledger = resumed(workshop)
    assert ledger.evidence and list(lost_files(ledger.evidence, workshop.places.predictions)) == []
    require_files(context, ledger)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda path: path.write_bytes(b""), id="empty, as after a power cut"),
        pytest.param(lambda path: path.unlink(), id="gone"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"), id="changed"),
    ],
)
def test_evidence_whose_files_are_lost_is_told_with_the_way_to_measure_it_again(
    workshop: Workshop, change: Change
) -> None:
    context, ledger = resumed(workshop)
    second = ledger.evidence[1]
    (name, _), *_ = second.predictions.values()
    path = workshop.places.predictions / name
    whole = path.read_bytes()
    change(path)
    try:
        with pytest.raises(MlInternError, match="Files of 1 measured runs are gone") as caught:
            require_files(context, ledger)
    finally:
        path.write_bytes(whole)
    assert name in caught.value.why and "ml-intern fork ID --at 10" in caught.value.next
