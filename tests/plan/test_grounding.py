"""A claim is kept where the paper says it, word for word and number for number; everything else is dropped and said."""

from typing import Any

import pytest

from ml_intern.plan import grounding
from ml_intern.plan.claim import ProposedClaim
from ml_intern.plan.folding import fold
from ml_intern.plan.grounding import Grounded, ground
from ml_intern.read.latex import read_latex
from ml_intern.read.paper import Paper, Source

TEXT = r"""
\documentclass{article}\title{Nets}\begin{document}
\section{Results}
Our ﬁne method reaches 91.5\% accuracy -- far above the base\-line. It needs 300 steps.

A second paragraph speaks of 12.25 seconds and of 3 seeds.
\begin{table}\caption{Accuracy of each net.}
\begin{tabular}{lr} net & accuracy \\ \hline ours & 91.5 \\ baseline & 88.0 \end{tabular}\end{table}
\end{document}
"""
PAPER: Paper = read_latex({"main.tex": TEXT.encode()}, Source(kind="latex", locator="t", sha256=""))
QUOTE = "Our fine method reaches 91.5% accuracy"


def proposal(**changes: Any) -> ProposedClaim:
    fields: dict[str, Any] = {
        "statement": "s", "quote": QUOTE, "anchor": "sec:1/par:1", "kind": "direction", "method": "ours",
        "metric": "accuracy", "higher_is_better": True,
    }  # fmt: skip
    return ProposedClaim.model_validate(fields | changes)


def grounded(**changes: Any) -> Grounded:
    return ground(PAPER, [proposal(**changes)])


@pytest.mark.parametrize(
    "quote",
    [
        QUOTE,
        "Our  fine\nmethod reaches 91.5% accuracy",
        "Our ﬁne method reaches",
        "91.5% accuracy - far above the baseline.",
        "91.5% accuracy – far above the baseline.",
    ],
)
def test_a_quote_is_found_in_spite_of_ligatures_dashes_and_blanks(quote: str) -> None:
    assert len(grounded(quote=quote).claims) == 1


@pytest.mark.parametrize(
    "quote",
    [
        "Our method reaches 91.5% accuracy",
        "Our fine method reaches 92.5% accuracy",
        "Our fine method reaches It needs 300 steps.",
        "It needs 300 steps. A second paragraph speaks",
        "accuracy",
        "",
    ],
)
def test_a_quote_that_is_changed_stitched_or_too_short_is_dropped_with_the_reason(quote: str) -> None:
    found = grounded(quote=quote)
    assert found.claims == () and len(found.dropped) == 1
    assert "quote" in found.dropped[0]


def test_a_wrong_anchor_is_mended_to_where_the_quote_stands() -> None:
    (claim,) = grounded(anchor="sec:9/par:9").claims
    assert claim.anchor == "sec:1/par:1"


@pytest.mark.parametrize(
    ("number", "anchor", "kept"),
    [
        ("91.5", "sec:1/par:1", True),
        ("91.5", "tab:1/row:ours/col:accuracy", True),
        ("88.0", "tab:1/row:baseline/col:accuracy", True),
        ("91.5", "tab:1/row:baseline/col:accuracy", False),
        ("12.25", "sec:1/par:2", True),
        ("2.25", "sec:1/par:2", False),
        ("12.2", "sec:1/par:2", False),
        ("12.25", "sec:1/par:1", False),
        ("30", "sec:1/par:1", False),
        ("91.5", "nowhere", True),
        ("88.0", "nowhere", False),
    ],
)
def test_each_number_must_stand_at_its_anchor(number: str, anchor: str, kept: bool) -> None:
    found = grounded(numbers=[{"text": number, "anchor": anchor}])
    assert (len(found.claims), len(found.dropped)) == (int(kept), int(not kept))


def test_a_number_with_a_wrong_anchor_that_stands_in_the_quote_gets_the_quotes() -> None:
    (claim,) = grounded(numbers=[{"text": "91.5", "anchor": "nowhere"}]).claims
    assert [number.anchor for number in claim.numbers] == ["sec:1/par:1"]


LISTED = "We use BERT3 and GPT-4 on 2,500 texts, 16x faster, in 10k steps of 1.5, 2, and 7.25 ± 0.5 points."


@pytest.mark.parametrize(
    ("number", "kept"),
    [
        *[(one, True) for one in ("2,500", "10k", "16x", "16", "1.5", "2", "7.25", "7.25 ± 0.5", "0.5", "4")],
        *[(one, False) for one in ("", " ", "texts", "machine", "500", "BERT", "3", "10", "50", "5", "7", ".5")],
    ],
)
def test_a_number_is_one_and_stands_there_whole(number: str, kept: bool) -> None:
    paper = read_latex({"main.tex": TEXT.replace("It needs", LISTED + " It needs").encode()}, PAPER.source)
    found = ground(paper, [proposal(quote=LISTED, numbers=[{"text": number, "anchor": "sec:1/par:1"}])])
    assert (len(found.claims), len(found.dropped)) == (int(kept), int(not kept))


@pytest.mark.parametrize(
    "statement",
    [
        "Our method reaches 99.9 BLEU.",
        "Our method reaches 99 BLEU.",
        "Its accuracy is 99.",
        "It is 12 points above the baseline.",
        "It is 12.5-fold better.",
        "It is 40x faster.",
        "It reaches 92 % accuracy.",
        "It reaches 92% accuracy.",
        "It errs in 1.5e-3 of the cases.",
        "It is 4.5 above the baseline.",
        "Llama 9.9 is the better net.",
    ],
)
def test_a_statement_that_reports_what_the_paper_does_not_say_there_is_dropped(statement: str) -> None:
    found = grounded(statement=statement, numbers=[{"text": "88.0", "anchor": "tab:1/row:baseline/col:accuracy"}])
    assert found.claims == () and "its statement says" in found.dropped[0]


@pytest.mark.parametrize(
    "statement",
    [
        "Our fine method reaches 91.5 % accuracy.",
        "Its accuracy is 0.915.",
        "Its error is 8.5 %.",
        "Its accuracy of 91.5 is above the baseline's 88.0.",
        "It is 3.5 points above the baseline.",
        "A two-layer net with 3 layers of 512 units has a lower top-1 and top-5 error than GPT-4 and BERT-3.",
        "In 2017 a ResNet-50, a VGG 16, an F-1 and a 3-layer net of 8B weights were trained on CIFAR-10 for 5 seeds.",
        "It beats GPT-3.5 and Llama 3.1 with 8-bit weights on 4 GPUs.",
        "It needs 300 steps.",
    ],
)
def test_an_honest_statement_is_kept_with_numbers_in_names_settings_and_in_the_quote(statement: str) -> None:
    paper = read_latex({"main.tex": TEXT.replace("12.25 seconds", "12.25 seconds, Llama 3.1").encode()}, PAPER.source)
    one = proposal(statement=statement, numbers=[{"text": "88.0", "anchor": "tab:1/row:baseline/col:accuracy"}])
    assert len(ground(paper, [one]).claims) == 1


def test_the_same_claim_twice_is_one() -> None:
    assert len(ground(PAPER, [proposal(), proposal(statement="in other words")]).claims) == 1


def test_claims_are_numbered_in_the_order_they_were_proposed() -> None:
    proposals = [proposal(), proposal(quote="not in it at all"), proposal(quote="It needs 300 steps.")]
    found = ground(PAPER, proposals)
    assert [claim.id for claim in found.claims] == ["C1", "C2"]
    assert len(found.dropped) == 1


def test_a_number_that_a_table_contradicts_is_a_finding() -> None:
    text = TEXT.replace("A second", r"The accuracy of the baseline net is 88.5. A second")
    paper = read_latex({"main.tex": text.encode()}, Source(kind="latex", locator="t", sha256=""))
    (finding,) = ground(paper, []).findings
    assert "88.5" in finding.text and finding.table_anchor == "tab:1/row:baseline/col:accuracy"
    assert ground(PAPER, []).findings == ()


def test_cells_are_folded_once_however_many_numbers_the_text_has(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = " ".join(f"The accuracy of run {n} is 88.{100 + n}." for n in range(50))
    paper = read_latex({"main.tex": TEXT.replace("A second", f"{numbers} A second").encode()}, PAPER.source)
    folded: list[str] = []
    monkeypatch.setattr(grounding, "fold", lambda text: folded.append(text) or fold(text))
    grounding.contradictions(paper)
    assert len(folded) == len(list(paper.cells()))


def test_looking_for_contradictions_ends_in_a_paper_made_to_take_time(monkeypatch: pytest.MonkeyPatch) -> None:
    text = TEXT.replace("A second", "Of 88.1. The accuracy of the baseline net is 88.5. A second")
    paper = read_latex({"main.tex": text.encode()}, PAPER.source)
    assert len(grounding.contradictions(paper)) == 1
    monkeypatch.setattr(grounding, "_MAX_LOOKS", 3)
    assert grounding.contradictions(paper) == ()
