"""Whether a sentence denies what a pattern found in it. Knows words, no grammar: in doubt it makes no claim."""

from __future__ import annotations

import re

_NEGATION = re.compile(
    r"\b(?P<word>not|cannot|no|never|none|nor|neither|nothing|hardly|scarcely|barely|rarely|seldom|unable|unclear"
    r"|uncertain|unlikely|unproven|unsupported|unsuccessful|insufficient|fail(?:s|ed|ing|ure|ures)?|whether"
    r"|without (?:\w+ )?(?:evidence|sign|proof|support|benefit|gain|improv\w+)"
    r"|little (?:evidence|sign|proof|support|or no)"
    r"|rather than|(?:lack|absence) of|doubt\w*|questionable|contradict\w*|refut\w+|disprov\w+|disput\w+|reject\w*"
    r"|opposite|myth|misconception|(?:is|are|was|were|be) (?:false|wrong|incorrect|untrue))\b",
    re.IGNORECASE,
)
# Words that deny nothing: `not only … but also`, `better than no dropout`.
_HARMLESS = re.compile(
    r"\bnot (?=only|just|merely|surprising)|\b(?<=than )no\b|\b(?<=compared to )no\b|\b(?<=compared with )no\b", re.I
)
# What a sentence grants before it says its own: `Though we could not …, we …`.
_LEADING = re.compile(r"^(?:even though|though|although|while|whilst|since|because|despite|in spite of)\b[^,;]*,", re.I)
# `Training without dropout improves accuracy`, `unlike Adam, momentum is better than SGD` speak of another method.
_OTHER_METHOD = re.compile(
    r"\b(?:without|unlike|remov\w+|replac\w+|omit\w+|disabl\w+|instead of|than|compared (?:to|with))"
    r" (?:the |any |using |use of )*$",
    re.IGNORECASE,
)


def asserts(pattern: str, sentence: str) -> bool:
    """True where `pattern` stands in the sentence and nothing there denies or asks it. One negation that the pattern
    names itself (`did not observe the gap`) belongs to its claim."""
    if sentence.endswith("?"):
        return False
    plain = re.sub(r"\bcan ?not\b|\bcan't\b", "cannot", sentence, flags=re.IGNORECASE)
    plain = re.sub(r"n't\b", " not", plain, flags=re.IGNORECASE)
    leading = _LEADING.match(plain)
    own = {word.lower() for word in re.findall(r"[a-zA-Z]+", re.sub(r"\\[a-zA-Z]", " ", pattern))}
    for found in re.finditer(pattern, plain, re.IGNORECASE):
        granted = leading.end() if leading and found.start() >= leading.end() else 0
        said = _HARMLESS.sub("", plain[granted:])
        negations = [match["word"].lower() for match in _NEGATION.finditer(said)]
        denied = len(negations) > 1 or not own.issuperset(negations)
        if not denied and not _OTHER_METHOD.search(plain[: found.start()]):
            return True
    return False
