"""Tables on disk: what `data.py` wrote, and the folders that scripts are given. Knows nothing of splits."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_intern.errors import MlInternError
from ml_intern.judge.arrow_messages import MOST_BYTES, check_size, check_types, stream_of
from ml_intern.session.disk import write_whole

ARROW_NAME = "data-00000-of-00001.arrow"
_FEW = 12  # values of a column that are named


class DataError(MlInternError):
    """The table is missing, malformed, or fails a check; the words are for whoever wrote `data.py`."""


def read_table(folder: Path) -> Any:
    """The `pyarrow.Table` in `folder`: `table.arrow` (IPC stream or file), or a folder of `datasets.save_to_disk`."""
    import pyarrow as pa

    files = [folder / "table.arrow"] if (folder / "table.arrow").is_file() else sorted(folder.glob("**/data-*.arrow"))
    files = [file for file in files if file.is_file() and not file.is_symlink()]
    if not files:
        raise DataError(
            "data.py wrote no table.", f"there is no table.arrow in {folder.name}/", "Write OUT/table.arrow."
        )
    try:
        table = pa.concat_tables([read_arrow(file) for file in files])
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError("The table that data.py wrote cannot be read.", str(error)) from None
    if table.num_rows == 0:
        raise DataError("The table that data.py wrote has no rows.")
    return table.combine_chunks()


def described(table: Any, name: str) -> str:
    """A column in a few words: its shape where its entries are lists of one length, else which values it takes."""
    column = table.column(name)
    values = column.slice(0, 10_000).to_pylist()
    if isinstance(values[0], list):
        return f"{_inner_type(column.type)}, shape ({', '.join(['rows', *_lengths(values)])})"
    kinds = list(dict.fromkeys(str(value)[:20] for value in values))
    kinds = sorted(kinds, key=lambda kind: (len(kind), kind)) if len(kinds) <= _FEW else kinds
    return f"{column.type}, {len(kinds)} values: {', '.join(kinds[:_FEW])}{', …' if len(kinds) > _FEW else ''}"


def _inner_type(kind: Any) -> str:
    while hasattr(kind, "value_type"):
        kind = kind.value_type
    return str(kind)


def _lengths(values: list[Any]) -> list[str]:
    """Of lists within lists, the outermost first; `various` where they differ."""
    lengths = {len(value) for value in values if value is not None}
    own = [str(min(lengths)) if len(lengths) == 1 else "various"]
    inner = [one for value in values[:100] for one in (value or [])[:100]]
    return own + _lengths(inner) if inner and isinstance(inner[0], list) else own


def read_arrow(path: Path) -> Any:
    """The table in an IPC stream or file, of MOST_BYTES at most. Raises `pa.ArrowInvalid` (a ValueError) or OSError."""
    import pyarrow as pa

    # A script wrote it: what would grow without bounds is not unpacked, and offsets that lead out of its buffers would
    # make this process hand out its own memory.
    if path.stat().st_size > MOST_BYTES:
        raise pa.ArrowInvalid(f"{path.name} has over {MOST_BYTES >> 30} GiB: keep fewer rows, or smaller ones")
    data = path.read_bytes()
    check_size(data)
    table = pa.ipc.open_stream(stream_of(data)).read_all()
    table.validate(full=True)
    check_types(table)
    return table


def write_table(table: Any, folder: Path) -> None:
    """A folder that pyarrow reads as an IPC stream and `datasets.load_from_disk` as a Dataset."""
    import pyarrow as pa

    folder.mkdir(parents=True, exist_ok=True)
    table = table.replace_schema_metadata(None)
    with pa.OSFile(str(folder / ARROW_NAME), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    fingerprint = hashlib.sha256((folder / ARROW_NAME).read_bytes()).hexdigest()[:16]
    state: dict[str, object] = {
        "_data_files": [{"filename": ARROW_NAME}],
        "_fingerprint": fingerprint,
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    (folder / "state.json").write_text(json.dumps(state))
    # Without features here `datasets` takes them from the Arrow schema.
    (folder / "dataset_info.json").write_text("{}")


def file_hash(path: Path) -> str:
    """sha256 in hex of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def save_lines(root: Path, name: str, lines: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Writes JSON lines, compressed, durably. (name, sha256 of the compressed bytes); the same lines give the same
    bytes."""
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    data = gzip.compress(text.encode(), mtime=0)
    write_whole(root / name, data)
    return name, hashlib.sha256(data).hexdigest()


def table_hash(table: Any) -> str:
    """sha256 of a table's schema and values."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema.remove_metadata()) as writer:
        writer.write_table(table.replace_schema_metadata(None))
    return hashlib.sha256(sink.getvalue()).hexdigest()
