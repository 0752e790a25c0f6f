"""Experiments that cheat, end to end: each is caught by its guard, and no claim is called reproduced.

What a plain subprocess cannot keep out stands in test_isolation.py.
"""

import threading
from pathlib import Path

import pytest

from ml_intern.judge.tables import DataError
from ml_intern.run.compute.local import LocalCompute
from ml_intern.run.spec import RunResult, RunSpec
from tests.judge.workshop import DATA, PREDICT, SEEDS, TRAIN, Workshop, at_the_end, changed
from tests.support.compute import chosen

FIXED = {"data": {"name": "n", "revision": "r", "inputs": ["x"], "label": "y", "split": "fixed"}}
SAVE = 'save_file({"weights": weights}, args.out / "model.safetensors")'
LINES = 'lines = [json.dumps({"prediction": row}) for row in predictions]'


def test_an_honest_experiment_raises_no_guard_and_is_reproduced(tmp_path: Path) -> None:
    found = Workshop(tmp_path).confirmed(5)
    assert found.guards == set()
    assert found.outcomes == {"ok"}
    assert len(found.evidence) == 10
    assert found.verdict.outcome == "reproduced"


def test_a_model_that_memorised_its_training_rows_is_fine(tmp_path: Path) -> None:
    """A nearest neighbour is a model; on sealed rows it is as good as it is."""
    train = changed(TRAIN, SAVE, 'save_file({"rows": x, "labels": y.astype(float)}, args.out / "model.safetensors")')
    predict = changed(PREDICT, '(weights,) = load_file(args.model / "model.safetensors").values()', "")
    predict = changed(predict, "len(weights)", 'config["features"]')
    nearest = """
known = load_file(args.model / "model.safetensors")
p = known["labels"][((x[:, None] - known["rows"][None]) ** 2).sum(2).argmin(1)]
"""
    predict = changed(predict, "p = 1 / (1 + np.exp(-x @ weights))", nearest)
    found = Workshop(tmp_path, {"train.py": train, "predict.py": predict}).confirmed()
    assert found.guards == set()
    assert found.outcomes == {"ok"}
    scores = [record.metrics["accuracy@test"].value or 0 for record in found.evidence]
    assert max(scores) < 1


def test_a_seed_without_effect_is_caught(tmp_path: Path) -> None:
    train = changed(TRAIN, "default_rng(args.seed)", "default_rng(0)")
    found = Workshop(tmp_path, {"train.py": train}, FIXED).confirmed()
    assert found.is_caught_by("seed without effect")


def test_a_seed_that_only_the_split_uses_is_an_effect(tmp_path: Path) -> None:
    train = changed(TRAIN, "default_rng(args.seed)", "default_rng(0)")
    assert Workshop(tmp_path, {"train.py": train}).confirmed().guards == set()


def test_a_variant_without_effect_is_caught(tmp_path: Path) -> None:
    train = changed(TRAIN, '["variants"][args.variant]["features"]', '["variants"]["zebra"]["features"]')
    found = Workshop(tmp_path, {"train.py": train}).confirmed()
    assert found.is_caught_by("variant without effect")


FIRST_RUN = 'first = sorted(args.out.parent.parent.glob("*/out/model.safetensors"), key=os.path.getmtime)'


@pytest.mark.parametrize(
    "copy",
    [
        'shutil.copyfile(first[0], args.out / "model.safetensors")',
        # The same numbers in other bytes.
        "from safetensors.numpy import load_file\n"
        'save_file(load_file(first[0]), args.out / "model.safetensors", {"seed": str(args.seed)})',
        "from safetensors.numpy import load_file\n"
        'save_file({args.variant: load_file(first[0]).popitem()[1]}, args.out / "model.safetensors")',
    ],
    ids=["same file", "other metadata", "other names"],
)
def test_the_same_checkpoint_under_two_names_is_caught(tmp_path: Path, copy: str) -> None:
    train = at_the_end(TRAIN, f"{FIRST_RUN}\n{copy}")
    found = Workshop(tmp_path, {"train.py": train}, slots=1).confirmed()
    assert found.is_caught_by("variant without effect")
    assert found.is_caught_by("seed without effect")


# The baseline alone is sabotaged, and a crash counts as the worst: the case in which cheating would pay.
BASELINE = 'config["features"] == 1'


BAD_PREDICTIONS = {
    "too-few": "lines = lines[:-1]",
    "too-many": "lines = [*lines, lines[0]]",
    "none": "lines = []",
    "no-json": 'lines = ["no"] * len(lines)',
    "deep-json": 'lines = ["[" * 100_000] * len(lines)',
    "other-key": 'lines = [json.dumps({"probability": 0.5})] * len(lines)',
    "a-word": 'lines = [json.dumps({"prediction": "one"})] * len(lines)',
    "half-a-character": 'lines = [json.dumps({"prediction": "\\ud800"})] * len(lines)',
    "an-object": 'lines = [json.dumps({"prediction": {"0": 1}})] * len(lines)',
    "a-class": 'lines = [json.dumps({"prediction": 1})] * len(lines)',
    "a-huge-integer": 'lines = [json.dumps({"prediction": [10**400, 0]})] * len(lines)',
    "one-probability": 'lines = [json.dumps({"prediction": [1]})] * len(lines)',
    "sum-not-1": 'lines = [json.dumps({"prediction": [0.5, 0.7]})] * len(lines)',
    "negative": 'lines = [json.dumps({"prediction": [-1, 2]})] * len(lines)',
    "nan": 'lines = [json.dumps({"prediction": [float("nan"), 1]}), *lines[1:]]',
    "infinite": 'lines = [json.dumps({"prediction": [float("inf"), 1]}), *lines[1:]]',
    "null": 'lines = [json.dumps({"prediction": [None, 1]}), *lines[1:]]',
}


@pytest.mark.parametrize("cheat", ["too-few", "too-many", "a-word", "nan"])
def test_a_baseline_with_bad_predictions_is_caught_and_proves_nothing(tmp_path: Path, cheat: str) -> None:
    predict = changed(PREDICT, LINES, f"{LINES}\nif {BASELINE}:\n    {BAD_PREDICTIONS[cheat]}")
    found = Workshop(tmp_path, {"predict.py": predict}, {"crash": "worst"}).confirmed()
    assert found.is_caught_by("bad predictions")
    assert {record.variant for record in found.evidence if record.outcome == "invalid"} == {"okapi"}


def test_predictions_of_every_wrong_kind_are_caught(tmp_path: Path) -> None:
    """Each kind of cheat is a variant of one experiment."""
    cheats = "".join(f"if config['name'] == {name!r}:\n    {code}\n" for name, code in BAD_PREDICTIONS.items())
    variants = [{"name": name, "settings": {"features": 6}} for name in ("zebra", "okapi", *BAD_PREDICTIONS)]
    train = changed(TRAIN, '{"features": features}', '{"features": features, "name": args.variant}')
    train = changed(train, "default_rng(args.seed)", "default_rng([args.seed, *args.variant.encode()])")
    predict = changed(PREDICT, LINES, f"{LINES}\n{cheats}")
    workshop = Workshop(tmp_path, {"train.py": train, "predict.py": predict}, {"variants": variants})
    for record in workshop.confirmed(1).evidence:
        honest = record.variant in ("zebra", "okapi")
        assert record.outcome == ("ok" if honest else "invalid"), record.variant
        assert [guard.name for guard in record.guards] == ([] if honest else ["bad predictions"])
        assert honest == (record.metrics["accuracy@test"].value is not None)


def test_predictions_that_are_a_link_or_missing_are_caught(tmp_path: Path) -> None:
    write = 'args.out.write_text("".join(line + "\\n" for line in lines))'
    link = f'{write}\nargs.out.rename("elsewhere")\nargs.out.symlink_to(Path("elsewhere").absolute())'
    for name, code in (("link", link), ("missing", "")):
        predict = changed(PREDICT, write, code)
        assert Workshop(tmp_path / name, {"predict.py": predict}).confirmed().is_caught_by("bad predictions")


@pytest.mark.parametrize(
    "row",
    [
        '{"step": 10**9, "total": 10**9}',
        '{"step": float("inf")}',
        '{"step": 1, "time": 0.0}) + "\\n" + json.dumps({"step": 2, "time": 3600.0}',
    ],
    ids=["steps", "infinite steps", "clock"],
)
def test_a_log_of_more_steps_than_there_was_time_for_is_caught(tmp_path: Path, row: str) -> None:
    train = at_the_end(
        TRAIN, f'with (args.out / "metrics.jsonl").open("a") as log:\n    log.write(json.dumps({row}) + "\\n")'
    )
    assert Workshop(tmp_path, {"train.py": train}).confirmed().is_caught_by("too fast")


LAST_RUN = f"len(list(args.out.parent.parent.iterdir())) == {2 * SEEDS}"
BETTER = 'text = (here / "predict.py").read_text().replace("p = 1 /", "p = 0.99 /")'


@pytest.mark.parametrize(
    "cheat",
    [
        f'{BETTER}\n    (here / "predict.py").write_text(text)',
        f'{BETTER}\n    (here / "p").write_text(text)\n    (here / "p").rename(here / "predict.py")',
        '(here / "settings.json").write_text("{}")',
        '(here / "numpy.py").write_text("raise SystemExit")',
        '(here / "data.py").unlink()',
        '(here / "__pycache__").mkdir()\n    (here / "__pycache__" / "train.cpython-311.pyc").write_text("")',
    ],
    ids=["overwritten", "replaced", "settings", "shadow of a library", "removed", "compiled"],
)
def test_scripts_that_the_last_run_changes_are_caught(tmp_path: Path, cheat: str) -> None:
    train = at_the_end(TRAIN, f"if {LAST_RUN}:\n    {cheat}")
    assert Workshop(tmp_path, {"train.py": train}, slots=1).confirmed().is_caught_by("scripts changed")


def test_scripts_that_are_changed_and_put_back_are_caught(tmp_path: Path) -> None:
    """train.py swaps predict.py for one that marks itself and puts the frozen one back as it ends."""
    keep = '(here / "predict.py").rename(args.out / "frozen")'
    restore = "(Path(__file__).parent / 'predict.py').write_text((args.model / 'frozen').read_text())"
    swap = f'text = (args.out / "frozen").read_text()\n(here / "predict.py").write_text(text + {restore!r})'
    found = Workshop(tmp_path, {"train.py": at_the_end(TRAIN, f"{keep}\n{swap}")}, slots=1).confirmed()
    assert found.is_caught_by("scripts changed")


def test_scripts_that_predict_changes_are_caught(tmp_path: Path) -> None:
    predict = at_the_end(PREDICT, 'Path(__file__).with_name("train.py").write_text("")')
    found = Workshop(tmp_path, {"predict.py": predict}, slots=1).confirmed(1)
    assert "scripts changed" in {guard.name for guard in found.evidence[0].guards}
    assert found.verdict.outcome == "inconclusive"


def test_a_second_look_with_other_scripts_is_caught(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)
    workshop.laboratory().confirm(2)
    (workshop.places.scripts / "predict.py").write_text(changed(PREDICT, "-x @", "-2 * x @"))
    assert workshop.confirmed(4).is_caught_by("different scripts")


@pytest.mark.parametrize(
    ("leak", "words"),
    [
        # Sealed rows that are training rows.
        ("x[300:] = x[:100]; y[300:] = y[:100]", "stand in two parts"),
        ("x[399] = x[0]", "row 399 (test) equals row 0 (train)"),
        # … with a little noise: some of them, and all of them.
        ("x[300:310] = x[:10] + 1e-4", "almost equal a training row"),
        ("x[300:] = x[:100] + generator.normal(0, 1e-4, (100, 6))", "almost equal a training row"),
        # The label itself among the inputs.
        ("x[:, 5] = y", "gives the label away"),
        ("x[:, 2] = 7 - 3 * y", "gives the label away"),
    ],
)
def test_data_that_leak_over_a_given_split_are_refused(tmp_path: Path, leak: str, words: str) -> None:
    split = '["train"] * 200 + ["validation"] * 100 + ["test"] * 100'
    columns = 'columns = {"x": x.tolist(), "y": y.tolist()}'
    code = f'{leak}\ncolumns = {{"x": x.tolist(), "y": y.tolist(), "split": {split}}}'
    given = {"data": FIXED["data"] | {"split": "given"}}
    honest = changed(DATA, columns, code.removeprefix(leak))
    assert Workshop(tmp_path / "honest", {"data.py": honest}, given).confirmed().guards == set()
    workshop = Workshop(tmp_path / "leaking", {"data.py": changed(DATA, columns, code)}, given)
    with pytest.raises(DataError, match="The split leaks") as refused:
        workshop.confirmed()
    assert words in str(refused.value)
    assert workshop.found().verdict.outcome == "not tested"


@pytest.mark.parametrize("hint", ["y.tolist()", "[f'class {k}' for k in y]", "[[int(k), 1] for k in y]"])
def test_a_label_in_an_input_column_is_refused(tmp_path: Path, hint: str) -> None:
    data = changed(DATA, '"y": y.tolist()', f'"y": y.tolist(), "hint": {hint}')
    workshop = Workshop(tmp_path, {"data.py": data}, {"data": FIXED["data"] | {"inputs": ["x", "hint"]}})
    with pytest.raises(DataError, match="input column 'hint' gives the label away"):
        workshop.confirmed()
    assert workshop.found().verdict.outcome == "not tested"


def test_data_that_split_themselves_against_the_plan_are_refused(tmp_path: Path) -> None:
    data = changed(DATA, '"y": y.tolist()', '"y": y.tolist(), "split": ["train"] * 400')
    with pytest.raises(DataError, match="lets the harness draw the split"):
        Workshop(tmp_path, {"data.py": data}).confirmed()


def test_training_that_spoils_the_data_for_the_next_variant_is_caught(tmp_path: Path) -> None:
    """zebra runs first and turns round the labels that okapi is trained on."""
    spoil = """
if args.variant == "zebra":
    table = pa.table({"x": x.tolist(), "y": (1 - y).tolist()})
    path = str(args.data / "train" / "data-00000-of-00001.arrow")
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
"""
    found = Workshop(tmp_path, {"train.py": at_the_end(TRAIN, spoil)}, slots=1).confirmed()
    assert found.is_caught_by("data changed")


NO_WEIGHTS = {
    "missing": "",
    "under another name": changed(SAVE, "model.safetensors", "model.bin"),
    "empty": '(args.out / "model.safetensors").touch()',
    "no safetensors": '(args.out / "model.safetensors").write_text("weights")',
    "cut short": f'{SAVE}\npath = args.out / "model.safetensors"\nos.truncate(path, path.stat().st_size - 1)',
    "a header that is a list": '(args.out / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"[]")',
    "a link": f'{SAVE}\n(args.out / "model.safetensors").rename("w")\n'
    '(args.out / "model.safetensors").symlink_to(Path("w").absolute())',
    "a folder": '(args.out / "model.safetensors").mkdir()',
    "a pipe": 'os.mkfifo(args.out / "model.safetensors")',
}


@pytest.mark.parametrize("name", NO_WEIGHTS)
def test_a_run_without_readable_weights_is_invalid_and_proves_nothing(tmp_path: Path, name: str) -> None:
    instead = f"{NO_WEIGHTS[name]}\npass".replace("\n", "\n    ")
    train = changed(TRAIN, SAVE, f'if args.variant == "zebra":\n    {SAVE}\nelse:\n    {instead}')
    found = Workshop(tmp_path, {"train.py": train}, {"crash": "worst"}).confirmed()
    assert found.is_caught_by("no weights")
    assert {record.variant for record in found.evidence if record.outcome == "invalid"} == {"okapi"}


def test_a_pipe_among_the_outputs_is_evidence_of_a_bad_run_and_does_not_hang(tmp_path: Path) -> None:
    found = Workshop(tmp_path, {"train.py": at_the_end(TRAIN, 'os.mkfifo(args.out / "extra")')}).confirmed()
    assert found.outcomes == {"invalid"}
    assert "cannot be copied" in found.details
    assert found.verdict.outcome == "inconclusive"


@pytest.mark.parametrize("place", ["predict/model", "predict/inputs", "predict/predictions.jsonl", "notes"])
def test_a_run_that_writes_beside_its_output_folder_is_caught(tmp_path: Path, place: str) -> None:
    train = at_the_end(TRAIN, f'(args.out.parent / "{place}").mkdir(parents=True)')
    assert Workshop(tmp_path, {"train.py": train}).confirmed().is_caught_by("files outside")


class Interrupted(LocalCompute):
    """Its person presses Ctrl-C as the second training begins, after data, train, predict and the canary."""

    def __init__(self) -> None:
        super().__init__(chosen("none"), slots=1)
        self.executed = 0

    def execute(self, spec: RunSpec, stop: threading.Event) -> RunResult:
        self.executed += 1
        if self.executed > 4:
            stop.set()
        return super().execute(spec, stop)


@pytest.mark.parametrize("unmarked", [False, True], ids=["the table alone", "its mark too"])
def test_variants_scored_on_different_rows_after_a_resume_are_caught(unmarked: bool, tmp_path: Path) -> None:
    """The first run drops the hard rows from the table, for whoever comes after it. A table that is not what its mark
    says is made again; where the mark is gone too, the evidence tells."""
    easier = """
for path in args.data.parent.parent.glob("*/table/table.arrow"):
    with pa.OSFile(str(path)) as source:
        table = pa.ipc.open_stream(source).read_all()
    table = table.filter(abs(np.array(table.column("x").to_pylist()).sum(1)) > 1)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
"""
    easier += "    (path.parents[1] / 'table.json').unlink()\n" if unmarked else ""
    train = at_the_end(TRAIN, f"if args.variant == 'zebra':{easier.replace(chr(10), chr(10) + '    ')}")
    workshop = Workshop(tmp_path, {"train.py": train}, slots=1)
    with pytest.raises(KeyboardInterrupt):
        workshop.laboratory(Interrupted()).confirm(SEEDS)
    assert [record.variant for record in workshop.ledger.evidence] == ["zebra"]
    found = workshop.confirmed()
    if unmarked:
        assert found.is_caught_by("different n")
        assert found.is_caught_by("different data")
    else:
        assert len({record.data for record in found.evidence}) == 1
        assert len({record.metrics["accuracy@test"].n for record in found.evidence}) == 1


def test_a_resume_of_an_honest_experiment_raises_no_guard(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path, slots=1)
    with pytest.raises(KeyboardInterrupt):
        workshop.laboratory(Interrupted()).confirm(5)
    found = workshop.confirmed(5)
    assert len(found.evidence) == 10
    assert (found.guards, found.verdict.outcome) == (set(), "reproduced"), found.verdict.reason


def test_missing_values_and_cached_files_in_the_data_raise_no_guard(tmp_path: Path) -> None:
    data = changed(DATA, 'columns = {"x": x', 'x[::7, 3] = float("nan")\ncolumns = {"x": x')
    cache = '(args.data / "train" / "cache-0123.arrow").write_bytes(b"what datasets.map leaves")'
    train = at_the_end(changed(TRAIN, "x = x[:, :features]", "x = np.nan_to_num(x)[:, :features]"), cache)
    predict = changed(PREDICT, "p = 1 /", "x = np.nan_to_num(x)\np = 1 /")
    found = Workshop(tmp_path, {"data.py": data, "train.py": train, "predict.py": predict}).confirmed(5)
    assert (found.guards, found.verdict.outcome) == (set(), "reproduced"), found.verdict.reason
