"""Tables that a script wrote are read in the harness's own process: no byte of it may come along."""

import struct
from pathlib import Path

import pyarrow as pa
import pytest

from ml_intern.judge.tables import DataError, read_table


def written(folder: Path, wrong: int) -> Path:
    """A table of two texts whose second one is said to end at byte `wrong`."""
    with pa.OSFile(str(folder / "table.arrow"), "wb") as sink:
        table = pa.table({"text": ["A" * 8, "B" * 8]})
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    path = folder / "table.arrow"
    right = struct.pack("<3i", 0, 8, 16)
    data = path.read_bytes()
    assert data.count(right) == 1
    path.write_bytes(data.replace(right, struct.pack("<3i", 0, 8, wrong)))
    return folder


def test_an_honest_table_of_texts_is_read(tmp_path: Path) -> None:
    assert read_table(written(tmp_path, 16)).to_pydict() == {"text": ["A" * 8, "B" * 8]}


@pytest.mark.parametrize("wrong", [300_000, 17, 4, -1])
def test_offsets_that_lead_out_of_the_table_read_nothing_of_the_harness(tmp_path: Path, wrong: int) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_table(written(tmp_path, wrong))
