"""What verify says of a published folder in which something else lies than was published."""

import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from ml_intern import __version__
from ml_intern.errors import InputError
from ml_intern.judge.decide import decide
from ml_intern.judge.environment import different_packages, environment_hash
from ml_intern.judge.evidence import Evidence
from ml_intern.judge.guards import with_group_guards
from ml_intern.judge.ledger import Ledger
from ml_intern.judge.settings_file import settings_text
from ml_intern.judge.tables import save_lines
from ml_intern.plan.amendment import Amendment, Changes
from ml_intern.plan.plan import Plan
from ml_intern.publish.bundle import PublishInput, publish
from ml_intern.publish.folder import saved_lines
from ml_intern.publish.verify import verify
from tests.judge.synthetic import WINNING, experiment, paired, plan_of, runs

LOCK = "numpy==2.1.0\n"
PLAN = plan_of(experiment(settings={"steps": 5}))


def published(
    folder: Path, plan: Plan = PLAN, lock: str = LOCK, evidence: Sequence[Evidence] = (), **changes: object
) -> Path:
    """A run whose only experiment has scripts and no model."""
    scripts = folder / "scripts"
    scripts.mkdir(parents=True)
    (scripts / "train.py").write_text("print(1)\n")
    (scripts / "settings.json").write_text(settings_text(plan.experiments[0]))
    (scripts / "manifest.json").write_text("{}")  # a script may be called so
    ledger = Ledger(folder / "evidence.jsonl")
    for record in evidence:
        ledger.append(record)
    verdicts = decide(plan, with_group_guards(ledger.evidence))
    fields = {
        "plan": plan, "evidence": ledger.evidence, "ledger": ledger.path, "verdicts": verdicts,
        "experiments": {"e": scripts},
        "runs": folder / "runs", "predictions": folder / "predictions", "environment_lock": lock, "session": "s",
        "model": "m",
    }  # fmt: skip
    return publish(PublishInput.model_validate(fields | changes), folder / "published")


def problems(folder: Path) -> dict[str, str]:
    return {check.name: check.problem for check in verify(folder) if not check.ok}


MANIFEST = "files are those of the manifest"


def test_a_folder_as_it_was_published_is_whole_also_with_a_script_called_manifest(tmp_path: Path) -> None:
    assert problems(published(tmp_path)) == {}


def test_a_plan_in_which_two_claims_have_one_id_is_not_what_this_program_publishes(tmp_path: Path) -> None:
    (claim,) = PLAN.claims
    plan = PLAN.model_copy(update={"claims": (claim, claim.model_copy(update={"statement": "More than was tested."}))})
    found = problems(published(tmp_path, plan))
    assert "two claims have the same id, C1" in found["claims.json holds the plan's claims"]


@pytest.mark.parametrize("content", ["[]", "3", '"text"', "null", "no JSON"])
def test_a_manifest_that_is_none_is_a_difference_and_no_crash(tmp_path: Path, content: str) -> None:
    folder = published(tmp_path)
    (folder / "manifest.json").write_text(content)
    assert problems(folder)[MANIFEST]


@pytest.mark.parametrize("name", ["verdicts.json", "claims.json", "run.json", "evidence.jsonl", "plan.yaml"])
@pytest.mark.parametrize("content", ["[1]", "3", "null", "{}", "\x00"])
def test_whatever_stands_in_a_file_is_a_difference_and_no_crash(tmp_path: Path, name: str, content: str) -> None:
    folder = published(tmp_path)
    (folder / name).write_text(content)
    found = problems(folder)
    assert f"{name} was changed" in found[MANIFEST] and len(found) > 1 and all(found.values())


def test_compiled_scripts_that_python_would_run_in_place_of_the_published_ones_are_named(tmp_path: Path) -> None:
    folder = published(tmp_path)
    cache = folder / "experiments" / "e" / "__pycache__"
    cache.mkdir()
    (cache / "train.cpython-311.pyc").write_bytes(b"anything")
    assert "__pycache__/train.cpython-311.pyc is not in the manifest: Python may run it" in problems(folder)[MANIFEST]


# What the Hub puts beside what was uploaded, and its client beside what it downloads.
HUB = (
    ".gitattributes",
    ".cache/huggingface/.gitignore",
    ".cache/huggingface/CACHEDIR.TAG",
    ".cache/huggingface/download/.gitattributes.metadata",
    ".cache/huggingface/download/manifest.json.metadata",
    ".cache/huggingface/download/README.md.lock",
    ".cache/huggingface/download/experiments/e/train.py.metadata",
    ".cache/huggingface/upload/experiments/e/train.py.metadata",
)
HOSTILE = "*.py filter=lfs text eol=crlf\n*.jsonl export-ignore ident\n"


def over_the_hub(folder: Path) -> Path:
    for name in HUB:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(HOSTILE)
    return folder


def test_a_folder_that_came_over_the_hub_is_whole(tmp_path: Path) -> None:
    assert problems(over_the_hub(published(tmp_path))) == {}


@pytest.mark.parametrize(
    "name",
    [
        ".gitattributes.py", "experiments/e/.gitattributes", "experiments/.cache/huggingface/CACHEDIR.TAG",
        ".cache/huggingface/download/train.py", ".cache/huggingface/download/other.py.metadata", ".cache/other",
        ".cache/huggingface/x.metadata", ".git/config", ".gitignore", "train.py.metadata",
    ],
)  # fmt: skip
def test_what_lies_beside_what_the_hub_puts_there_is_still_seen(tmp_path: Path, name: str) -> None:
    folder = over_the_hub(published(tmp_path))
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("anything")
    assert problems(folder) == {MANIFEST: f"{name} is not in the manifest"}


def test_no_gitattributes_changes_what_is_verified(tmp_path: Path) -> None:
    folder = over_the_hub(published(tmp_path))
    (folder / "experiments" / "e" / "train.py").write_bytes(b"print(1)\r\n")
    (folder / "curves").mkdir()
    (folder / "curves" / "r.jsonl").touch()
    assert problems(folder) == {MANIFEST: "curves/r.jsonl is not in the manifest; experiments/e/train.py was changed"}
    (folder / ".gitattributes").unlink()
    (folder / ".gitattributes").symlink_to(folder / "README.md")
    assert ".gitattributes is not in the manifest" in problems(folder)[MANIFEST]


VERDICTS, VIEWS = "every verdict, computed again", "card and report, rendered again"
MADE_BY_THE_FIRST = Path(__file__).parent / "data" / "made_by_0.1.0"


def test_after_an_upgrade_a_folder_is_whole_and_names_the_version_that_made_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml_intern.publish.bundle.__version__", "0.1.7")
    folder = published(tmp_path)
    assert json.loads((folder / "run.json").read_text())["version"] == "0.1.7"
    assert "ml-intern 0.1.7" in (folder / "README.md").read_text()
    assert problems(folder) == {}


def test_a_folder_that_does_not_tell_its_version_was_made_by_the_first(tmp_path: Path) -> None:
    folder = published(tmp_path)
    info = json.loads((folder / "run.json").read_text())
    del info["version"]
    (folder / "run.json").write_text(json.dumps(info))
    found = problems(folder)
    assert set(found) == {MANIFEST, VIEWS} and "made by ml-intern 0.1.0, this is" in found[VIEWS]


def test_a_folder_of_the_first_version_whose_verdict_says_the_same_in_other_words_is_no_forgery() -> None:
    """Its claim is open in one place and refuted in another, which 0.2.0 says, too."""
    found = problems(MADE_BY_THE_FIRST)
    assert set(found) == {VERDICTS, VIEWS}
    assert found[VERDICTS].startswith("C1: reason differ (made by ml-intern 0.1.0, this is")
    assert all("may say the same in other words" in problem for problem in found.values())


def test_another_outcome_is_no_other_words_whatever_version_made_it(tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(MADE_BY_THE_FIRST, folder)
    (verdict,) = json.loads((folder / "verdicts.json").read_text())
    (folder / "verdicts.json").write_text(json.dumps([{**verdict, "outcome": "reproduced"}]))
    found = problems(folder)
    assert found[MANIFEST] == "verdicts.json was changed"
    assert found[VERDICTS].startswith("C1: outcome, reason differ (made by ml-intern 0.1.0, this is")
    assert "which may judge otherwise" in found[VERDICTS]


def test_a_text_that_differs_and_was_made_by_another_version_is_a_difference_with_both_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml_intern.publish.verify.__version__", "0.3.0")
    folder = published(tmp_path)
    card = (folder / "README.md").read_text()
    (folder / "README.md").write_text(card.replace("No number below", "No number here"))
    assert f"made by ml-intern {__version__}, this is 0.3.0" in problems(folder)[VIEWS]
    verdicts = json.loads((folder / "verdicts.json").read_text())
    (folder / "verdicts.json").write_text(json.dumps([{**one, "reason": "so it is"} for one in verdicts]))
    assert f"C1: reason differ (made by ml-intern {__version__}" in problems(folder)[VERDICTS]
    monkeypatch.undo()
    assert problems(folder)[VIEWS] == "README.md is not what plan and evidence give"


@pytest.mark.parametrize("version", ["", "1\x1b[2J", "0.1.0 and all is well", "9" * 50])
def test_a_version_that_is_none_is_a_difference(tmp_path: Path, version: str) -> None:
    folder = published(tmp_path)
    info = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**info, "version": version}))
    assert "run.json is whole" in problems(folder)


def test_settings_are_those_of_the_plan_with_its_amendments(tmp_path: Path) -> None:
    change = Amendment(experiment="e", changes=Changes(settings={"steps": 9}), reason="too slow", by="planner")
    assert "settings.json is what the plan says" in problems(published(tmp_path / "one", amendments=(change,)))
    folder = published(tmp_path / "two", amendments=(change,))
    amended = PLAN.experiments[0].model_copy(update={"settings": {"steps": 9}})
    (folder / "experiments" / "e" / "settings.json").write_text(settings_text(amended))
    assert set(problems(folder)) == {MANIFEST}


def with_packages(*hashes: str) -> list[Evidence]:
    found = runs({"method": [None] * 5, "baseline": [None] * 5})
    return [
        record.model_copy(update={"environment": hashes[place % len(hashes)]}) for place, record in enumerate(found)
    ]


@pytest.mark.parametrize(
    ("lock", "used", "said"),
    [
        (LOCK, environment_hash(LOCK, ""), ""),
        (LOCK + "# e only: tiny==1.0\n", environment_hash(LOCK, "tiny==1.0\n"), ""),
        (LOCK + "# f only: tiny==1.0\n", environment_hash(LOCK, ""), ""),
        ("numpy==2.1.1\n", environment_hash(LOCK, ""), "no run used the packages in environment.lock"),
        (LOCK + "# e only: tiny==1.1\n", environment_hash(LOCK, "tiny==1.0\n"), "no run of e used the packages"),
    ],
)
def test_the_lock_is_what_runs_used(tmp_path: Path, lock: str, used: str, said: str) -> None:
    found = problems(published(tmp_path, lock=lock, evidence=with_packages(used)))
    assert said in found.get("environment.lock is what the runs used", "") and bool(said) == (
        "environment.lock is what the runs used" in found
    )


def test_a_session_that_went_on_with_other_packages_has_a_lock_that_some_runs_used(tmp_path: Path) -> None:
    found = problems(published(tmp_path, evidence=with_packages("elsewhere", environment_hash(LOCK, ""))))
    assert "environment.lock is what the runs used" not in found


def test_other_packages_within_a_seed_are_fatal_and_between_seeds_are_told() -> None:
    records = paired(WINNING)
    assert different_packages(records) == []
    (within,) = different_packages([records[0].model_copy(update={"environment": "new"}), *records[1:]])
    assert within.fatal and "seed 1" in within.message
    moved = [record.model_copy(update={"environment": "new"}) if record.seed > 5 else record for record in records]
    (between,) = different_packages(moved)
    assert not between.fatal and "2 versions" in between.message
    assert between in with_group_guards(moved)[0].guards


def test_records_of_before_files_beside_the_weights_were_kept_can_be_read(tmp_path: Path) -> None:
    body = paired(WINNING)[0].model_dump(mode="json")
    del body["model_files"]
    assert Evidence.model_validate_json(json.dumps(body)).model_files is None


@pytest.mark.parametrize(
    ("bound", "value", "told"), [("_MOST_UNPACKED", 1 << 20, "1 MiB"), ("MOST_ROWS", 900, "900 rows")]
)
def test_predictions_that_would_unpack_to_more_than_a_run_may_write_are_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, value: int, told: str
) -> None:
    monkeypatch.setattr(f"ml_intern.publish.folder.{bound}", value)
    (tmp_path / "predictions").mkdir()
    packed = b"".join(gzip.compress(b'["0000000"]\n' * 30_000, mtime=0) for _ in range(4))
    (tmp_path / "predictions" / "p.gz").write_bytes(packed)
    with pytest.raises(InputError) as refused:
        saved_lines(tmp_path, ("p.gz", hashlib.sha256(packed).hexdigest()))
    assert f"KiB would unpack to more than {told}" in refused.value.why


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\v", "\x1c", "\r"])
def test_a_text_with_other_marks_of_a_lines_end_is_one_row(tmp_path: Path, mark: str) -> None:
    rows = [{"prediction": f"one{mark}line"}, {"prediction": "b"}]
    assert saved_lines(tmp_path, save_lines(tmp_path / "predictions", "p.gz", rows)) == rows


def test_a_model_that_predicts_the_same_for_every_row_is_scored_again(tmp_path: Path) -> None:
    rows = [{"prediction": "a" * 14_000_000}] * 5  # packed to less than a hundredth
    assert saved_lines(tmp_path, save_lines(tmp_path / "predictions", "p.gz", rows)) == rows


@pytest.mark.parametrize("name", ["evidence.jsonl", "run.json", "manifest.json"])
def test_a_huge_file_of_a_strangers_folder_is_told_and_not_read(tmp_path: Path, name: str) -> None:
    folder = published(tmp_path)
    with (folder / name).open("r+b") as file:
        file.truncate(1 << 36)  # all hole
    if name != "manifest.json":  # hashing needs no memory, and here too long
        (folder / "manifest.json").write_text("[]")
    assert any("is not read" in problem for problem in problems(folder).values())


@pytest.mark.parametrize(
    "name", ["plan.yaml", "evidence.jsonl", "run.json", "manifest.json", "claims.json", "verdicts.json", "README.md"]
)
@pytest.mark.parametrize("kind", ["endless", "pipe"])
def test_what_is_no_regular_file_is_told_and_neither_read_nor_waited_for(tmp_path: Path, name: str, kind: str) -> None:
    folder = published(tmp_path)
    (folder / name).unlink()
    if kind == "pipe":
        os.mkfifo(folder / name)
    else:
        (folder / name).symlink_to("/dev/zero")
    try:
        found = problems(folder)
    except InputError as error:
        assert "no published run" in error.what
    else:
        assert any("no regular file" in problem for problem in found.values())


def test_a_pipe_that_was_not_published_is_told(tmp_path: Path) -> None:
    folder = published(tmp_path)
    os.mkfifo(folder / "model.safetensors")
    assert problems(folder) == {MANIFEST: "model.safetensors is not in the manifest"}
