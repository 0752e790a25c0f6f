"""The running text of PDFs: true superscripts, reading order, sections by font; made ones and real ones."""

import pytest

from ml_intern.plan.claim import ProposedClaim, StatedNumber
from ml_intern.plan.grounding import ground
from ml_intern.plan.numbers import quantities
from ml_intern.read.paper import Paper, Source
from ml_intern.read.pdf import read_pdf
from tests.read import test_papers as papers
from tests.read.snippet import prose
from tests.support.pdf import Page, make_pdf

SOURCE = Source(kind="pdf", locator="test", sha256="")
LINE = "Some words of running text that are long enough to be a line of it."


def read(*pages: Page, trailer: str = "") -> Paper:
    return read_pdf(make_pdf(pages, trailer), SOURCE)


def page() -> Page:
    return Page().prose(72, 760, 3)


def titles(paper: Paper) -> list[tuple[str, str]]:
    return [(section.anchor, section.title) for section in paper.sections]


@pytest.mark.parametrize(
    ("base", "raised", "said"),
    [("10", "-5", "10^-5"), ("10", "20", "10^20"), ("95.2", "3", "95.2^3"), ("0.5", "2", "0.5^2"), ("2", "16", "2^16")],
)
def test_what_is_raised_is_no_digit_of_the_number_before_it(base: str, raised: str, said: str) -> None:
    widths = {"10": 11.12, "95.2": 19.46, "0.5": 13.9, "2": 5.56}
    first = page().text(72, 700, base).text(72 + widths[base], 704, raised, 7).text(130, 700, "of the rest of it.")
    paper = read(first)
    assert f"{said} of the rest" in prose(paper)
    assert base + raised not in prose(paper)


def test_a_claim_of_a_number_with_its_footnote_mark_is_dropped() -> None:
    first = page().text(72, 700, "an accuracy of").text(140, 700, "95.2").text(159.46, 704, "3", 7)
    first.text(170, 700, "on the test data")
    claim = ProposedClaim(
        statement="The accuracy is 95.23.", quote="an accuracy of 95.23 on the test data", anchor="sec:0/par:1",
        kind="value", method="m", metric="accuracy", higher_is_better=True,
        numbers=(StatedNumber(text="95.23", anchor="sec:0/par:1"),),
    )  # fmt: skip
    assert ground(read(first), [claim]).claims == ()
    true = claim.model_copy(
        update={
            "statement": "The accuracy is 95.2.", "quote": "an accuracy of 95.2^3 on the test data",
            "numbers": (StatedNumber(text="95.2", anchor="sec:0/par:1"),),
        }
    )  # fmt: skip
    assert len(ground(read(first), [true]).claims) == 1


def test_a_number_that_may_have_a_superscript_is_marked_and_no_claim_is_grounded_in_it() -> None:
    first = page().text(72, 700, "We trained for 10").text(150.3, 700.6, "20", 10).text(170, 700, "FLOPs in all.")
    paper = read(first)
    (paragraph,) = paper.sections[0].paragraphs
    assert paragraph.doubtful == ("1020",)
    assert any("'1020' on page 1" in warning for warning in paper.warnings)
    claim = ProposedClaim(
        statement="It takes 1020 FLOPs.", quote="We trained for 1020 FLOPs in all.", anchor=paragraph.anchor,
        kind="value", method="m", metric="FLOPs", higher_is_better=False,
        numbers=(StatedNumber(text="1020", anchor=paragraph.anchor),),
    )  # fmt: skip
    assert "may have been misread" in ground(paper, [claim]).dropped[0]


@pytest.mark.parametrize(
    ("text", "doubtful"),
    [
        ("images of 512 x 1024 pixels", ()), ("images of 3 x 1024 x 1024", ()), ("8 × 8 × 100 features", ()),
        ("a matrix of d × 1024", ()), ("took 3.3 × 1018 FLOPs", ("1018",)), ("a decay of 8 · 1012", ("1012",)),
        ("has 65 × 106 parameters", ("106",)), ("and 213 · 106 of them", ("106",)), ("images of 512 × 1024", ()),
        ("of 64 × 100 each", ()), ("of 20 x 106 each", ()),
    ],
)  # fmt: skip
def test_a_lost_power_of_ten_is_doubtful_and_a_size_is_not(text: str, doubtful: tuple[str, ...]) -> None:
    first = page().text(72, 700, f"We have {text} in all.")
    (paragraph,) = read(first).sections[0].paragraphs
    assert paragraph.doubtful == doubtful


def test_on_a_page_that_holds_too_many_characters_each_possible_power_of_ten_is_doubtful() -> None:
    crowded = (
        Page()
        .text(72, 700, "It takes 10")
        .text(118.14, 704, "20", 7)
        .text(140, 700, "FLOPs, not 95.2 or 2010, in 100.")
    )
    paper = read(crowded.prose(72, 680, 300, LINE))
    paragraph = paper.sections[0].paragraphs[0]
    assert "It takes 1020 FLOPs" in paragraph.text and paragraph.doubtful == ("1020",)
    assert any("'1020' on page 1" in warning for warning in paper.warnings)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a weight decay of 8 × 10^−5 .", {"8 × 10^-5": (8e-5,)}),
        ("between 0.00005 × 10^3 and 1e-7 .", {"0.00005 × 10^3": (0.05,), "1e-7": (1e-7,)}),
        ("a rate of 10^-9 and 1.0 · 10^20", {"10^-9": (1e-9,), "1.0 · 10^20": (1e20,)}),
        ("an accuracy of 95.2^3 and x^2", {"95.2": (95.2,)}),
    ],
)
def test_powers_of_ten_are_one_number_and_what_else_is_raised_is_none(text: str, found: dict[str, object]) -> None:
    assert quantities(text) == found


def test_real_papers_keep_their_negative_powers() -> None:
    text = prose(papers.read(papers.SHARED / "1906.02629v3.pdf"))
    assert "8 × 10^−5" in text and "datasets^4" in text
    assert "= 10^−9" in prose(papers.read(papers.SHARED / "attention-nips2017.pdf"))


def test_two_columns_that_are_drawn_row_by_row_are_read_one_after_the_other() -> None:
    first = Page().text(72, 750, "A title that stands across both of the columns of this paper here", 14)
    for row in range(12):
        first.text(72, 700 - 12 * row, f"Left line {row} of the words that make a whole column")
        first.text(320, 700 - 12 * row, f"Right line {row} of the words that make a whole column")
    text = prose(read(first))
    lines = [text.index(f"{side} line {row} of") for side in ("Left", "Right") for row in range(12)]
    assert lines == sorted(lines) and text.startswith("A title")


def test_headings_are_told_by_their_font() -> None:
    first = Page().text(72, 740, "A Title of the Paper", 18)
    headings = ["Background and Motivation", "III. RESULTS", "A Proof of Theorem One", "A.1 More Proofs"]
    for place, heading in enumerate(headings):
        first.text(72, 700 - 100 * place, heading, 14).prose(72, 680 - 100 * place, 4, LINE)
    paper = read(first)
    assert paper.title == "A Title of the Paper"
    assert titles(paper)[1:] == [
        ("sec:background-and-motivation", "Background and Motivation"), ("sec:3", "RESULTS"),
        ("sec:A", "Proof of Theorem One"), ("sec:A.1", "More Proofs"),
    ]  # fmt: skip
    assert [len(section.paragraphs) for section in paper.sections] == [1] * 5


def test_large_text_that_heads_nothing_is_no_section() -> None:
    first = Page().prose(72, 740, 4, LINE)
    first.text(72, 600, "A label in a drawing", 14).text(72, 560, "Figure 1: What is drawn.").prose(72, 500, 4, LINE)
    first.text(72, 400, "Large at the end", 14)
    assert titles(read(first)) == [("sec:0", "")]


def test_running_heads_are_no_sections() -> None:
    pages = [Page().text(72, 770, "A Running Head", 14).prose(72, 740, 4, LINE) for _ in range(4)]
    assert titles(read(*pages)) == [("sec:0", "")]


def test_sections_of_real_papers_are_found_in_the_appendix_too() -> None:
    found = titles(papers.read(papers.SHARED / "1906.02629v3.pdf"))
    assert ("sec:A.1", "AlexNet") in found and ("sec:B", "Penultimate layer representation for translation") in found
    mixup = papers.read(papers.EXAMPLES / "rescience-2020-mixup-calibration.pdf")
    assert [anchor for anchor, _ in titles(mixup)] == [
        "sec:0", "sec:abstract", "sec:1", "sec:1.1", "sec:1.2", "sec:1.3", "sec:2", "sec:3", "sec:4", "sec:4.1",
        "sec:4.2", "sec:4.3", "sec:4.4", "sec:5", "sec:references",
    ]  # fmt: skip
    assert mixup.authors == ("Aditya Singh", "Alessandro Bay")
