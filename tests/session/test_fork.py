"""A fork has what its moment's log speaks of, and nothing that came later."""

import json
from pathlib import Path

import pytest

from ml_intern.errors import InputError, SessionError
from ml_intern.session.fork import fork
from ml_intern.session.log import EventLog
from ml_intern.session.state import fold
from ml_intern.session.store import SessionFolder, SessionStore
from tests.support.session import FINAL, SCRIPT, write_session


def first(folder: SessionFolder, type: str, number: int = 0) -> int:
    return [event.seq for event in folder.events() if event.type == type][number]


def test_a_fork_of_all_has_everything_and_goes_its_own_way(tmp_path: Path) -> None:
    origin = write_session(tmp_path)
    before = origin.log.read_bytes()
    folder = fork(SessionStore(tmp_path / "sessions"), origin, None)
    assert folder.log.read_bytes().startswith(before) and origin.log.read_bytes() == before
    assert folder.state().forked_from == f"{origin.id} at {len(before.splitlines()) - 1}"
    assert folder.state().settings["out"] == "", "two sessions do not publish to one folder"
    assert (folder.root / "workspace" / "park" / "train.py").read_text() == FINAL
    assert folder.events()[-2].data["result"] == origin.events()[-1].data["result"], "long texts came along"
    with EventLog(folder.log) as log:
        log.append("note", text="on its own")
    assert origin.log.read_bytes() == before


def test_a_fork_at_an_event_has_the_scripts_and_the_evidence_of_that_moment(tmp_path: Path) -> None:
    origin = write_session(tmp_path)
    at = first(origin, "tool.result")
    folder = fork(SessionStore(tmp_path / "sessions"), origin, at)
    assert (folder.root / "workspace" / "park" / "train.py").read_text() == SCRIPT
    earlier = fork(SessionStore(tmp_path / "sessions"), origin, first(origin, "evidence.recorded"))
    assert [json.loads(line)["evidence"]["run_id"] for line in earlier.ledger.read_text().splitlines()] == ["r0"]
    assert not earlier.run("r1").exists() and not (earlier.root / "workspace").exists()
    assert (earlier.run("r0") / "out" / "model.safetensors").exists()
    assert sorted(path.name for path in (earlier.predictions / "zoo").iterdir()) == ["r0-test.jsonl.gz"]


@pytest.mark.parametrize(
    ("event", "there", "not_there"),
    [
        ("session.created", [], ["paper.json", "plan.yaml", "frozen", "evidence.jsonl", "data"]),
        ("paper.read", ["paper.json"], ["plan.yaml", "frozen"]),
        ("plan.drafted", ["paper.json", "plan.yaml"], ["frozen", "data"]),
        ("experiment.built", ["frozen/zoo/train.py", "data/zoo/abc/table/table.arrow"], ["evidence.jsonl", "runs"]),
    ],
)
def test_what_came_later_stays_behind(tmp_path: Path, event: str, there: list[str], not_there: list[str]) -> None:
    origin = write_session(tmp_path)
    folder = fork(SessionStore(tmp_path / "sessions"), origin, first(origin, event))
    assert [name for name in there if not (folder.root / name).exists()] == []
    assert [name for name in not_there if (folder.root / name).exists()] == []


def test_what_can_be_made_again_and_what_belongs_to_a_process_stays_behind(tmp_path: Path) -> None:
    origin = write_session(tmp_path)
    folder = fork(SessionStore(tmp_path / "sessions"), origin, None)
    names = {str(path.relative_to(folder.root)) for path in folder.root.rglob("*")}
    assert not any(
        name.endswith(".run") or "views" in name or "r-open" in name or "/predict/" in name for name in names
    )


def test_a_damaged_log_can_be_forked_from_before_the_damage(tmp_path: Path) -> None:
    origin = write_session(tmp_path)
    lines = origin.log.read_bytes().splitlines(keepends=True)
    origin.log.write_bytes(b"".join([*lines[:6], lines[6].replace(b'"r1"', b'"r9"'), *lines[7:]]))
    with pytest.raises(SessionError, match=f"ml-intern fork {origin.id} --at 5"):
        origin.events()
    folder = fork(SessionStore(tmp_path / "sessions"), origin, 5)
    assert folder.state().runs == 1


def test_an_event_that_is_not_there_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    origin = write_session(tmp_path)
    with pytest.raises(InputError, match=rf"has no event 999(.|\n)*sessions show {origin.id} --events"):
        fork(SessionStore(tmp_path / "sessions"), origin, 999)
    assert len(list((tmp_path / "sessions").iterdir())) == 1


def test_evidence_that_is_gone_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    origin = write_session(tmp_path)
    origin.ledger.write_bytes(b"")
    with pytest.raises(SessionError, match="not all there"):
        fork(SessionStore(tmp_path / "sessions"), origin, None)
    assert len(list((tmp_path / "sessions").iterdir())) == 1


def test_a_path_that_leads_out_of_the_workspace_is_refused(tmp_path: Path) -> None:
    origin = write_session(tmp_path)
    with EventLog(origin.log) as log:
        digest = origin.blobs.put(b"x")
        log.append("tool.result", purpose="p", id="1", name="w", result="", failed=False, files={"../../x": digest})
    with pytest.raises(SessionError, match="outside its workspace"):
        fork(SessionStore(tmp_path / "sessions"), origin, None)
    assert fold(origin.events()).runs == 2
