"""What a run hands to the tools of the executor: words of a person wake a model that waits."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ml_intern.agent import phases
from ml_intern.llm.protocol import Reply, ToolCall
from ml_intern.session.inbox import Told
from ml_intern.tools.bench import Bench
from ml_intern.tools.registry import Ended, Tool
from tests.agent.test_loop import Scripted, context_with
from tests.agent.test_steering import steered
from tests.judge.workshop import Workshop

GIVES_UP = Reply(tool_calls=(ToolCall(id="1", name="give_up", arguments='{"reason": "no data"}'),))


def test_what_a_person_says_calls_a_model_away_that_waits_for_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    benches: list[Bench] = []
    real = phases.executor_tools

    def noted(bench: Bench) -> list[Tool]:
        benches.append(bench)
        return real(bench)

    monkeypatch.setattr(phases, "executor_tools", noted)
    shop = Workshop(tmp_path)
    with context_with(tmp_path / "run", Scripted(GIVES_UP)) as context:
        steered(context)
        ended = phases.build_scripts(context, None, shop.laboratory(), cast(Any, SimpleNamespace()))
        assert isinstance(ended, Ended) and not ended.done
        (bench,) = benches
        assert bench.called_away() == ""
        context.folder.inbox.put(Told(words="Try fewer layers."))
        assert bench.called_away() == "a person said something"
        assert bench.ask is not None, "and it can ask"
