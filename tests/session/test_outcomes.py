"""How a run ended, as its journal has it."""

import json
from pathlib import Path

import pytest

from ml_intern.run.journal import Journal
from ml_intern.run.spec import RunResult, RunSpec
from ml_intern.session.outcomes import outcome_of


def test_it_is_read_from_what_a_supervisor_writes(tmp_path: Path) -> None:
    spec = RunSpec(run_id="r", script=tmp_path / "s.py", arguments=(), cwd=tmp_path, log=tmp_path / "train.log")
    assert outcome_of(spec.journal) == ""
    journal = Journal(spec)
    assert outcome_of(spec.journal) == ""
    told = {"detail": "", "tail": "", "wall_seconds": 1.0, "cpu_seconds": 1.0, "peak_memory_mb": 1.0, "sandbox": "none"}
    journal.finished(RunResult(run_id="r", outcome="timeout", exit_code=None, **told))
    assert outcome_of(spec.journal) == "timeout"


@pytest.mark.parametrize(
    "odd", ["", "{", "[]", "7", '{"event": "finished"}', '{"event": "finished", "result": null}', "\xff"]
)
def test_an_odd_line_hides_no_outcome_and_is_none(tmp_path: Path, odd: str) -> None:
    journal = tmp_path / "train.run"
    journal.write_bytes(odd.encode("latin-1") + b"\n")
    assert outcome_of(journal) == ""
    end = json.dumps({"event": "finished", "result": {"outcome": "ok"}}).encode()
    journal.write_bytes(odd.encode("latin-1") + b"\n" + end + b"\n" + odd.encode("latin-1"))
    assert outcome_of(journal) == "ok"
