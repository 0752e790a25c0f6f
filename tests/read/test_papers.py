"""Real papers, read from source and from PDF, against facts that were read by eye."""

import gzip
import io
import re
import tarfile
import zipfile
from itertools import pairwise
from pathlib import Path

import pytest

from ml_intern.config import Config
from ml_intern.errors import PaperError
from ml_intern.plan.grounding import contradictions
from ml_intern.read.archive import unpack
from ml_intern.read.latex import read_latex
from ml_intern.read.locate import locate
from ml_intern.read.numbers import parse_number
from ml_intern.read.paper import Paper, Source
from ml_intern.read.pdf import read_pdf
from ml_intern.read.reader import read_paper
from tests.e2e.conftest import ROOT

EXAMPLES = ROOT / "examples" / "papers"
SHARED = ROOT.parent / "shared" / "papers"
SOURCE = Source(kind="latex", locator="test", sha256="")


def read(path: Path) -> Paper:
    if not path.exists():
        pytest.skip(f"{path.name} is not at hand: its licence does not let it be copied here")
    return read_paper(str(path), Config(home=Path("/nonexistent")), read_pdf)


def latex(text: str) -> Paper:
    body = (
        text if "\\documentclass" in text else f"\\documentclass{{article}}\\begin{{document}}{text}\\end{{document}}"
    )
    return read_latex({"main.tex": body.encode()}, SOURCE)


def cells(paper: Paper, table: str, label: str) -> list[str]:
    found = paper.table(table)
    assert found
    return [cell.text for row in found.rows if row.label == label for cell in row.cells]


def test_a_value_and_its_spread_are_numbers_of_their_own() -> None:
    paper = read(EXAMPLES / "rescience-2021-periodic-functions.tar.gz")
    (table,) = paper.tables
    snake = next(row for row in table.rows if row.label == "Snake DNN")
    number = snake.cells[1].number
    assert number and (number.value, number.spread) == (211.39, 46.64)
    assert snake.cells[1].anchor == "tab:1/row:Snake DNN/col:Test MSE"


def test_group_rows_head_their_block_and_stars_are_kept() -> None:
    paper = read(EXAMPLES / "rescience-2021-warm-starting.tar.gz")
    table = paper.table("tab:1.1")
    assert table
    rows = {(row.group, row.label): [cell.number and cell.number.value for cell in row.cells[1:]] for row in table.rows}
    assert rows["CIFAR-10", "Random Init"] == [60.3, 80.3, 65.5]
    assert rows["SVHN", "Warm Start"] == [86.3, 93.2, 87.2]
    starred = [cell for _, _, cell in paper.cells() if cell.number and cell.number.starred]
    assert starred[0].text == "72.7(1.0)*"


def test_spans_of_rows_and_columns_are_filled_in() -> None:
    paper = read(SHARED / "1706.03762.tar.gz")
    table = paper.table("tab:3")
    assert table
    at = {name: place for place, name in enumerate(table.columns)}
    rows = {(row.label, row.cells[at["h"]].text): row for row in table.rows}
    assert rows["(A)", "1"].cells[at["PPL (dev)"]].text == "5.29"
    assert rows["(A)", "32"].cells[at["BLEU (dev)"]].text == "25.4"
    assert cells(paper, "tab:3", "big")[-3:] == ["4.33", "26.4", "213"]
    assert cells(paper, "tab:2", "Transformer (big)")[1:3] == ["28.4", "41.8"]


def test_a_number_in_the_text_that_contradicts_a_table_is_found() -> None:
    (finding,) = contradictions(read(SHARED / "1706.03762.tar.gz"))
    assert "the text says 41.0" in finding.text
    assert finding.table_anchor == "tab:2/row:Transformer (big)/col:BLEU EN-FR"


def test_powers_of_ten_in_a_pdf_keep_their_exponent() -> None:
    paper = read(SHARED / "attention-nips2017.pdf")
    text = " ".join([*(text for _, text in paper.texts()), *(cell.text for _, _, cell in paper.cells())])
    assert "10^20" in text and "10^18" in text
    assert "1.0 · 1020" not in text
    assert {"sec:3.2.1", "sec:6.1"} <= {section.anchor for section in paper.sections}


def test_anchors_are_the_same_at_every_reading() -> None:
    path = EXAMPLES / "rescience-2020-mixup-calibration.tar.gz"
    assert read(path) == read(path)


@pytest.mark.parametrize(
    ("text", "value", "spread", "unit"),
    [
        ("41.8", 41.8, None, ""),
        ("28.4 ± 0.2", 28.4, 0.2, ""),
        ("39.8 (0.1)", 39.8, 0.1, ""),
        ("3.3·10^18", 3.3e18, None, ""),
        ("65 M", 65.0, None, "M"),
        ("1,024", 1024.0, None, ""),
    ],
)
def test_cells_are_read_as_quantities(text: str, value: float, spread: float | None, unit: str) -> None:
    number = parse_number(text)
    assert number and (number.value, number.spread, number.unit) == (value, spread, unit)


@pytest.mark.parametrize("text", ["ResNet-18", "", "–", "O(n^2)", "2017/18 season"])
def test_words_are_no_quantities(text: str) -> None:
    assert parse_number(text) is None


def test_own_macros_with_arguments_are_expanded_and_comments_dropped() -> None:
    paper = latex(
        "\\newcommand{\\method}[2][Base]{#1-#2}\\def\\x{y}\\DeclareMathOperator{\\snake}{Snake}"
        "\\section{A}The \\method{Net} and \\method[Big]{Net} reach 50\\% of $\\x$ % not this\n with \\snake."
    )
    (paragraph,) = paper.sections[0].paragraphs
    assert paragraph.text.startswith("The Base-Net and Big-Net reach 50% of y")
    assert "not this" not in paragraph.text


@pytest.mark.timeout(20)
def test_a_macro_bomb_is_refused_in_bounded_time() -> None:
    names = [chr(ord("a") + i // 26) + chr(ord("a") + i % 26) for i in range(31)]
    bomb = "".join(f"\\def\\{a}{{\\{b} \\{b} }}" for a, b in pairwise(names))
    with pytest.raises(PaperError, match="macro"):
        latex(f"{bomb}\\section{{A}}\\aa")


def test_a_source_that_includes_itself_is_refused() -> None:
    files = {"main.tex": b"\\documentclass{a}\\begin{document}\\input{b}\\end{document}", "b.tex": b"\\input{b}"}
    with pytest.raises(PaperError, match="includes itself"):
        read_latex(files, SOURCE)


def test_latin_1_is_read() -> None:
    files = {"main.tex": "\\documentclass{a}\\begin{document}\\section{A}Café\\end{document}".encode("latin-1")}
    assert read_latex(files, SOURCE).sections[0].paragraphs[0].text == "Café"


def tar(name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"x") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.size, member.linkname = kind, len(content) if kind == tarfile.REGTYPE else 0, "/etc/passwd"
        archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (tar("../evil.tex"), "outside"),
        (tar("/etc/evil.tex"), "outside"),
        (tar("evil.tex", tarfile.SYMTYPE), "link"),
        (tar("evil.tex", tarfile.LNKTYPE), "link"),
        (tar("evil", tarfile.CHRTYPE), "device"),
        (tar("evil", tarfile.FIFOTYPE), "device or pipe"),
        (gzip.compress(bytes(300_000_000), mtime=0), "bomb|too much"),
        (gzip.compress(tar("a.tex"), mtime=0)[:-20], "not a whole archive"),
    ],
)
def test_a_hostile_archive_is_refused_and_says_why(data: bytes, said: str) -> None:
    with pytest.raises(PaperError, match=said):
        unpack(data, "paper.tar.gz")


def test_a_zip_bomb_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.tex", bytes(60_000_000))
    with pytest.raises(PaperError, match="bomb"):
        unpack(out.getvalue(), "paper.zip")


@pytest.mark.parametrize("data", [b"", b"%PDF-1.5\n1 0 obj\n<<", b"%PDF-1.5 nothing"])
def test_a_broken_pdf_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(PaperError, match=r"empty|cannot be opened"):
        read_pdf(data, SOURCE)


@pytest.mark.parametrize(
    ("typed", "kind", "value"),
    [
        ("2401.01234", "arxiv", "2401.01234"),
        ("arXiv:2401.01234v2", "arxiv", "2401.01234v2"),
        ("cs/0101001", "arxiv", "cs/0101001"),
        ("https://arxiv.org/abs/2401.01234", "arxiv", "2401.01234"),
        ("https://arxiv.org/pdf/2401.01234v3.pdf", "arxiv", "2401.01234v3"),
        ("https://arxiv.org/html/2401.01234v1", "arxiv", "2401.01234v1"),
        ("https://huggingface.co/papers/2401.01234", "arxiv", "2401.01234"),
        ("https://example.org/paper.pdf", "url", "https://example.org/paper.pdf"),
    ],
)
def test_every_form_of_a_paper_is_understood(typed: str, kind: str, value: str) -> None:
    found = locate(typed)
    assert (found.kind, found.value) == (kind, value)


def test_what_is_no_paper_is_told_every_form_that_the_readme_names() -> None:
    with pytest.raises(PaperError) as caught:
        locate("no such paper")
    readme = (ROOT / "README.md").read_text()
    named = re.findall(r"`(\.[a-z0-9.]+)`", readme.partition("`--paper` takes")[2].partition("\n\n")[0])
    assert len(named) == 8 and not [suffix for suffix in named if suffix not in caught.value.next]
