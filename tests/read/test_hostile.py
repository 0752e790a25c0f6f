"""Hostile and broken papers: an error that says what and where, in bounded time and memory, and nothing written."""

import bz2
import gzip
import io
import lzma
import os
import resource
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ml_intern.errors import PaperError
from ml_intern.read.archive import unpack
from tests.e2e.conftest import ROOT

BODY = r"\documentclass{article}\title{T}\begin{document}\section{A}%s\end{document}"


def tar(*members: tuple[str, bytes | tarfile.TarInfo]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in members:
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tuple[str, tarfile.TarInfo]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return name, info


def zipped(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


def packed(compress: Callable[[bytes], bytes], size: int) -> bytes:
    """A tar, compressed, whose pax header (which tarfile reads whole) is `size` zero bytes long."""
    header = tarfile.TarInfo("././@PaxHeader")
    header.type, header.size = tarfile.XHDTYPE, size
    return compress(header.tobuf(tarfile.USTAR_FORMAT) + bytes(size) + gzip.decompress(tar(MAIN)))


def damaged(data: bytes) -> bytes:
    """With its middle overwritten."""
    middle = len(data) // 2
    return data[: middle - 20] + bytes(40) + data[middle + 20 :]


MAIN = ("main.tex", (BODY % "Words.").encode())
ARCHIVES: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "parent": ("a.tar.gz", lambda: tar(("../evil.tex", b"x")), "points outside it"),
    "absolute": ("a.tar.gz", lambda: tar(("/tmp/evil.tex", b"x")), "points outside it"),
    "link": ("a.tar.gz", lambda: tar(MAIN, special("l", tarfile.SYMTYPE, "/etc/passwd")), "is a link"),
    "hard link": ("a.tar.gz", lambda: tar(MAIN, special("l", tarfile.LNKTYPE, "main.tex")), "is a link"),
    "device": ("a.tar.gz", lambda: tar(MAIN, special("d", tarfile.CHRTYPE)), "device or pipe"),
    "pipe": ("a.tar.gz", lambda: tar(MAIN, special("p", tarfile.FIFOTYPE)), "device or pipe"),
    "many": ("a.tar.gz", lambda: tar(*((f"f{n}", b"") for n in range(5_100))), "too many members"),
    "gzip bomb": ("a.gz", lambda: gzip.compress(b"\0" * 120_000_000), "bomb"),
    "zip bomb": ("a.zip", lambda: zipped("main.tex", b"\0" * 120_000_000), "bomb"),
    "zip parent": ("a.zip", lambda: zipped("../../evil.tex", b"x"), "points outside it"),
    "cut": ("a.tar.gz", lambda: tar(MAIN)[:60], "not a whole archive"),
    "xz bomb": ("a.tar.xz", lambda: packed(lambda data: lzma.compress(data, preset=0), 120_000_000), "bomb"),
    "bzip2 bomb": ("a.tar.bz2", lambda: packed(lambda data: bz2.compress(data, 1), 60_000_000), "bomb"),
    "damaged xz": ("a.tar.xz", lambda: damaged(lzma.compress(os.urandom(5_000))), "not a whole archive"),
    "damaged bzip2": ("a.tar.bz2", lambda: damaged(bz2.compress(os.urandom(5_000))), "not a whole archive"),
    "cut xz": ("a.tar.xz", lambda: lzma.compress(os.urandom(5_000))[:-900], "not a whole archive"),
    "cut bzip2": ("a.tar.bz2", lambda: bz2.compress(os.urandom(5_000))[:-900], "not a whole archive"),
    "no LaTeX": ("a.tar.gz", lambda: tar(("notes.txt", b"nothing")), ".tex"),
    "empty": ("a.tar.gz", lambda: b"", "empty"),
}
TABLE = BODY.encode() % rb"\begin{table}\begin{tabular}{c}%s\end{tabular}\end{table}"
TEXTS: dict[str, tuple[bytes, str]] = {
    "macro bomb": (
        rb"\documentclass{article}\def\a{xx}"
        + b"".join(rb"\def\%c{\%c\%c}" % (98 + n, 97 + n, 97 + n) for n in range(25))
        + rb"\begin{document}\z\end{document}",
        "macro",
    ),
    "macro of itself": (BODY.encode() % rb"\def\a{\a\a}\a", ""),
    "input of itself": (BODY.encode() % rb"\input{paper}", ""),
    "input from outside": (BODY.encode() % rb"\input{/etc/passwd}\input{../../etc/passwd}", ""),
    "deep braces": (BODY.encode() % (b"{" * 100_000), ""),
    "deep environments": (BODY.encode() % (rb"\begin{center}" * 20_000), ""),
    "a row of dollars": (BODY.encode() % (b"$" * 200_000), ""),
    "blanks": (BODY.encode() % (b" " * 2_000_000 + b"\\cite{" * 2_000), ""),
    "backslashes": (BODY.encode() % (b"\\" * 300_001), ""),
    "wide table": (TABLE % rb"\multicolumn{1000000}{c}{x} \\ a & b", ""),
    "tall table": (TABLE % rb"\multirow{1000000000}{*}{x} & y \\ & z", ""),
    "many columns": (TABLE % (b"x & " * 20_000 + b"y"), ""),
    "zero bytes": (BODY.encode() % (b"a\0b" * 1000), ""),
    "UTF-16": ((BODY % "Words é.").encode("utf-16"), ""),
}


def read(path: Path, home: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """`ml-intern read` with at most 2 GB of address space and a minute."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))

    return subprocess.run(
        [sys.executable, "-m", "ml_intern.cli.main", "read", str(path), *more],
        env={**os.environ, "ML_INTERN_HOME": str(home), "OPENBLAS_NUM_THREADS": "1"}, cwd=ROOT, capture_output=True,
        text=True, errors="replace", timeout=120, preexec_fn=limit,
    )  # fmt: skip


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_hostile_archive_is_refused_with_exit_code_2_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    file, make, said = ARCHIVES[name]
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / file).write_bytes(make())
    done = read(folder / file, tmp_path / "home")
    assert done.returncode == 2, done.stderr[-500:]
    assert said in done.stderr and "Traceback" not in done.stderr
    assert sorted(path.name for path in folder.iterdir()) == [file]
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize("name", TEXTS)
def test_hostile_latex_is_read_or_refused_in_words_within_its_bounds(tmp_path: Path, name: str) -> None:
    content, said = TEXTS[name]
    path = tmp_path / "paper.tex"
    path.write_bytes(content)
    done = read(path, tmp_path / "home")
    assert done.returncode in (0, 2), done.stderr[-800:]
    assert "Traceback" not in done.stderr and "root:" not in done.stdout
    if said:
        assert done.returncode == 2 and said in done.stderr


def test_fifty_megabytes_of_text_are_refused_or_read_in_bounds(tmp_path: Path) -> None:
    path = tmp_path / "paper.tex"
    path.write_text(BODY % ("A sentence of no interest. " * 2_000_000))
    done = read(path, tmp_path / "home")
    assert done.returncode == 2 and "large" in done.stderr, done.stderr[-500:]


@pytest.mark.parametrize("kind", ["pipe", "folder without LaTeX", "device", "missing", "unreadable PDF"])
def test_what_is_no_paper_is_said_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.pdf"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder without LaTeX":
        path.mkdir()
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "unreadable PDF":
        path.write_bytes(b"%PDF-1.7\nnonsense")
    done = read(path, tmp_path / "home")
    assert done.returncode == 2 and done.stderr.startswith("Error:")


def test_a_link_out_of_a_folder_of_latex_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    (tmp_path / "secret.tex").write_text("the secret words")
    (folder / "linked.tex").symlink_to(tmp_path / "secret.tex")
    (folder / "main.tex").write_text(BODY % r"Words. \input{linked}")
    done = read(folder, tmp_path / "home", "--json")
    assert "the secret words" not in done.stdout


def test_terminal_escapes_and_turning_marks_of_a_title_are_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "paper.tex"
    path.write_text((BODY % "Words.").replace(r"\title{T}", "\\title{\x1b]52;c;ZQ==\x07Evil\u202e title}"))
    done = read(path, tmp_path / "home")
    assert done.returncode == 0 and "Evil" in done.stdout
    assert "\x1b" not in done.stdout and "\u202e" not in done.stdout


def test_an_archive_under_a_wrong_name_is_read_by_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "paper.pdf"
    path.write_bytes(tar(MAIN))
    assert read(path, tmp_path / "home").returncode == 0


@pytest.mark.parametrize("between", [b"", bytes(8), bytes(1 << 17)])
def test_all_streams_of_an_xz_are_read(between: bytes) -> None:
    """As `cat` makes one of two."""
    packed = lzma.compress(b"The first ") + between + lzma.compress(b"and the second.") + bytes(4)
    assert unpack(packed, "a.xz") == {"a.tex": b"The first and the second."}


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (lzma.compress(b"words") + b"and more than a header", "format"),
        (lzma.compress(b"words") + lzma.compress(b"a")[:-9], "it ends before"),
        (lzma.compress(b"") * 1_001, "over 1000 streams"),
    ],
)
def test_an_xz_whose_end_is_no_whole_stream_is_refused(packed: bytes, why: str) -> None:
    with pytest.raises(PaperError, match="not a whole archive") as refused:
        unpack(packed, "a.xz")
    assert why in refused.value.why


@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress])
def test_an_archive_of_bzip2_or_xz_is_read(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "paper.tar.packed"
    path.write_bytes(compress(gzip.decompress(tar(MAIN))))
    done = read(path, tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert "sec:1" in done.stdout


def test_utf_16_is_read_by_its_mark(tmp_path: Path) -> None:
    path = tmp_path / "paper.tex"
    path.write_bytes((BODY % "Words with é.").encode("utf-16"))
    assert "Words with é." in read(path, tmp_path / "home", "--json").stdout


def test_a_lone_file_is_read_with_what_it_inputs_and_nothing_else_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "method.tex").write_text(r"The method. \input{parts/deep}")
    (tmp_path / "parts" / "deep.tex").write_text("The deep part.")
    (tmp_path / "refs.bib").write_text("@article{doe, title={On Nets}, year={2020}}")
    (tmp_path / "paper.tex").write_text(BODY % r"Words \cite{doe}. \input{parts/method}\bibliography{refs}")
    for number in range(20):
        with (tmp_path / f"other{number}.txt").open("wb") as file:
            file.truncate(20_000_000)
    done = read(tmp_path / "paper.tex", tmp_path / "home", "--json")
    assert done.returncode == 0, done.stderr
    assert "The method." in done.stdout and "The deep part." in done.stdout and "On Nets" in done.stdout
