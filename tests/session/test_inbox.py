"""Messages to a session: in order, whole or not there, and nothing else in the folder is one."""

import os
from pathlib import Path

import pytest

from ml_intern.session.inbox import LONGEST, Inbox, Told


def words(inbox: Inbox, taken: set[str] | None = None) -> list[str]:
    return [told.words for told in inbox.waiting(taken or set())]


def test_messages_come_in_the_order_they_were_put_and_stay_until_they_are_cleared(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox")
    ids = [inbox.put(Told(words=f"{place}")) for place in range(20)]
    assert words(inbox) == words(inbox) == [str(place) for place in range(20)]
    assert words(inbox, set(ids[:19])) == ["19"]
    inbox.clear(set(ids[:19]))
    assert words(Inbox(tmp_path / "inbox")) == ["19"]


def test_an_inbox_that_nobody_wrote_to_is_empty_and_makes_no_folder(tmp_path: Path) -> None:
    assert words(Inbox(tmp_path / "inbox")) == []
    assert not (tmp_path / "inbox").exists()


def test_every_kind_of_message_comes_back_as_it_was(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    inbox.put(Told(settings={"budget_usd": 2.5, "model": "openai/x"}))
    inbox.put(Told(command="pause"))
    settings, pause = inbox.waiting()
    assert settings.settings == {"budget_usd": 2.5, "model": "openai/x"} and settings.command is None
    assert pause.command == "pause" and pause.time > 1_700_000_000


def test_what_is_half_written_linked_huge_or_no_message_is_passed_over(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    id = inbox.put(Told(words="true"))
    name = "00000000000000000000-0000000{}.json"
    (tmp_path / f".{id}.json.ab12.part").write_text('{"words": "half')
    (tmp_path / name.format(1)).write_text('{"words": "half')
    (tmp_path / name.format(2)).symlink_to(tmp_path / f"{id}.json")
    (tmp_path / name.format(3)).write_text('{"words": "under another name", "id": "x"}')
    (tmp_path / name.format(4)).mkdir()
    (tmp_path / name.format(5)).write_bytes(b"\xff" * 300_000)
    os.mkfifo(tmp_path / name.format(6))
    (tmp_path / "notes.txt").write_text("mine")
    assert words(inbox) == ["true"]


def test_words_are_cut_where_they_are_very_long(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    inbox.put(Told(words="x" * (LONGEST + 5)))
    assert len(words(inbox)[0]) == LONGEST


def test_a_message_that_could_not_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    inbox = Inbox(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        inbox.put(Told(words="lost"))
    assert list(tmp_path.iterdir()) == []
