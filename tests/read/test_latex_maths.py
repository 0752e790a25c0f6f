"""Formulas keep their meaning as plain text: brackets, marks over letters, fractions, delimiters."""

import pytest

from ml_intern.read.latex_text import to_text


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"$a \: \left[ b + c \right] d$", "a [ b + c] d"),
        (r"$\big[ x \big] + \Bigl( y \Bigr)$", "[ x] + ( y)"),
        (r"$\left. x \right|_{0}$", "x |_0"),
        (r"$\frac{|B_m|}{n} \left[ c \right]$", "|B_m|/n [ c]"),
        (r"$\frac{a + b}{c - d}$", "(a + b)/(c - d)"),
        (r"$\frac{1}{a}sin^2(x)$", "1/a sin^2(x)"),
        (r"$\sqrt{d_k}$", "√d_k"),
        (r"$\sqrt{a + b}$", "√(a + b)"),
        (r"$\hat{y}_i = y_i$", "ŷ_i = y_i"),
        (r"$\tilde x = \lambda x_i$", "x̃ = λx_i"),
        (r"$\overline{a + b}$", "overline(a + b)"),
        (r"$\underline{x}$", "x"),
        (r"$2\sin x + \log_{10} y$", "2 sin x + log_10 y"),
        (r"$\mathbb{E}[x^2]$", "E[x^2]"),
        (r"$x \in \{0, 1\}$", "x ∈{0, 1}"),
        (r"$\|x\| \propto y'$", "‖x‖ ∝y'"),
        (r"\SI{3.5}{\kilo\watt}", "3.5 kW"),
    ],
)
def test_a_formula_keeps_its_meaning(latex: str, text: str) -> None:
    assert to_text(latex) == text


def test_options_of_other_commands_are_still_no_text() -> None:
    assert to_text(r"\includegraphics[width=3cm]{x.png} A \cite[p.~3]{key} B", {"key": "Doe 2020"}) == "A [Doe 2020] B"
