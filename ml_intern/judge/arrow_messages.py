"""How large an Arrow table that a script wrote becomes, known before any of it is unpacked.

A few bytes can come to a table of gigabytes: compressed buffers, one buffer named many times over, rows that take no
bytes. What is read here is only what a message says of itself; that pyarrow reads it as the same is not assumed, so
the types are looked at again once a table is there. Source: the Arrow columnar format (IPC, Message.fbs), FlatBuffers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

MOST_BYTES = 4 << 30  # unpacked; as much as a run may hold in memory
MOST_ROWS = 20_000_000
_MAGIC = b"ARROW1\0\0"
_RECORD_BATCH, _DICTIONARY_BATCH = 3, 2  # of MessageHeader
_BUFFER = 16  # bytes of one struct Buffer: offset, length
_PREFIX = 8  # bytes before a compressed buffer: its length unpacked, -1 where it is not compressed


def stream_of(data: bytes) -> Any:
    """The `pyarrow.BufferReader` of the messages in an IPC stream or file, at the first one. A file holds a stream
    after its first eight bytes; the footer, which may name each batch any number of times, is not looked at."""
    import pyarrow as pa

    return pa.BufferReader(pa.py_buffer(data).slice(len(_MAGIC) if data.startswith(_MAGIC) else 0))


def check_size(data: bytes) -> None:
    """Raises `pa.ArrowInvalid` where the table would come to over MOST_BYTES or MOST_ROWS, or is none."""
    import pyarrow as pa

    size = rows = 0
    for metadata, body in _messages(data):
        try:
            more_rows, more_bytes = _declared(metadata, body)
        except (struct.error, IndexError):
            raise pa.ArrowInvalid("a message of the table is malformed") from None
        rows, size = rows + more_rows, size + more_bytes
        if rows > MOST_ROWS or size > MOST_BYTES:
            most = f"{MOST_ROWS:,} rows or {MOST_BYTES >> 30} GiB"
            raise pa.ArrowInvalid(f"it comes to over {most} unpacked: keep fewer rows, or smaller ones")


def check_types(table: Any) -> None:
    """Raises `pa.ArrowInvalid` for a type by which few bytes become many values: views and run ends, empty values in
    lists, a dictionary of long words."""
    import pyarrow as pa

    for name in table.column_names:
        column = table.column(name)
        if _is_refused(column.type):
            raise pa.ArrowInvalid(f"column {name!r} has the type {column.type}: write plain values or lists of them")
        for chunk in column.chunks if pa.types.is_dictionary(column.type) else ():
            longest = chunk.dictionary.nbytes if len(chunk.dictionary) else 0
            if longest * len(chunk) > MOST_BYTES and _longest(chunk.dictionary) * len(chunk) > MOST_BYTES:
                raise pa.ArrowInvalid(f"column {name!r} names long values over and over: write fewer rows")


def _messages(data: bytes) -> Iterator[tuple[memoryview, memoryview]]:
    """(metadata, body) of each message. pyarrow has verified the metadata of those that it hands out."""
    import pyarrow as pa

    reader = pa.ipc.MessageReader.open_stream(stream_of(data))
    while True:
        try:
            message = reader.read_next_message()
        except StopIteration:
            return
        yield memoryview(message.metadata), memoryview(message.body or b"")


def _declared(metadata: memoryview, body: memoryview) -> tuple[int, int]:
    """(rows, bytes unpacked) of a message; nothing of one that holds no values."""
    message = _at(metadata, 0)
    kind_at, header_at = _field(metadata, message, 1), _field(metadata, message, 2)
    kind = metadata[kind_at] if kind_at else 0
    if kind not in (_RECORD_BATCH, _DICTIONARY_BATCH) or not header_at:
        return 0, 0
    batch = _at(metadata, header_at)
    if kind == _DICTIONARY_BATCH:
        data_at = _field(metadata, batch, 1)
        if not data_at:
            return 0, 0
        batch = _at(metadata, data_at)
    rows_at, buffers_at = _field(metadata, batch, 0), _field(metadata, batch, 2)
    rows = struct.unpack_from("<q", metadata, rows_at)[0] if rows_at else 0
    compressed = bool(_field(metadata, batch, 3))
    size = sum(_unpacked(body, *place, compressed) for place in _buffers(metadata, buffers_at))
    if rows < 0:
        raise IndexError(rows)
    return rows, size


def _buffers(metadata: memoryview, field: int) -> Iterator[tuple[int, int]]:
    """(offset, length) in the body of each buffer."""
    if field:
        vector = _at(metadata, field)
        for number in range(struct.unpack_from("<I", metadata, vector)[0]):
            yield struct.unpack_from("<qq", metadata, vector + 4 + number * _BUFFER)


def _unpacked(body: memoryview, offset: int, length: int, compressed: bool) -> int:
    if offset < 0 or length < 0:
        raise IndexError(offset)
    if not compressed or length < _PREFIX:
        return length
    declared = int(struct.unpack_from("<q", body, offset)[0])
    return length if declared < 0 else declared


def _at(data: memoryview, position: int) -> int:
    """Where the offset at `position` leads."""
    return position + int(struct.unpack_from("<I", data, position)[0])


def _field(data: memoryview, table: int, number: int) -> int:
    """Where field `number` of the FlatBuffers table at `table` lies; 0 where it is not there."""
    names = table - int(struct.unpack_from("<i", data, table)[0])
    entry = 4 + 2 * number
    if names < 0 or entry >= struct.unpack_from("<H", data, names)[0]:
        return 0
    offset = int(struct.unpack_from("<H", data, names + entry)[0])
    return table + offset if offset else 0


def _is_refused(kind: Any, in_list: bool = False) -> bool:
    import pyarrow as pa
    import pyarrow.types as types

    if isinstance(kind, pa.BaseExtensionType):
        return _is_refused(kind.storage_type, in_list)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind) or types.is_map(kind):
        inner = [kind.key_type, kind.item_type] if types.is_map(kind) else [kind.value_type]
        return any(_is_refused(one, True) for one in inner)
    if types.is_struct(kind):
        inner = [kind.field(number).type for number in range(kind.num_fields)]
        return (in_list and not inner) or any(_is_refused(one, in_list) for one in inner)
    if types.is_dictionary(kind):
        return in_list or types.is_nested(kind.value_type) or _is_refused(kind.value_type)
    if types.is_null(kind):
        return in_list
    if types.is_fixed_size_binary(kind):
        return in_list and kind.byte_width == 0
    plain = types.is_primitive(kind) or types.is_string(kind) or types.is_large_string(kind)
    return not (plain or types.is_binary(kind) or types.is_large_binary(kind) or types.is_decimal(kind))


def _longest(words: Any) -> int:
    """Bytes of the longest value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_primitive(words.type) or pa.types.is_null(words.type):
        return 16
    return int(pc.max(pc.binary_length(words)).as_py() or 0)
