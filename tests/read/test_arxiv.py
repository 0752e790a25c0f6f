"""Papers from arXiv, by id and by URL, against a stand-in on loopback."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_intern.config import Config
from ml_intern.errors import PaperError
from ml_intern.read.fetch import Downloader
from ml_intern.read.pdf import read_pdf
from ml_intern.read.reader import read_paper
from tests.e2e.conftest import PAPER, ml_intern
from tests.support.arxiv import StandInArxiv, serve_arxiv

PDF = PAPER.parent / "rescience-2020-mixup-calibration.pdf"


@pytest.fixture
def arxiv() -> Iterator[StandInArxiv]:
    with serve_arxiv() as server:
        server.sources["2401.01234"] = PAPER.read_bytes()
        server.sources["cs/0101001"] = PAPER.read_bytes()
        server.pdfs["2401.05678"] = PDF.read_bytes()
        yield server


@pytest.fixture
def config(arxiv: StandInArxiv, tmp_path: Path) -> Config:
    return Config(home=tmp_path, arxiv_api=f"{arxiv.site}/api/query", arxiv_site=arxiv.site, arxiv_interval=0.01)


@pytest.mark.parametrize(
    "typed",
    [
        "2401.01234",
        "2401.01234v2",
        "arXiv:2401.01234",
        "cs/0101001",
        "https://arxiv.org/abs/2401.01234",
        "https://arxiv.org/pdf/2401.01234v1.pdf",
        "https://arxiv.org/html/2401.01234",
        "arxiv.org/abs/cs/0101001",
        "https://huggingface.co/papers/2401.01234",
    ],
)
def test_every_way_to_name_an_arxiv_paper_reads_its_source(config: Config, typed: str) -> None:
    paper = read_paper(typed, config, read_pdf)
    assert paper.title.startswith("Paper ")
    assert paper.authors == ("Ada Author",)
    assert paper.source.arxiv_id.endswith("v1")
    assert len(paper.sections) > 10


def test_a_paper_without_source_is_read_from_its_pdf_with_a_warning(config: Config) -> None:
    paper = read_paper("2401.05678", config, read_pdf)
    assert "read from the PDF" in paper.warnings[0]
    assert any("mixup" in text.lower() for _, text in paper.texts())


def test_what_was_downloaded_once_is_not_asked_for_again(config: Config, arxiv: StandInArxiv) -> None:
    read_paper("2401.01234", config, read_pdf)
    asked = len(arxiv.asked)
    read_paper("2401.01234", config, read_pdf)
    assert len(arxiv.asked) == asked == 2
    assert all(agent.startswith("ml-intern/") for agent in arxiv.agents)


EPRINT = PAPER.read_bytes()


@pytest.mark.parametrize(
    "answer",
    [b"<!DOCTYPE html><html>please wait</html>", EPRINT[:5000], b"try later"],
    ids=["a web page", "a cut archive", "a word"],
)
def test_an_answer_that_is_no_paper_is_not_kept(config: Config, arxiv: StandInArxiv, answer: bytes) -> None:
    arxiv.sources["2401.07777"] = answer
    with pytest.raises(PaperError):
        read_paper("2401.07777", config, read_pdf)
    arxiv.sources["2401.07777"] = EPRINT
    assert read_paper("2401.07777", config, read_pdf).sections
    assert not any("older copy" in warning for warning in read_paper("2401.07777", config, read_pdf).warnings)


def test_a_paper_that_appears_after_it_was_asked_for_is_found(config: Config, arxiv: StandInArxiv) -> None:
    with pytest.raises(PaperError, match="no arXiv paper"):
        read_paper("2401.07777", config, read_pdf)
    arxiv.sources["2401.07777"] = EPRINT
    assert read_paper("2401.07777", config, read_pdf).sections


def test_a_bad_answer_that_an_earlier_release_kept_is_asked_for_again(config: Config, arxiv: StandInArxiv) -> None:
    read_paper("2401.01234", config, read_pdf)
    for path in (config.cache / "papers").iterdir():
        path.write_bytes(b"<html>please wait</html>")
    assert read_paper("2401.01234", config, read_pdf).sections


def outdate(config: Config) -> None:
    """As if all that was downloaded had been so two days ago."""
    for path in (config.cache / "papers").iterdir():
        before = path.stat().st_mtime - 2 * 86_400
        os.utime(path, (before, before))


def test_an_id_without_a_version_is_its_newest_version_a_day_later(config: Config, arxiv: StandInArxiv) -> None:
    assert read_paper("2401.01234", config, read_pdf).source.arxiv_id == "2401.01234v1"
    arxiv.versions["2401.01234"] = 2
    assert read_paper("2401.01234", config, read_pdf).source.arxiv_id == "2401.01234v1"
    outdate(config)
    assert read_paper("2401.01234", config, read_pdf).source.arxiv_id == "2401.01234v2"
    assert [path for path in arxiv.asked if "e-print" in path] == ["/e-print/2401.01234v1", "/e-print/2401.01234v2"]


def test_the_source_of_a_version_is_downloaded_once_and_for_all(config: Config, arxiv: StandInArxiv) -> None:
    read_paper("2401.01234", config, read_pdf)
    outdate(config)
    read_paper("2401.01234", config, read_pdf)
    assert ["e-print" in path for path in arxiv.asked] == [False, True, False]


def test_an_old_copy_is_read_with_a_warning_where_the_server_is_gone(config: Config, arxiv: StandInArxiv) -> None:
    read_paper("2401.01234", config, read_pdf)
    outdate(config)
    arxiv.faults = [(404, {})]
    assert "older copy" in read_paper("2401.01234", config, read_pdf).warnings[0]


def test_where_neither_source_nor_pdf_can_be_used_both_reasons_are_told(config: Config, arxiv: StandInArxiv) -> None:
    arxiv.sources["2401.07777"] = EPRINT[:5000]
    with pytest.raises(PaperError) as error:
        read_paper("2401.07777", config, read_pdf)
    assert "not a whole archive" in error.value.why and "answered 404" in error.value.why


def test_a_busy_server_is_asked_again_after_the_time_it_names(config: Config, arxiv: StandInArxiv) -> None:
    arxiv.faults = [(429, {"Retry-After": "7"}), (503, {})]
    waits: list[float] = []
    assert Downloader(config, waits.append).get(f"{arxiv.site}/e-print/2401.01234", "it", bytes) == PAPER.read_bytes()
    assert waits == [7.0, 1.0]


def test_a_server_that_stays_busy_is_given_up_after_four_tries(config: Config, arxiv: StandInArxiv) -> None:
    arxiv.faults = [(503, {})] * 9
    with pytest.raises(PaperError, match="could not be downloaded") as error:
        Downloader(config, lambda seconds: None).get(f"{arxiv.site}/e-print/2401.01234", "it", bytes)
    assert "503" in str(error.value.why)
    assert len(arxiv.asked) == 4


def test_requests_keep_their_distance(config: Config, arxiv: StandInArxiv) -> None:
    waits: list[float] = []
    downloader = Downloader(config, waits.append)
    downloader.get(f"{arxiv.site}/e-print/2401.01234", "it", bytes, 3.0)
    downloader.get(f"{arxiv.site}/pdf/2401.05678", "it", bytes, 3.0)
    assert len(waits) == 1
    assert 2.0 < waits[0] <= 3.0


def test_an_unknown_id_is_said_to_be_unknown(config: Config) -> None:
    with pytest.raises(PaperError, match=r"no arXiv paper 2401\.99999"):
        read_paper("2401.99999", config, read_pdf)


def test_a_url_of_a_pdf_is_read(config: Config, arxiv: StandInArxiv) -> None:
    assert read_paper(f"{arxiv.site}/pdf/2401.05678", config, read_pdf).sections


def test_no_network_is_said_at_once_with_exit_code_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_INTERN_ARXIV_API", "http://127.0.0.1:9/api/query")
    done = ml_intern("plan", "--paper", "2401.01234", home=tmp_path)
    assert done.returncode == 2
    assert "could not be downloaded" in done.stderr and "give a file" in done.stderr


def test_a_plan_is_made_from_an_arxiv_url(arxiv: StandInArxiv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in arxiv.environment.items():
        monkeypatch.setenv(name, value)
    done = ml_intern("plan", "--paper", "https://arxiv.org/abs/2401.01234", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "periodic-extrapolation" in next(tmp_path.glob("sessions/*/plan.yaml")).read_text()
