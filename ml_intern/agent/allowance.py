"""What the runs of a session may use: GPU minutes and dollars that a person has approved of in advance.

What a run can use at most is held before it starts and settled after; an unclear end keeps the hold. Time is counted in
seconds times GPUs, money in whole micro-dollars. Knows nothing of experiments.
"""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

from ml_intern.agent.budget import micro_dollars
from ml_intern.errors import BudgetExhausted, RunError
from ml_intern.run.compute.base import Compute
from ml_intern.run.spec import RunResult, RunSpec

if TYPE_CHECKING:
    from ml_intern.agent.context import Context

_LOOK = 0.2  # seconds between two looks at `stop`


class MeteredCompute:
    """`compute` within the limits; None: no limit. A run for which there is no room waits for those that go on, and
    raises BudgetExhausted where none does. What an earlier process held counts until the run is asked for again."""

    def __init__(self, compute: Compute, context: Context, gpu_minutes: float | None, usd: float | None) -> None:
        self._compute, self._context = compute, context
        self._gpu_minutes, self._usd = gpu_minutes, usd
        self._room = threading.Condition()
        self._going = 0

    @property
    def hardware(self) -> str:
        return self._compute.hardware

    @property
    def tier(self) -> str:
        return self._compute.tier

    @property
    def slots(self) -> int:
        return self._compute.slots

    @property
    def gpus(self) -> int:
        return self._compute.gpus

    @property
    def usd_per_hour(self) -> float:
        return self._compute.usd_per_hour

    def execute(self, spec: RunSpec, stop: threading.Event) -> RunResult:
        gpu_seconds, micro = self._used(spec, spec.limits.seconds)
        if not gpu_seconds and not micro:
            return self._compute.execute(spec, stop)
        about = {"run": spec.run_id, "key": hashlib.sha256(str(spec.log).encode()).hexdigest()[:16]}
        with self._room:
            while not self._fits(about["key"], gpu_seconds, micro) and not stop.is_set():
                if not self._going:
                    raise self._exhausted(spec)
                self._room.wait(_LOOK)
            self._context.emit("allowance.held", **about, gpu_seconds=gpu_seconds, micro=micro)
            self._going += 1
        used = None
        try:
            result = self._compute.execute(spec, stop)
            # Nobody knows how long it was at work before it was lost.
            used = self._used(spec, result.wall_seconds) if result.wall_seconds else None
        except RunError:
            used = (0.0, 0)
            raise
        finally:
            with self._room:
                self._going -= 1
                if used is not None:
                    self._context.emit("allowance.settled", **about, gpu_seconds=used[0], micro=used[1])
                self._room.notify_all()
        return result

    def _used(self, spec: RunSpec, seconds: float) -> tuple[float, int]:
        """GPU seconds, and micro-dollars, of so long a run."""
        gpus = self._compute.gpus if spec.gpu else 0
        return seconds * gpus, micro_dollars(self._compute.usd_per_hour * seconds / 3600)

    def _fits(self, key: str, gpu_seconds: float, micro: int) -> bool:
        state = self._context.state
        held = [one for name, one in state.reserved.items() if name != key]
        gpu_seconds += state.gpu_seconds + sum(one[0] for one in held)
        micro += state.run_micro + sum(one[1] for one in held)
        within = self._gpu_minutes is None or gpu_seconds <= self._gpu_minutes * 60
        return within and (self._usd is None or micro <= micro_dollars(self._usd))

    def _exhausted(self, spec: RunSpec) -> BudgetExhausted:
        state = self._context.state
        held = [*state.reserved.values()]
        minutes = (state.gpu_seconds + sum(one[0] for one in held)) / 60
        usd = (state.run_micro + sum(one[1] for one in held)) / 1e6
        limits = [] if self._gpu_minutes is None else [f"{minutes:.1f} of {self._gpu_minutes:g} GPU minutes"]
        limits += [] if self._usd is None else [f"${usd:.2f} of ${self._usd:.2f} for runs"]
        return BudgetExhausted(
            f"What was approved for runs has no room for another one: {' and '.join(limits)} are used or held.",
            f"run {spec.run_id} may take {spec.limits.seconds:.0f} s on {self._compute.gpus} GPUs",
            "Raise gpu_minutes or usd under [approvals] in config.toml, and resume.",
        )
