"""A family of tools is a file, found because it is there."""

from pathlib import Path

import pytest
from pydantic import BaseModel

import ml_intern.tools
from ml_intern.agent import loop
from ml_intern.tools.registry import Tool, Toolbox
from tests.tools.bench import again, at_bench

FAMILY = """
from pydantic import BaseModel
from ml_intern.tools.registry import Tool

class Nothing(BaseModel):
    pass

def tools(bench):
    return [Tool(NAME, "Greets.", "read-only", Nothing, lambda _: f"hello, {bench.laboratory.experiment.id}")]
"""


def test_a_new_file_is_a_new_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "greeting_for_a_test.py").write_text(FAMILY.replace("NAME", "'greet'"))
    with at_bench(tmp_path / "shop") as before:
        assert "no tool 'greet'" in before.say("greet")
    monkeypatch.setattr(ml_intern.tools, "__path__", [*ml_intern.tools.__path__, str(tmp_path / "more")])
    with again(before.workshop) as bench:
        assert bench.say("greet") == "hello, e"


def test_two_tools_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "greeting_that_clashes.py").write_text(FAMILY.replace("NAME", "'read_file'"))
    monkeypatch.setattr(ml_intern.tools, "__path__", [*ml_intern.tools.__path__, str(tmp_path / "more")])
    with pytest.raises(ValueError, match="'read_file'"), at_bench(tmp_path / "shop"):
        pass


def test_the_executor_has_these_tools_always_in_the_same_order(tmp_path: Path) -> None:
    with at_bench(tmp_path) as bench:
        names = [spec.name for spec in bench.toolbox.specs()]
    assert names == [
        *("look_at_metrics", "smoke_run", "explore", "finish", "give_up"),
        *("write_file", "edit_file", "read_file", "search_files", "list_files"),
        "read_output",
        *("run_command", "run_python", "look_at", "wait_for", "stop"),
    ]


def test_the_loop_knows_no_family() -> None:
    assert loop.__file__ is not None
    text = Path(loop.__file__).read_text()
    assert not [line for line in text.splitlines() if "ml_intern.tools" in line and "registry" not in line]


def test_schemas_say_nothing_twice_and_lose_no_field_that_is_called_title() -> None:
    class Book(BaseModel):
        title: str
        pages: int = 0

    tool = Tool("write_book", "Writes.", "workspace", Book, lambda book: book.title)
    (spec,) = Toolbox([tool]).specs()
    assert spec.parameters["properties"] == {"title": {"type": "string"}, "pages": {"default": 0, "type": "integer"}}
    assert spec.parameters["required"] == ["title"] and "title" not in spec.parameters
