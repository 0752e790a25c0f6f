"""Card and report say what plan, evidence and verdicts hold: every test, its effect and what it is a number of."""

from pathlib import Path

from ml_intern.judge.decide import decide
from ml_intern.judge.evidence import Evidence, NamesCheck
from ml_intern.plan.amendment import Amendment, Changes
from ml_intern.plan.plan import Plan
from ml_intern.publish.card import render_card
from ml_intern.publish.escape import sentence
from ml_intern.publish.facts import Facts, RunInfo, gather
from ml_intern.publish.report import render_report_html, render_report_md
from tests.judge.synthetic import WINNING, criterion, experiment, paired, plan_of


def facts_of(plan: Plan, evidence: list[Evidence]) -> Facts:
    return gather(plan, evidence, decide(plan, evidence), RunInfo(session="s", model="m"))


def test_a_claim_tested_in_two_places_shows_both_tests_in_card_and_reports(tmp_path: Path) -> None:
    plan = plan_of(experiment(criterion(), id="one"), experiment(criterion("failure"), id="two"))
    losing = [0.3] * 5
    evidence = [*paired(WINNING, experiment="one"), *paired(losing, level=0.8, experiment="two")]
    facts = facts_of(plan, evidence)
    for text in (render_card(facts), render_report_md(facts), render_report_html(facts, tmp_path)):
        assert "in accuracy" in text
        assert "of the seeds beyond the floor" in text
        assert "floor 0.4" in text and "minimal effect 0.05" in text


def test_an_effect_on_a_logarithmic_scale_says_so() -> None:
    plan = plan_of(experiment(criterion(transform="log10")))
    (claim,) = facts_of(plan, paired(WINNING)).claims
    assert claim.effect.endswith("powers of ten in accuracy")


def test_a_claim_that_was_not_tested_has_a_dash_for_its_effect() -> None:
    (claim,) = facts_of(plan_of(experiment()), []).claims
    assert (claim.verdict.outcome, claim.effect) == ("not tested", "–")


def test_what_the_paper_says_of_an_effect_has_numbers_of_the_claim_alone(tmp_path: Path) -> None:
    said = "ResNet on CIFAR-10: 60.3 against 57.8"
    plan = plan_of(experiment(criterion(paper_effect=said)))
    texts = {
        "with 2.5 % (": "accuracy rises well",
        "with 2.5 %": "accuracy rises by 2.5 %",
        "no number given": "it rises",
    }
    for words, quote in texts.items():
        numbers = ({"text": "2.5 %", "anchor": "tab:1/row:a"},) if words.endswith("(") else ()
        claim = plan.claims[0].model_copy(update={"quote": quote})
        claim = type(claim).model_validate({**claim.model_dump(), "numbers": numbers})
        own = plan.model_copy(update={"claims": (claim,)})
        evidence = paired(WINNING)
        info = RunInfo(session="s", model="m", quotes="grounded")
        facts = gather(own, evidence, decide(own, evidence), info)
        for text in (render_card(facts), render_report_md(facts), render_report_html(facts, tmp_path)):
            assert words in text.lower() and "57.8" not in text
    before = facts_of(plan, paired(WINNING))  # a folder of before is rendered again as it was
    assert said in render_card(before) and said in render_report_md(before)


def test_card_and_report_say_that_quotes_were_not_checked(tmp_path: Path) -> None:
    plan, evidence = plan_of(experiment()), paired(WINNING)
    for quotes, shown in (("grounded", False), ("there is no file gone.tex", True)):
        info = RunInfo(session="s", model="m", quotes=quotes)
        facts = gather(plan, evidence, decide(plan, evidence), info)
        for text in (render_card(facts), render_report_md(facts), render_report_html(facts, tmp_path)):
            assert ("not checked against the paper" in text and "There is no file gone.tex" in text) == shown
        assert ("1 grounded" in render_report_md(facts)) != shown


def test_a_sentence_begins_with_a_capital_and_ends_with_one_full_stop() -> None:
    assert sentence("the interval includes 0") == "The interval includes 0."
    assert sentence("Done.") == "Done."
    assert sentence("") == ""


def test_the_card_of_a_language_model_loads_it_with_transformers() -> None:
    data = {"name": "n", "revision": "r", "inputs": ["y"], "label": "y", "task": "language-model"}
    for metric, kind in (("lm_loss", "AutoModelForCausalLM"), ("masked_lm_loss", "AutoModelForMaskedLM")):
        one = experiment(data=data, metrics=[{"name": "accuracy"}, {"name": metric}])
        plan, evidence = plan_of(one), paired(WINNING)
        info = RunInfo(session="s", model="m", published_run=evidence[0].run_id)
        card = render_card(gather(plan, evidence, decide(plan, evidence), info))
        assert f"model = {kind}.from_pretrained" in card and "build_model" not in card


def test_the_card_says_which_numbers_rest_on_rows_that_training_saw() -> None:
    on_train = criterion(metric={"name": "accuracy", "rows": "train"})
    evidence = [
        record.model_copy(update={"metrics": {"accuracy@train": record.metrics["accuracy@test"]}})
        for record in paired(WINNING)
    ]
    seen = facts_of(plan_of(experiment(on_train)), evidence)
    unseen = facts_of(plan_of(experiment()), paired(WINNING))
    assert "accuracy@train on the rows of training itself" in seen.measured
    assert "never saw" not in seen.measured and "never saw" in unseen.measured
    audited = [{"name": "taste", "higher_is_better": True, "best": 1.0}]
    assert "taste by the experiment's own evaluate.py" in facts_of(plan_of(experiment(audited=audited)), []).measured


def test_runs_that_came_with_a_session_from_elsewhere_are_told_in_card_and_reports(tmp_path: Path) -> None:
    plan, evidence = plan_of(experiment()), paired(WINNING)
    verdicts = decide(plan, evidence)
    info = RunInfo(session="s", model="m", brought=3, brought_from="eve/sessions")
    facts = gather(plan, evidence, verdicts, info)
    for text in (render_card(facts), render_report_md(facts), render_report_html(facts, tmp_path)):
        assert f"3 of the {len(evidence)} runs" in text and "cannot vouch" in text and "eve/sessions" in text
    own = RunInfo.model_validate_json(RunInfo(session="s", model="m").model_dump_json(exclude={"brought"}))
    assert "vouch" not in render_card(gather(plan, evidence, verdicts, own))


def test_what_simple_predictors_reach_stands_in_the_reports(tmp_path: Path) -> None:
    simple = {"accuracy@test": {"nearest neighbour": 0.976, "linear probe": 0.936}}
    evidence = [record.model_copy(update={"baselines": simple}) for record in paired(WINNING)]
    facts = facts_of(plan_of(experiment()), evidence)
    for text in (render_report_md(facts), render_report_html(facts, tmp_path)):
        assert "a linear probe reaches 0.936 and a nearest neighbour reaches 0.976" in text


def test_settings_stand_side_by_side_so_that_a_baseline_that_is_spoilt_by_them_is_seen(tmp_path: Path) -> None:
    variants = [{"name": "method", "settings": {"steps": 900}}, {"name": "baseline", "settings": {"decay": "none"}}]
    settings = {"steps": 9, "rate": 0.125, "kind": "sgd"}
    facts = facts_of(plan_of(experiment(variants=variants, settings=settings, smoke={"rate": 1})), paired(WINNING))
    shown = facts.settings("e")
    assert shown.names == ("steps", "decay")
    assert shown.rows == (("method", ("900", "–")), ("baseline", ("9", "none")))
    assert "| baseline | 9 | none |\n" in render_report_md(facts)
    assert "<td>baseline</td><td>9</td><td>none</td>" in render_report_html(facts, tmp_path)
    for text in (render_report_md(facts), render_report_html(facts, tmp_path)):
        assert "For every variant: rate 0.125, kind sgd." in text
    smoke = facts_of(plan_of(experiment(settings=settings, smoke={"rate": 1}), scale="smoke"), paired(WINNING))
    assert smoke.settings("e").common == "steps 9, rate 1, kind sgd"
    change = Amendment(experiment="e", changes=Changes(settings={"rate": 0.5}), reason="too slow", by="planner")
    amended = facts.model_copy(update={"info": RunInfo(session="s", model="m", amendments=(change,))})
    assert amended.settings("e").common == "rate 0.5, kind sgd"


def test_what_exchanging_names_has_shown_stands_in_card_and_reports(tmp_path: Path) -> None:
    check = NamesCheck(outcome="same", settings_of="baseline", names=("method",))
    evidence = [record.model_copy(update={"names": check}) for record in paired(WINNING)]
    for records, words in ((evidence, "names are labels."), (paired(WINNING), "it was not tried")):
        facts = facts_of(plan_of(experiment()), records)
        for text in (render_card(facts), render_report_md(facts), render_report_html(facts, tmp_path)):
            assert words in text
