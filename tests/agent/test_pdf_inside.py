"""PDFs are parsed in the sandbox, and whatever a captured parser writes is no more than a paper's words."""

import json
import threading
from pathlib import Path

import pytest

from ml_intern.agent.pdf_inside import pdf_reader
from ml_intern.errors import PaperError
from ml_intern.read.paper import Paper, Source
from ml_intern.read.pdf import read_pdf
from ml_intern.run.spec import RunResult, RunSpec
from tests.support.compute import every_kind, require, shared_compute
from tests.support.pdf import Page, make_pdf

SOURCE = Source(kind="pdf", locator="paper.pdf", sha256="0" * 64)
PDF = make_pdf([Page().prose(72, 700, 30)])


def reader(compute: object, folder: Path, pdf: bytes = PDF) -> Paper:
    return pdf_reader(compute, folder / "read", threading.Event())(pdf, SOURCE)  # type: ignore[arg-type]


@every_kind
def test_a_pdf_reads_the_same_in_every_sandbox(kind: str, tmp_path: Path) -> None:
    require(kind)
    assert reader(shared_compute(kind), tmp_path) == read_pdf(PDF, SOURCE)
    assert list((tmp_path / "read").iterdir()) == []


def test_what_is_wrong_with_a_pdf_is_said_in_the_parsers_own_words(tmp_path: Path) -> None:
    with pytest.raises(PaperError) as inside:
        reader(shared_compute(), tmp_path, PDF[:200])
    with pytest.raises(PaperError) as here:
        read_pdf(PDF[:200], SOURCE)
    assert str(inside.value) == str(here.value)


class Captured:
    """A compute whose parser is in an attacker's hands: runs `code`, with `out` where the paper should go."""

    tier, hardware, slots = "test", "test", 1

    def __init__(self, code: str) -> None:
        self.code = code

    def execute(self, spec: RunSpec, stop: threading.Event) -> RunResult:
        script = spec.log.parent / "captured.py"
        script.write_text(f"import json, os, sys, time\nout = sys.argv[3]\n{self.code}\n")
        limits = spec.limits.model_copy(update={"seconds": 2.0})
        return shared_compute().execute(spec.model_copy(update={"script": script, "limits": limits}), stop)


@pytest.mark.parametrize(
    "code",
    [
        "pass",
        "raise SystemExit(3)",
        "time.sleep(60)",
        "os.kill(os.getpid(), 11)",
        "os.symlink('/etc/passwd', out)",
        "os.mkfifo(out)",
        "open(out, 'w').write('[' * 100000)",
        "open(out, 'w').write('{}')",
        "json.dump({'paper': {'title': 1}}, open(out, 'w'))",
        "json.dump({'error': 'no list'}, open(out, 'w'))",
        "json.dump([1], open(out, 'w'))",
    ],
)
def test_a_parser_that_is_captured_gives_no_paper_and_no_traceback(code: str, tmp_path: Path) -> None:
    with pytest.raises(PaperError):
        reader(Captured(code), tmp_path)


def test_a_captured_parser_cannot_say_that_the_paper_is_another_one(tmp_path: Path) -> None:
    honest = read_pdf(PDF, SOURCE).model_dump(mode="json")
    honest["source"] |= {"sha256": "f" * 64, "locator": "another.pdf"}
    code = f"json.dump(json.loads({json.dumps({'paper': honest})!r}), open(out, 'w'))"
    assert reader(Captured(code), tmp_path).source == SOURCE
