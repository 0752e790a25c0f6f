"""What runs may use of GPUs and money: held before, settled after, kept where nobody knows, refused where it is up."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ml_intern.agent.allowance import MeteredCompute
from ml_intern.agent.context import Context
from ml_intern.errors import BudgetExhausted, RunError
from ml_intern.run.sandbox import roots
from ml_intern.run.spec import Limits, RunResult, RunSpec
from ml_intern.session.log import read_log
from ml_intern.session.state import State, fold
from tests.agent.test_loop import Scripted, calls, context_with
from tests.judge.workshop import Workshop
from tests.support.compute import shared_compute


class Machine:
    """Stands in for a machine with GPUs: each run takes `seconds`, without running anything."""

    hardware, tier, slots = "two stand-in GPUs", "A", 2

    def __init__(self, seconds: float = 30.0, gpus: int = 2, usd_per_hour: float = 0.0) -> None:
        self.seconds, self.gpus, self.usd_per_hour = seconds, gpus, usd_per_hour
        self.ran: list[str] = []
        self.fails: Exception | None = None
        self.hold = threading.Event()
        self.hold.set()

    def execute(self, spec: RunSpec, stop: threading.Event) -> RunResult:
        self.hold.wait(10)
        if self.fails is not None:
            raise self.fails
        self.ran.append(spec.run_id)
        return RunResult(
            run_id=spec.run_id, outcome="ok" if self.seconds else "killed", exit_code=0, detail="", tail="",
            wall_seconds=self.seconds, cpu_seconds=0, peak_memory_mb=0, sandbox="A",
        )  # fmt: skip


def spec(name: str, gpu: bool = True, seconds: float = 60.0) -> RunSpec:
    return RunSpec(
        run_id=name, script=Path("s.py"), arguments=(), cwd=Path("cwd"), log=Path(f"{name}.log"), gpu=gpu,
        limits=Limits(seconds=seconds),
    )  # fmt: skip


@contextmanager
def metered(
    folder: Path, machine: Machine, minutes: float | None = None, usd: float | None = None
) -> Iterator[tuple[MeteredCompute, Context]]:
    with context_with(folder, Scripted(calls("finish"))) as context:
        yield MeteredCompute(machine, context, minutes, usd), context


def run(compute: MeteredCompute, name: str, **about: float) -> RunResult:
    return compute.execute(spec(name, **about), threading.Event())  # type: ignore[arg-type]


def known(context: Context) -> State:
    """The state as a resumed session reads it."""
    return fold(read_log(context.folder.log))


def test_a_run_is_charged_its_seconds_times_gpus_and_one_without_gpu_nothing(tmp_path: Path) -> None:
    with metered(tmp_path, Machine(seconds=30, gpus=2), minutes=10) as (compute, context):
        run(compute, "r1")
        run(compute, "r2", gpu=False)
        assert (known(context).gpu_seconds, known(context).reserved) == (60.0, {})
        assert [event.type for event in context.log.events] == ["allowance.held", "allowance.settled"]


def test_a_run_that_could_take_more_than_is_left_is_not_started(tmp_path: Path) -> None:
    machine = Machine(seconds=30, gpus=2)
    with metered(tmp_path, machine, minutes=3.5) as (compute, _):
        run(compute, "r1")  # holds 2 minutes, uses 1
        run(compute, "r2")  # the same
        with pytest.raises(BudgetExhausted, match=r"2\.0 of 3\.5 GPU minutes") as caught:
            run(compute, "r3")
        assert "gpu_minutes" in caught.value.next and caught.value.exit_code == 3
        assert machine.ran == ["r1", "r2"]
        run(compute, "r3", seconds=40)  # a shorter one fits


def test_money_is_held_and_settled_in_the_same_way(tmp_path: Path) -> None:
    machine = Machine(seconds=1800, gpus=0, usd_per_hour=2.0)
    with metered(tmp_path, machine, usd=2.5) as (compute, context):
        run(compute, "r1", seconds=3600)
        assert known(context).run_micro == 1_000_000
        with pytest.raises(BudgetExhausted, match=r"\$1\.00 of \$2\.50"):
            run(compute, "r2", seconds=3600)


def test_a_run_waits_for_those_that_go_on_before_it_is_refused(tmp_path: Path) -> None:
    machine = Machine(seconds=6, gpus=1)
    machine.hold.clear()
    with metered(tmp_path, machine, minutes=1.5) as (compute, _):
        threads = [threading.Thread(target=run, args=(compute, name)) for name in ("r1", "r2")]
        for thread in threads:
            thread.start()
        machine.hold.set()
        for thread in threads:
            thread.join(10)
    assert sorted(machine.ran) == ["r1", "r2"], "each may take 1 minute, 1.5 are approved, both take 6 s"


def test_what_a_crash_or_a_lost_run_held_stays_held_until_it_is_asked_for_again(tmp_path: Path) -> None:
    lost = Machine(seconds=0.0, gpus=1)
    with metered(tmp_path, lost, minutes=1.5) as (compute, context):
        run(compute, "r1")
        assert known(context).reserved and known(context).gpu_seconds == 0
        again = MeteredCompute(Machine(seconds=20, gpus=1), context, 1.5, None)
        with pytest.raises(BudgetExhausted):
            run(again, "r2")
        run(again, "r1")
        assert (known(context).reserved, known(context).gpu_seconds) == ({}, 20.0)
        run(again, "r2")


def test_a_run_that_could_not_be_started_holds_nothing(tmp_path: Path) -> None:
    machine = Machine()
    machine.fails = RunError("It could not be started.")
    with metered(tmp_path, machine, minutes=10) as (compute, context):
        with pytest.raises(RunError):
            run(compute, "r1")
        assert (known(context).reserved, known(context).gpu_seconds) == ({}, 0.0)


class Timed:
    """This machine, said to have a GPU; each step is said to take five seconds."""

    tier, hardware, slots, gpus, usd_per_hour = "C", "stand-in", 1, 1, 0.0

    def execute(self, spec: RunSpec, stop: threading.Event) -> RunResult:
        return shared_compute().execute(spec, stop).model_copy(update={"wall_seconds": 5.0})


def test_confirmation_stops_where_the_minutes_are_up_keeps_what_was_measured_and_goes_on_with_more(
    tmp_path: Path,
) -> None:
    shop = Workshop(tmp_path / "shop")  # a step may take half a minute
    with context_with(tmp_path, Scripted(calls("finish"))) as context:
        laboratory = shop.laboratory(MeteredCompute(Timed(), context, 42 / 60, None))
        with pytest.raises(BudgetExhausted, match=r"0\.2 of 0\.7 GPU minutes"):
            laboratory.confirm(1)
        assert [record.outcome for record in shop.ledger.evidence] == ["ok"]
        assert not laboratory._stop.is_set(), "the run ends in order, it is not interrupted"
        assert len(shop.laboratory(MeteredCompute(Timed(), context, 2.0, None)).confirm(1)) == 2
        assert len(shop.ledger.evidence) == 2


def test_gpus_are_counted_by_their_devices_and_by_what_is_made_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["nvidia0", "nvidia1", "nvidia2", "nvidiactl", "nvidia-uvm"]
    monkeypatch.setattr(roots, "gpu_devices", lambda: [tmp_path / name for name in names])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert roots.gpu_count() == 3
    for visible, count in {"0,2": 2, "": 0, "-1": 0, "0,1,2,3": 3}.items():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert roots.gpu_count() == count, visible
