"""The card's YAML block: the licence is that of what the weights come from, and what they come from is named."""

from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard

from ml_intern.judge.decide import decide
from ml_intern.plan.amendment import Amendment, Changes
from ml_intern.plan.plan import Plan
from ml_intern.publish.card import render_card
from ml_intern.publish.facts import RunInfo, gather
from ml_intern.run.resources.resource import Resource
from tests.judge.synthetic import WINNING, experiment, paired, plan_of


def card_of(plan: Plan, published: bool = True, **info: Any) -> tuple[str, dict[str, Any]]:
    evidence = paired(WINNING)
    run = evidence[0].run_id if published else ""
    card = render_card(
        gather(plan, evidence, decide(plan, evidence), RunInfo(session="s", model="m", published_run=run, **info))
    )
    block: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return card, block


def with_data(licence: str, **changes: Any) -> Plan:
    data = {"name": "zebras", "revision": "r", "inputs": ["x"], "label": "y", "licence": licence}
    return plan_of(experiment(data=data, **changes))


def resource(kind: str, licence: str, id: str = "org/thing") -> dict[str, Any]:
    return {"name": id.partition("/")[2], "kind": kind, "id": id, "revision": "0" * 40, "bytes": 9, "licence": licence}


@pytest.mark.parametrize(
    ("licence", "found", "name"),
    [
        ("CC BY 4.0", "apache-2.0", None),
        ("none needed", "apache-2.0", None),
        ("MIT", "apache-2.0", None),
        ("public domain", "apache-2.0", None),
        ("", "other", "unknown"),
        ("unknown", "other", "unknown"),
        ("CC BY-NC 4.0", "cc-by-nc-4.0", None),
        ("CC BY-SA 4.0", "cc-by-sa-4.0", None),
        ("Zebra Research Licence 1.0: only for zebras", "other", "zebra-research-licence-1.0-only-for-zebras"),
    ],
)
def test_without_a_base_model_the_weights_are_free_unless_the_data_bind(
    licence: str, found: str, name: str | None
) -> None:
    card, block = card_of(with_data(licence))
    assert (block["license"], block.get("license_name")) == (found, name)
    assert "base_model" not in block and "datasets" not in block
    assert f"licence {licence or 'not stated'}; split" in card


@pytest.mark.parametrize(
    ("licence", "found", "name", "link"),
    [
        ("mit", "mit", None, None),
        ("llama3.1", "llama3.1", None, None),
        ("tiny-licence", "other", "tiny-licence", "https://huggingface.co/org/thing"),
        ("other", "other", "unknown", "https://huggingface.co/org/thing"),
        ("", "other", "unknown", "https://huggingface.co/org/thing"),
    ],
)
def test_weights_have_the_licence_of_the_model_that_training_started_from(
    licence: str, found: str, name: str | None, link: str | None
) -> None:
    card, block = card_of(with_data("MIT", resources=[resource("model", licence)]))
    assert (block["license"], block.get("license_name"), block.get("license_link")) == (found, name, link)
    assert block["base_model"] == ["org/thing"]
    assert f"org/thing ({licence if licence not in ('other', '') else 'its licence is not known'})" in card


def test_data_that_bind_bind_beside_a_base_model_and_unknown_ones_do_not_hide_it() -> None:
    fetched = [resource("model", "mit")]
    assert card_of(with_data("CC BY-NC 4.0", resources=fetched))[1]["license_name"] == "cc-by-nc-4.0-and-mit"
    assert card_of(with_data("", resources=fetched))[1]["license"] == "mit"


def test_two_base_models_of_different_licences_are_both_named() -> None:
    fetched = [resource("model", "mit"), resource("model", "gemma", "org/other")]
    _, block = card_of(with_data("MIT", resources=fetched))
    assert (block["license"], block["license_name"]) == ("other", "gemma-and-mit")
    assert block["base_model"] == ["org/thing", "org/other"]


def test_a_starting_model_in_a_local_folder_is_no_repository_of_the_hub() -> None:
    starting = [{"id": "my/net", "revision": "r", "path": "/nets/my"}, {"id": "org/net", "revision": "r"}]
    _, block = card_of(with_data("MIT", base_models=starting))
    assert (block["license"], block["license_name"], block["base_model"]) == ("other", "unknown", ["org/net"])


def test_a_data_set_that_was_fetched_is_named_with_its_own_licence() -> None:
    card, block = card_of(with_data("", resources=[resource("dataset", "cc-by-nc-4.0", "org/zebras")]))
    assert (block["datasets"], block["license"]) == (["org/zebras"], "cc-by-nc-4.0")
    assert "licence cc-by-nc-4.0; split" in card.replace("\\", "")


def test_what_was_amended_counts() -> None:
    given = Resource.model_validate(resource("model", "gemma"))
    change = Amendment(experiment="e", changes=Changes(resources=(given,)), reason="faster", by="executor")
    _, block = card_of(with_data("MIT"), amendments=(change,))
    assert (block["license"], block["base_model"]) == ("gemma", ["org/thing"])


def test_a_paper_of_arxiv_is_a_tag_and_a_task_has_none() -> None:
    paper = {"title": "t", "sha256": "0", "arxiv_id": "arXiv:1706.03762v5"}
    plan = plan_of(experiment(), paper=paper)
    assert "arxiv:1706.03762" in card_of(plan)[1]["tags"]
    assert not [tag for tag in card_of(plan_of(experiment()))[1]["tags"] if tag.startswith("arxiv")]


def test_without_weights_nothing_binds() -> None:
    _, block = card_of(with_data("", resources=[resource("model", "gemma")]), published=False)
    assert block["license"] == "apache-2.0" and "base_model" not in block


def test_the_hub_reads_the_block() -> None:
    fetched = [resource("model", "tiny-licence"), resource("dataset", "mit", "org/zebras")]
    card = ModelCard(card_of(with_data("MIT", resources=fetched))[0])
    assert (card.data.license, card.data.license_name) == ("other", "tiny-licence")
    assert (card.data.base_model, card.data.datasets) == (["org/thing"], ["org/zebras"])
    assert card.data.eval_results and card.data.eval_results[0].metric_name == "accuracy@test"
