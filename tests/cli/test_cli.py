"""What the command line answers to bad input, and that its help is light."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from ml_intern.cli.main import app
from tests.e2e.conftest import ROOT
from tests.e2e.conftest import ml_intern_inside as ml_intern

HEAVY = ("torch", "transformers", "datasets", "litellm", "matplotlib", "huggingface_hub", "pyarrow", "numpy")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from ml_intern.cli.main import app\n"
        "assert 'verify' in CliRunner().invoke(app, ['--help']).output\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--paper", "no-such-file.pdf"], "There is no file no-such-file.pdf"),
        (["run", "--paper", "nonsense"], "is no paper"),
        (["run"], "one of: a task, --paper, --plan"),
        (["run", "--paper", "2401.01234", "--scale", "huge"], "no scale"),
        (["run", "--paper", "2401.01234", "--effort", "much"], "no effort 'much'"),
        (["run", "--paper", "x.pdf", "--model", "gpt"], "There is no"),
        (["verify", "nowhere"], "no folder"),
        (["recipes", "nothing"], "no recipe"),
    ],
)
def test_bad_input_is_exit_code_2_in_words(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = ml_intern(*arguments, home=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_table_of_a_paper_is_given_as_csv_by_its_anchor(tmp_path: Path) -> None:
    paper = ROOT / "examples" / "papers" / "rescience-2021-warm-starting.tar.gz"
    done = ml_intern("read", str(paper), "--table", "tab:1.1", home=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = list(csv.reader(done.stdout.splitlines()))
    assert rows[0][0] == "group" and len({len(row) for row in rows}) == 1
    assert next(row for row in rows if row[:2] == ["CIFAR-10", "Random Init"])[2] == "60.3 (0.1)"
    unknown = ml_intern("read", str(paper), "--table", "tab:99", home=tmp_path)
    assert unknown.returncode == 2 and "tab:1.1" in unknown.stderr


def test_the_readme_names_every_command_and_no_option_that_there_is_not() -> None:
    readme = (ROOT / "README.md").read_text()
    commands = get_command(app).commands  # type: ignore[attr-defined]
    groups = {name: set(one.commands) for name, one in commands.items() if hasattr(one, "commands")}
    table = readme[readme.index("## Commands") : readme.index("## Models")]
    missing = {name for name in commands if not re.search(rf"`(ml-intern )?{name}\b", table)}
    for group, names in groups.items():
        missing |= {f"{group} {name}" for name in names - {"list"} if not re.search(rf"`({group}\s)?{name}\b", table)}
    assert not missing
    every = [*commands.values(), *(one for name in groups for one in commands[name].commands.values())]
    known = {
        option for one in every for parameter in one.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    others = {"--no-deps", "--require-hashes", "--index-url", "--check", "--help"}  # pip's, ruff's, and everybody's
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", readme)) - known - others == {"--resume"}  # of a script


def test_no_network_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_INTERN_ARXIV_API", "http://127.0.0.1:9/api")
    done = ml_intern("read", "2401.01234", home=tmp_path)
    assert done.returncode == 2
    assert "could not be downloaded" in done.stderr
    assert "Next:" in done.stderr


def test_a_paper_that_fits_no_recipe_says_what_was_read_and_names_model(tmp_path: Path) -> None:
    paper = tmp_path / "paper.tex"
    paper.write_text(
        "\\documentclass{article}\\title{On Sheep}\\begin{document}\\section{Wool}Sheep have wool.\\end{document}"
    )
    done = ml_intern("run", "--paper", str(paper), "--yes", home=tmp_path / "home")
    assert done.returncode == 2
    assert "On Sheep" in done.stderr
    assert "--model" in done.stderr


def test_a_broken_plan_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("version: 1\nscale: gigantic\nclaims: []\n")
    done = ml_intern("run", "--plan", str(tmp_path / "plan.yaml"), "--yes", home=tmp_path)
    assert done.returncode == 2
    assert "line 2" in done.stderr
    assert "'smoke', 'small' or 'paper'" in done.stderr


@pytest.mark.parametrize("options", [["--smoke"], ["--scale", "paper"]])
def test_a_plan_has_its_own_scale_and_takes_no_other(options: list[str], tmp_path: Path) -> None:
    done = ml_intern("run", "--plan", str(tmp_path / "plan.yaml"), *options, "--yes", home=tmp_path)
    assert done.returncode == 2
    assert f"{options[0]} cannot be given with --plan" in done.stderr


def test_smoke_and_another_scale_contradict_each_other(tmp_path: Path) -> None:
    done = ml_intern("run", "--paper", "2401.01234", "--smoke", "--scale", "paper", home=tmp_path)
    assert done.returncode == 2 and "contradict" in done.stderr


def test_doctor_shows_the_models_that_are_configured(tmp_path: Path) -> None:
    assert "none is configured" in ml_intern("doctor", home=tmp_path).stdout
    (tmp_path / "config.toml").write_text('[models."lab/large"]\nbase_url = "http://localhost:8000/v1"\n')
    assert "lab/large in config.toml, at http://localhost:8000/v1" in ml_intern("doctor", home=tmp_path).stdout


def test_doctor_shows_tokens_as_set_and_never_their_value(tmp_path: Path) -> None:
    done = ml_intern("doctor", home=tmp_path)
    assert done.returncode == 0
    assert "hf_plantedsecret" not in done.stdout
    assert "HF_TOKEN" in done.stdout


def test_every_recipe_is_listed_and_shown_with_its_page(tmp_path: Path) -> None:
    listed = ml_intern("recipes", home=tmp_path).stdout
    assert "label-smoothing" in listed and "transformer-ablations" in listed
    shown = ml_intern("recipes", "warm-starting", home=tmp_path)
    assert shown.returncode == 0
    assert "# warm-starting" in shown.stdout and "not tested: the recipe does not have the data set" in shown.stdout
