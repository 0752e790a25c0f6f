"""What data.py makes for one experiment: the table, its checked splits, and the folders that training sees."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_intern.judge import guards
from ml_intern.judge.baselines import Baselines
from ml_intern.judge.evidence import Guard
from ml_intern.judge.imports import read_by
from ml_intern.judge.metrics import OUTSIDE, LabelsError, check_labels
from ml_intern.judge.splits import Split, check_split, draw_split
from ml_intern.judge.tables import DataError, read_table, table_hash, write_table
from ml_intern.judge.whole import TABLE, clear, mark_whole, whole_table
from ml_intern.plan.plan import Experiment, MetricSpec
from ml_intern.run import journal
from ml_intern.run.compute.base import Compute
from ml_intern.run.network.hosts import hub_variables
from ml_intern.run.resources.broker import Provided
from ml_intern.run.sandbox.warm import libraries_of
from ml_intern.run.spec import Limits, RunSpec


@dataclass(frozen=True)
class Prepared:
    """The table, its hash, and what needs no training reaches on it."""

    table: Any
    digest: str
    baselines: Baselines


class Dataset:
    """Lies in `folder`, once for each version of data.py in `scripts`. `proxy` opens the way to the plan's hosts.
    `used`: hashes of tables that evidence rests on."""

    def __init__(
        self,
        experiment: Experiment,
        scripts: Path,
        folder: Path,
        compute: Compute,
        stop: threading.Event,
        provided: Provided,
        proxy: Callable[[], Path | None],
        used: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        self._experiment, self._scripts, self._folder = experiment, scripts, folder
        self._compute, self._stop, self._provided, self._proxy, self._used = compute, stop, provided, proxy, used
        self._prepared: tuple[str, Prepared] | None = None
        self._splits: dict[tuple[str, int], tuple[Split, tuple[Guard, ...]]] = {}

    def prepared(self) -> Prepared:
        """Runs data.py once for each version of it and its settings; again where it was broken off."""
        key = self._key()  # before it runs: a script that is changed meanwhile made nothing of this
        folder = self._made_in(key)
        if (known := self._known(key)) is not None:
            return known
        spec = self._making(folder)
        journal.forget(spec.journal)  # of a harness that is gone: it may still be writing
        clear(folder, folder / "raw", folder / TABLE, spec.cwd)
        self._make_table(spec)
        table = read_table(folder / TABLE)
        digest = table_hash(table)
        mark_whole(folder, digest)
        return self._keep(key, table, digest)

    def _known(self, key: str) -> Prepared | None:
        """What is there already, of this data.py and its settings."""
        if self._prepared is not None and self._prepared[0] == key:
            return self._prepared[1]
        folder = self._made_in(key)
        found = whole_table(folder, self._log(folder), self._used)
        return None if found is None else self._keep(key, *found)

    def _keep(self, key: str, table: Any, digest: str) -> Prepared:
        prepared = Prepared(table, digest, Baselines(table, self._experiment.data))
        self._prepared = (key, prepared)
        return prepared

    def _key(self) -> str:
        hashes = guards.script_hashes(self._scripts)
        beside = "".join(f"/{name} {hashes[name]}" for name in read_by(self._scripts, "data.py"))
        return f"{hashes.get('data.py')}{beside}/{hashes.get('settings.json')}{self._provided.digest}"

    def _made_in(self, key: str) -> Path:
        return self._folder / hashlib.sha256(key.encode()).hexdigest()[:12]

    @staticmethod
    def _log(folder: Path) -> Path:
        return folder / "data.log"

    def _making(self, folder: Path) -> RunSpec:
        raw, out = folder / "raw", folder / TABLE
        return RunSpec(
            run_id=f"data-{self._experiment.id}",
            script=self._scripts / "data.py",
            arguments=("--raw", str(self._provided.datasets or raw), "--out", str(out)),
            cwd=folder / "cwd",
            log=self._log(folder),
            reads=(self._scripts, *self._provided.reads, *self._provided.data_reads),
            writes=(raw, out),
            environment=self._provided.environment | hub_variables(self._experiment.hosts),
            warm=libraries_of(self._scripts),
            proxy=self._proxy(),
            limits=Limits(seconds=self._experiment.timeout_seconds, memory_mb=self._experiment.memory_mb),
        )

    def _make_table(self, spec: RunSpec) -> None:
        result = self._compute.execute(spec, self._stop)
        if result.outcome != "ok":
            raise DataError(f"data.py ended with: {result.outcome}.", f"{result.detail}\n{result.tail[-2000:]}")

    def split(self, seed: int) -> Split:
        """The checked split of a seed. Raises DataError when it leaks."""
        return self._checked(seed)[0]

    def warnings(self, seed: int) -> tuple[Guard, ...]:
        """What looks like a leak in the split of a seed and may be none. Raises DataError when it is one."""
        return self._checked(seed)[1]

    def _checked(self, seed: int) -> tuple[Split, tuple[Guard, ...]]:
        prepared = self.prepared()
        if (prepared.digest, seed) not in self._splits:
            self._splits[prepared.digest, seed] = self._check(prepared.table, seed)
        return self._splits[prepared.digest, seed]

    def _check(self, table: Any, seed: int) -> tuple[Split, tuple[Guard, ...]]:
        split = draw_split(table, self._experiment.data, seed)
        labels = table.column(self._experiment.data.label).to_pylist()
        for metric in self._experiment.all_metrics:
            if metric.name not in OUTSIDE:
                self._check_measurable(metric, [labels[row] for row in split.rows(metric.rows)])
        found = check_split(table, self._experiment.data, split)
        if fatal := [guard for guard in found if guard.fatal]:
            raise DataError("The split leaks.", "; ".join(guard.message for guard in fatal), "Mend data.py.")
        return split, tuple(found)

    def _check_measurable(self, metric: MetricSpec, labels: Sequence[Any]) -> None:
        """Raises DataError where no predictions whatever would give the metric a value: no script can be blamed for it
        afterwards. Of one label alone the canaries of an evaluate.py cannot tell right from wrong."""
        audited = metric.name in {one.name for one in self._experiment.audited}
        try:
            if not audited:
                check_labels(metric.name, labels)
            elif all(label == labels[0] for label in labels):
                raise LabelsError("An audited metric needs rows with different labels.", f"all are {labels[0]!r}"[:200])
        except LabelsError as error:
            what = f"{metric.name} cannot be measured on {metric.rows}: {error.what}"
            next = error.next or f"Let data.py give other rows as {metric.rows}."
            raise DataError(what, error.why, next) from None

    def views(self, split: Split, seed: int) -> Path:
        """The folder with train/ and validation/ that training sees; the `split` column is not in it."""
        prepared = self.prepared()
        folder = self._view(seed, prepared)
        if not _is_laid_out(folder):
            table = prepared.table.select(list(self._experiment.data.columns))
            write_table(table.take(list(split.train)), folder / "train")
            write_table(table.take(list(split.validation)), folder / "validation")
        return folder

    def laid_out(self, seed: int) -> Path | None:
        """The same folder where it is there already, with data.py as it is now; nothing is made."""
        if (known := self._known(self._key())) is None:
            return None
        view = self._view(seed, known)
        return view if _is_laid_out(view) else None

    def _view(self, seed: int, prepared: Prepared) -> Path:
        split = self._experiment.data.split
        key = str(seed) if split == "per-seed" else split
        return self._folder / "views" / f"{prepared.digest[:12]}-{key}"


def _is_laid_out(view: Path) -> bool:
    return (view / "validation" / "state.json").exists()
