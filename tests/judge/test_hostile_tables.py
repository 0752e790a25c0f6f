"""Tables that a script wrote are read in the harness's own process: no byte of it may come along."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ml_intern.judge import arrow_messages
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


def save(table: pa.Table, folder: Path, make: Callable[..., Any] = pa.ipc.new_stream, **options: Any) -> Path:
    chosen = pa.ipc.IpcWriteOptions(**options)
    with pa.OSFile(str(folder / "table.arrow"), "wb") as sink, make(sink, table.schema, options=chosen) as writer:
        writer.write_table(table)
    return folder


WORDS = pa.array(["a", "b"] * 500)
HONEST = pa.table({"n": range(1000), "t": WORDS, "d": WORDS.dictionary_encode(), "l": [[1, 2], []] * 500})


@pytest.mark.parametrize("make", [pa.ipc.new_stream, pa.ipc.new_file])
@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_every_form_of_an_honest_table_is_read(
    make: Callable[..., Any], compression: str | None, tmp_path: Path
) -> None:
    assert read_table(save(HONEST, tmp_path, make, compression=compression)).equals(HONEST.combine_chunks())


@pytest.mark.parametrize("make", [pa.ipc.new_stream, pa.ipc.new_file])
@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_a_compressed_table_is_measured_before_it_is_unpacked(
    make: Callable[..., Any], compression: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrow_messages, "MOST_BYTES", 64 << 20)
    folder = save(pa.table({"n": np.zeros(12_000_000)}), tmp_path, make, compression=compression)
    assert (folder / "table.arrow").stat().st_size < 1 << 20
    pa.default_memory_pool().release_unused()
    before = pa.total_allocated_bytes()
    unpacked: list[int] = []
    monkeypatch.setattr(pa.ipc, "open_stream", lambda source: unpacked.append(1))
    with pytest.raises(DataError, match="unpacked: keep fewer rows"):
        read_table(folder)
    assert not unpacked
    assert pa.total_allocated_bytes() - before < 8 << 20


def test_a_length_that_is_a_lie_is_refused(tmp_path: Path) -> None:
    """Said to be small, and larger: pyarrow itself holds the buffer to what it says."""
    folder = save(pa.table({"n": pa.array([0] * 100_000)}), tmp_path, compression="zstd")
    data = (folder / "table.arrow").read_bytes()
    said = struct.pack("<q", 800_000)
    assert data.count(said) >= 1
    (folder / "table.arrow").write_bytes(data.replace(said, struct.pack("<q", 80)))
    with pytest.raises(DataError, match="cannot be read"):
        read_table(folder)


MANY = 10**6
GROWING = {
    "rows that take no bytes": pa.table({"n": pa.NullArray.from_buffers(pa.null(), 2**31 - 2, [None])}),
    "no bytes in a list": pa.table(
        {"n": pa.ListArray.from_arrays(pa.array([0, MANY], pa.int32()), pa.nulls(MANY))}  # one row
    ),
    "runs": pa.table({"n": pa.RunEndEncodedArray.from_arrays(pa.array([MANY], pa.int32()), pa.array(["x"]))}),
    "views": pa.table({"n": pa.array(["x" * 100] * 9).cast(pa.string_view())}),
    "one long word": pa.table(
        {"n": pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), ["x" * 1_000_000])}
    ),
}


@pytest.mark.parametrize("table", GROWING.values(), ids=GROWING)
def test_few_bytes_that_are_many_values_are_refused(table: pa.Table, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_table(save(table, tmp_path))


def test_what_is_larger_than_a_run_may_hold_is_not_even_opened(tmp_path: Path) -> None:
    with (tmp_path / "table.arrow").open("wb") as file:
        file.truncate(arrow_messages.MOST_BYTES + 1)
    with pytest.raises(DataError, match="GiB"):
        read_table(tmp_path)
