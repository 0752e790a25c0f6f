"""The laboratory of one experiment: makes its data, draws and checks its splits, and carries out its runs.

It alone knows seeds and sealed rows. What it tells the executor is smoke results and validation scores.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ml_intern.errors import InputError, MlInternError
from ml_intern.judge import guards
from ml_intern.judge.alarms import papers_numbers
from ml_intern.judge.audit import EVALUATOR, Auditor
from ml_intern.judge.base_models import find_base_models
from ml_intern.judge.baselines import Baselines
from ml_intern.judge.evidence import Evidence, Phase, summary
from ml_intern.judge.job import Job
from ml_intern.judge.ledger import Ledger
from ml_intern.judge.measure import measure
from ml_intern.judge.metrics import OUTSIDE
from ml_intern.judge.splits import Split, check_split, describe_split, draw_split
from ml_intern.judge.steps import Sight, sight
from ml_intern.judge.tables import DataError, read_table, table_hash, write_table
from ml_intern.plan.plan import Experiment, Plan, StartingModel
from ml_intern.run.compute.base import Compute
from ml_intern.run.network.proxy import Proxy
from ml_intern.run.resources.broker import Provided
from ml_intern.run.sandbox.warm import names_libraries
from ml_intern.run.spec import Limits, RunSpec


def wanted_scripts(experiment: Experiment) -> tuple[str, ...]:
    """What the executor writes. Language models are scored by the harness's own script, without a predict.py."""
    predict = () if experiment.data.task == "language-model" else ("predict.py",)
    return ("data.py", "train.py", *predict, *((EVALUATOR,) if experiment.audited else ()))


@dataclass(frozen=True)
class Places:
    """Where an experiment's things lie: scripts, data, runs/RUN_ID, predictions."""

    scripts: Path
    data: Path
    runs: Path
    predictions: Path


@dataclass(frozen=True)
class _Prepared:
    table: Any
    digest: str
    baselines: Baselines


_MOST_NOTES = 50  # of what an experiment asked of the network


class Laboratory:
    """`notify(type, data)` is told of each run's start and end. Thread-safe where runs go in parallel. Made for a plan
    whose base models are not where it says, it raises InputError."""

    def __init__(
        self,
        plan: Plan,
        experiment: Experiment,
        places: Places,
        compute: Compute,
        ledger: Ledger,
        stop: threading.Event,
        notify: Callable[[str, dict[str, Any]], None],
        provided: Provided | None = None,
    ) -> None:
        self.plan, self.experiment, self.places = plan, experiment, places
        self._compute, self._ledger, self._stop, self._notify = compute, ledger, stop, notify
        self._prepared: tuple[str, _Prepared] | None = None
        self._auditors: dict[str, Auditor] = {}
        self._proxy: Proxy | None = None
        self._provided = provided or Provided()
        self._base_models = find_base_models(with_fetched(experiment, self._provided))
        self._environment = hashlib.sha256((environment_lock() + layer_lock(self._provided)).encode()).hexdigest()

    def smoke(self, variant: str = "") -> str:
        """Data, split, and one tiny run of `variant` (empty: the first). Raises MlInternError with what failed."""
        self._require_scripts()
        names = [v.name for v in self.experiment.variants]
        variant = variant or names[0]
        if variant not in names:
            raise InputError(f"There is no variant {variant!r}.", next=f"There are {', '.join(names)}.")
        seed = self.plan.seeds(self.experiment.id, "explore", 1)[0]
        split = self._split(seed)
        record = self._run([(variant, seed)], "explore", smoke=True, record=False)[0]
        if record.outcome != "ok":
            raise MlInternError(f"The smoke run of {variant} ended with: {record.outcome}.", record.detail)
        if fatal := [f"{guard.name}: {guard.message}" for guard in record.guards if guard.fatal]:
            raise MlInternError(f"The smoke run of {variant} raised a guard.", "; ".join(fatal))
        described = describe_split(self._prepare().table, self.experiment.data, split)
        return f"smoke run of {variant}: ok in {record.wall_seconds:.1f} s; {_metrics_line(record)}; split: {described}"

    def explore(self) -> str:
        """Every variant on the same number of exploration seeds; validation scores."""
        self._require_scripts()
        seeds = self.plan.seeds(self.experiment.id, "explore", self.experiment.seeds.explore)
        records = self._run([(v.name, s) for s in seeds for v in self.experiment.variants], "explore")
        failed = [record for record in records if record.outcome != "ok"]
        lines = [f"{r.variant}, seed {r.seed}: {r.outcome}, {_metrics_line(r)}{_guards_line(r)}" for r in records]
        if failed:
            raise MlInternError(f"{len(failed)} exploration runs failed.", f"{failed[0].variant}: {failed[0].detail}")
        return "\n".join(lines) or "The plan has no exploration seeds."

    def confirm(self, count: int) -> list[Evidence]:
        """Every variant on the first `count` fresh seeds that are not in the ledger yet."""
        seeds = self.plan.seeds(self.experiment.id, "confirm", count)
        return self._run([(v.name, s) for s in seeds for v in self.experiment.variants], "confirm")

    def explored(self) -> tuple[Evidence, ...]:
        """This experiment's exploration runs so far; nothing of a confirmation."""
        return tuple(r for r in self._ledger.evidence if r.experiment == self.experiment.id and r.phase == "explore")

    def sight(self) -> Sight:
        """What the executor's own commands may see. Data are among it once a smoke run has made them with data.py as it
        is now; no command makes them."""
        data = None
        if any((self._data_folder(self._data_key()) / "table").glob("*")):
            with contextlib.suppress(DataError):  # the smoke run said why
                view = self._view(self.plan.seeds(self.experiment.id, "explore", 1)[0])
                data = view if _is_laid_out(view) else None
        return sight(self.experiment, self._provided, self.places.scripts, data)

    def write_settings(self) -> None:
        """settings.json: the plan's settings, where the scripts read them."""
        self.places.scripts.mkdir(parents=True, exist_ok=True)
        settings = {
            "data": self.experiment.data.settings,
            "train": self.experiment.settings,
            "smoke": self.experiment.smoke,
            "variants": {variant.name: variant.settings for variant in self.experiment.variants},
        }
        text = json.dumps(settings, indent=2, sort_keys=True) + "\n"
        (self.places.scripts / "settings.json").write_text(text)

    def run_id(self, variant: str, seed: int, phase: Phase, smoke: bool = False) -> str:
        """Names a run without saying what it is; the same run always has the same id."""
        text = f"{self.plan.digest()}/{self.experiment.id}/{variant}/{seed}/{phase}/{smoke}"
        return f"r{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    def _require_scripts(self) -> None:
        missing = [name for name in wanted_scripts(self.experiment) if not (self.places.scripts / name).is_file()]
        if missing:
            raise InputError(f"{', '.join(missing)} is not written yet.", next="Write it with write_file.")
        self.write_settings()

    def _run(
        self, wanted: Sequence[tuple[str, int]], phase: Phase, smoke: bool = False, record: bool = True
    ) -> list[Evidence]:
        hashes = guards.script_hashes(self.places.scripts)
        done = {r.run_id: r for r in self._ledger.evidence if r.scripts == hashes} if record else {}
        jobs = []
        out = []
        for variant, seed in wanted:
            run_id = self.run_id(variant, seed, phase, smoke)
            if run_id in done:
                out.append(done[run_id])
            else:
                jobs.append(self._job(run_id, variant, seed, phase, smoke, record, hashes))
        for evidence in self._parallel(jobs):
            if evidence.outcome == "killed" and self._stop.is_set():
                raise KeyboardInterrupt
            if record:
                self._ledger.append(evidence)
            self._notify(
                "evidence.recorded" if record else "run.finished",
                summary(evidence),
            )
            out.append(evidence)
        order = {pair: place for place, pair in enumerate(wanted)}
        return sorted(out, key=lambda evidence: order[evidence.variant, evidence.seed])

    def _parallel(self, jobs: Sequence[Job]) -> Iterator[Evidence]:
        # Runs side by side slow each other down: where time is what is tested, they go one by one.
        alone = any(metric.name == "wall_seconds" for metric in self.experiment.all_metrics)
        with ThreadPoolExecutor(max_workers=1 if alone else max(1, self._compute.slots)) as pool:
            futures = [pool.submit(measure, job, self._compute, self._stop) for job in jobs]
            try:
                for future in as_completed(futures):
                    yield future.result()
            except BaseException:
                self._stop.set()
                for future in futures:
                    future.cancel()
                raise

    def _job(
        self, run_id: str, variant: str, seed: int, phase: Phase, smoke: bool, record: bool, hashes: dict[str, str]
    ) -> Job:
        prepared = self._prepare()
        split = self._split(seed)
        start = {"run": run_id, "experiment": self.experiment.id, "variant": variant, "seed": seed, "phase": phase}
        return Job(
            run_id=run_id,
            experiment=self.experiment,
            variant=variant,
            seed=seed,
            phase=phase,
            smoke=smoke or self.plan.scale == "smoke",
            recorded=record,
            scripts=self.places.scripts,
            script_hashes=hashes,
            folder=self.places.runs / run_id,
            data=self._views(split, seed),
            data_hash=prepared.digest,
            table=prepared.table,
            split=split,
            predictions=self.places.predictions,
            plan=self.plan.digest(),
            environment=self._environment,
            provided=self._provided,
            proxy=self._opened_proxy(),
            auditor=self._auditor(hashes),
            base_models=self._base_models,
            baselines=prepared.baselines,
            papers_numbers=papers_numbers(self.plan, self.experiment),
            on_start=lambda metrics: self._notify("run.started", {**start, "metrics": str(metrics)}),
        )

    def _auditor(self, hashes: dict[str, str]) -> Auditor | None:
        """The auditor of this version of evaluate.py, where the plan has audited metrics."""
        if not self.experiment.audited:
            return None
        key = hashes.get(EVALUATOR, "")
        if key not in self._auditors:
            folder = self.places.data / "audit" / key[:12]
            self._auditors[key] = Auditor(self.experiment, self.places.scripts, folder, self._compute, self._stop)
        return self._auditors[key]

    def _prepare(self) -> _Prepared:
        """Runs data.py once for each version of it and its settings."""
        key = self._data_key()
        if self._prepared is not None and self._prepared[0] == key:
            return self._prepared[1]
        folder = self._data_folder(key)
        raw, out = folder / "raw", folder / "table"
        raw.mkdir(parents=True, exist_ok=True)
        out.mkdir(exist_ok=True)
        if not any(out.iterdir()):
            self._make_table(folder, raw, out)
        table = read_table(out)
        prepared = _Prepared(table, table_hash(table), Baselines(table, self.experiment.data))
        self._prepared = (key, prepared)
        return prepared

    def _data_key(self) -> str:
        hashes = guards.script_hashes(self.places.scripts)
        return f"{hashes.get('data.py')}/{hashes.get('settings.json')}{self._provided.digest}"

    def _data_folder(self, key: str) -> Path:
        return self.places.data / hashlib.sha256(key.encode()).hexdigest()[:12]

    def _make_table(self, folder: Path, raw: Path, out: Path) -> None:
        spec = RunSpec(
            run_id=f"data-{self.experiment.id}",
            script=self.places.scripts / "data.py",
            arguments=("--raw", str(self._provided.datasets or raw), "--out", str(out)),
            cwd=folder / "cwd",
            log=folder / "data.log",
            reads=(self.places.scripts, *self._provided.reads, *self._provided.data_reads),
            writes=(raw, out),
            environment=self._provided.environment,
            warm=names_libraries(self.places.scripts),
            proxy=self._opened_proxy(),
            limits=Limits(seconds=self.experiment.timeout_seconds, memory_mb=self.experiment.memory_mb),
        )
        result = self._compute.execute(spec, self._stop)
        if result.outcome != "ok":
            raise DataError(f"data.py ended with: {result.outcome}.", f"{result.detail}\n{result.tail[-2000:]}")

    def _opened_proxy(self) -> Path | None:
        """The socket of this experiment's way to the plan's hosts; None where it names none."""
        if not self.experiment.hosts:
            return None
        if self._proxy is None:
            heard: set[str] = set()

            def tell(line: str) -> None:
                if line not in heard and len(heard) < _MOST_NOTES:
                    heard.add(line)
                    self._notify("note", {"text": f"{self.experiment.id}, network: {line}"})

            self._proxy = Proxy(self.experiment.hosts, tell)
        return self._proxy.path

    def _split(self, seed: int) -> Split:
        """The checked split of a seed. Raises DataError when it leaks."""
        table = self._prepare().table
        split = draw_split(table, self.experiment.data, seed)
        for metric in self.experiment.all_metrics:
            if metric.name not in OUTSIDE:
                split.rows(metric.rows)
        if fatal := [guard for guard in check_split(table, self.experiment.data, split) if guard.fatal]:
            raise DataError("The split leaks.", "; ".join(guard.message for guard in fatal), "Mend data.py.")
        return split

    def _views(self, split: Split, seed: int) -> Path:
        """The folder with train/ and validation/ that training sees; the `split` column is not in it."""
        folder = self._view(seed)
        if not _is_laid_out(folder):
            table = self._prepare().table.select(list(self.experiment.data.columns))
            write_table(table.take(list(split.train)), folder / "train")
            write_table(table.take(list(split.validation)), folder / "validation")
        return folder

    def _view(self, seed: int) -> Path:
        split = self.experiment.data.split
        key = str(seed) if split == "per-seed" else split
        return self.places.data / "views" / f"{self._prepare().digest[:12]}-{key}"


def _is_laid_out(view: Path) -> bool:
    return (view / "validation" / "state.json").exists()


def environment_lock() -> str:
    """Every installed distribution as `name==version`, sorted: what the runs of this machine use."""
    found = {(d.metadata["Name"] or "").lower().replace("_", "-"): d.version for d in metadata.distributions()}
    return "".join(f"{name}=={version}\n" for name, version in sorted(found.items()) if name)


def layer_lock(provided: Provided) -> str:
    """The packages beyond the environment, as they stand in its lock."""
    return "".join(f"{line.split()[0]}\n" for line in provided.lock)


def with_fetched(experiment: Experiment, provided: Provided) -> list[StartingModel]:
    """The plan's starting models; those that were fetched as a resource lie where they were put."""
    fetched = {resource.id: resource.name for resource in experiment.resources if resource.kind == "model"}
    return [
        model.model_copy(update={"path": str((provided.models / fetched[model.id]).resolve())})
        if provided.models is not None and not model.path and model.id in fetched
        else model
        for model in experiment.base_models
    ]


def _guards_line(record: Evidence) -> str:
    return "".join(f"; guard raised: {guard.name}: {guard.message}" for guard in record.guards)


def _metrics_line(record: Evidence) -> str:
    shown = [f"{key} {m.value:.4g}" for key, m in record.metrics.items() if m.value is not None]
    return ", ".join(shown) or "no metric"
