"""The event log: durable, chained, one writer; a torn tail is set aside and a damaged middle is never cut."""

from pathlib import Path

import pytest

from ml_intern.errors import SessionError
from ml_intern.session.log import EventLog, read_log
from ml_intern.session.state import fold


def three_events(path: Path) -> bytes:
    with EventLog(path) as log:
        log.append("session.created", settings={"model": "recipes"})
        log.append("phase.started", phase="read")
        log.append("note", text="üñ\n\u2028 ok")
    return path.read_bytes()


def test_what_was_appended_is_read_back_in_order(tmp_path: Path) -> None:
    three_events(tmp_path / "events.jsonl")
    events = read_log(tmp_path / "events.jsonl")
    assert [event.type for event in events] == ["session.created", "phase.started", "note"]
    assert fold(events).notes == ("üñ\n\u2028 ok",)


def test_a_log_cut_at_any_byte_keeps_every_whole_event_and_goes_on(tmp_path: Path) -> None:
    whole = three_events(tmp_path / "whole.jsonl")
    ends = [index + 1 for index, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole)):
        path = tmp_path / "cut.jsonl"
        path.write_bytes(whole[:cut])
        kept = sum(end <= cut for end in ends)
        with EventLog(path) as log:
            recovered = cut not in (0, *ends)
            assert len(log.events) == kept + recovered
            log.append("note", text="after")
        assert read_log(path)[-1].data == {"text": "after"}


def test_a_flipped_byte_in_the_middle_is_reported_and_nothing_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    whole = bytearray(three_events(path))
    place = whole.index(b"phase.started") + 30
    whole[place] ^= 1
    path.write_bytes(whole)
    with pytest.raises(SessionError, match="line 2"):
        EventLog(path)
    assert path.read_bytes() == whole


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl"), pytest.raises(SessionError, match="another process"):
        EventLog(tmp_path / "events.jsonl")


def test_fold_of_a_prefix_and_the_rest_is_the_fold_of_all(tmp_path: Path) -> None:
    three_events(tmp_path / "events.jsonl")
    events = read_log(tmp_path / "events.jsonl")
    for cut in range(len(events) + 1):
        assert fold(events[cut:], fold(events[:cut])) == fold(events)
