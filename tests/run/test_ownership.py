"""Handing folders over and taking them back follows no link, whoever swaps one in."""

import os
import stat
import threading
from pathlib import Path

import pytest

from ml_intern.errors import RunError
from ml_intern.run.sandbox import ownership
from ml_intern.run.sandbox.places import prepared_places
from ml_intern.run.spec import RunSpec


def test_a_mode_is_not_changed_through_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("x")
    victim.chmod(0o600)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "link").symlink_to(victim)
    ownership._set_mode(tmp_path / "run" / "link", 0o777, None)
    ownership.take_back(tmp_path / "run")
    ownership.make_readable(tmp_path / "run")
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600


def test_a_file_that_is_swapped_for_a_link_meanwhile_leads_nowhere(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("x")
    victim.chmod(0o600)
    folder = tmp_path / "run"
    folder.mkdir()
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for number in range(20):
                place, aside = folder / f"f{number}", folder / f"a{number}"
                aside.unlink(missing_ok=True)
                aside.symlink_to(victim)
                aside.rename(place)
                aside.touch()
                aside.chmod(0o6777)
                aside.rename(place)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(200):
            ownership.take_back(folder)
    finally:
        stop.set()
        swapper.join()
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands folders to another user")
def test_folders_go_to_nobody_and_come_back_without_set_id_bits(tmp_path: Path) -> None:
    (tmp_path / "run" / "deep").mkdir(parents=True)
    left = tmp_path / "run" / "deep" / "left"
    left.write_text("x")
    ownership.hand_over(tmp_path / "run", ownership.NOBODY, ownership.NOBODY)
    assert left.stat().st_uid == ownership.NOBODY
    left.chmod(0o6777)
    ownership.take_back(tmp_path / "run")
    assert (left.stat().st_uid, stat.S_IMODE(left.stat().st_mode)) == (0, 0o777)


def test_a_file_that_is_named_alone_keeps_its_mode_and_is_refused_where_nobody_may_read_it(tmp_path: Path) -> None:
    script, own = tmp_path / "scripts" / "s.py", tmp_path / "own.safetensors"
    script.parent.mkdir()
    script.touch()
    own.write_text("weights")
    spec = RunSpec(
        run_id="r", script=script, arguments=(), cwd=tmp_path / "cwd", log=tmp_path / "log.txt", reads=(own,)
    )
    (tmp_path / "cwd").mkdir()
    for mode in (0o604, 0o744):
        own.chmod(mode)
        assert own in prepared_places(spec, as_nobody=os.geteuid() == 0)[0]
        assert stat.S_IMODE(own.stat().st_mode) == mode
    own.chmod(0o600)
    if os.geteuid() == 0:
        with pytest.raises(RunError, match="cannot be read by its scripts"):
            prepared_places(spec, as_nobody=True)
    else:
        prepared_places(spec, as_nobody=False)
    assert stat.S_IMODE(own.stat().st_mode) == 0o600
