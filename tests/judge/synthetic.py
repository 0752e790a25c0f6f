"""Plans and evidence made up for tests of verdicts: no run, no file."""

from collections.abc import Mapping, Sequence
from typing import Any

from ml_intern.judge.evidence import Evidence, Guard, Measured
from ml_intern.plan.claim import Claim
from ml_intern.plan.plan import ClaimTest, Experiment, Plan

WINNING = [0.10, 0.12, 0.11, 0.09, 0.13]  # clearly above 0, clearly above 0.05
FEEBLE = [0.020, 0.024, 0.022, 0.018, 0.026]  # clearly above 0, clearly below 0.05
LOSING = [-0.10, -0.12, -0.11, -0.09, -0.13]
NOTHING = [-0.010, 0.010, 0.002, 0.005, -0.005]  # includes 0, excludes 0.05
WIDE = [-0.20, 0.30, 0.10, -0.10, 0.20]  # includes 0 and 0.05
LEVEL = 0.5

_BASE = Evidence(
    run_id="", experiment="e", variant="", seed=1, phase="confirm", metrics={}, outcome="ok", exit_code=0, plan="p",
    scripts={}, data="d", environment="e", hardware="h", sandbox="s", threads=1, wall_seconds=1.0, cpu_seconds=1.0,
    peak_memory_mb=1.0,
)  # fmt: skip


def claim(name: str, kind: str = "direction") -> Claim:
    return Claim.model_validate(
        {
            "id": name, "statement": "s", "quote": "q", "anchor": "sec:1/par:1", "kind": kind, "method": "m",
            "metric": "accuracy", "higher_is_better": True,
        }
    )  # fmt: skip


def criterion(kind: str = "direction", **changes: Any) -> ClaimTest:
    """The test of claim C1: variant `method` against `baseline`, on accuracy."""
    fields: dict[str, Any] = {
        "claim": "C1",
        "kind": kind,
        "metric": {"name": "accuracy"},
        "higher_is_better": True,
        "contrast": {"method": 1.0, "baseline": -1.0},
        "minimal_effect": 0.05,
    }
    fields |= {
        "equivalence": {"margin": 0.05},
        "value": {"margin": 0.05, "target": 0.6, "contrast": {"method": 1.0}},
        "threshold": {"target": 0.6, "contrast": {"method": 1.0}},
        "measurement": {"contrast": {"method": 1.0}},
        "failure": {"floor": 0.4, "contrast": {"method": 1.0}},
    }.get(kind, {})
    return ClaimTest.model_validate(fields | changes)


def experiment(*tests: ClaimTest, **changes: Any) -> Experiment:
    tests = tests or (criterion(),)
    metrics = {test.metric.key: test.metric.model_dump() for test in tests}
    variants = list(dict.fromkeys(["method", "baseline", *(name for test in tests for name in test.contrast)]))
    fields: dict[str, Any] = {
        "id": "e",
        "title": "t",
        "data": {"name": "n", "revision": "r", "inputs": ["x"], "label": "y"},
        "variants": [{"name": name} for name in variants],
        "seeds": {"confirm": 5, "extra": 0},
        "metrics": list(metrics.values()),
        "select": {"name": "accuracy", "rows": "validation"},
        "select_higher_is_better": True,
        "tests": [test.model_dump() for test in tests],
        "setting": "analogue",
    }
    return Experiment.model_validate(fields | changes)


def plan_of(*experiments: Experiment, scale: str = "small", **changes: Any) -> Plan:
    tests = [test for one in experiments for test in one.tests]
    claims = {test.claim: claim(test.claim, test.kind) for test in tests}
    fields: dict[str, Any] = {
        "paper": {"title": "t", "sha256": "0"},
        "scale": scale,
        "claims": list(claims.values()),
        "experiments": experiments,
    }
    return Plan.model_validate(fields | changes)


def task_of(*experiments: Experiment, **changes: Any) -> Plan:
    """The same as a person's task."""
    return plan_of(*experiments, paper={"title": "t", "sha256": "0", "task": "reach it"}, **changes)


def run(
    variant: str,
    seed: int,
    value: float | None,
    *,
    key: str = "accuracy@test",
    guards: Sequence[Guard] = (),
    **changes: Any,
) -> Evidence:
    """One confirmation run; `value` None is a crash."""
    fields: dict[str, Any] = {
        "run_id": f"{variant}-{seed}",
        "variant": variant,
        "seed": seed,
        "metrics": {key: Measured(value=value, n=0 if value is None else 100)},
        "outcome": "ok" if value is not None else "failed",
        "guards": tuple(guards),
    }
    return _BASE.model_copy(update=fields | changes)


def runs(values: Mapping[str, Sequence[float | None]], **changes: Any) -> list[Evidence]:
    """Runs of each variant on seeds 1, 3, 5, …"""
    return [
        run(variant, 2 * place + 1, value, **changes)
        for variant, row in values.items()
        for place, value in enumerate(row)
    ]


def paired(differences: Sequence[float], level: float = LEVEL, **changes: Any) -> list[Evidence]:
    """`method` is better than `baseline` by `differences`; the seeds themselves differ a little."""
    base = [level + 0.01 * (place % 3) for place in range(len(differences))]
    return runs({"method": [b + d for b, d in zip(base, differences, strict=True)], "baseline": base}, **changes)
