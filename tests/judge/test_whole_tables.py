"""A data.py that was broken off: what it left is no table, however whole it looks."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow
import pytest

from ml_intern.errors import MlInternError
from ml_intern.judge.whole import TABLE
from ml_intern.run import journal
from tests.judge.workshop import DATA, Workshop, changed

WRITE = "    writer.write_table(table)"
# Writes half of the rows, which read as a table of their own; the second time all of them.
HALF_FIRST = """
    tried = Path(__file__).parent.parent / "tried"
    for number in (0, 1):
        writer.write_table(table.slice(200 * number, 200))
        if number == 0 and not tried.exists():
            tried.touch()
            sink.flush()
            BREAK
"""
COUNTED = 'with (Path(__file__).parent.parent / "count").open("a") as count: count.write("x")\n'


def half_first(how: str) -> dict[str, str]:
    return {"data.py": changed(DATA, WRITE, HALF_FIRST.replace("BREAK", how))}


def rows(shop: Workshop) -> int:
    told = shop.laboratory().data()[1]
    return sum(int(number) for number in re.findall(r"(?:train|validation|test) (\d+)", told))


def made(shop: Workshop) -> Path:
    return next(shop.places.data.glob(f"*/{TABLE}")).parent


def counted(shop: Workshop) -> int:
    return len((shop.folder / "count").read_text())


@pytest.fixture
def honest(tmp_path: Path) -> Workshop:
    """With a table, and a data.py that counts how often it runs."""
    shop = Workshop(tmp_path, {"data.py": DATA + COUNTED})
    shop.laboratory().data()
    return shop


@pytest.mark.parametrize("how", ["raise SystemExit(1)", "import os; os.kill(os.getpid(), 9)"])
def test_what_a_broken_off_data_py_left_is_not_taken_for_the_table(tmp_path: Path, how: str) -> None:
    shop = Workshop(tmp_path, half_first(how))
    with pytest.raises(MlInternError, match=r"data\.py ended with"):
        shop.laboratory().data()
    assert shop.laboratory().sight().data is None
    assert rows(shop) == 400


def test_leftovers_are_gone_before_it_is_made_again(tmp_path: Path) -> None:
    code = """
from pathlib import Path
import os
first = Path(__file__).parent.parent / "first"
if not first.exists():
    first.touch()
    (args.raw / "half").touch(); (args.out / "data-9.arrow").touch()
    raise SystemExit(1)
assert not os.listdir(args.raw) and not os.listdir(args.out)
"""
    shop = Workshop(
        tmp_path, {"data.py": changed(DATA, "args = parser.parse_args()", f"args = parser.parse_args(){code}")}
    )
    with pytest.raises(MlInternError):
        shop.laboratory().data()
    assert rows(shop) == 400


def test_a_whole_table_is_made_once(honest: Workshop) -> None:
    assert rows(honest) == 400 and counted(honest) == 1
    assert honest.laboratory().data() and counted(honest) == 1


def test_a_table_that_was_cut_afterwards_is_made_again(honest: Workshop) -> None:
    table = made(honest) / TABLE / "table.arrow"
    table.write_bytes(table.read_bytes()[:-2000])
    assert rows(honest) == 400 and counted(honest) == 2


def test_a_table_of_before_is_taken_where_its_journal_says_that_data_py_ended_well(honest: Workshop) -> None:
    (made(honest) / "table.json").unlink()
    assert rows(honest) == 400 and counted(honest) == 1


def test_a_table_of_before_is_taken_where_evidence_rests_on_it(honest: Workshop) -> None:
    honest.laboratory().confirm(1)
    (made(honest) / "table.json").unlink()
    (made(honest) / "data.run").unlink()  # as on another machine
    assert rows(honest) == 400 and counted(honest) == 1


def test_a_table_of_before_that_nothing_vouches_for_is_made_again(honest: Workshop) -> None:
    (made(honest) / "table.json").unlink()
    (made(honest) / "data.run").unlink()
    assert rows(honest) == 400 and counted(honest) == 2


def test_after_a_power_cut_a_journal_vouches_for_no_table_that_was_not_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal's end can be on disk while half of the table is not."""
    shop = Workshop(tmp_path, {"data.py": DATA + COUNTED})

    def cut(folder: Path, digest: str) -> None:
        table = pyarrow.ipc.open_stream((folder / TABLE / "table.arrow").read_bytes()).read_all()
        half = table.slice(0, 200)
        with (folder / TABLE / "table.arrow").open("wb") as sink, pyarrow.ipc.new_stream(sink, half.schema) as writer:
            writer.write_table(half)
        raise KeyboardInterrupt

    with monkeypatch.context() as during:
        during.setattr("ml_intern.judge.dataset.mark_whole", cut)
        with pytest.raises(KeyboardInterrupt):
            shop.laboratory().data()
    standing = journal.standing(made(shop) / "data.run")
    assert standing.result is not None and standing.result.outcome == "ok"
    assert shop.laboratory().sight().data is None
    assert rows(shop) == 400 and counted(shop) == 2


def test_a_harness_that_was_killed_while_data_py_wrote_gets_all_rows_the_next_time(tmp_path: Path) -> None:
    shop = Workshop(tmp_path, half_first("import time; time.sleep(60)"), sandbox="none")
    code = (
        "import sys; from pathlib import Path; from tests.judge.test_whole_tables import *; harness(Path(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    deadline = time.monotonic() + 60
    while not (tmp_path / "tried").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert (made(shop) / TABLE / "table.arrow").stat().st_size > 1000
    assert rows(shop) == 400
    standing = journal.standing(made(shop) / "data.run")
    assert standing.result is not None and standing.result.outcome == "ok"
    assert json.loads((made(shop) / "table.json").read_text())["table"]


def harness(folder: Path) -> None:
    Workshop(folder, half_first("import time; time.sleep(60)"), sandbox="none").laboratory().data()
