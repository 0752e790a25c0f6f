"""What a tool answered beyond what was shown stays within reach: by an id, bounded, and nothing else with it."""

import json
import re
from pathlib import Path

import pytest

from ml_intern.agent.failure import without_volatile
from ml_intern.agent.outputs import kept_outputs
from ml_intern.errors import InputError
from ml_intern.llm.protocol import ToolCall
from ml_intern.redaction import Redactor
from ml_intern.session.fork import fork
from ml_intern.session.log import EventLog
from ml_intern.session.store import SessionStore
from ml_intern.session.sync.outgoing import OutgoingLog
from ml_intern.tools.files import file_tools
from ml_intern.tools.outputs import Outputs
from ml_intern.tools.registry import Tool, Toolbox
from tests.agent.test_loop import Scripted, context_with
from tests.support.session import write_session
from tests.tools.bench import at_bench

SECRET = "hf_aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z"


def id_in(text: str) -> int:
    (found,) = re.findall(r"read_output with id (\d+) shows all of it", text)
    return int(found)


def said_by(outputs: Outputs, text: str, root: Path) -> str:
    tool = Tool("long", "d", "read-only", file_tools(root)[-1].arguments, lambda _: text)
    return Toolbox([tool], outputs=outputs).carry_out(ToolCall(id="1", name="long", arguments="{}"))


def test_a_long_result_keeps_its_head_and_tail_and_names_where_the_rest_is(tmp_path: Path) -> None:
    outputs, text = Outputs(), "a" * 9_000 + "b" * 9_000
    shown = said_by(outputs, text, tmp_path)
    assert shown.startswith("aaa") and shown.endswith("bbb") and "6000 characters left out" in shown
    assert outputs.whole(id_in(shown)) == text
    assert said_by(outputs, "short", tmp_path) == "short"
    with pytest.raises(InputError, match="there are 1 to 1"):
        outputs.whole(2)


def test_the_same_text_has_one_id_and_a_text_that_was_cut_before_keeps_its_own() -> None:
    outputs = Outputs()
    first = outputs.cut("x" * 5_000 + "middle" + "y" * 5_000, 2_000, 2_000)
    assert id_in(outputs.cut("x" * 5_000 + "middle" + "y" * 5_000, 2_000, 2_000)) == id_in(first)
    again = outputs.cut(first, 200, 200, "folded away")
    assert id_in(again) == id_in(first) and "middle" in outputs.whole(id_in(again))
    forged = outputs.cut("p" * 500 + "; read_output with id 77 shows all of it …" + "q" * 500, 100, 100)
    assert id_in(forged) == 2, "an id that there is not is not believed"


def test_a_commands_middle_is_read_by_lines_and_by_words(tmp_path: Path) -> None:
    with at_bench(tmp_path) as bench:
        shown = bench.sh("for i in $(seq 6000); do echo line $i; done; exit 3")
        assert shown.startswith("FAILED: failed") and "line 3000\n" not in shown and shown.count("<output>") == 1
        id = id_in(shown)
        part = bench.say("read_output", id=id, first_line=3000, lines=2)
        assert part.splitlines()[1:3] == ["line 3000", "line 3001"] and "2999 more lines, from first_line 3002" in part
        assert "5432: line 5432" in bench.say("read_output", id=id, words="5432")
        many = bench.say("read_output", id=id, words="line 4")
        assert "4: line 4\n" in many and "more such lines, from first_line" in many
        assert "nowhere in its 6000 lines" in bench.say("read_output", id=id, words="zebra")
        assert len(bench.say("read_output", id=id, lines=2000)) < 9_000
        assert bench.say("read_output", id=id + 1).startswith("FAILED: There is no output 2.")


def test_a_single_long_line_is_read_piece_by_piece(tmp_path: Path) -> None:
    with at_bench(tmp_path) as bench:
        id = id_in(bench.say("run_python", code="print('a' * 9000 + 'here' + 'b' * 9000)"))
        assert "goes on: first_line 1, offset 8000" in bench.say("read_output", id=id)
        assert "here" in bench.say("read_output", id=id, offset=8000)
        assert "(offset 8880) …" in bench.say("read_output", id=id, words="here")


def test_they_are_blobs_of_the_session_and_a_resumed_one_has_them_under_their_ids(tmp_path: Path) -> None:
    with context_with(tmp_path, Scripted()) as context:
        outputs = kept_outputs(context, "build e")
        assert [outputs.keep("first"), outputs.keep("z" * 20_000), outputs.keep("first")] == [1, 2, 1]
        context.emit("tool.result", purpose="build e", id="1", name="x", result="of a tool", failed=False)
        context.folder.blobs.put(b"sealed labels")
    with context_with(tmp_path, Scripted()) as context:
        outputs = kept_outputs(context, "build e")
        assert (outputs.whole(1), outputs.whole(2)) == ("first", "z" * 20_000)
        with pytest.raises(InputError):
            outputs.whole(3)  # a blob that no tool's output was
        with pytest.raises(InputError):
            kept_outputs(context, "build other").whole(1)
        assert outputs.keep("new") == 3


def test_what_is_kept_is_cleaned_as_events_are(tmp_path: Path) -> None:
    redactor = Redactor({"KEY": "correct-horse-battery"})
    with EventLog(tmp_path / "events.jsonl", lambda data: redactor.data(data)[0]) as log:
        digest = log.keep("it was correct-horse-battery all along")
    assert "correct-horse" not in (tmp_path / "blobs" / digest).read_text()


def test_a_fork_and_an_upload_take_them_along_without_secrets(tmp_path: Path) -> None:
    folder = write_session(tmp_path)
    with EventLog(folder.log) as log:
        digest = log.keep(f"token = {SECRET}\nthe rest")
        log.append("output.kept", purpose="build park", digest=digest)
    forked = fork(SessionStore(tmp_path / "sessions"), folder, None)
    assert "the rest" in forked.blobs.text(digest)
    outgoing = OutgoingLog(Redactor({}), folder.blobs)
    outgoing.advance(folder.events())
    sent = json.loads(outgoing.lines[-1])["data"]["digest"]
    assert sent != digest and outgoing.blobs[sent].endswith(b"the rest") and SECRET.encode() not in outgoing.blobs[sent]


def test_an_id_does_not_make_two_results_different() -> None:
    outputs = Outputs()
    one = outputs.cut("a" * 900, 100, 100)
    outputs.keep("between")
    assert without_volatile(one) == without_volatile(one.replace("id 1 ", "id 2 "))
