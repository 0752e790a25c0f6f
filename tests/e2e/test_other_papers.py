"""A paper as PDF and as source gives the same claims; a paper that fits no recipe is answered at once."""

from pathlib import Path

import yaml

from tests.e2e.conftest import PAPER, ml_intern

PAPERS = PAPER.parent


def test_source_and_pdf_of_one_paper_give_the_same_claims(tmp_path: Path) -> None:
    claims = []
    for name in ("rescience-2020-mixup-calibration.tar.gz", "rescience-2020-mixup-calibration.pdf"):
        home = tmp_path / name
        done = ml_intern("plan", "--paper", str(PAPERS / name), home=home)
        assert done.returncode == 0, done.stderr
        plan = yaml.safe_load(next(home.glob("sessions/*/plan.yaml")).read_text())
        claims.append([claim["subject"] for claim in plan["claims"]])
    assert claims[0] == claims[1]
    assert "mixup/better-calibrated" in claims[0]


def test_a_warm_starting_smoke_run_ends_published_and_verified(tmp_path: Path) -> None:
    paper, out = PAPERS / "rescience-2021-warm-starting.tar.gz", tmp_path / "out"
    done = ml_intern("run", "--paper", str(paper), "--smoke", "--yes", "--quiet", "--out", str(out), home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (out / "experiments" / "warm-starting" / "training.py").exists()
    assert ml_intern("verify", str(out), home=tmp_path).returncode == 0


def test_a_paper_that_fits_no_recipe_is_exit_code_2_and_names_model(tmp_path: Path) -> None:
    source = tmp_path / "sheep.tex"
    source.write_text(
        r"\documentclass{article}\title{On Sheep}\begin{document}\maketitle\section{Wool}Sheep are white.\end{document}"
    )
    done = ml_intern("run", "--paper", str(source), "--yes", home=tmp_path)
    assert done.returncode == 2
    assert "On Sheep" in done.stderr and "--model" in done.stderr
