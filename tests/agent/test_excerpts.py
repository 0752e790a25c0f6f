"""What the executor is shown of the paper: what its claims stand on, tables and equations too, the nearest first."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ml_intern.agent import phases
from ml_intern.agent.excerpts import cut_into_parts, excerpts
from ml_intern.agent.room import Room
from ml_intern.llm.protocol import Reply, Request, ToolCall
from ml_intern.plan.claim import Claim
from ml_intern.read.paper import Cell, Element, Paper, Paragraph, Row, Section, Source, Table
from tests.agent.test_loop import Scripted, context_with
from tests.judge.synthetic import claim
from tests.judge.workshop import Workshop


def row(label: str, value: str) -> Row:
    cells = [("", label), ("Test MSE", value)]
    return Row(
        label=label,
        cells=tuple(Cell(anchor=f"tab:1/row:{label}/col:{name}", text=text) for name, text in cells),
    )


def paper(rows: int = 3) -> Paper:
    table = Table(
        anchor="tab:1",
        caption="Errors of all.",
        columns=("", "Test MSE"),
        rows=tuple(row(f"Net {n}", f"0.{n}") for n in range(rows)),
    )
    paragraphs = tuple(Paragraph(anchor=f"sec:2/par:{n}", text=f"Paragraph {n}." + " word" * 30) for n in range(1, 20))
    return Paper(
        source=Source(kind="latex", locator="x", sha256="0"),
        title="T",
        sections=(Section(anchor="sec:2", title="Two", paragraphs=paragraphs),),
        tables=(table,),
        elements=(Element(anchor="eq:1", kind="equation", text="x + \\sin^2(x)"),),
    )


def of(anchor: str, **changes: Any) -> Claim:
    return claim("C1").model_copy(update={"anchor": anchor, **changes})


def test_a_claim_in_a_table_shows_its_rows_its_own_first_under_the_names_of_their_columns() -> None:
    shown = excerpts(paper(), [of("tab:1/row:Net 2/col:Test MSE")], 12_000).splitlines()
    assert shown == [
        "[tab:1] Errors of all.",
        "[tab:1/row:Net 2] label: Net 2, Test MSE: 0.2",
        "[tab:1/row:Net 0] label: Net 0, Test MSE: 0.0",
        "[tab:1/row:Net 1] label: Net 1, Test MSE: 0.1",
    ]


def test_a_long_table_is_bounded_and_says_so() -> None:
    shown = excerpts(paper(rows=900), [of("tab:1/row:Net 800/col:Test MSE")], 12_000)
    assert len(shown) < 3_200 and "Net 800" in shown.splitlines()[1] and "more rows" in shown.splitlines()[-1]


def test_an_equation_is_shown() -> None:
    assert excerpts(paper(), [of("eq:1")], 12_000) == "[eq:1] x + \\sin^2(x)"


def test_what_a_claims_numbers_stand_in_is_shown_too() -> None:
    number = {"text": "0.1", "anchor": "tab:1/row:Net 1/col:Test MSE"}
    claimed = Claim.model_validate(of("sec:2/par:3").model_dump() | {"numbers": [number]})
    shown = excerpts(paper(), [claimed], 12_000).splitlines()
    assert shown[0].startswith("[sec:2/par:3] Paragraph 3.") and shown[2].startswith("[tab:1/row:Net 1]")
    assert shown[-1].startswith("[sec:2/par:19]"), "the rest of its section comes behind"
    assert len(set(shown)) == len(shown)


def test_what_is_shown_is_bounded_and_the_nearest_is_in_it() -> None:
    shown = excerpts(paper(), [of("sec:2/par:17")], 300)
    assert len(shown) == 300 and shown.startswith("[sec:2/par:17] Paragraph 17.")


def test_parts_hold_all_lines() -> None:
    lines = [f"line {n}" for n in range(20)]
    parts = cut_into_parts(lines, 30)
    assert [line for part in parts for line in part] == lines and all(len("\n".join(part)) <= 30 for part in parts)
    assert cut_into_parts([], 30) == [[]]


class Stopped(Exception):
    pass


class Asked(Scripted):
    def complete(self, request: Request) -> Reply:
        self.requests.append(request)
        raise Stopped


@pytest.mark.parametrize("room", [100_000, 20_000])
def test_the_executor_is_shown_them_in_small_steps_too(tmp_path: Path, room: int) -> None:
    shop = Workshop(tmp_path)
    laboratory, model = shop.laboratory(), Asked()
    tested = tuple(of("tab:1/row:Net 2/col:Test MSE", id=test.claim) for test in shop.experiment.tests)
    laboratory.plan = laboratory.plan.model_copy(update={"claims": tested})
    model.context_chars = room
    with context_with(tmp_path / "session", model) as context, pytest.raises(Stopped):
        context.preferences = "Short functions." + " word" * 1_000
        phases.build_scripts(context, paper(), laboratory, cast(Any, SimpleNamespace()))
    (request,) = model.requests
    assert "[tab:1/row:Net 2] label: Net 2, Test MSE: 0.2" in request.messages[0].content
    small = room == 20_000
    assert "<preferences>\nShort functions." in request.messages[0].content
    assert (len(request.tools) == 2) is small
    words = request.messages[0].content.partition("<preferences>")[2].count(" word")
    assert (words < 400) is small and (words == 1_000) is not small, "a short context is not filled with preferences"


class Looking(Asked):
    """Answers the first `answers` requests with a look at the files."""

    def __init__(self, answers: int) -> None:
        super().__init__()
        self.answers = answers

    def complete(self, request: Request) -> Reply:
        if len(self.requests) >= self.answers:
            return super().complete(request)
        self.requests.append(request)
        return Reply(tool_calls=(ToolCall(id="1", name="list_files", arguments="{}"),))


@pytest.mark.parametrize("answers", [0, 1])
def test_work_that_a_model_has_begun_goes_on_as_it_began_though_it_takes_less_than_was_believed(
    tmp_path: Path, answers: int
) -> None:
    shop, model = Workshop(tmp_path), Looking(answers)
    with context_with(tmp_path / "session", model) as context:
        for takes in (100_000, 20_000):
            found = {"model": model.id, "listed": model.context_chars, "chars": takes}
            context.emit("note", text="It takes less than was assumed.", room=found)
            context.room = Room(context.log.events)
            with pytest.raises(Stopped):
                phases.build_scripts(context, paper(), shop.laboratory(), cast(Any, SimpleNamespace()))
        begun = [event.data["purpose"] for event in context.log.events if event.type == "conversation.started"]
    first, last = model.requests[0], model.requests[-1]
    if answers:
        assert last.tools == first.tools and last.messages[0] == first.messages[0] and len(begun) == 1
    else:
        assert len(last.tools) == 2 and len(begun) == 2, "nothing was begun: small steps are the better beginning"
