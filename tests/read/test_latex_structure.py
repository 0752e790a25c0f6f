"""Sections, labels, equations, figures and algorithms of LaTeX papers, numbered as they print."""

from contextlib import suppress

import pytest

from ml_intern.errors import MlInternError, PaperError
from ml_intern.read.latex import read_latex
from ml_intern.read.paper import Paper
from tests.read.snippet import SOURCE, latex, prose, shown


def elements(text: str, kind: str) -> list[tuple[str, str, str]]:
    return [(e.anchor, e.text, e.label) for e in latex(text).elements if e.kind == kind]


def test_sections_are_numbered_as_they_print() -> None:
    paper = latex(
        r"\section*{Thanks}a\section[Short]{Long \textit{title}}b\subsection{Sub}c\subsection*{Un}d\section{Next}e"
        r"\begin{appendices}\section{More}f\subsection{Deep}g\end{appendices}"
    )
    assert [(s.anchor, s.title, s.level) for s in paper.sections] == [
        ("sec:thanks", "Thanks", 1), ("sec:1", "Long title", 1), ("sec:1.1", "Sub", 2), ("sec:un", "Un", 2),
        ("sec:2", "Next", 1), ("sec:A", "More", 1), ("sec:A.1", "Deep", 2),
    ]  # fmt: skip


def test_chapters_are_sections_of_the_first_level() -> None:
    paper = latex(r"\chapter{One}a\section{In}b\chapter{Two}c")
    assert [(s.anchor, s.level) for s in paper.sections] == [("sec:1", 1), ("sec:1.1", 2), ("sec:2", 1)]
    assert prose(paper) == "a b c"


def test_a_named_paragraph_begins_a_paragraph_with_its_name() -> None:
    (section,) = latex(
        r"\section{A}x \paragraph{Setup.}We train. \paragraph*{Data}More.\subparagraph{Deep} sub."
    ).sections
    assert [p.text for p in section.paragraphs] == ["x", "Setup. We train.", "Data More.", "Deep sub."]


REFERRED = (
    r"\section{Intro}\label{sec:i}%s\section{Method}\label{sec:m}\begin{equation}\label{x}a=b\end{equation}"
    r"\begin{figure}\includegraphics{a}\caption{F}\label{f}\end{figure}"
    r"\begin{algorithm}\caption{A}\label{a}\end{algorithm}"
    r"\appendix\section{More}\label{app}"
)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"Section~\ref{sec:i} and \S\ref{sec:m}", "Section 1 and §2"),
        (r"Eq.~\eqref{x}, \ref*{x}", "Eq. (1), 1"),
        (r"\autoref{f} and \cref{x} and \Cref{f,sec:m}", "Figure 1 and Equation 1 and Figure 1, Section 2"),
        (r"Algorithm~\ref{a} in \autoref{app}", "Algorithm 1 in Appendix A"),
        (r"\ref{nowhere}", "[nowhere]"),
    ],
)
def test_a_reference_shows_the_number_of_what_it_names(source: str, text: str) -> None:
    assert latex(REFERRED % source).sections[0].paragraphs[0].text == text


def test_every_numbered_line_of_an_equation_is_one_of_its_own() -> None:
    text = (
        r"\begin{align}a &= b \label{p}\\ d &= e \nonumber\\ &+ f \label{q}\end{align}"
        r"\begin{gather}x=1\\y=2\label{r}\end{gather}\begin{multline}u\\+v=w\label{s}\end{multline}"
        r"\begin{equation}\begin{aligned}i&=j\\k&=l\end{aligned}\label{t}\end{equation}"
    )
    assert elements(text, "equation") == [
        ("eq:1", "a = b", "p"), ("eq:2", "d = e + f", "q"), ("eq:3", "x=1", ""), ("eq:4", "y=2", "r"),
        ("eq:5", "u +v=w", "s"), ("eq:6", "i =j k =l", "t"),
    ]  # fmt: skip


def test_an_equation_without_a_number_takes_none() -> None:
    text = (
        r"\[u\]\begin{align*}v&=w\\x&=y\end{align*}\begin{equation}a\end{equation}"
        r"\begin{equation}b\tag{*}\end{equation}"
    )
    assert [(anchor, text) for anchor, text, _ in elements(text, "equation")] == [
        ("eq:2", "u"), ("eq:3", "v =w x =y"), ("eq:1", "a"), ("eq:*", "b"),
    ]  # fmt: skip


def test_a_displayed_formula_stands_in_the_text_as_it_is_in_its_element() -> None:
    paper = latex(r"Where \[ x \in \{0, 1\}_a^{b c} \] holds.")
    assert paper.elements[0].text in prose(paper) and "{0, 1}" in prose(paper)


def test_a_line_break_with_a_distance_opens_no_formula() -> None:
    assert shown(r"One\\[2pt] two \$\$ three $x$ four. \[y\]") == "One two $$ three x four. y"


def test_subfigures_have_letters() -> None:
    text = (
        r"\begin{figure}"
        r"\begin{subfigure}{.5\textwidth}\caption{Left}\label{l}\end{subfigure}\subfloat[Right\label{r}]{x}"
        r"\caption{Whole}\label{w}\end{figure}\ref{w} \ref{l} \ref{r}"
    )
    assert elements(text, "figure") == [("fig:1", "Whole (a) Left (b) Right", "w")]
    assert shown(text) == "1 1a 1b"


@pytest.mark.parametrize(
    "source",
    [
        r"\begin{algorithmic}[1]\Require data $D$ \State $w \gets 0$ \For{$t = 1$ to $T$} \If{$t > 5$} \State step up"
        r"\Else \State step down \EndIf \EndFor \State \Return $w$\end{algorithmic}",
        r"\begin{algorithmic}\REQUIRE data $D$ \STATE $w \gets 0$ \FOR{$t = 1$ \TO $T$} \IF{$t > 5$} \STATE step up"
        r"\ELSE \STATE step down \ENDIF \ENDFOR \RETURN $w$\end{algorithmic}",
        r"\SetAlgoLined\DontPrintSemicolon\KwIn{data $D$}$w \gets 0$\; \For{$t = 1$ \KwTo $T$}{"
        r" \eIf{$t > 5$}{step up\;}{step "
        r"down\;} } \Return $w$\;",
    ],
)
def test_an_algorithm_is_its_steps_one_a_line(source: str) -> None:
    ((anchor, text, label),) = elements(
        rf"\begin{{algorithm}}[t]\caption{{Train}}\label{{a}}{source}\end{{algorithm}}", "algorithm"
    )
    first = text.split("\n")[1]
    assert (anchor, label) == ("alg:1", "a") and first in ("Require: data D", "Input: data D")
    assert text.split("\n")[2:] == [
        "w ←0", "for t = 1 to T do", "if t > 5 then", "step up", "else", "step down", "return w",
    ]  # fmt: skip


def test_items_and_theorems_keep_their_names() -> None:
    text = r"\begin{description}\item[First] one\item two\end{description}\begin{multicols}{2}three\end{multicols}"
    assert [p.text for p in latex(text).sections[0].paragraphs] == ["First one", "two", "three"]


def test_a_readme_that_names_a_file_to_ignore_does_not_make_it_the_paper() -> None:
    document = b"\\documentclass{article}\\begin{document}%s\\end{document}"
    files = {
        "00README.XXX": b"old.tex ignore\nnew.tex toplevelfile\n",
        "old.tex": document % b"Old.",
        "new.tex": document % b"New.",
    }
    assert prose(read_latex(files, SOURCE)) == "New."


def test_two_readings_give_the_same_anchors() -> None:
    text = REFERRED % r"\begin{table}\begin{tabular}{ll}a & b\\c & 1\end{tabular}\end{table}"
    assert latex(text) == latex(text)


HOSTILE = {
    "conditions in conditions": r"\iftrue ",
    "switches never closed": r"\newif\ifa\ifa ",
    "switches in switches": r"\newif\ifa\ifa x\else ",
    "switches": r"\newif\ifa\atrue\ifa{\afalse\ifa x\fi}\else y\fi",
    "groups never closed": r"{ \begin{x}\def\a{\a}",
    "options never closed": r"\foo[",
    "headings never closed": r"\section[",
    "environments never closed": r"\begin{align}x",
    "escaped percents on one line": r"\%",
    "braces in braces": "{" * 20 + "}" * 20,
    "tabulars in tabulars": r"\begin{tabular}{c}",
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", HOSTILE)
def test_ten_thousand_of_anything_are_read_or_refused_in_seconds(name: str) -> None:
    with suppress(MlInternError):
        latex(r"\section{A}" + HOSTILE[name] * 10_000)


def test_braces_that_no_person_would_open_are_refused() -> None:
    with pytest.raises(PaperError, match="braces"):
        latex("{" * 1000)


def inputs(main: str, **files: str) -> Paper:
    """A paper of files whose names have `__` for a dot and `___` for a slash."""
    names = {name.replace("___", "/").replace("__", "."): text.encode() for name, text in files.items()}
    return read_latex({"main.tex": main.encode(), **names}, SOURCE)


BODY = r"\begin{document}Our %s wins.\end{document}"


@pytest.mark.parametrize(
    ("preamble", "name", "text"),
    [
        (r"\documentclass{article}\usepackage[draft]{amsmath, my}", "my__sty", r"\newcommand{\method}{SuperNet}"),
        (r"\documentclass[11pt]{my}", "my__cls", r"\LoadClass{article}\newcommand{\method}{SuperNet}"),
        (
            r"\documentclass{article}\usepackage{my}",
            "my__sty",
            r"\def\@inner#1{\def\method{No}}\newcommand\method[1][Super]{#1Net}\def\title@x{\relax}",
        ),
        (
            r"\documentclass{article}\usepackage{style/my}",
            "style___my__sty",
            r"\newif\iflong\longtrue\newcommand{\method}{\iflong SuperNet\else SN\fi}",
        ),
    ],
)
def test_macros_of_the_papers_own_packages_and_classes_are_expanded(preamble: str, name: str, text: str) -> None:
    assert prose(inputs(preamble + BODY % r"\method{}", **{name: text})) == "Our SuperNet wins."


def test_inner_code_of_a_style_is_not_run_and_and_still_parts_authors() -> None:
    paper = inputs(
        r"\documentclass{article}\usepackage{conf}\author{Ada A \And Bea B}" + BODY % r"\textbf{net}",
        conf__sty=r"\def\And{nobody}\renewcommand{\textbf}[1]{\@gone}\def\x{\hskip 1em\@y}",
    )
    assert prose(paper) == "Our net wins."
    assert paper.authors == ("Ada A", "Bea B")


def test_a_sign_of_the_papers_own_is_expanded_though_styles_have_one_of_its_name() -> None:
    own = r"\newcommand{\AND}{both gates}\newcommand{\date}{the 2020 data}"
    assert (
        prose(inputs(r"\documentclass{article}" + own + BODY % r"\AND{} on \date{}"))
        == "Our both gates on the 2020 data wins."
    )


@pytest.mark.parametrize(
    "asked",
    [
        r"\input{sections/intro}",
        r"\import{sections/}{intro}",
        r"\subimport{sections}{intro.tex}",
        r"\subfile{sections/intro}",
        r"\newcommand{\sec}[1]{\input{sections/#1}}\sec{intro}",
        r"\newcommand{\sec}[1]{\input{sections/#1}}\input{all}",
        r"\newcommand{\name}{sections/intro}\input{\name}",
        r"\newcommand{\sec}[1]{\input{\name}}\newcommand{\name}{sections/intro}\input{all}",
    ],
)
def test_every_way_to_input_a_file_reads_it(asked: str) -> None:
    main = r"\documentclass{article}\begin{document}Start %s End\end{document}"
    intro = r"\documentclass[../main]{subfiles}\begin{document}the words\end{document}"
    paper = inputs(main % asked, sections___intro__tex=intro, all__tex=r"\sec{intro}" if "all" in asked else "")
    assert prose(paper).split() == ["Start", "the", "words", "End"]
    assert not paper.warnings


def test_an_input_made_by_a_macro_that_is_not_there_is_named() -> None:
    paper = latex(r"\newcommand{\sec}[1]{\input{sections/#1}}\sec{intro}")
    assert paper.warnings == (r"main.tex: \input{sections/intro} is not among the files",)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (r"\input{\unknown}", r"\input{\unknown} is not among the files"),
        (r"\input{\unknown{a}/intro}", r"\input{\unknown{… was not read"),
        (r"\NewOddCommand\sec{\input{sections/#1}}", r"\input{sections/#1} was not read"),
        (r"\newcommand{\again}{again}\input{again}", r"\input{again} was not read"),
    ],
)
def test_an_input_whose_name_cannot_be_made_out_is_told(asked: str, told: str) -> None:
    paper = latex(f"Words. {asked}", again__tex=r"\input{\again}")
    assert told in "".join(paper.warnings)


@pytest.mark.parametrize(
    ("part", "read"),
    [
        ("one \\endinput two\nthree \\input{more}\n", "one two"),
        ("one\n\\endinput % the end\nthree\n", "one"),
        ("one\\endinput%\nthree\n", "one"),
        ("one\\endinput", "one"),
        ("one % \\endinput\ntwo\n", "one two"),
        ("one \\verb|\\endinput| two\nthree\n", r"one \endinput two three"),
        ("one \\ifx\\a\\b\\endinput\\fi\ntwo\n", "one two"),
        ("one \\iffalse\\endinput\\fi\ntwo\n", "one two"),
        ("one \\newcommand{\\stop}{\\endinput}\ntwo\n", "one two"),
        ("one \\endinputs\ntwo\n", "one two"),
    ],
)
def test_a_file_is_read_up_to_the_end_of_the_line_with_endinput(part: str, read: str) -> None:
    paper = latex(r"\input{part} End", part__tex=part, more__tex="lost")
    assert prose(paper) == f"{read} End"


def test_what_stands_after_the_endinput_of_a_package_defines_nothing() -> None:
    style = "\\newcommand{\\method}{SuperNet}\n\\endinput\n\\renewcommand{\\method}{documented}\n"
    assert shown(r"Our \method{} wins.", r"\usepackage{own}", own__sty=style) == "Our SuperNet wins."


def test_files_that_are_never_read_are_named_unless_they_are_leftovers() -> None:
    words = "Some words of the method that nobody would want to miss here. " * 4
    paper = latex(
        "Words.", "", method__tex=words, empty__tex="% " + words, old_intro__tex=words, cover_letter__tex=words
    )
    assert paper.warnings == ("1 .tex file was never read: method.tex",)
    assert "2 .tex files were never read" in latex("Words.", "", a__tex=words, b__tex=words).warnings[0]
