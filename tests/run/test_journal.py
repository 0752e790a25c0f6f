"""What a journal tells, whatever lies in its place."""

from pathlib import Path

import pytest

from ml_intern.run.journal import Standing, standing
from ml_intern.run.spec import RunResult, RunSpec


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0" * 4096,
        '3\n[]\n"started"\n',
        '{"event": "started", "digest": "d", "pid": "x"}\n',
        '{"event": "finished"}\n{"event": ["finished"]}\n',
        '{"event": "started", "digest": "d", "pid": 1}\n{"event": "finished", "result": {"outcome": "won"}}\n',
    ],
)
def test_what_no_supervisor_wrote_is_as_good_as_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "r.run").write_text(text)
    assert standing(tmp_path / "r.run") == Standing()


def test_a_journal_without_its_last_line_says_whose_it_was(tmp_path: Path) -> None:
    (tmp_path / "r.run").write_text('{"event": "started", "digest": "d", "pid": 7}\n{"event": "fini')
    assert standing(tmp_path / "r.run") == Standing("d", 7)


def ended(outcome: str) -> RunResult:
    return RunResult.model_validate(
        {"run_id": "r", "outcome": outcome, "exit_code": 0, "detail": "", "tail": "", "wall_seconds": 1.0,
         "cpu_seconds": 1.0, "peak_memory_mb": 1.0, "sandbox": "C"}
    )  # fmt: skip


def spec_with(proxy: Path | None) -> RunSpec:
    here = Path("/work")
    return RunSpec(run_id="r", script=here / "s.py", arguments=(), cwd=here, log=here / "s.log", proxy=proxy)


def test_a_run_is_the_same_whatever_the_socket_of_its_proxy_is_called() -> None:
    digests = [spec_with(one).digest() for one in (Path("/tmp/mi-1/proxy"), Path("/tmp/mi-2/proxy"), None)]
    assert digests[0] == digests[1] != digests[2]


def test_a_run_that_lost_its_proxy_with_its_harness_is_not_taken_over_unless_it_had_succeeded() -> None:
    for spec, taken in ((spec_with(Path("/tmp/new")), ["ok"]), (spec_with(None), ["alive", "ok", "failed"])):
        found = {
            "alive": Standing(spec.digest(), 7, alive=True),
            **{one: Standing(spec.digest(), 7, result=ended(one)) for one in ("ok", "failed", "killed")},
        }
        assert [name for name, one in found.items() if one.is_of(spec)] == taken
