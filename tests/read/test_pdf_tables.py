"""Tables of PDFs: real ones against their source, made ones against what was drawn."""

from pathlib import Path

import pytest

from ml_intern.errors import PaperError
from ml_intern.read.paper import Number, Paper, Source, Table
from ml_intern.read.pdf import read_pdf
from tests.read import test_papers as papers
from tests.support.pdf import Page, encrypted_pdf, make_pdf

SOURCE = Source(kind="pdf", locator="test", sha256="")


def read(*pages: Page) -> Paper:
    return read_pdf(make_pdf(pages), SOURCE)


def only(paper: Paper) -> Table:
    (table,) = paper.tables
    return table


def table_of(paper: Paper, anchor: str) -> Table:
    found = paper.table(anchor)
    assert found, [table.anchor for table in paper.tables]
    return found


def texts(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row.cells] for row in table.rows]


def number_at(table: Table, row: int, column: int) -> Number:
    number = table.rows[row].cells[column].number
    assert number
    return number


def numbers(table: Table) -> list[tuple[str, str, float, float | None, str]]:
    """(label without its citation, column, value, spread, unit) of every quantity in reading order."""
    return [
        (row.label.split(" [")[0], column, cell.number.value, cell.number.spread, cell.number.unit)
        for row in table.rows
        for column, cell in zip(table.columns, row.cells, strict=True)
        if cell.number
    ]


def both(name: str, folder: Path, pdf: str) -> tuple[Paper, Paper]:
    return papers.read(folder / name), papers.read(folder / pdf)


def test_a_paper_says_the_same_from_its_pdf_and_from_its_source() -> None:
    name = "rescience-2020-mixup-calibration"
    source, pdf = both(f"{name}.tar.gz", papers.EXAMPLES, f"{name}.pdf")
    of_source, of_pdf = only(source), only(pdf)
    assert of_pdf.columns == of_source.columns == ("Property", "Values", "Remark")
    assert [row.label for row in of_pdf.rows] == [row.label for row in of_source.rows]
    assert numbers(of_pdf) == numbers(of_source)
    assert ("Weight Decay", "Values", 5e-4, None, "") in numbers(of_pdf)
    assert texts(of_pdf)[2][1:] == texts(of_source)[2][1:]  # both cells are wrapped, one at a hyphen that stays
    assert [cell.anchor for row in of_pdf.rows for cell in row.cells] == [
        cell.anchor for row in of_source.rows for cell in row.cells
    ]
    assert (of_pdf.page, of_source.page) == (4, None)
    assert not pdf.warnings


def test_the_tables_of_attention_are_the_same_in_print_and_in_source() -> None:
    source, pdf = both("1706.03762.tar.gz", papers.SHARED, "attention-nips2017.pdf")
    assert [table.anchor for table in pdf.tables] == ["tab:1", "tab:2", "tab:3"]
    assert numbers(table_of(pdf, "tab:3")) == numbers(table_of(source, "tab:3"))
    assert table_of(pdf, "tab:3").columns == table_of(source, "tab:3").columns
    printed, typed = set(numbers(table_of(pdf, "tab:2"))), set(numbers(table_of(source, "tab:2")))
    # The one number that was changed after the proceedings were printed.
    assert {at[:3] for at in printed - typed} == {("Transformer (big)", "BLEU EN-FR", 41.0)}
    assert {at[:3] for at in typed - printed} == {("Transformer (big)", "BLEU EN-FR", 41.8)}
    assert texts(table_of(pdf, "tab:1"))[1] == ["Recurrent", "O(n · d^2)", "O(n)", "O(n)"]


def test_what_was_read_by_eye_stands_in_the_tables_of_attention() -> None:
    paper = papers.read(papers.SHARED / "attention-nips2017.pdf")
    table = table_of(paper, "tab:3")
    at = {name: place for place, name in enumerate(table.columns)}
    rows = {(row.label, *(row.cells[at[key]].text for key in ("h", "P_drop"))): row for row in table.rows}
    ends = ["PPL (dev)", "BLEU (dev)", "params ×10^6"]
    for key, values in {
        ("base", "8", "0.1"): ["4.92", "25.8", "65"],
        ("(A)", "1", ""): ["5.29", "24.9", ""],
        ("(A)", "32", ""): ["5.01", "25.4", ""],
        ("(D)", "", "0.0"): ["5.77", "24.6", ""],
        ("big", "16", "0.3"): ["4.33", "26.4", "213"],
    }.items():
        assert [rows[key].cells[at[end]].text for end in ends] == values
    costs = table_of(paper, "tab:2")
    cost = number_at(costs, 8, 3)
    # One cell that lies across two columns: true of both, but marked.
    assert (costs.rows[8].cells[3].text, cost.value, cost.doubtful) == ("3.3 · 10^18", 3.3e18, True)
    assert not number_at(costs, 7, 3).doubtful
    assert costs.page == 8 and costs.box and costs.box[1] > 540
    prose = " ".join(part.text for section in paper.sections for part in section.paragraphs)
    assert "Deep-Att + PosUnk" not in prose and "achieves better BLEU scores" not in prose


def test_tables_of_label_smoothing_have_their_spreads() -> None:
    paper = papers.read(papers.SHARED / "1906.02629v3.pdf")
    assert [table.anchor for table in paper.tables] == ["tab:1", "tab:2", "tab:3"]
    accuracy = table_of(paper, "tab:2")
    assert accuracy.columns[2:] == ("ACCURACY (α = 0.0)", "ACCURACY (α = 0.1)")
    assert (number_at(accuracy, 0, 2).value, number_at(accuracy, 0, 2).spread) == (86.8, 0.2)
    ece = table_of(paper, "tab:3")
    assert texts(ece)[0] == ["CIFAR-100", "RESNET-56", "0.150", "0.021 / 1.9", "0.024 / 0.05"]


ROWS = [["Model", "BLEU", "PPL"], ["base", "25.8", "4.92"], ["big", "26.4", "4.33"]]


@pytest.mark.parametrize("above", [True, False])
def test_a_table_in_one_column_of_a_page_of_two(above: bool) -> None:
    page = Page().prose(54, 700, 45).prose(320, 560, 30)
    page.ruled([330, 430, 500], 540, 670, ROWS).text(320, 695 if above else 622, "Table 4: In one column.")
    paper = read(page)
    table = only(paper)
    assert (table.anchor, table.caption, table.columns) == ("tab:4", "In one column.", ("Model", "BLEU", "PPL"))
    assert texts(table) == ROWS[1:]
    assert table.page == 1 and table.box and table.box[0] == pytest.approx(330, abs=2)
    assert not paper.warnings
    assert sum("running text" in text for _, text in paper.texts()) and "25.8" not in str(paper.sections)


def test_a_table_without_any_rule() -> None:
    paper = read(Page().text(72, 700, "Table 1: No rules.").grid([72, 200, 300], 680, ROWS).prose(72, 600, 20))
    assert texts(only(paper)) == ROWS[1:]


def test_headers_over_several_columns_and_labels_over_several_rows() -> None:
    page = Page().text(72, 700, "Table 2: Both.").rule(72, 420, 690)
    page.text(170, 680, "English").text(315, 680, "French").rule(130, 240, 676).rule(275, 385, 676)
    page.grid([130, 200, 275, 345], 666, [["one", "two", "one", "two"]]).rule(72, 420, 661)
    page.grid([130, 200, 275, 345], 650, [["1.1", "1.2", "1.3", "1.4"], ["2.1", "2.2", "2.3", "2.4"]])
    page.text(72, 644, "(A)").rule(72, 420, 633).grid([72, 130, 345], 622, [["big", "3.1", "3.4"]]).rule(72, 420, 617)
    table = only(read(page))
    assert table.columns == ("", "English one", "English two", "French one", "French two")
    assert texts(table) == [
        ["(A)", "1.1", "1.2", "1.3", "1.4"],
        ["(A)", "2.1", "2.2", "2.3", "2.4"],
        ["big", "3.1", "", "", "3.4"],
    ]


def power(raise_by: float, size: float) -> Number:
    rows = [["Model", "Cost", "PPL"], ["base", "", "4.92"], ["big", "2.0", "4.33"]]
    page = Page().text(72, 700, "Table 1: Costs.").ruled([72, 200, 300], 400, 670, rows)
    page.text(200, 658, "3.3 \u00d7 10").text(200 + 35.2, 658 + raise_by, "18", size)
    return number_at(only(read(page)), 0, 1)


def test_a_superscript_is_an_exponent() -> None:
    number = power(4, 7)
    assert (number.value, number.doubtful) == (3.3e18, False)


@pytest.mark.parametrize(("raise_by", "size"), [(0, 10), (0.6, 7), (0, 8)])
def test_digits_that_may_be_a_superscript_are_marked(raise_by: float, size: float) -> None:
    assert power(raise_by, size).doubtful


def test_a_cell_that_lies_across_columns_is_marked() -> None:
    rows = [
        ["Model", "A", "B"],
        *([name, "10.5", "20.5"] for name in ("one", "two", "three", "four")),
        ["five", "", ""],
    ]
    page = Page().text(72, 700, "Table 1: Spans.").ruled([72, 200, 260], 300, 670, rows).text(210, 610, "99.12345678")
    table = only(read(page))
    assert [number_at(table, 4, column).doubtful for column in (1, 2)] == [True, True]
    assert not number_at(table, 3, 1).doubtful


def test_group_rows_head_their_block() -> None:
    rows = [["Model", "A", "B"], ["CIFAR-10", "", ""], ["sgd", "1.5", "2.5"], ["SVHN", "", ""], ["sgd", "3.5", "4.5"]]
    table = only(read(Page().text(72, 700, "Table 1: Groups.").ruled([72, 200, 260], 300, 670, rows)))
    assert [(row.group, row.label, row.cells[1].text) for row in table.rows] == [
        ("CIFAR-10", "sgd", "1.5"),
        ("SVHN", "sgd", "3.5"),
    ]


def test_columns_as_close_as_words_are_told_apart_by_their_numbers_and_this_is_said() -> None:
    rows = [
        ["Training signal", "A", "B"],
        ["fine-tune on all", "84.2", "88.4"],
        ["fine-tune on some", "83.0", "84.2"],
    ]
    paper = read(Page().text(72, 700, "Table 1: Close.").ruled([72, 155, 177], 200, 670, rows))
    assert texts(only(paper)) == rows[1:]
    assert "close" in paper.warnings[0]


def test_each_caption_has_its_own_table_where_rows_stand_on_both_sides_of_it() -> None:
    page = Page()
    for number in range(3):
        rows = [["Model", "BLEU", "PPL"], ["base", f"{number}1.5", f"{number}2.5"], ["big", f"{number}3.5", "4.5"]]
        page.grid([72, 200, 300], 740 - 80 * number, rows).text(72, 694 - 80 * number, f"Table {number + 1}: Here.")
    paper = read(page.prose(72, 480, 10))
    assert [(table.anchor, texts(table)[0][1]) for table in paper.tables] == [
        ("tab:1", "01.5"),
        ("tab:2", "11.5"),
        ("tab:3", "21.5"),
    ]


def test_settings_of_words_and_numbers_are_rows_not_headings() -> None:
    rows = [["Setting", "Value"], ["Optimiser", "SGD"], ["Epochs", "200"], ["Framework", "Pytorch"], ["Batch", "128"]]
    assert texts(only(read(Page().text(72, 700, "Table 1: Set.").ruled([72, 200], 300, 670, rows)))) == rows[1:]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([["Q17", "3.0", "2.0"], ["Q18", "6.0", "1.0"]], "first row holds numbers"),
        ([["Model", "", "PPL"], ["base", "25.8", "4.92"], ["big", "26.4", "4.33"]], "has no name"),
    ],
)
def test_what_is_not_sure_of_a_grid_is_said(rows: list[list[str]], said: str) -> None:
    paper = read(Page().text(72, 700, "Table 1: Unsure.").ruled([72, 200, 300], 400, 670, rows))
    assert texts(only(paper)) == rows[1:]
    assert any(said in warning for warning in paper.warnings)


def test_what_is_no_grid_keeps_its_text_and_is_said() -> None:
    page = Page().text(72, 700, "Table 3: A picture of a table.").prose(72, 600, 20)
    page.rule(72, 400, 690).text(72, 670, "one cell of words alone in here").rule(72, 400, 650)
    paper = read(page)
    assert not paper.tables
    assert paper.warnings[0].startswith("Table 3 on page 1 is not read as a grid: ")
    assert "one cell of words alone" in " ".join(text for _, text in paper.texts())


def test_a_table_printed_sideways_is_said() -> None:
    page = Page().prose(72, 300, 10).sideways(100, 400, "Table 6: Turned").sideways(130, 400, "a  1.0  2.0")
    assert any("Table 6" in warning and "sideways" in warning for warning in read(page).warnings)


def test_a_table_that_is_named_but_not_there_is_said() -> None:
    paper = read(Page().prose(72, 700, 10).text(72, 400, "As we show in Table 9, all is well."))
    assert paper.warnings == ("named in the text, but no table with such a caption was found: Table 9",)


def test_a_sentence_that_begins_with_a_table_is_no_caption() -> None:
    paper = read(Page().prose(72, 700, 5).text(72, 640, "Table 1. We go on with it, and on.").prose(72, 628, 5))
    assert not paper.tables


def test_an_encrypted_pdf_says_that_it_needs_a_password() -> None:
    with pytest.raises(PaperError) as caught:
        read_pdf(encrypted_pdf([Page().prose(72, 700, 10)]), SOURCE)
    assert "encrypted" in caught.value.what and "password" in caught.value.why and caught.value.next


def test_a_scan_says_that_it_holds_no_text() -> None:
    with pytest.raises(PaperError) as caught:
        read(*[Page().rule(10, 600, 400) for _ in range(3)])
    assert "no text" in caught.value.what and "scan" in caught.value.why and caught.value.next


@pytest.mark.parametrize("part", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_pdf_is_refused_in_words(part: float) -> None:
    data = (papers.EXAMPLES / "rescience-2020-mixup-calibration.pdf").read_bytes()
    with pytest.raises(PaperError) as caught:
        read_pdf(data[: int(len(data) * part)], SOURCE)
    assert caught.value.what and caught.value.why and caught.value.next


def test_a_pdf_that_can_be_mended_says_that_its_end_is_missing() -> None:
    data = make_pdf([Page().prose(72, 700, 10)])
    paper = read_pdf(data[: data.index(b"startxref")], SOURCE)
    assert "running text" in str(paper.sections) and "end of the file is missing" in paper.warnings[0]


@pytest.mark.timeout(60)
def test_a_pdf_of_a_thousand_pages_is_read_in_part_and_says_so() -> None:
    pages = [
        Page().prose(72, 500, 30).text(72, 700, f"Table {number}: Results.").ruled([72, 200, 300], 400, 670, ROWS)
        for number in range(1, 1001)
    ]
    paper = read(*pages)
    assert paper.pages == 1000 and len(paper.tables) == 200
    assert "only the first 200 of 1000 pages were read" in paper.warnings


@pytest.mark.timeout(60)
def test_a_page_full_of_lines_and_numbers_ends_in_bounded_time() -> None:
    page = Page().text(72, 780, "Table 1: Hostile.")
    for row in range(120):
        page.grid([20 + 12 * place for place in range(48)], 770 - 6 * row, [["1"] * 48])
        for place in range(60):
            page.rule(20 + place, 90 + 7 * place, 768 - 6 * row)
    paper = read(page)
    assert not paper.tables and paper.warnings
