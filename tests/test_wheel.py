"""An installed wheel holds what the program reads at run time: prompts, recipes, templates of card and report."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    code = f"from hatchling.build import build_wheel; print(build_wheel({str(out)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files in a folder of their own, with no checkout around it."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def python(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed), "ML_INTERN_HOME": str(installed / "home")}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=installed, capture_output=True, text=True, timeout=300
    )


def test_every_prompt_recipe_script_and_template_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    wanted = {f"ml_intern/_prompts/{path.name}" for path in (ROOT / "prompts").glob("*.md")}
    package = ROOT / "ml_intern"
    wanted |= {
        str(path.relative_to(ROOT))
        for path in package.rglob("*")
        if path.suffix in (".py", ".yaml", ".j2", ".md", ".css", ".js")
    }
    assert wanted <= names, sorted(wanted - names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_installed_program_reads_its_own_prompts_and_recipes(installed: Path) -> None:
    where = python(installed, "-c", "import ml_intern.resources as r; print(r.prompts_dir())")
    assert where.stdout.strip() == str(installed / "ml_intern" / "_prompts")
    assert "mixup" in python(installed, "-m", "ml_intern.cli.main", "recipes").stdout


def test_the_installed_program_plans_a_paper(installed: Path, tmp_path: Path) -> None:
    paper = ROOT / "examples" / "papers" / "rescience-2021-periodic-functions.tar.gz"
    done = python(
        installed, "-m", "ml_intern.cli.main", "plan", "--paper", str(paper), "--out", str(tmp_path / "plan.yaml")
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "plan.yaml").read_text().startswith("# The plan of an ml-intern run")
