"""A claim is kept where the paper says it, word for word and number for number; everything else is dropped and said."""

from typing import Any

import pytest

from ml_intern.plan.claim import ProposedClaim
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
