"""The main job, from a paper to a verified, published model, with no key."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ml_intern.judge.tables import file_hash
from ml_intern.publish.verify import verify
from tests.e2e.conftest import Finished, ml_intern, ml_intern_inside


def test_the_published_folder_holds_what_the_readme_promises(smoke_run: Finished) -> None:
    names = {str(path.relative_to(smoke_run.out)) for path in smoke_run.out.rglob("*")}
    promised = {"README.md", "model.safetensors", "config.json", "plan.yaml", "claims.json", "evidence.jsonl"}
    promised |= {"verdicts.json", "report.html", "report.md", "predictions", "environment.lock"}
    promised |= {f"experiments/periodic-extrapolation/{name}.py" for name in ("data", "train", "predict")}
    assert promised <= names


def test_a_smoke_run_says_so_and_gives_no_verdict_beyond_inconclusive(smoke_run: Finished) -> None:
    for name in ("README.md", "report.md", "report.html"):
        assert "smoke run" in (smoke_run.out / name).read_text().lower()
    verdicts = json.loads((smoke_run.out / "verdicts.json").read_text())
    assert {verdict["outcome"] for verdict in verdicts} == {"inconclusive", "not tested"}
    assert all(verdict["reason"] for verdict in verdicts)


def test_every_claim_is_quoted_from_the_paper(smoke_run: Finished) -> None:
    paper = json.loads(next(smoke_run.home.glob("sessions/*/paper.json")).read_text())
    text = " ".join(p["text"] for section in paper["sections"] for p in section["paragraphs"])
    claims = json.loads((smoke_run.out / "claims.json").read_text())
    assert len(claims) >= 4
    for claim in claims:
        assert claim["quote"].replace("'", "’") in text or claim["quote"] in text


def test_the_cards_code_loads_the_published_model(smoke_run: Finished) -> None:
    code = re.search(r"```python\n(.*?)```", (smoke_run.out / "README.md").read_text(), re.DOTALL)
    assert code
    done = subprocess.run([sys.executable, "-B", "-c", code[1]], cwd=smoke_run.out, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\d+ parameters\n", done.stdout)


def test_verify_agrees_with_what_was_published(smoke_run: Finished) -> None:
    done = ml_intern("verify", str(smoke_run.out), home=smoke_run.home)
    assert done.returncode == 0, done.stdout
    assert "DIFF" not in done.stdout


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "report.md",
        "report.html",
        "plan.yaml",
        "claims.json",
        "evidence.jsonl",
        "verdicts.json",
        "config.json",
        "environment.lock",
        "experiments/periodic-extrapolation/settings.json",
    ],
)
def test_verify_notices_one_changed_digit(smoke_run: Finished, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(smoke_run.out, folder)
    text = (folder / name).read_text()
    digits = [match.start() for match in re.finditer(r"\d", text)]
    place = digits[len(digits) // 2]
    (folder / name).write_text(text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :])
    done = ml_intern_inside("verify", str(folder), home=tmp_path)
    assert done.returncode == 1
    assert f"files are those of the manifest: {name} was changed" in done.stdout
    assert said_anew(folder), "the manifest is not what notices alone: whoever changes a file can write it anew"


def said_anew(folder: Path) -> list[str]:
    """What verify objects to once the manifest fits the folder again."""
    files = [path for path in folder.rglob("*") if path.is_file() and path != folder / "manifest.json"]
    manifest = {str(path.relative_to(folder)): file_hash(path) for path in files}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    problems = {check.name: check.problem for check in verify(folder) if not check.ok}
    assert "files are those of the manifest" not in problems
    return list(problems.values())


def test_verify_says_what_is_wrong_where_files_do_not_fit_together(smoke_run: Finished, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(smoke_run.out, folder)
    text = (folder / "plan.yaml").read_text()
    (folder / "plan.yaml").write_text(text.replace("id: periodic-digits", "id: another"))
    done = ml_intern_inside("verify", str(folder), home=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr + done.stdout
    assert "was made under another plan" in done.stdout and "it cannot be checked" in done.stdout
    assert "StopIteration" not in done.stdout and "The plan has no experiment periodic-digits." in done.stdout


def test_verify_asks_for_the_very_settings_of_the_plan(smoke_run: Finished, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(smoke_run.out, folder)
    path = folder / "experiments" / "periodic-extrapolation" / "settings.json"
    settings = json.loads(path.read_text())
    settings["train"]["steps"] += 1
    path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
    assert (
        "experiments/periodic-extrapolation/settings.json is not what plan.yaml and its amendments give"
        in said_anew(folder)
    )


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_verify_asks_for_the_files_beside_the_weights_that_the_best_run_wrote(
    smoke_run: Finished, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(smoke_run.out, folder)
    (folder / name).write_text('{"auto_map": {}}')
    assert f"{name} is not what the best run wrote" in said_anew(folder)
    (folder / name).unlink()
    assert bool(said_anew(folder)) == (name == "config.json")


@pytest.mark.parametrize("pattern", ["predictions/*/*-test.jsonl.gz", "model.safetensors"])
def test_verify_notices_a_changed_byte_even_with_a_new_manifest(
    smoke_run: Finished, tmp_path: Path, pattern: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(smoke_run.out, folder)
    path = sorted(folder.glob(pattern))[-1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert said_anew(folder)
    assert ml_intern_inside("verify", str(folder), home=tmp_path).returncode == 1


def test_verify_holds_curves_and_weights_against_what_guards_have_compared(smoke_run: Finished, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(smoke_run.out, folder)
    curve = sorted(folder.glob("curves/*.jsonl"))[-1]
    curve.write_text(re.sub(r'("train_loss": \d\.\d)\d', r"\g<1>", curve.read_text(), count=1))
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-2] ^= 64
    weights.write_bytes(data)
    problems = {check.name: check.problem for check in verify(folder)}
    assert curve.name in problems["the curves are those that the runs logged"]
    assert "the sketch of run" in problems["the published weights are those of the best run"]


def test_no_secret_and_no_home_folder_is_published(smoke_run: Finished) -> None:
    for path in [*smoke_run.out.rglob("*"), *smoke_run.home.glob("sessions/*/events.jsonl")]:
        if path.is_file():
            assert b"hf_plantedsecret" not in path.read_bytes(), path


def test_a_plan_edited_by_hand_runs(smoke_run: Finished, tmp_path: Path) -> None:
    text = (smoke_run.out / "plan.yaml").read_text()
    changed = re.sub(r"\bsteps: 20\b", "steps: 15", text)
    assert changed != text
    (tmp_path / "plan.yaml").write_text(changed)
    out = tmp_path / "out"
    arguments = ["run", "--plan", str(tmp_path / "plan.yaml"), "--yes", "--quiet", "--out", str(out)]
    assert ml_intern(*arguments, home=tmp_path / "home").returncode == 0
    settings = json.loads((out / "experiments" / "periodic-extrapolation" / "settings.json").read_text())
    assert settings["train"]["steps"] == 15
    assert "claims grounded in the paper" in (out / "report.html").read_text()
    assert ml_intern_inside("verify", str(out), home=tmp_path).returncode == 0


def test_without_a_person_and_without_yes_the_plan_is_refused(tmp_path: Path) -> None:
    from tests.e2e.conftest import PAPER

    done = ml_intern("run", "--paper", str(PAPER), "--smoke", home=tmp_path)
    assert done.returncode == 5
    assert "--yes" in done.stderr
