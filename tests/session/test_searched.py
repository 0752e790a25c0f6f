"""What is found in a file before it leaves: whatever its size and coding, and nothing in what is no text."""

import base64
import gzip
import random
import struct
from pathlib import Path

import pytest

from ml_intern.redaction import Redactor
from ml_intern.session.sync import searched as module
from ml_intern.session.sync.searched import Searched, searched
from tests.session.conftest import SECRET

LIKELY = "Zq8vN3xW0kLr7TyB2mPc"
FORMS = {
    "guessed": f"password = {LIKELY}",
    "base64": base64.b64encode(b"user:" + SECRET.encode()).decode(),
    "split": SECRET[:15] + "\n" + SECRET[15:],
    "plain": SECRET,
}
LINE = "step 12: loss 0.4312, accuracy 0.8731\n"


def look(folder: Path, content: bytes, name: str = "train.log") -> Searched:
    (folder / name).write_bytes(content)
    return searched(Redactor({}), folder / name)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "written",
    [
        lambda text: b"progress\0\n" + text + b"\nloss = 0.2\n",
        lambda text: b"caf\xe9 \0" + text + b"\n",
        lambda text: (b"progress 1\r\0" * 30 + LINE.encode() * 30) + text + b"\n" + LINE.encode() * 500,
        lambda text: b"\0" * 9000 + text + b"\n",
        lambda text: ("\ufeff" + text.decode() + "\n").encode("utf-16-le"),
        lambda text: bytes(random.Random(0).randbytes(40_960)) + (LINE.encode() * 120)[:4096] + b"\n" + text + b"\n",
        lambda text: gzip.compress(b"x\n" + text + b"\nloss = 0.2\n"),
        lambda text: gzip.compress(LINE.encode() * 100 + text + b"\n" + LINE.encode() * 100)[:-9],
    ],
    ids=["a NUL", "no UTF-8", "a few NULs", "a hole", "UTF-16", "text beside bytes", "gzip", "half a gzip"],
)
def test_odd_bytes_hide_no_secret(tmp_path: Path, form: str, written: object) -> None:
    done = look(tmp_path, written(FORMS[form].encode()))  # type: ignore[operator]
    assert done.found and not done.may_leave


@pytest.mark.parametrize("form", FORMS)
def test_a_text_too_long_to_be_written_anew_is_looked_through_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(module, "_LARGEST_TEXT", 1000)
    monkeypatch.setattr(module, "_PIECE", 4000)
    monkeypatch.setattr(module, "_OVERLAP", 500)
    for before in (0, 3950, 4000, 4490, 9000):
        text = (LINE * 300)[:before] + "\n" + FORMS[form] + "\n" + LINE * 300
        assert not look(tmp_path, text.encode()).may_leave, before
    assert look(tmp_path, (LINE * 300).encode()) == Searched()


def test_pieces_are_small_overlap_and_leave_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PIECE", 4000)
    monkeypatch.setattr(module, "_OVERLAP", 500)
    for text in (
        b"".join(b"%d\n" % number for number in range(9000)),
        b"".join(b"%05d" % number for number in range(4000)),
        b"",
        b"one\n",
    ):
        pieces = list(module._pieces([text[at : at + 700] for at in range(0, len(text), 700)]))
        assert max(map(len, pieces), default=0) <= 5700
        at = 0
        for piece in pieces:
            place = text.index(piece, max(0, at - 1000))
            assert place <= at or not at
            at = place + len(piece)
        assert at == len(text)


def test_no_hash_is_cut_into_what_looks_like_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LARGEST_TEXT", 1000)
    monkeypatch.setattr(module, "_PIECE", 4000)
    monkeypatch.setattr(module, "_OVERLAP", 500)
    lines = (f"cache_key: {random.Random(number).randbytes(32).hex()}\n" for number in range(400))
    assert look(tmp_path, "".join(lines).encode()) == Searched()


def test_weights_and_tables_are_no_text_that_is_guessed_in(tmp_path: Path) -> None:
    rng = random.Random(3)
    head = '{"model.layers.0.attn.key.weight":{"dtype":"F32","shape":[64,64],"data_offsets":[0,16384]},' * 200
    head += '"__metadata__":{"format":"pt"}}'
    floats = struct.pack("<60000f", *(rng.gauss(0, 0.02) for _ in range(60_000)))
    ids = struct.pack("<60000q", *(rng.randrange(50_000) for _ in range(60_000)))
    for content in (struct.pack("<Q", len(head)) + head.encode() + floats, ids, rng.randbytes(300_000)):
        assert look(tmp_path, content, "model.safetensors") == Searched()


def test_what_unpacks_without_end_is_not_looked_through_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_UNPACKED", 3_000_000)
    done = look(tmp_path, gzip.compress(b" " * 9_000_000), "bomb.gz")
    assert not done.whole and not done.may_leave and done.found == ()
    assert look(tmp_path, gzip.compress(b" " * 2_000_000), "small.gz").may_leave
