"""Unpacks an archive of unknown origin into memory: regular members only, under limits. Nothing is written to disk."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath

from ml_intern.errors import PaperError

_BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
MAX_BYTES = 200_000_000
MAX_MEMBERS = 5_000
MAX_RATIO = 200
_RATIO_FROM = 10_000_000  # bytes: below this a high ratio is only a short, repetitive text
_XZ_MEMORY = 300_000_000  # bytes: what `xz -9` asks for, several times over
_XZ_STREAMS = 1_000  # each one costs a decoder; who joins archives has a few
_PIECE = 1 << 16  # bytes that are unpacked, or taken out, at a time
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")  # how gzip, bzip2 and xz begin


def unpack(data: bytes, name: str) -> dict[str, bytes]:
    """Path to content of the regular files of a tar (plain, or packed by gzip, bzip2 or xz), a zip, or a packed single
    file. Raises PaperError."""
    try:
        if data[:4] == b"PK\x03\x04":
            return _unzip(data, name)
        if data.startswith(_PACKED):
            data = _unpacked(data, name)
        if _is_tar(data):
            return _untar(data, name)
    except (*_BROKEN, EOFError, OSError, ValueError, RuntimeError) as error:
        raise PaperError(f"{name} is not a whole archive.", str(error), "Download it again.") from None
    return {re.sub(r"\.(gz|bz2|xz)$", "", PurePosixPath(name).name).removesuffix(".tex") + ".tex": data}


def is_archive(data: bytes) -> bool:
    """True for a zip, a tar, or what gzip, bzip2 or xz packed, by their first bytes; the rest may still be broken."""
    return data[:4] == b"PK\x03\x04" or data.startswith(_PACKED) or data[257:262] == b"ustar"


def _is_tar(data: bytes) -> bool:
    if len(data) >= 512 and data[257:262] == b"ustar":
        return True
    try:
        tarfile.open(fileobj=io.BytesIO(data), mode="r:").close()
    except tarfile.TarError:
        return False
    return True


def _unpacked(data: bytes, name: str) -> bytes:
    """What gzip, bzip2 or xz packed. tarfile would do it too, but without limits."""
    if data.startswith(b"\xfd"):
        return _bounded(_xz_chunks(data), len(data), name)
    packed = io.BytesIO(data)
    with bz2.BZ2File(packed) if data.startswith(b"BZh") else gzip.GzipFile(fileobj=packed) as file:
        return _bounded(_pieces(file.read), len(data), name)


def _xz_chunks(data: bytes) -> Iterator[bytes]:
    """What xz streams hold, one after the other, with zeros between them: an archive says itself how much memory it
    wants, so that is limited too."""
    packed = io.BytesIO(data)
    rest = b""
    for _ in range(_XZ_STREAMS):
        stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
        while not stream.eof:
            if stream.needs_input and not rest and not (rest := packed.read(_PIECE)):
                raise EOFError("it ends before its last stream does")
            yield stream.decompress(rest, _PIECE)
            rest = b""
        rest = stream.unused_data
        while not (rest := rest.lstrip(b"\0")):
            if not (rest := packed.read(_PIECE)):
                return
    raise lzma.LZMAError(f"it has over {_XZ_STREAMS} streams")


def _pieces(read: Callable[[int], bytes]) -> Iterator[bytes]:
    return iter(lambda: read(_PIECE), b"")


def _bounded(given: Iterable[bytes], packed: int, name: str) -> bytes:
    """All of it together, unless that is too much in itself or beside its packed size."""
    chunks, total = [], 0
    for chunk in given:
        chunks.append(chunk)
        total += len(chunk)
        _check_size(total, packed, name)
    return b"".join(chunks)


def _check_size(total: int, packed: int, name: str) -> None:
    if total > MAX_BYTES:
        raise PaperError(f"{name} unpacks to too much.", f"over {MAX_BYTES} bytes are not read")
    if total > _RATIO_FROM and total > MAX_RATIO * max(packed, 1):
        raise PaperError(f"{name} looks like an archive bomb.", f"it grows more than {MAX_RATIO} times when unpacked")


def _safe(path: str, archive: str) -> str:
    pure = PurePosixPath(path.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts or "\0" in path or (pure.parts and ":" in pure.parts[0]):
        raise PaperError(f"{archive} has a member that points outside it.", f"{path!r}", "Do not trust this archive.")
    return str(pure)


def _untar(data: bytes, name: str) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    total = 0
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for number, member in enumerate(archive, start=1):
            if number > MAX_MEMBERS:
                raise PaperError(f"{name} has too many members.", f"over {MAX_MEMBERS}")
            path = _safe(member.name, name)
            if member.isdir():
                continue
            if not member.isreg():
                kind = "link" if member.issym() or member.islnk() else "device or pipe"
                raise PaperError(
                    f"{name} has a member that is a {kind}.", f"{member.name!r}", "Pack regular files only."
                )
            if member.size > MAX_BYTES:
                raise PaperError(f"{name} unpacks to too much.", f"{member.name!r} says it has {member.size} bytes")
            source = archive.extractfile(member)
            if source is not None:
                files[path] = _bounded(_pieces(source.read), member.size, f"{name}: {path}")
                total += len(files[path])
                _check_size(total, len(data), name)
    return files


def _unzip(data: bytes, name: str) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    total = 0
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if len(members) > MAX_MEMBERS:
            raise PaperError(f"{name} has too many members.", f"{len(members)}, {MAX_MEMBERS} are allowed")
        for member in members:
            path = _safe(member.filename, name)
            if member.is_dir():
                continue
            mode = member.external_attr >> 16
            if mode and (mode & 0o170000) not in (0, 0o100000):
                raise PaperError(f"{name} has a member that is no regular file.", f"{member.filename!r}")
            with archive.open(member) as source:
                files[path] = _bounded(_pieces(source.read), max(member.compress_size, 1), f"{name}: {path}")
            total += len(files[path])
            _check_size(total, len(data), name)
    return files
