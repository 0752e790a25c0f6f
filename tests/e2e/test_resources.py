"""A whole run on data, a model and a package that the harness fetched: pinned, approved, seen by the right scripts."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from ml_intern.session.log import read_log
from tests.e2e.conftest import ml_intern
from tests.e2e.test_language_model import EXPERIMENT, paper, run, scripted  # noqa: F401
from tests.judge.workshop import DATA, PREDICT, TRAIN, at_the_end, changed
from tests.support.hub import serve_hub
from tests.support.openai_server import Answer, call, serving
from tests.support.wheels import make_wheel

RESOURCES: list[dict[str, Any]] = [
    {"name": "rows", "kind": "dataset", "id": "ada/rows", "revision": "main"},
    {"name": "base", "kind": "model", "id": "ada/base"},
]
STARTING = {"id": "ada/base", "revision": "main"}
READ_ROWS = """import csv, plantedsum
rows = list(csv.reader((args.raw / "rows" / "rows.csv").open()))
x = np.array([[float(v) for v in row[:6]] for row in rows])
y = np.array([int(row[6]) for row in rows])
assert plantedsum.total == 2"""
START = """import plantedsum
from safetensors.numpy import load_file
base = load_file(Path(os.environ["ML_INTERN_MODELS"]) / "base" / "model.safetensors")["weights"]
weights = base[:features] + generator.normal(0, 0.1, features)"""
# The data set holds the sealed rows with their labels: training and prediction must not reach it.
SEALED = """
import plantedsum
rows = [*Path("/").glob("**/rows.csv")] if os.getuid() == 1000 else []
assert not rows, rows
assert not [name for name in os.environ if "RAW" in name or "DATASET" in name.replace("HF_DATASETS", "")]
"""


def table() -> bytes:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(400, 6))
    y = (x[:, 1:].sum(1) + 0.2 * x[:, 0] + generator.normal(0, 0.5, 400) > 0).astype(int)
    return "".join(",".join(map(str, [*row, label])) + "\n" for row, label in zip(x, y, strict=True)).encode()


def test_fetched_data_models_and_packages_reach_the_scripts_that_may_see_them(
    paper: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = EXPERIMENT | {
        "resources": RESOURCES,
        "requirements": ["plantedsum==1.2"],
        "base_models": [STARTING],
        "data": EXPERIMENT["data"] | {"name": "ada/rows", "revision": "pinned below"},
    }
    made = DATA.index("generator = "), DATA.index("columns = ")
    data = DATA[: made[0]] + READ_ROWS + "\n" + DATA[made[1] :]
    train = at_the_end(changed(TRAIN, "weights = generator.normal(0, 0.1, features)", START), SEALED)
    scripts = {"data.py": data, "train.py": train, "predict.py": at_the_end(PREDICT, SEALED)}
    build = [*(call("write_file", path=name, content=text) for name, text in scripts.items()), call("smoke_run")]
    ending = Answer(calls=[("finish", json.dumps({"note": ""}))])
    wheels = paper.parent / "wheels"
    make_wheel(wheels, "plantedsum", "1.2", {"plantedsum.py": "total = 2\n"})
    with serve_hub() as hub:
        hub.create("dataset", "ada/rows", {"rows.csv": table()}, licence="cc-by-4.0")
        base = hub.create("model", "ada/base", {"model.safetensors": save({"weights": np.zeros(6)})}, licence="mit")
        monkeypatch.setenv("HF_ENDPOINT", hub.site)
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
        done, _, published = run(
            paper, scripted([*build, ending], {"experiments": [plan], "left_out": []}), monkeypatch, by=ml_intern
        )
    assert done.returncode == 0, done.stderr
    (verdict,) = json.loads((published / "verdicts.json").read_text())
    assert verdict["outcome"] == "reproduced"
    kept = (published / "plan.yaml").read_text()
    assert base.branches["main"] in kept
    assert "licence: cc-by-4.0" in kept
    assert "plantedsum==1.2 --hash=sha256:" in kept
    assert "plantedsum==1.2" in (published / "environment.lock").read_text()
    assert "resource rows: dataset ada/rows@" in done.stderr
    evidence = [json.loads(line)["evidence"] for line in (published / "evidence.jsonl").read_text().splitlines()]
    assert all("tensors:" in record["base_models"][0] for record in evidence)


def test_another_machine_fetches_a_data_set_again_at_its_revision_and_says_when_it_may_not(
    paper: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = DATA.index("generator = "), DATA.index("columns = ")
    rows = READ_ROWS.replace(", plantedsum", "").replace("\nassert plantedsum.total == 2", "")
    scripts = {"data.py": DATA[: made[0]] + rows + "\n" + DATA[made[1] :], "train.py": TRAIN, "predict.py": PREDICT}
    build = [*(call("write_file", path=name, content=text) for name, text in scripts.items()), call("finish")]
    plan = EXPERIMENT | {"resources": [{"name": "rows", "kind": "dataset", "id": "bob/rows", "revision": "main"}]}
    here, there = paper.parent / "here", paper.parent / "there"
    with serve_hub() as hub, serving(scripted(build, {"experiments": [plan], "left_out": []})) as server:
        hub.user("hf_plantedsecret", "ada")
        data = hub.create("dataset", "bob/rows", {"rows.csv": table()})
        for name, value in {"HF_ENDPOINT": hub.site, "HF_HUB_DISABLE_XET": "1", "OPENAI_API_KEY": "sk-none",
                            "OPENAI_BASE_URL": server.base, "OPENAI_API_BASE": server.base}.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        begin = ("--model", "openai/scripted", "--yes", "--sandbox", "none", "--no-warm-start")
        begun = ml_intern("run", "--paper", str(paper), *begin, "--max-iterations", "5", home=here)
        assert begun.returncode == 3, begun.stderr
        sent = ml_intern("sessions", "upload", home=here)
        (locator,) = re.findall(r"hf://\S+", sent.stdout)

        data.commit_aside({"rows.csv": b"another table since then"})
        about = data.about
        data.write({**about, "gated": True})
        go_on = ("--yes", "--sandbox", "none", "--max-iterations", "50")
        refused = ml_intern("resume", locator, *go_on, home=there)
        assert refused.returncode == 2
        assert "dataset bob/rows is gated" in refused.stderr and "Accept its conditions" in refused.stderr
        assert "did not come along: models, data sets and packages: fetched again" in refused.stderr
        assert f"go on with: ml-intern resume {locator.split('/')[-1]}" in refused.stderr
        data.folder.rename(data.folder.with_name("gone"))
        missing = ml_intern("resume", *go_on, home=there)
        assert missing.returncode == 2 and "There is no dataset bob/rows on the Hub" in missing.stderr

        data.folder.with_name("gone").rename(data.folder)
        data.write(about)
        done = ml_intern("resume", *go_on, home=there)
    assert done.returncode == 0, done.stderr
    (published,) = (there / "hub").iterdir()
    (verdict,) = json.loads((published / "verdicts.json").read_text())
    assert verdict["outcome"] == "reproduced"
    fetched = [
        {(event.data["shown"], event.data["digest"]) for event in read_log(log) if event.type == "resource.fetched"}
        for home in (here, there)
        for log in home.glob("sessions/*/events.jsonl")
    ]
    assert len(fetched[0]) == 1 and fetched[0] == fetched[1], "the revision of the plan, not the newest"
