"""The page: what a person sees of a session, from a file, with nothing fetched and nothing of the log come to life."""

import base64
import hashlib
import re
from html.parser import HTMLParser

from ml_intern.session.export.says import TEXT_LIMIT
from tests.session.stories import Story, troubled
from tests.session.test_export import exported

VOID = {"meta", "input", "br", "img", "link"}
STATEMENTS = {"C1": "Snake <b>beats</b> tanh.", "C2": "Snake trains faster."}


class Page(HTMLParser):
    """Elements with their attributes, texts by the element that they stand in, and whether every tag was closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def entries(self) -> list[str]:
        return [str(one["class"]) for one in self.all("article")]


def page() -> Page:
    return Page(exported(troubled(), "html", statements=STATEMENTS))


def test_nothing_is_fetched_and_only_its_own_script_may_run() -> None:
    text = exported(troubled(), "html")
    found = Page(text)
    tags = {tag for tag, _ in found.elements}
    assert tags.isdisjoint({"img", "link", "iframe", "object", "embed", "base", "form", "svg", "audio", "video"})
    for _, attributes in found.elements:
        assert set(attributes).isdisjoint({"src", "srcset", "action", "data", "style", "background"})
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    (script,), (style,) = found.texts["script"], found.texts["style"]
    assert "url(" not in style and "@import" not in style and "http" not in script + style
    (policy,) = [one["content"] for one in found.all("meta") if "http-equiv" in one]
    assert policy is not None and policy.startswith("default-src 'none'")
    for own in (script, style):
        assert base64.b64encode(hashlib.sha256(own.encode()).digest()).decode() in policy
    assert not re.search(r"\{[{%#]", text)


def test_links_lead_to_places_of_the_page_and_no_id_occurs_twice() -> None:
    found = page()
    ids = [one["id"] for _, one in found.elements if "id" in one]
    assert len(set(ids)) == len(ids)
    assert {str(one["href"])[1:] for one in found.all("a")} <= {str(id) for id in ids}


def test_hostile_texts_stand_in_the_page_as_words() -> None:
    text = exported(troubled(), "html", statements=STATEMENTS)
    assert "<script>alert" not in text and "&lt;script&gt;alert(1)" in text
    assert "Snake &lt;b&gt;beats&lt;/b&gt; tanh." in text
    assert "name[U+202E]gnp.exe and [U+2066]isolated[U+2069]" in text
    assert "look[16 hidden characters from U+E0069]" in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]", text)
    assert "red  [U+009B]31m bell[U+0007]" in text


def test_huge_texts_are_bounded_with_a_note() -> None:
    text = exported(troubled(), "html")
    assert len(text) < 200_000
    assert re.search(r"98\d,\d{3} characters are left out here", text) and "characters were left out above" in text
    assert max(len(one) for one in Page(text).texts["pre"]) < TEXT_LIMIT + 200


def test_phases_stand_in_order_with_time_calls_and_money() -> None:
    names = ["start", "read", "plan", "build snake", "resumed", "build snake", "confirm snake", "judge", "publish"]
    text = exported(troubled(), "html")
    assert re.findall(r'<span class="name">(.*?)</span>', text) == names
    assert "11.5 s, 2 model calls, $0.0123 and calls of unknown price" in text
    assert "of $0.50" in text and "up to $0.0400 more for calls whose end is unknown" in text and "of 40" in text


def test_what_went_wrong_is_marked_and_listed() -> None:
    found = page()
    bad = [entry for entry in found.entries() if "bad" in entry.split()]
    assert sorted(entry.split()[1] for entry in bad) == ["event", "model", "prompt", "runs", "tool", "tool", "tool"]
    words = " ".join(found.texts["li"])
    for wanted in ("bash outcome unknown", "smoke_run failed ValueError: 3 is not 4", "model failed"):
        assert wanted in words
    assert "the log has no answer, the outcome is unknown" in words


def test_verdicts_stand_in_a_table_with_what_they_are_about() -> None:
    found = page()
    cells = [" ".join(text.split()) for text in found.texts["td"]]
    assert "Snake <b>beats</b> tanh." in cells and "0.0213 [0.004, 0.0391] in accuracy@test" in cells
    badges = [one["class"] for one in found.all("span") if "badge" in str(one.get("class"))]
    assert badges == ["badge bad", "badge good", "badge bad", "badge "]


def test_runs_of_a_phase_are_one_table_and_one_without_an_end_says_so() -> None:
    found = page()
    assert sum("runs" in entry.split() for entry in found.entries()) == 1
    cells = found.texts["td"]
    assert [cell for cell in cells if cell in ("ok", "timeout", "no end in the log")] == [
        "ok", "ok", "ok", "timeout", "no end in the log",
    ]  # fmt: skip


def test_without_a_script_all_can_be_opened_and_the_search_is_not_shown() -> None:
    found = page()
    (search,) = [one for one in found.all("div") if one.get("id") == "search"]
    assert "hidden" in search
    assert len(found.all("details")) == len(found.all("summary")) > 20


def test_a_prompt_of_the_model_can_be_read_and_its_prose_stands_open() -> None:
    text = exported(troubled(), "html")
    assert "Write data.py, train.py and predict.py." in text and "It is better than tanh." in text
    opened = re.findall(r"<details open>.*?</details>", text, re.DOTALL)
    assert any("Then the training, with a fixed seed." in one for one in opened)
    assert any("Perhaps the shape is wrong." in one and "gnp.exe" in one.split("<pre", 2)[2] for one in opened)


def test_a_phase_without_steps_is_left_out_but_for_the_last_which_says_so() -> None:
    story = Story()
    story.says("session.created", settings={"model": "recipes"})
    story.says("phase.started", phase="read")
    story.says("phase.started", phase="judge")
    text = exported(story.events, "html")
    assert re.findall(r'<span class="name">(.*?)</span>', text) == ["start", "judge"]
    assert text.count("No steps of its own.") == 1
