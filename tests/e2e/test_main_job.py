"""The main job, from a paper to a verified, published model, with no key."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Finished, ml_intern


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
    done = ml_intern("verify", str(folder), home=tmp_path)
    assert done.returncode == 1
    assert name in done.stdout


@pytest.mark.parametrize("pattern", ["predictions/*/*-test.jsonl.gz", "model.safetensors"])
def test_verify_notices_a_changed_byte_even_with_a_new_manifest(
    smoke_run: Finished, tmp_path: Path, pattern: str
) -> None:
    from ml_intern.judge.tables import file_hash

    folder = tmp_path / "copy"
    shutil.copytree(smoke_run.out, folder)
    path = sorted(folder.glob(pattern))[-1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest[str(path.relative_to(folder))] = file_hash(path)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert ml_intern("verify", str(folder), home=tmp_path).returncode == 1


def test_no_secret_and_no_home_folder_is_published(smoke_run: Finished) -> None:
    for path in [*smoke_run.out.rglob("*"), *smoke_run.home.glob("sessions/*/events.jsonl")]:
        if path.is_file():
            assert b"hf_plantedsecret" not in path.read_bytes(), path


def test_a_plan_edited_by_hand_runs(smoke_run: Finished, tmp_path: Path) -> None:
    text = (smoke_run.out / "plan.yaml").read_text()
    changed = re.sub(r"\bsteps: 60\b", "steps: 40", text)
    assert changed != text
    (tmp_path / "plan.yaml").write_text(changed)
    out = tmp_path / "out"
    arguments = ["run", "--plan", str(tmp_path / "plan.yaml"), "--yes", "--quiet", "--out", str(out)]
    assert ml_intern(*arguments, home=tmp_path / "home").returncode == 0
    settings = json.loads((out / "experiments" / "periodic-extrapolation" / "settings.json").read_text())
    assert settings["train"]["steps"] == 40
    assert ml_intern("verify", str(out), home=tmp_path).returncode == 0


def test_without_a_person_and_without_yes_the_plan_is_refused(tmp_path: Path) -> None:
    from tests.e2e.conftest import PAPER

    done = ml_intern("run", "--paper", str(PAPER), "--smoke", home=tmp_path)
    assert done.returncode == 5
    assert "--yes" in done.stderr
