"""What an executor is shown of its runs: open rows only, in a table and in thinned curves."""

import json
import os
import re
from pathlib import Path

import pytest

from tests.judge.workshop import TRAIN, changed
from tests.tools.bench import AtBench, again, at_bench

EXPLORING = {"seeds": {"explore": 2, "confirm": 3, "extra": 0}}
METRICS = {
    "metrics": [{"name": "accuracy"}, {"name": "accuracy", "rows": "train"}, {"name": "accuracy", "rows": "validation"}]
}


def explored(bench: AtBench) -> str:
    assert "smoke run of zebra: ok" in bench.say("smoke_run")
    assert bench.say("explore").count("seed") == 4
    return bench.say("look_at_metrics")


def rows(said: str) -> list[list[str]]:
    return [line.split(" | ") for line in said.splitlines() if re.match(r"r[0-9a-f]{12} \|", line)]


def test_before_any_run_it_says_so(tmp_path: Path) -> None:
    with at_bench(tmp_path) as bench:
        assert "No run yet" in bench.say("look_at_metrics")


def test_variants_and_seeds_stand_side_by_side_with_their_means(tmp_path: Path) -> None:
    with at_bench(tmp_path, changes=EXPLORING | METRICS) as bench:
        said = explored(bench)
        assert [row[1:3] for row in rows(said)] == [
            ["smoke", "zebra"],
            *[["explore", "zebra"]] * 2,
            *[["explore", "okapi"]] * 2,
        ]
        assert "accuracy@validation" in said and "accuracy@train" in said
        scores = {row[2]: float(row[-1]) for row in rows(said)[1:]}
        assert scores["zebra"] > scores["okapi"]
        assert len(re.findall(r"^mean of accuracy@(?:train|validation), \w+: 0\.\d+ \(n=2 seeds", said, re.M)) == 4
        bench.say("write_file", path="note.txt", content="changed")
        assert all(row[5] == "older" for row in rows(bench.say("look_at_metrics"))[1:])
    with again(bench.workshop) as resumed:
        assert len(rows(resumed.say("look_at_metrics"))) == 5


def test_nothing_of_a_confirmation_or_of_sealed_rows_is_shown(tmp_path: Path) -> None:
    with at_bench(tmp_path, changes=EXPLORING | METRICS) as bench:
        before = explored(bench)
        (recorded,) = bench.workshop.laboratory().confirm(1)[:1]
        assert (bench.workshop.places.runs / recorded.run_id / "out" / "metrics.jsonl").is_file()
        for arguments in ({}, {"variant": recorded.variant}):
            said = bench.say("look_at_metrics", **arguments)
            assert recorded.run_id not in said and str(recorded.seed) not in said and "@test" not in said
        assert bench.say("look_at_metrics") == before
        for run in (recorded.run_id, "../" + recorded.run_id, "r0"):
            said = bench.say("look_at_metrics", run=run)
            assert said.startswith("FAILED: There is no smoke or exploration run") and "train_loss" not in said


def test_a_sealed_score_in_an_exploration_record_would_not_be_shown(tmp_path: Path) -> None:
    with at_bench(tmp_path, changes=EXPLORING) as bench:
        explored(bench)
        first = bench.workshop.ledger.evidence[0]
        leaked = first.metrics | {"accuracy@test": next(iter(first.metrics.values()), None)}
        bench.workshop.ledger.evidence = (
            first.model_copy(update={"metrics": leaked}),
            *bench.workshop.ledger.evidence[1:],
        )
        assert "@test" not in bench.say("look_at_metrics")


def test_a_curve_has_at_most_forty_points_with_its_ends(tmp_path: Path) -> None:
    with at_bench(tmp_path, changes=EXPLORING) as bench:
        run = rows(explored(bench))[1][0]
        (line,) = [line for line in bench.say("look_at_metrics", run=run).splitlines() if line.startswith("train_loss")]
        assert line.startswith("train_loss (200 points): 1:")
        assert line.count(":") - 1 == 40 and " 200:" in line
        said = bench.say("look_at_metrics", variant="zebra")
        assert [part.count(":") - 1 for part in said.splitlines() if part.startswith("train_loss")] == [13] * 3


def test_what_a_script_wrote_is_material_and_bounded(tmp_path: Path) -> None:
    rows = [{"step": n, "a</metrics>\x1b[31m": 0.5, **{f"k{i}" * 60: n for i in range(30)}} for n in range(500)]
    lines = "".join(json.dumps(row) + "\n" for row in rows) + '{"step": 1, "z": 1' + "0" * 400 + "}\nnot json\n[1]\n"
    train = changed(TRAIN, "save_file(", f"(args.out / 'metrics.jsonl').write_text({lines!r})\nsave_file(")
    with at_bench(tmp_path, scripts={"train.py": train}) as bench:
        bench.say("smoke_run")
        said = bench.say("look_at_metrics", variant="zebra")
    assert said.count("</metrics>") == 1 and said.endswith("</metrics>") and "\x1b" not in said
    assert len(said) < 6_000


@pytest.mark.parametrize("kind", ["link", "folder link", "pipe", "giant"])
def test_what_a_script_left_instead_of_a_log_does_no_harm(kind: str, tmp_path: Path) -> None:
    with at_bench(tmp_path) as bench:
        bench.say("smoke_run")
        (out,) = bench.workshop.places.runs.glob("*/out")
        secret = tmp_path / "secret" / "metrics.jsonl"
        secret.parent.mkdir()
        secret.write_text('{"step": 1, "secret": 1}\n')
        log = out / "metrics.jsonl"
        log.unlink()
        if kind == "link":
            log.symlink_to(secret)
        elif kind == "folder link":
            out.rename(tmp_path / "aside")
            out.symlink_to(secret.parent)
        elif kind == "pipe":
            os.mkfifo(log)
        else:
            with log.open("wb") as file:
                file.truncate(1 << 40)
        said = bench.say("look_at_metrics", variant="zebra")
    assert "secret" not in said and "No run yet" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"variant": "lion"}, "There are zebra, okapi"), ({"variant": 3}, "string"), ({"phase": "confirm"}, "phase")],
)
def test_bad_arguments_are_answered(arguments: dict[str, object], words: str, tmp_path: Path) -> None:
    with at_bench(tmp_path) as bench:
        said = bench.say("look_at_metrics", **arguments)
    assert said.startswith("FAILED") and words in said
