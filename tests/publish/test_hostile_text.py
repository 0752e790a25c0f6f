"""Text of papers and models cannot become markup, metadata or terminal escapes in card and reports."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from ml_intern.judge.decide import decide
from ml_intern.plan.amendment import Amendment, Changes
from ml_intern.plan.plan import Plan
from ml_intern.publish.card import render_card
from ml_intern.publish.facts import Facts, RunInfo, gather
from ml_intern.publish.report import render_report_html, render_report_md
from tests.judge.synthetic import WINNING, experiment, paired, plan_of

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](http://evil.example/x.png)",
    "[click](javascript:alert(1))",
    "a | b | c",
    "\n---\nlicense: evil\n---\n",
    "\n# A heading\n\n```\ncode",
    "\x1b]52;c;ZXZpbA==\x07\x1b[2J",
    "right \u202eelif.exe\u202c to left",
    "`code` **bold** _x_ ~~y~~ &lt;b&gt;",
    "{{ facts.plan }} {% raw %}",
    "x" * 20_000,
]


def facts_with(text: str) -> Facts:
    """Every field that a paper or a model fills holds `text`."""
    plan = plan_of(experiment(title=text, scale_factors=text, deviations=[text]))
    data = plan.model_dump(mode="json")
    data["paper"] |= {"title": text, "authors": [text], "locator": text, "arxiv_id": text}
    data["claims"][0] |= {"statement": text, "quote": text, "method": text, "baseline": text}
    data["experiments"][0]["tests"][0]["paper_effect"] = text
    data["experiments"][0]["data"] |= {"name": text, "revision": text, "licence": text}
    data["findings"] = [{"text": text, "text_anchor": text, "table_anchor": text}]
    plan = Plan.model_validate(data)
    made = Amendment(experiment="e", changes=Changes(settings={text: text}), reason=text[:2000], by="planner")
    info = RunInfo(session="s", model=text, notes=(text,), blocked={"e": text}, amendments=(made,), discussion=text)
    evidence = [record.model_copy(update={"detail": text, "hardware": text}) for record in paired(WINNING)]
    return gather(plan, evidence, decide(plan, evidence), info)


class Tags(HTMLParser):
    """Every tag and attribute of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs


def tags_of(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    return tags


PLAIN = tags_of(render_report_html(facts_with("plain"), Path("/nonexistent")))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_page_has_no_tag_that_the_template_has_not(text: str) -> None:
    page = render_report_html(facts_with(text), Path("/nonexistent"))
    tags = tags_of(page)
    assert tags.tags <= PLAIN.tags
    assert not [name for name, _ in tags.attributes if name.startswith("on")]
    assert not [value for name, value in tags.attributes if name in ("href", "src") and value]


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_has_no_html_link_image_or_heading_of_it(text: str) -> None:
    facts = facts_with(text)
    for page in (render_card(facts).split("\n---\n", 1)[1], render_report_md(facts)):
        assert page.count("```") % 2 == 0
        page = re.sub(r"`[^`\n]+`", "", page)  # in a code span nothing is markup
        assert "<script" not in page and "<img" not in page
        assert not re.search(r"(?<!\\)!?\[[^\]]*(?<!\\)\]\(", page), "a link"
        headings = [line for line in page.splitlines() if line.startswith("#")]
        assert not [line for line in headings if line == "# A heading"]


@pytest.mark.parametrize("text", HOSTILE)
def test_the_cards_metadata_stays_what_the_harness_says(text: str) -> None:
    card = render_card(facts_with(text))
    assert card.startswith("---\n")
    metadata = yaml.safe_load(card[4:].split("\n---\n", 1)[0])
    assert metadata["license"] == "apache-2.0"
    assert set(metadata) <= {"license", "library_name", "tags", "metrics", "model-index"}


@pytest.mark.parametrize("text", HOSTILE)
def test_no_control_or_direction_mark_reaches_a_reader(text: str) -> None:
    facts = facts_with(text)
    for page in (render_card(facts), render_report_md(facts), render_report_html(facts, Path("/nonexistent"))):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)


def test_the_hubs_own_reader_takes_the_metadata(tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    path = tmp_path / "README.md"
    path.write_text(render_card(facts_with("[Re] A: title | with <marks>")))
    card = ModelCard.load(path)
    assert card.data.license == "apache-2.0"
