"""Tables on disk: what `data.py` wrote, and the folders that scripts are given. Knows nothing of splits."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_intern.errors import MlInternError

ARROW_NAME = "data-00000-of-00001.arrow"


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


def read_arrow(path: Path) -> Any:
    """The table in an IPC stream or file. Raises `pa.ArrowInvalid` (a ValueError) or OSError."""
    import pyarrow as pa

    with pa.OSFile(str(path)) as source:
        try:
            table = pa.ipc.open_stream(source).read_all()
        except pa.ArrowInvalid:
            source.seek(0)
            table = pa.ipc.open_file(source).read_all()
    # A script wrote it: offsets that lead out of its buffers would make this process hand out its own memory.
    table.validate(full=True)
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
    """Writes JSON lines, compressed. (name, sha256 of the compressed bytes); the same lines give the same bytes."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    data = gzip.compress(text.encode(), mtime=0)
    part = path.with_name(f".{path.name}.{threading.get_ident()}.part")
    part.write_bytes(data)
    part.replace(path)
    return name, hashlib.sha256(data).hexdigest()


def table_hash(table: Any) -> str:
    """sha256 of a table's schema and values."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema.remove_metadata()) as writer:
        writer.write_table(table.replace_schema_metadata(None))
    return hashlib.sha256(sink.getvalue()).hexdigest()
