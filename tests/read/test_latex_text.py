"""Running text of LaTeX papers: what a reader sees on the page."""

import pytest

from ml_intern.read.latex_text import to_text
from tests.read.snippet import latex, prose, shown


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"\"o \"{u} \ss{} Stra\ss e \'{e} \'e \`a \^{\i} \'\i{} na\"{\i}ve", "ö ü ß Straße é é à î í naïve"),
        (r"\c{c} \c c \v{s} Erd\H{o}s \aa \o{} \l{}odz \OE uvre \k{a} \d{s} \~n", "ç ç š Erdős åø łodz Œuvre ą ṣ ñ"),
        (r"fi--fl---x ``q'' `s' \textquotedblleft a\textquotedblright", 'fi–fl—x "q" \'s\' "a"'),
        (r"\textless 5\textgreater\ \textdegree C \pounds 3 \P\ x\-y 10\,000 3\,cm", "<5> °C £3 ¶ xy 10,000 3 cm"),
        (r"H\textsubscript{2}O 10\textsuperscript{3} x\textsuperscript{*}", "H_2O 10^3 x*"),
        (r"\href{http://a.org/x_y#z}{the \emph{site}}", "the site"),
        (r"\ensuremath{\alpha} \hyperref[sec:m]{the method}", "α the method"),
        (
            r"\SIrange{1}{5}{\second} \numlist{1;2;3} \ang{45} \si{\metre\per\second\squared}",
            "1 to 5 s 1, 2, 3 45° m/s²",
        ),
        (r"\SI[per-mode=symbol]{9}{\square\metre} \qty{10}{\percent} \num{5 +- 1}", "9 m² 10% 5 ± 1"),
    ],
)
def test_marks_and_commands_read_as_they_print(source: str, text: str) -> None:
    assert to_text(source) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"Keep.\iffalse Drop \iftrue x \fi this. \else Yes.\fi{} End.", "Keep. Yes. End."),
        (r"Keep.\if0 Drop. \fi\iftrue Yes.\else No.\fi", "Keep. Yes."),
        (r"\newif\ifdraft\draftfalse \ifdraft Draft.\else Final.\fi", "Final."),
        (r"\newif\ifdraft\drafttrue \ifdraft Draft.\else Final.\fi", "Draft."),
        (r"\ifx\a\b One.\else Two.\fi $a \iff b$", "One.Two.a ⇔b"),
        ("A.\n\\begin{comment}\nGone. 50% \\end{table}\n\\end{comment}\nB.", "A. B."),
        ("50\\% of it % not this\nand that", "50% of it and that"),
        ("% \\begin{comment}\nkept", "kept"),
    ],
)
def test_text_that_is_switched_off_is_not_read(source: str, text: str) -> None:
    assert shown(source) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        # Set after the macro that asks, and set again.
        (r"\newif\ifdraft \newcommand{\note}[1]{\ifdraft[#1]\fi}\drafttrue A\note{b}\draftfalse C\note{d}.", "A[b]C."),
        (r"\newif\ifa\newif\ifb\atrue \ifa A\ifb B\else b\fi\else a\ifb B\fi\fi.", "Ab."),
        # What LaTeX and packages ask is counted inside what is turned off, and nothing that merely begins so.
        (r"A.\iffalse \if@twocolumn b\else c\fi d\ifpdf e\fi f\fi G.", "A.G."),
        (r"\newif\ifx@y A.\ifx@y b $c \iff d$ \ifthenelse{e}{f}{g} h\fi I.", "A.I."),
        (r"A.\let\ifdraft\iffalse B.\ifdraft c\fi D.", "A.B.D."),
        (r"\let\ifdraft=\iftrue A.\ifdraft B.\else c\fi", "A.B."),
        (r"\newif\ifdraft {\drafttrue \ifdraft A.\fi}\ifdraft b\fi C.", "A.C."),
        # etoolbox, ifthen, comment, environ.
        (r"\newtoggle{d}\iftoggle{d}{a}{B.}\toggletrue{d}\iftoggle{d}{C.}{d}", "B.C."),
        (r"\newbool{d}\setbool{d}{true}\ifbool{d}{A.}{b}\ifd C.\fi\notbool{d}{e}{F.}", "A.C.F."),
        (r"\newboolean{d}\ifthenelse{\boolean{d}}{a}{B.}\ifthenelse{\not\boolean{d}}{C.}{d}", "B.C."),
        ("\\excludecomment{note}A.\\begin{note}We gain 9.9 points.\\end{note} B.", "A. B."),
        (r"\NewEnviron{old}{}A.\begin{old}b\end{old}\NewEnviron{new}{\BODY}\begin{new}C.\end{new}", "A.C."),
    ],
)
def test_switches_are_what_they_were_set_to_where_the_text_has_come_to(source: str, text: str) -> None:
    assert shown(source).replace(" ", "") == text.replace(" ", "")


def test_switches_are_those_of_the_paper_whatever_file_they_stand_in() -> None:
    files = {"switches__tex": r"\newif\ifdraft", "set__tex": r"\drafttrue", "part__tex": r"\ifdraft A.\else b\fi"}
    assert shown(r"\input{part}", preamble=r"\input{switches}\input{set}", **files) == "A."
    assert shown(r"\input{part}", preamble=r"\input{switches}", **files) == "b"
    assert shown(r"A.\iffalse b\input{part} C.", part__tex=r"c\fi") == "A. C."


def test_what_a_condition_turns_off_is_read_with_a_warning_where_it_never_ends() -> None:
    paper = latex(r"A.\iffalse B.")
    assert prose(paper) == "A.B."
    assert paper.warnings == ("A \\iffalse is never closed; what stands after it was read.",)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"\def\a{A} {\def\a{B} \a} \a", "B A"),
        (r"\def\a{A} {\gdef\a{B}} \a {\global\long\def\a{C}} \a", "B C"),
        (r"\newcommand{\a}{A} \begin{center}\renewcommand{\a}{B}\a \end{center}\a", "B A"),
        (r"\def\a{A}\begingroup\def\a{B}\bgroup\def\a{C}\a\egroup\a\endgroup\a", "CBA"),
        (r"\newenvironment{e}{\def\a{B}}{\a} \def\a{A}\begin{e}b\end{e}\a", "bBA"),
        # Braces round an argument are none of these: what a command does with them may hold for good.
        (r"\AtBeginDocument{\newcommand{\a}{A}}\a", "A"),
        (r"\foo[x]{y}{\def\a{A}}\a", "yA"),
    ],
)
def test_a_definition_holds_until_its_group_ends(source: str, text: str) -> None:
    assert shown(source).split() == text.split()


def test_a_switched_off_section_or_table_does_not_count() -> None:
    paper = latex(r"\iffalse\section{Old}\begin{table}\caption{x}\end{table}\fi\section{New}x")
    assert [section.anchor for section in paper.sections] == ["sec:1"] and not paper.warnings


def test_a_comment_before_a_blank_line_does_not_join_the_paragraphs() -> None:
    (section,) = latex("\\section{A}One. % why\n\nTwo.\r\n\r\nThree.\n%\nStill three.").sections
    assert [paragraph.text for paragraph in section.paragraphs] == ["One.", "Two.", "Three. Still three."]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"Use \verb|a % b_c $x| and \verb+\section{no}+.", r"Use a % b_c $x and \section{no}."),
        (r"\lstinline|x_y % z| and \lstinline{k_v}", "x_y % z and k_v"),
        ("\\begin{verbatim}\n% kept\n\\section{no}\n\\end{verbatim}", r"% kept \section{no}"),
        (
            "\\begin{lstlisting}[language=Python, caption={C}]\nx = {1: '$'}  # 50%\n\\end{lstlisting}",
            "x = {1: '$'} # 50%",
        ),
        ("\\begin{minted}{python}\nprint('\\\\begin{table}')\n\\end{minted}", r"print('\\begin{table}')"),
        (r"\newcommand{\x}{no}\verb|\x|", r"\x"),
    ],
)
def test_what_is_printed_as_typed_is_read_as_typed(source: str, text: str) -> None:
    paper = latex(source)
    assert prose(paper) == text and not paper.tables and not paper.warnings


@pytest.mark.parametrize("command", [r"\url{%s}", r"\nolinkurl{%s}", r"\footnote{At \url{%s}}"])
def test_an_address_is_read_whole(command: str) -> None:
    address = "https://a.org/a_b~c%20d--e?f=1&g#h"
    paper = latex("See " + command % address + " and on.")
    assert address in prose(paper) + " ".join(element.text for element in paper.elements)
    assert prose(paper).endswith("and on.")


def test_a_footnote_with_braces_in_braces_is_read_whole_and_leaves_no_gap() -> None:
    paper = latex(r"Word\footnote{See {\em nested {deep} braces} and \textbf{b}.} goes on\footnotemark[2].")
    assert prose(paper) == "Word goes on."
    assert [(e.anchor, e.text) for e in paper.elements] == [("note:1", "See nested deep braces and b.")]


def test_a_footnote_of_a_caption_or_a_heading_is_not_lost() -> None:
    paper = latex(r"\section{A\footnote{One.}}x\begin{figure}\includegraphics{a}\caption{F\footnote{Two.}}\end{figure}")
    assert [(e.anchor, e.text) for e in paper.elements] == [("note:1", "One."), ("note:2", "Two."), ("fig:1", "F")]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"\newcommand{\ours}{OurNet\xspace}We use \ours on \ours.", "We use OurNet on OurNet."),
        (r"\newcommand{\lo}{\ensuremath{\lambda_0}}\lo{} and $\lo$", "λ_0 and λ_0"),
        (r"\DeclareRobustCommand{\rob}[1]{R(#1)}\rob{x}", "R(x)"),
        (r"\newcommand{\acc}{90.1}Was \acc. \renewcommand{\acc}{95.2}Is \acc.", "Was 90.1. Is 95.2."),
        (r"\newcommand{\a}{one}\let\b\a\renewcommand{\a}{two}\a{} \b{} \let\c=\textbf\c{x}", "two one x"),
        (r"\newcommand{\a}{one}\providecommand{\a}{two}\a", "one"),
        (
            r"\newenvironment{claim}[1]{\textbf{Claim #1.} }{ QED}\begin{claim}{5}It holds.\end{claim}",
            "Claim 5. It holds. QED",
        ),
        (r"\NewDocumentCommand{\n}{s m O{d} o}{<#2,#3>}\n*{x}[y] \n{z}", "<x,y> <z,d>"),
        (r"\def\over#1/#2.{#1 over #2}\over a/b. end", "a over b end"),
        (r"\newcommand{\b}{no}a \\b", "a b"),
        (r"\newcommand{\mk}[1]{\newcommand{#1}[1]{<##1>}}\mk{\x}\x{y}", "<y>"),
        (r"\renewcommand{\section}[1]{gone}\section{A}x", "x"),
    ],
)
def test_own_macros_mean_what_they_mean_at_their_place(source: str, text: str) -> None:
    assert shown(source) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"\citep[see][p.~3]{a,b}", "[a, b]"),
        (r"\citet*{a} \citeauthor{a} \Citet{b}", "[a] [a] [b]"),
        (r"\parencite[4]{b} \autocite{a} \textcite{a} \Textcite{a} \footcite{a}", "[b] [a] [a] [a] [a]"),
        (r"\cites[1]{a}[2]{b} \nocite{*}x", "[a, b] x"),
        (r"\citetext{see also} \citep{ a , nowhere }", "see also [a, nowhere]"),
    ],
)
def test_every_kind_of_citation_names_its_references(source: str, text: str) -> None:
    assert shown(source) == text


BIB = r"""@string{icml = "Int. Conf. ML"}
@comment{gone, title={no}}
@article{a, author = {Doe, Jane and M{\"u}ller, K.}, title = {On {N}ets {and more}}, year = 2020, journal = icml # " 3"}
@InProceedings{b,
  author="A. Smith",
  title = "The {"}quoted{"} one, and more", booktitle = {Proc. of X}, year = "2019"}
@misc(c, title={In round brackets}, year={2001})
@misc{uncited, title={Of the library}}"""


def test_a_bib_file_gives_the_entries_that_are_cited() -> None:
    paper = latex(r"\citep[p.~3]{a,b} \textcite[4]{c}\bibliography{r}", r__bib=BIB)
    assert {element.anchor: element.text for element in paper.elements} == {
        "ref:a": "Doe, Jane and Müller, K. On Nets and more. Int. Conf. ML 3. 2020",
        "ref:b": 'A. Smith. The "quoted" one, and more. Proc. of X. 2019',
        "ref:c": "In round brackets. 2001",
    }


def test_everything_is_cited_by_a_star() -> None:
    assert len(latex(r"\nocite{*}", r__bib=BIB).elements) == 4


def test_biblatex_writes_its_own_bbl() -> None:
    bbl = r"""\entry{a}{article}{}
      \name{author}{2}{}{{{hash=1}{family={Doe},given={Jane}}}{{hash=2}{family={Roe}}}}
      \field{title}{On nets}\field{year}{2020}\field{journaltitle}{JMLR}
    \endentry"""
    (element,) = latex(r"\cite{a}", main__bbl=bbl).elements
    assert element.text == "Doe, Roe. On nets. JMLR. 2020"


def test_a_bbl_comes_before_a_bib() -> None:
    bbl = (
        r"\begin{thebibliography}{9}\bibitem[Doe et~al.(2020)]{a} Jane Doe. \newblock On nets. % why"
        + "\n\\end{thebibliography}"
    )
    (element,) = latex(r"\cite{a}", main__bbl=bbl, r__bib=BIB).elements
    assert element.text == "Jane Doe. On nets."
