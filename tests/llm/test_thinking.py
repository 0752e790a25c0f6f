"""Thoughts between tags, whole and in pieces."""

import pytest

from ml_intern.llm.thinking import ThoughtSplitter, split_thoughts

CASES = [
    ("Yes.", "", "Yes."),
    ("<think>Hm.</think>Yes.", "Hm.", "Yes."),
    ("\n<think>\nHm.\n</think>\n\nYes.", "Hm.", "Yes."),
    ("<thinking>Hm.</thinking>Yes.", "Hm.", "Yes."),
    ("<think>a</think><think>b</think>Yes.", "ab", "Yes."),
    ("<think>Hm.", "Hm.", ""),
    ("<think></think>Yes.", "", "Yes."),
    ("Hm.\n</think>\n\nYes.", "Hm.", "Yes."),
    ("Write `<think>a</think>` here.", "", "Write `<think>a</think>` here."),
    ("The tag </think> ends a thought.", "", "The tag </think> ends a thought."),
    ("  indented", "", "  indented"),
    ("<b>bold</b>", "", "<b>bold</b>"),
    ("", "", ""),
]


@pytest.mark.parametrize(("text", "reasoning", "answer"), CASES)
def test_a_whole_text_is_split(text: str, reasoning: str, answer: str) -> None:
    assert split_thoughts(text) == (reasoning, answer)


@pytest.mark.parametrize("text", [text for text, _, _ in CASES])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_pieces_give_what_the_whole_gives(text: str, size: int) -> None:
    def parts(pieces: list[str]) -> dict[str, str]:
        splitter = ThoughtSplitter()
        found = {"text": "", "reasoning": ""}
        for piece in pieces:
            for kind, part in splitter.feed(piece):
                found[kind] += part
        for kind, part in splitter.rest():
            found[kind] += part
        return found

    assert parts([text[at : at + size] for at in range(0, len(text), size)]) == parts([text])
