"""The laboratory of one experiment: makes its data, draws and checks its splits, and carries out its runs.

It alone knows seeds and sealed rows. What it tells the executor is smoke results and validation scores.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_intern.errors import BudgetExhausted, InputError, MlInternError
from ml_intern.judge import guards, names
from ml_intern.judge.alarms import papers_numbers
from ml_intern.judge.audit import EVALUATOR, Auditor
from ml_intern.judge.base_models import all_at_hand, find_base_models, sketched, with_fetched
from ml_intern.judge.dataset import Dataset
from ml_intern.judge.environment import environment_hash, environment_lock, layer_lock
from ml_intern.judge.evidence import Evidence, NamesCheck, Phase, summary
from ml_intern.judge.job import Job
from ml_intern.judge.ledger import Ledger, canonical_hash
from ml_intern.judge.measure import measure
from ml_intern.judge.model_files import make_durable
from ml_intern.judge.names import Trained
from ml_intern.judge.settings_file import SETTINGS, settings_text
from ml_intern.judge.splits import describe_split
from ml_intern.judge.steps import Sight, sight
from ml_intern.judge.tables import described
from ml_intern.plan.plan import Experiment, Plan
from ml_intern.run.compute.base import Compute
from ml_intern.run.network.proxy import Proxy
from ml_intern.run.resources.broker import Provided


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


_MOST_NOTES = 50  # of what an experiment asked of the network


class Laboratory:
    """`notify(type, data)` is told of each run's start and end. Thread-safe where runs go in parallel. Among
    `frozen` scripts nothing is written. `may_begin` raises BudgetExhausted where no other run is to be begun. Made for
    a plan whose base models are not where it says, it raises InputError."""

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
        frozen: bool = False,
        may_begin: Callable[[], None] = lambda: None,
    ) -> None:
        self.plan, self.experiment, self.places = plan, experiment, places
        self._compute, self._ledger, self._stop, self._notify = compute, ledger, stop, notify
        self._frozen, self._may_begin = frozen, may_begin
        self._auditors: dict[str, Auditor] = {}
        self._proxy: Proxy | None = None
        self._smoked: tuple[str, Trained | None] = ("", None)  # the last smoke run, and of which scripts
        self._provide(provided or Provided())

    def amend(self, experiment: Experiment, provided: Provided) -> None:
        """From now on the experiment is this: the plan's, with what was amended of it. Raises InputError."""
        self.experiment = experiment
        self._provide(provided)
        self._smoked = ("", None)
        self.write_settings()

    def _provide(self, provided: Provided) -> None:
        self._provided = provided
        self._base_models = find_base_models(with_fetched(self.experiment, provided))
        at_hand = all_at_hand(self.experiment, self._base_models)
        self._start = sketched(self._base_models, self.plan.digest()) if at_hand else None
        self._data = Dataset(
            self.experiment,
            self.places.scripts,
            self.places.data,
            self._compute,
            self._stop,
            provided,
            self._opened_proxy,
            lambda: {record.data for record in self._ledger.evidence if record.experiment == self.experiment.id},
        )
        self._environment = environment_hash(environment_lock(), layer_lock(provided))

    def smoke(self, variant: str = "") -> str:
        """Data, split, and one tiny run of `variant` (empty: the first). Raises MlInternError with what failed."""
        self._require_scripts()
        names = [v.name for v in self.experiment.variants]
        variant = variant or names[0]
        if variant not in names:
            raise InputError(f"There is no variant {variant!r}.", next=f"There are {', '.join(names)}.")
        seed = self.plan.seeds(self.experiment.id, "explore", 1)[0]
        split = self._data.split(seed)
        record = self._run([(variant, seed)], "explore", smoke=True, record=False)[0]
        if record.outcome != "ok":
            why = f"{record.detail}{_guards_line(record)}"
            raise MlInternError(f"The smoke run of {variant} ended with: {record.outcome}.", why)
        if fatal := [f"{guard.name}: {guard.message}" for guard in record.guards if guard.fatal]:
            raise MlInternError(f"The smoke run of {variant} raised a guard.", "; ".join(fatal))
        self._smoked = self._scripts_key(), Trained(variant, self.places.runs / record.run_id / "out")
        described = describe_split(self._data.prepared().table, self.experiment.data, split)
        told = f"{_metrics_line(record)}{_guards_line(record)}"
        return f"smoke run of {variant}: ok in {record.wall_seconds:.1f} s; {told}; split: {described}"

    def data(self) -> tuple[dict[str, str], str]:
        """Makes the table and draws a split. What each column is, and what is in the split. Raises MlInternError with
        what failed."""
        self._require_scripts()
        split = self._data.split(self.plan.seeds(self.experiment.id, "explore", 1)[0])
        table = self._data.prepared().table
        columns = {name: described(table, name) for name in self.experiment.data.columns}
        return columns, describe_split(table, self.experiment.data, split)

    def explore(self) -> str:
        """Every variant on the same number of exploration seeds; validation scores."""
        self._require_scripts()
        seeds = self.plan.seeds(self.experiment.id, "explore", self.experiment.seeds.explore)
        records = self._run([(v.name, s) for s in seeds for v in self.experiment.variants], "explore")
        failed = [record for record in records if record.outcome != "ok"]
        lines = [f"{r.variant}, seed {r.seed}: {r.outcome}, {_metrics_line(r)}{_guards_line(r)}" for r in records]
        if failed:
            why = f"{failed[0].variant}: {failed[0].detail}{_guards_line(failed[0])}"
            raise MlInternError(f"{len(failed)} exploration runs failed.", why)
        return "\n".join(lines) or "The plan has no exploration seeds."

    def check_names(self) -> NamesCheck | None:
        """Whether variants differ by their settings alone (`judge.names`); asked once for each version of the scripts.
        None where there is one variant, or a script is missing. Raises MlInternError where frozen settings are not the
        plan's."""
        if any(not (self.places.scripts / name).is_file() for name in wanted_scripts(self.experiment)):
            return None
        if self._frozen:
            self._require_settings()
        else:  # what is finished now is frozen as it stands
            self.write_settings()
        key, known = self._smoked
        known = known if key == self._scripts_key() else None
        return names.checked(self.experiment, self._names_path(), known, self._names_job, self._compute, self._stop)

    def _names_job(self, variant: str) -> Job:
        seed = self.plan.seeds(self.experiment.id, "explore", 1)[0]
        hashes = guards.script_hashes(self.places.scripts)
        run_id = f"{self.run_id(variant, seed, 'explore', True)}-names"
        return self._job(run_id, variant, seed, "explore", True, False, hashes)

    def confirm(self, count: int) -> list[Evidence]:
        """Every variant on the first `count` fresh seeds that are not in the ledger yet. Raises MlInternError where
        settings.json is not what the plan and its amendments say."""
        self._require_settings()
        seeds = self.plan.seeds(self.experiment.id, "confirm", count)
        return self._run([(v.name, s) for s in seeds for v in self.experiment.variants], "confirm")

    def explored(self) -> tuple[Evidence, ...]:
        """This experiment's exploration runs so far; nothing of a confirmation."""
        return tuple(r for r in self._ledger.evidence if r.experiment == self.experiment.id and r.phase == "explore")

    def sight(self) -> Sight:
        """What the executor's own commands may see. Data are among it once a smoke run has made them with data.py as it
        is now; no command makes them."""
        data = self._data.laid_out(self.plan.seeds(self.experiment.id, "explore", 1)[0])
        return sight(self.experiment, self._provided, self.places.scripts, data)

    def write_settings(self) -> None:
        """settings.json: the plan's settings, where the scripts read them."""
        if self.places.scripts.is_symlink():  # where a command was kept out by no sandbox
            raise InputError(f"{self.places.scripts} is a link now.", next="Put the folder itself back.")
        self.places.scripts.mkdir(parents=True, exist_ok=True)
        path = self.places.scripts / SETTINGS
        if path.is_symlink():
            path.unlink()
        path.write_text(settings_text(self.experiment))

    def _require_settings(self) -> None:
        """Raises MlInternError where the scripts would read other settings than the plan's, which reports print."""
        try:
            found = (self.places.scripts / SETTINGS).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            found = f"not readable: {error}"
        if found != settings_text(self.experiment):
            raise MlInternError(
                f"The settings that {self.experiment.id} would run with are not the plan's.",
                f"{self.places.scripts / SETTINGS} differs from what the plan and its amendments say",
                "Start a new run. To try other settings, amend the plan.",
            )

    def run_id(self, variant: str, seed: int, phase: Phase, smoke: bool = False) -> str:
        """Names a run without saying what it is; the same run always has the same id, and another one once its
        experiment was amended."""
        text = f"{self.plan.digest()}/{self.experiment.id}/{variant}/{seed}/{phase}/{smoke}{self._amended()}"
        return f"r{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    def _amended(self) -> str:
        if self.experiment in self.plan.experiments:
            return ""
        return f"/{canonical_hash(self.experiment.model_dump(mode='json'))}"

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
                make_durable(self.places.runs / evidence.run_id / "out")
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
            futures = [pool.submit(self._measured, job) for job in jobs]
            try:
                yield from _ended(futures)
            except BudgetExhausted:
                raise
            except BaseException:
                self._stop.set()
                for future in futures:
                    future.cancel()
                raise

    def _measured(self, job: Job) -> Evidence:
        self._may_begin()
        evidence = measure(job, self._compute, self._stop)
        if evidence.outcome == "killed" and not self._stop.is_set():
            # Its supervisor was killed though nobody stopped it, as by a system out of memory: once more, as on resume.
            evidence = measure(job, self._compute, self._stop)
        return evidence

    def _job(
        self, run_id: str, variant: str, seed: int, phase: Phase, smoke: bool, record: bool, hashes: dict[str, str]
    ) -> Job:
        prepared = self._data.prepared()
        split = self._data.split(seed)
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
            data=self._data.views(split, seed),
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
            start=self._start,
            names=names.remembered(self._names_path()),
            warnings=self._data.warnings(seed),
            canary=self._is_canary(seed, phase, smoke and not record),
            baselines=prepared.baselines,
            papers_numbers=papers_numbers(self.plan, self.experiment),
            on_start=lambda metrics, inputs: self._notify(
                "run.started", {**start, "metrics": str(metrics), "inputs": inputs}
            ),
        )

    def _is_canary(self, seed: int, phase: Phase, tried: bool) -> bool:
        """One run of each variant, always the same one; and each smoke run, so that whoever writes the scripts hears of
        it in time."""
        return tried or (phase == "confirm" and seed in self.plan.seeds(self.experiment.id, "confirm", 1))

    def _scripts_key(self) -> str:
        hashes = guards.script_hashes(self.places.scripts)
        return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()[:12]

    def _names_path(self) -> Path:
        return self.places.data / "names" / f"{self._scripts_key()}.json"

    def _auditor(self, hashes: dict[str, str]) -> Auditor | None:
        """The auditor of this version of evaluate.py, where the plan has audited metrics."""
        if not self.experiment.audited:
            return None
        key = hashes.get(EVALUATOR, "")
        if key not in self._auditors:
            folder = self.places.data / "audit" / key[:12]
            self._auditors[key] = Auditor(self.experiment, self.places.scripts, folder, self._compute, self._stop)
        return self._auditors[key]

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


def _ended(futures: Sequence[Future[Evidence]]) -> Iterator[Evidence]:
    """Each as it ends. Where one has no room in what was approved, or no time, no other is begun, what runs comes to
    its end, and then BudgetExhausted is raised."""
    exhausted: BudgetExhausted | None = None
    for future in as_completed(futures):
        try:
            yield future.result()
        except CancelledError:
            continue
        except BudgetExhausted as error:
            exhausted = error
            for other in futures:
                other.cancel()
    if exhausted is not None:
        raise exhausted


def _guards_line(record: Evidence) -> str:
    return "".join(f"; guard raised: {guard.name}: {guard.message}" for guard in record.guards)


def _metrics_line(record: Evidence) -> str:
    shown = [f"{key} {m.value:.4g}" for key, m in record.metrics.items() if m.value is not None]
    return ", ".join(shown) or "no metric"
