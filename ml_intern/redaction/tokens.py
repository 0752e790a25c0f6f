"""Secrets that give themselves away by how they begin: the tokens of known providers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ml_intern.redaction.finding import Span
from ml_intern.redaction.joining import Joined
from ml_intern.redaction.randomness import is_name, looks_random

_LONGEST = 300  # of a token that was split; an upper bound keeps hostile text linear
_MOST_BREAKS = 3


class _Shape(NamedTuple):
    """`least` characters of `of` after one of `prefixes`. `word`: only where nothing of a word stands before it."""

    kind: str
    prefixes: str
    of: str
    least: int
    word: bool = False


_ALNUM, _DASHED = "[A-Za-z0-9]", "[A-Za-z0-9_-]"
_SHAPES = (
    _Shape("OpenAI key", "sk-proj- sk-svcacct- sk-admin- sk-None-", _DASHED, 20),
    _Shape("OpenAI key", "sk-", _ALNUM, 20, word=True),
    _Shape("Anthropic key", "sk-ant-", _DASHED, 20),
    _Shape("OpenRouter key", "sk-or-", _DASHED, 20),
    _Shape("Langfuse key", "sk-lf-", _DASHED, 20),
    _Shape("Hugging Face token", "hf_ api_org_", _ALNUM, 30, word=True),
    _Shape("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", _ALNUM, 30),
    _Shape("GitHub token", "github_pat_", "[A-Za-z0-9_]", 22),
    _Shape("GitLab token", "glpat- glptt- gldt- glrt- glcbt- gloas-", "[A-Za-z0-9_.-]", 20),
    _Shape("AWS key id", "AKIA ASIA", "[A-Z0-9]", 16, word=True),
    _Shape("Google key", "AIza", _DASHED, 35, word=True),
    _Shape("Google token", "ya29. GOCSPX-", _DASHED, 20, word=True),
    _Shape(
        "Slack token",
        "xoxa- xoxb- xoxc- xoxd- xoxe- xoxe. xoxo- xoxp- xoxr- xoxs- xapp-",
        "[A-Za-z0-9.%-]",
        15,
        word=True,
    ),
    _Shape("Stripe key", "sk_live_ sk_test_ rk_live_ rk_test_ pk_live_ whsec_", _ALNUM, 16),
    _Shape("Groq key", "gsk_", _ALNUM, 30, word=True),
    _Shape("xAI key", "xai-", _ALNUM, 30, word=True),
    _Shape("Replicate token", "r8_", _ALNUM, 30, word=True),
    _Shape("npm token", "npm_", _ALNUM, 30, word=True),
    _Shape("PyPI token", "pypi-", _DASHED, 50, word=True),
    _Shape("Weights & Biases key", "wandb_v1_", "[A-Za-z0-9_]", 30),
    _Shape("Docker token", "dckr_pat_ dckr_oat_", _DASHED, 20),
    _Shape("DigitalOcean token", "dop_v1_ doo_v1_ dor_v1_", "[a-f0-9]", 40),
    _Shape("Perplexity key", "pplx-", _ALNUM, 30, word=True),
    _Shape("Tavily key", "tvly-", _DASHED, 20, word=True),
    _Shape("Fireworks key", "fw_", _ALNUM, 20, word=True),
    _Shape("NVIDIA key", "nvapi-", _DASHED, 30, word=True),
    _Shape("Cerebras key", "csk-", _ALNUM, 30, word=True),
    _Shape("Pinecone key", "pcsk_", "[A-Za-z0-9_]", 30, word=True),
    _Shape("LangSmith key", "lsv2_pt_ lsv2_sk_", "[A-Za-z0-9_]", 30),
    _Shape("RunPod key", "rpa_", _ALNUM, 30, word=True),
    _Shape("Kaggle token", "KGAT_", _ALNUM, 20),
    _Shape("SendGrid key", "SG.", "[A-Za-z0-9_.-]", 50, word=True),
    _Shape("Databricks token", "dapi", "[a-f0-9]", 32, word=True),
    _Shape("Vault token", "hvs. hvb.", _DASHED, 20, word=True),
    _Shape("age key", "AGE-SECRET-KEY-", "[A-Z0-9]", 30),
)
# What may stand right before a token all the same: an escape such as \n, %3D or \u003d, or the end of a colour code.
_BEFORE = (r"\\[abefnrtv]", r"%[0-9A-Fa-f]{2}", r"\\u00[0-9A-Fa-f]{2}", r"\\x[0-9A-Fa-f]{2}", r"[0-9]m")
_WORD_START = re.compile("|".join([r"(?<![A-Za-z0-9])", *(f"(?<={before})" for before in _BEFORE)]))
_JWT = rf"{_DASHED}{{8,%s}}\.eyJ{_DASHED}{{8,%s}}\.{_DASHED}{{8,%s}}"


class _Token(NamedTuple):
    """`whole` searches text as it is, `anywhere` text without line breaks, where what stood before is unknown."""

    kind: str
    prefix: str
    word: bool
    whole: re.Pattern[str]
    anywhere: re.Pattern[str]


def _starts_word(prefix: str) -> str:
    """A condition right after `prefix`: that it begins a word."""
    starts = [f"(?<![A-Za-z0-9]{prefix})", *(f"(?<={before}{prefix})" for before in _BEFORE)]
    return f"(?:{'|'.join(starts)})"


def _tokens() -> Iterator[_Token]:
    for kind, prefixes, of, least, word in _SHAPES:
        for prefix in prefixes.split():
            literal = re.escape(prefix)
            # The prefix goes first and is looked back over: `re` is fastest at fixed beginnings.
            start = literal + _starts_word(literal) if word else literal
            whole, anywhere = f"{start}{of}{{{least},}}", f"{literal}{of}{{{least},{_LONGEST}}}"
            yield _Token(kind, prefix, word, re.compile(whole), re.compile(anywhere))
    whole = "eyJ" + _starts_word("eyJ") + _JWT % (300, 6000, "")
    yield _Token("JSON web token", "eyJ", True, re.compile(whole), re.compile("eyJ" + _JWT % (150, 2000, 700)))


_TOKENS = tuple(_tokens())
_PREFIXES = tuple(token.prefix for token in _TOKENS)


def _found_in(runs: str) -> list[_Token]:
    """The kinds of tokens whose beginning stands in `runs`."""
    return [token for token in _TOKENS if token.prefix in runs] if runs else []


def _reads_as_name(body: str) -> bool:
    """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 is a name; capitals alone are not (AWS ids may have no digit)."""
    return not body.isupper() and is_name(body)


def token_spans(text: str, runs: str) -> Iterator[Span]:
    """Tokens that stand in `text` as they are; `runs`: its dense runs."""
    for token in _found_in(runs):
        for found in token.whole.finditer(text):
            if not (token.word and _reads_as_name(found[0][len(token.prefix) :])):
                yield Span(found.start(), continued(text, found.end()), token.kind)


def split_token_spans(text: str, joined: Joined, runs: str) -> Iterator[Span]:
    """Tokens that are whole only once line breaks are taken out; `runs`: the dense runs of the joined text."""
    for token in _found_in(runs):
        found = token.anywhere.search(joined.text)
        while found is not None:
            span, end = _split_token(text, joined, token, found)
            if span is not None:
                yield span
            found = token.anywhere.search(joined.text, end)


def _split_token(text: str, joined: Joined, token: _Token, found: re.Match[str]) -> tuple[Span | None, int]:
    """The token at `found`, if it is one, and where to go on. It ends with the first line that makes it long enough."""
    start, end = found.span()
    breaks = joined.breaks(start, end)
    fits = (at for at in [*breaks, end] if token.anywhere.fullmatch(joined.text, start, at))
    body = start + len(token.prefix)
    cut = next((at for at in fits if not _reads_as_name(joined.text[body:at])), end)
    inner = [at for at in breaks if at < cut]
    plain = joined.text[body:cut].islower() and joined.text[body:cut].isalpha()
    if not inner or len(inner) > _MOST_BREAKS or plain or _reads_as_name(joined.text[body:cut]):
        return None, cut
    origin, last = joined.origin(start, cut)
    if token.word and not _WORD_START.match(text, origin):
        return None, cut
    return Span(origin, last, token.kind), cut


_REST = re.compile(
    r"""(?:\\{0,4}["']?[ \t]{0,8}[+\\]?[ \t]{0,8}(?:\r?\n|\\{1,4}n)"""  # the end of a line, however it is written
    r"""[ \t]{0,40}(?:\+[ \t]{1,8})?[bfr]?\\{0,4}["']?"""
    r"""|\\{0,4}["'][ \t]{0,8}(?:\+[ \t]{0,8})?[bfr]?\\{0,4}["'])"""
    r"""([A-Za-z0-9+/_-]{8,}={0,2})(?=\\{0,4}["'),;]|\s|\\{1,4}n|$)"""
)


def continued(text: str, end: int) -> int:
    """Where a secret that seems to end at `end` really ends: a random rest alone on the next line belongs to it."""
    for _ in range(_MOST_BREAKS):
        rest = _REST.match(text, end)
        if rest is None or not looks_random(rest[1], 8):
            break
        # Another token on a line of its own is found by itself.
        if rest[1].startswith(_PREFIXES):
            break
        end = rest.end(1)
    return end
