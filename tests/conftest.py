"""How the tests are spread over processes: those that share something stay together, the longest first.

What is drawn at random is the same each time, so that a failure is one of the change at hand;
`--hypothesis-profile=search` draws anew.
"""

import gc
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("search")
settings.register_profile("same", derandomize=True)
settings.load_profile("same")

# Files whose tests share runs (each would be made again in every process that has one of them), or the disk.
_TOGETHER = {
    "tests/e2e/test_main_job.py": "the main job",
    "tests/e2e/test_interruptions.py": "an interrupted run",
    "tests/e2e/test_crashes.py": "a crashing run",
    "tests/e2e/test_moving.py": "a crashing run",
    "tests/e2e/test_planner.py": "planner and executor",
    "tests/e2e/test_faults.py": "an undisturbed run",
    "tests/e2e/test_stops.py": "an undisturbed run",
    "tests/run/test_hidden.py": "how full the disk is",  # one that ends frees what another must be seen to take
}


def pytest_collection_finish() -> None:
    """Tests and what they import stay: no collection of garbage need walk through them again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class Scheduler(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return _TOGETHER.get(file, nodeid)

    return Scheduler(config, log)
