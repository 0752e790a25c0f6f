"""What a paper run asks first is short: of each role, with real data, schema and tools, without the paper's text."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_intern.agent import phases, pipeline
from ml_intern.judge.ledger import Ledger
from ml_intern.llm.protocol import Reply, Request
from ml_intern.llm.wire import Manner, arguments
from ml_intern.plan.plan import Experiment, Plan
from ml_intern.read.pdf import read_pdf
from ml_intern.read.reader import read_paper
from ml_intern.recipes.player import RecipesModel
from tests.agent.test_loop import Scripted, context_with

PAPER = Path(__file__).parents[2] / "examples" / "papers" / "rescience-2020-mixup-calibration.tar.gz"
MOST = 8_000
# On the safe side: of these very requests cl100k_base makes a token of 3.58 characters (plan) to 3.74 (claims).
CHARS_PER_TOKEN = 3.3
MANNERS = {"by the interface": Manner(), "in words": Manner(tools=False, schema=False)}


class Stopped(Exception):
    pass


class Recording(Scripted):
    """Plans as the recipes do, so that the requests have real claims and experiments in them; ends at the executor."""

    id, context_chars = "recording", 300_000

    def __init__(self) -> None:
        super().__init__()
        self.planner = RecipesModel()

    def complete(self, request: Request) -> Reply:
        self.requests.append(request)
        if request.tools:
            raise Stopped
        return self.planner.complete(request)


@pytest.fixture(scope="module")
def requests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Request]]:
    """The first request of each role, by purpose."""
    folder, model = tmp_path_factory.mktemp("first"), Recording()
    with context_with(folder, model) as context:
        paper = read_paper(str(PAPER), context.config, read_pdf)
        plan = phases.draft_plan(context, paper, phases.find_claims(context, paper), "small")
        ledger = Ledger(context.folder.ledger, context.clean)
        with pytest.raises(Stopped):
            pipeline.build_phase(context, paper, plan, longest(plan), ledger)
    claims, planning, building = (model.requests[0], model.requests[-2], model.requests[-1])
    assert (claims.answer_name, planning.answer_name, len(building.tools) > 15) == ("claims", "plan", True)
    yield {"claims": claims, "plan": planning, "build": building}


def longest(plan: Plan) -> Experiment:
    return max(plan.experiments, key=lambda experiment: len(experiment.model_dump_json()))


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("purpose", ["claims", "plan", "build"])
def test_the_first_request_of_each_role_is_at_most_8000_tokens_without_the_paper(
    purpose: str, manner: str, requests: dict[str, Request]
) -> None:
    sent = json.dumps(arguments(requests[purpose], MANNERS[manner]), ensure_ascii=False)
    without, count = re.subn(r"<paper>.*?</paper>", "", sent, flags=re.DOTALL)
    assert count == (0 if purpose == "plan" else 1), "the text of the paper is taken out once"
    tokens = len(without) / CHARS_PER_TOKEN
    print(f"{purpose}, {manner}: {tokens:.0f} tokens")
    assert tokens <= MOST
