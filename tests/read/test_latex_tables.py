"""Tables of LaTeX papers: what a reader sees in the grid, and which number the table bears."""

import pytest

from tests.read.snippet import grid, latex, number, shown

PLAIN = (
    r"\begin{tabular}{lcc}\toprule Method & Acc & F1\\\midrule A & 1.0 & 2.0\\B & 3.0 & 4.0\\\bottomrule\end{tabular}"
)
OTHER = PLAIN.replace("1.0", "5.0")
ROWS = [["Method", "Acc", "F1"], ["A", "1.0", "2.0"], ["B", "3.0", "4.0"]]


@pytest.mark.parametrize(
    "body",
    [
        rf"\begin{{table*}}[t]\caption{{C}}{PLAIN}\end{{table*}}",
        rf"\begin{{table}}{PLAIN}\caption[short]{{C}}\end{{table}}",
        rf"\begin{{wraptable}}{{r}}{{0.5\textwidth}}\caption{{C}}{PLAIN}\end{{wraptable}}",
        "\\begin{table}\\caption{C}\\resizebox{\\textwidth}{!}{%\n" + PLAIN + "%\n}\\end{table}",
        rf"\begin{{table}}\caption{{C}}\begin{{adjustbox}}{{width=\textwidth}}{PLAIN}\end{{adjustbox}}\end{{table}}",
        rf"\begin{{table}}\caption{{C}}\begin{{threeparttable}}{PLAIN}\begin{{tablenotes}}\item 7.0\end{{tablenotes}}"
        r"\end{threeparttable}\end{table}",
        rf"\begin{{minipage}}{{5cm}}\captionof{{table}}{{C}}{PLAIN}\end{{minipage}}",
        rf"\begin{{center}}{PLAIN}\captionof{{table}}{{C}}\end{{center}}",
    ],
)
def test_a_table_is_read_in_whatever_it_is_wrapped(body: str) -> None:
    paper = latex(body)
    assert grid(paper) == ROWS
    assert paper.tables[0].caption == "C" and not paper.sections


def test_a_table_without_a_float_is_a_table_and_layout_is_text() -> None:
    paper = latex(rf"Before. {PLAIN} After. \begin{{tabular}}{{ll}}Jane & Doe \\ Some & University\end{{tabular}}")
    assert grid(paper) == ROWS and len(paper.tables) == 1
    assert "Before." in shown(PLAIN + "Before.") and "Method" not in shown(PLAIN)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (r"\begin{tabular}[c]{@{}c@{}}Top-1\\ acc\end{tabular}", "Top-1 acc"),
        (r"\makecell[l]{Top-1\\acc (\%)}", "Top-1 acc (%)"),
        (r"\shortstack[c]{Top-1\\acc}", "Top-1 acc"),
        (r"\thead{cross-\\entropy}", "cross-entropy"),
        (r"\parbox[t]{2cm}{Top-1 \\ acc}", "Top-1 acc"),
        (r"\rotatebox[origin=c]{90}{Top-1}", "Top-1"),
        (r"\cellcolor[HTML]{FFAA00}{Top-1}", "Top-1"),
        (r"\textcolor[rgb]{1,0,0}{Top-1}", "Top-1"),
        (r"\multicolumn{1}{c|}{\textbf{Top-1}}", "Top-1"),
        (r"Top-1\footnotemark[1]", "Top-1"),
        (r"\ding{51}", "✓"),
        (r"Top\_1 \verb|a&b|", "Top_1 a&b"),
    ],
)
def test_a_cell_made_with_a_box_is_its_text(cell: str, text: str) -> None:
    table = (
        rf"\begin{{table}}\caption{{C}}\begin{{tabular}}{{lcc}}M & {cell} & Z\\\hline A & 1.0"
        rf" & 2.0\end{{tabular}}\end{{table}}"
    )
    assert grid(latex(table)) == [["M", text, "Z"], ["A", "1.0", "2.0"]]


def test_a_tabular_in_a_cell_does_not_end_the_table_around_it() -> None:
    paper = latex(
        r"\begin{table}\caption{C}\begin{tabular}{lc}M & A\\\hline a & "
        r"\begin{tabular}{c}1.0\\(0.2)\end{tabular}\\ b & 3.0"
        r"\end{tabular}\end{table}"
    )
    assert grid(paper) == [["M", "A"], ["a", "1.0 (0.2)"], ["b", "3.0"]] and len(paper.tables) == 1


def test_colours_and_rules_are_no_text() -> None:
    paper = latex(
        r"\begin{table}\rowcolors{2}{gray}{white}\caption{C}"
        r"\begin{tabular}{lcc}\hhline{---}\rowcolor{gray!20} Method & Acc & F1"
        r"\\[2pt]\midrule[1pt] \cmidrule[1pt](lr){2-3}\rowcolor[HTML]{EFEFEF}[0pt][0pt] A & 1.0 & \color{red}2.0\\"
        r"\arrayrulecolor{black}\Xhline{2\arrayrulewidth} B & \colorbox{yellow}{3.0}"
        r" & {\color{blue} 4.0}\\\specialrule{1pt}{0pt}{0pt}"
        r"\end{tabular}\end{table}"
    )
    assert grid(paper) == ROWS


def test_a_cell_that_reaches_up_stands_in_the_rows_above() -> None:
    paper = latex(
        r"\begin{table}\caption{C}\begin{tabular}{lc}D & A\\\hline X & 0.5\\"
        r" & 1.0\\\multirow{-2}{*}{CIFAR} & 2.0\\\end{tabular}"
        r"\end{table}"
    )
    assert grid(paper)[1:] == [["X", "0.5"], ["CIFAR", "1.0"], ["CIFAR", "2.0"]]


def test_a_long_table_has_one_head_and_no_feet() -> None:
    paper = latex(
        r"\begin{longtable}{lc}\caption{Long \textbf{one}}\label{tab:long}\\\toprule M & A\\\midrule\endfirsthead"
        r"\multicolumn{2}{c}{continued}\\\toprule M"
        r" & A\\\midrule\endhead\midrule\multicolumn{2}{r}{next page}\\\endfoot"
        r"\bottomrule\endlastfoot A & 1.0\\B & 2.0\\\end{longtable}"
    )
    assert grid(paper) == [["M", "A"], ["A", "1.0"], ["B", "2.0"]]
    assert (paper.tables[0].caption, paper.tables[0].label) == ("Long one", "tab:long")


@pytest.mark.parametrize(
    "body",
    [
        rf"\begin{{subtable}}{{0.5\textwidth}}\caption{{Dev}}\label{{l}}{PLAIN}\end{{subtable}}"
        rf"\begin{{subtable}}[b]{{0.5\textwidth}}{OTHER}\caption{{Test}}\label{{r}}\end{{subtable}}",
        rf"\subfloat[Dev\label{{l}}]{{{PLAIN}}}\quad\subfloat[short][Test\label{{r}}]{{{OTHER}}}",
        rf"\subcaptionbox{{Dev\label{{l}}}}{{{PLAIN}}}\subcaptionbox{{Test\label{{r}}}}[3cm]{{{OTHER}}}",
    ],
)
def test_subtables_have_their_letter_their_caption_and_their_label(body: str) -> None:
    paper = latex(
        rf"See \ref{{all}}, \ref{{l}}, \ref{{r}}.\begin{{table}}{body}\caption{{All}}\label{{all}}\end{{table}}"
    )
    assert [(t.anchor, t.caption, t.label) for t in paper.tables] == [
        ("tab:1.1", "All (a) Dev", "l"),
        ("tab:1.2", "All (b) Test", "r"),
    ]
    assert grid(paper, "tab:1.2")[1] == ["A", "5.0", "2.0"]
    assert paper.sections[0].paragraphs[0].text == "See 1, 1a, 1b."


@pytest.mark.parametrize("above", [True, False])
def test_two_captions_in_one_float_are_two_tables(above: bool) -> None:
    one, two = r"\caption{One}\label{a}", r"\caption{Two}\label{b}"
    inner = f"{one}{PLAIN}\\vspace{{1em}}{two}{OTHER}" if above else f"{PLAIN}{one}{OTHER}{two}"
    paper = latex(rf"\begin{{table}}{inner}\end{{table}}")
    assert [(t.anchor, t.caption, t.label, t.rows[0].cells[1].text) for t in paper.tables] == [
        ("tab:1", "One", "a", "1.0"),
        ("tab:2", "Two", "b", "5.0"),
    ]


def test_a_table_beside_a_figure_is_a_table_and_the_figure_a_figure() -> None:
    paper = latex(
        r"\begin{figure}\begin{minipage}{3cm}\includegraphics{a.png}\caption{Fig}\end{minipage}"
        rf"\begin{{minipage}}{{3cm}}{PLAIN}\captionof{{table}}{{Tab}}\label{{q}}\end{{minipage}}\end{{figure}}"
        r" Table~\ref{q}."
        rf""
    )
    assert [(t.anchor, t.caption, t.label) for t in paper.tables] == [("tab:1", "Tab", "q")]
    assert [(e.anchor, e.text) for e in paper.elements] == [("fig:1", "Fig")]


APPENDIX = (
    rf"\section{{A}}x \ref{{one}} \ref{{two}}"
    rf"\begin{{table}}\caption{{One}}\label{{one}}{PLAIN}\end{{table}}\appendix%s\section{{B}}\begin{{table}}\caption{{Two}}\label{{two}}{OTHER}\end{{table}}"
)


@pytest.mark.parametrize(
    ("counting", "preamble", "anchors"),
    [
        ("", "", ["1", "2"]),
        (r"\setcounter{table}{0}\renewcommand{\thetable}{A.\arabic{table}}", "", ["1", "A.1"]),
        (r"\setcounter{table}{0}\renewcommand\thetable{\thesection\arabic{table}}", "", ["1", "A1"]),
        ("", r"\counterwithin{table}{section}", ["1.1", "A.1"]),
        (r"\setcounter{table}{0}", "", ["1", "1#2"]),
    ],
)
def test_a_table_of_the_appendix_bears_the_number_that_is_printed(
    counting: str, preamble: str, anchors: list[str]
) -> None:
    paper = latex(APPENDIX % counting, preamble)
    assert [table.anchor for table in paper.tables] == [f"tab:{anchor}" for anchor in anchors]
    assert paper.sections[0].paragraphs[0].text == f"x {anchors[0]} {anchors[1]}"


def test_a_table_that_bears_no_number_is_not_taken_for_one_that_does() -> None:
    paper = latex(
        rf"\begin{{table}}{OTHER}\end{{table}}\begin{{table}}\caption*{{Bare}}{OTHER}\end{{table}}"
        rf"\begin{{table}}\caption{{First}}{PLAIN}\end{{table}}"
    )
    assert {t.anchor: t.caption for t in paper.tables} == {"tab:1": "First", "tab:2": "", "tab:3": "Bare"}


def test_a_table_is_read_from_files_of_its_own() -> None:
    body = r"\begin{table}\caption{C}\input{tabs/t}\end{table}"
    assert grid(latex(body, **{"tabs/t__tex": PLAIN})) == ROWS
    rows = (
        r"\begin{table}\caption{C}\begin{tabular}{lcc}Method & Acc & F1\\\hline"
        r" \input{rows.tex} \end{tabular}\end{table}"
    )
    assert grid(latex(rows, rows__tex="A & 1.0 & 2.0\\\\ % one\nB & 3.0 & 4.0\\\\\n")) == ROWS


@pytest.mark.parametrize(
    ("cell", "value", "spread", "unit"),
    [
        (r"$28.4_{\pm 0.2}$", 28.4, 0.2, ""),
        (r"5.4$_{\pm.1}$", 5.4, 0.1, ""),
        (r"2.3{\tiny$\pm$0.1}", 2.3, 0.1, ""),
        (r"\textbf{2.4 $\pm$ 0.1}", 2.4, 0.1, ""),
        (r"$5.3\pm0.2\%$", 5.3, 0.2, "%"),
        (r"72.7(1.0)*", 72.7, 1.0, ""),
        (r"\num{12.3(4)}", 12.3, 0.4, ""),
        (r"0.12(3)", 0.12, 0.03, ""),
        (r"\num{3.5 +- 0.2}", 3.5, 0.2, ""),
        (r"2.5 \pm 0.1", 2.5, 0.1, ""),
        (r"\num{1e-3}", 0.001, None, ""),
        (r"\SI{4.0}{\milli\second}", 4.0, None, "ms"),
        (r"\qty{65}{\mega\byte}", 65.0, None, "MB"),
        (r"10\,000", 10000.0, None, ""),
        (r"12{,}345.5", 12345.5, None, ""),
        (r"5.0\,\%", 5.0, None, "%"),
        (r"5.1 (+0.2)", 5.1, None, ""),
        (r"3.2$\uparrow$", 3.2, None, ""),
        (r"3.4\tnote{a}", 3.4, None, ""),
        (r"$\underline{\mathbf{3.2}}$", 3.2, None, ""),
        (r"\bfseries 3.5", 3.5, None, ""),
        (r"$3.3\cdot 10^{18}$", 3.3e18, None, ""),
    ],
)
def test_a_cell_is_the_quantity_that_is_printed(cell: str, value: float, spread: float | None, unit: str) -> None:
    found = number(cell)
    assert found and (found.value, found.spread, found.unit) == (value, pytest.approx(spread), unit)


@pytest.mark.parametrize(
    "cell", [r"$1\cdot 10^{999999}$", "1e9999", "10^{99999}", "9" * 400, "1e" + "9" * 5000, "--", "n/a", "", "5/10"]
)
def test_what_no_number_can_hold_is_no_number(cell: str) -> None:
    assert number(cell) is None


@pytest.mark.parametrize("count", ["9" * 5000, "²", "-1", "0", ""])
def test_odd_counts_of_columns_and_rows_are_read_on(count: str) -> None:
    paper = latex(
        rf"\newcommand{{\q}}[{count}]{{x}}\begin{{table}}\caption{{C}}"
        rf"\begin{{tabular}}{{ll}}\multirow{{{count}}}{{*}}{{x}} & y\\"
        rf"\multicolumn{{{count}}}{{c}}{{z}} & 1\end{{tabular}}\end{{table}}"
    )
    assert paper.table("tab:1")
