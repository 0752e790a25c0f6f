"""Secrets known by what stands around them: headers, URLs, key blocks, and the files of well-known tools."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ml_intern.redaction.finding import HIDDEN, Span
from ml_intern.redaction.randomness import is_name, looks_random

_SPACE = r"(?:\s|\\{1,4}[nrt])"  # in text, and in text inside JSON
_QUOTE = r"""\\{0,8}["'`]"""
_IS = rf"""(?:{_QUOTE})?\]?\s{{0,8}}(?:=>|:=|=|:|,|>|is\b)\s{{0,8}}(?:{_QUOTE})?"""
_OPAQUE = r"[a-z0-9+/=._~-]"


class _Context(NamedTuple):
    """`pattern` is searched in lower-case text, where `sign` stands in it; its first group is the secret."""

    kind: str
    sign: str
    pattern: re.Pattern[str]
    wanted: Callable[[str], bool] | None = None


def _context(kind: str, sign: str, pattern: str, wanted: Callable[[str], bool] | None = None) -> _Context:
    return _Context(kind, sign, re.compile(pattern), wanted)


def _opaque(value: str) -> bool:
    return not is_name(value)


def _random(value: str) -> bool:
    return looks_random(value, 16)


def _no_placeholder(value: str) -> bool:
    return value.strip("*x.") != "" and not (value.startswith("%") and len(value) < 4)


def _pair_in_base64(value: str) -> bool:
    """True for `name:password` in base64, as HTTP and Docker write it."""
    try:
        decoded = base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except binascii.Error:
        return False
    return b":" in decoded and decoded.isascii()


_CONTEXTS = (
    _context(
        "private key",
        "private key",
        r"-----begin [a-z0-9 ]{0,30}private key[a-z ]{0,10}-----"
        r"((?:[^-\x01]|-(?!----)){40,20000}+-----end [a-z0-9 ]{0,40}-----"
        r"|(?:[a-z0-9+/=\s]|\\{1,4}[nr]|[\"',]){40,20000}+)",
    ),
    _context("AWS secret key", "secret", rf"secret_?(?:access_?)?key{_IS}([a-z0-9/+]{{40}})(?![a-z0-9/+])", _opaque),
    _context(
        "AWS secret key", "akia", r"akia[a-z0-9]{16}(?:[,:;|\s\"']|\\t){1,8}([a-z0-9/+]{40})(?![a-z0-9/+])", _random
    ),
    _context("AWS session token", "session", rf"session_?token{_IS}([a-z0-9/+=]{{60,}})"),
    _context("Kaggle key", "kaggle", rf"kaggle_?(?:api_?)?(?:key|token){_IS}([0-9a-f]{{32}})(?![0-9a-f])"),
    _context(
        "Kaggle key",
        "username",
        rf"username{_QUOTE}\s{{0,8}}:\s{{0,8}}{_QUOTE}[^\"'\\{HIDDEN}]{{1,100}}{_QUOTE}\s{{0,8}},(?:{_SPACE}){{0,20}}"
        rf"{_QUOTE}key{_IS}([0-9a-f]{{32}})(?![0-9a-f])",
    ),
    _context(
        "authorization header",
        "authorization",
        rf"authorization{_IS}(?:(?:bearer|basic|token|digest|apikey)\s{{1,4}})?({_OPAQUE}{{8,}})",
        _opaque,
    ),
    _context("bearer token", "bearer", rf"bearer(?:\s{{1,4}}|%20|\+)({_OPAQUE}{{16,}})", _random),
    _context("basic credentials", "basic", r"basic(?:\s{1,4}|%20)([a-z0-9+/]{8,}={0,2})", _pair_in_base64),
    _context("header key", "x-", rf"x-[a-z-]{{0,20}}(?:key|token){_IS}({_OPAQUE}{{8,}})", _opaque),
    _context("header key", "private-token", rf"private-token{_IS}({_OPAQUE}{{8,}})", _opaque),
    _context(
        "cookie",
        "cookie",
        rf"cookie{_IS}([\w.-]{{1,64}}=[^\s;\"'\\{HIDDEN}]{{8,}}[^\r\n\"'\\{HIDDEN}]{{0,4000}})",
    ),
    _context(
        "password in a URL",
        "://",
        rf"://[^\s/@:\"'<>\\{HIDDEN}]{{0,200}}:([^\s/@\"'<>{{}}$\\{HIDDEN}]{{3,256}})@",
        _no_placeholder,
    ),
    _context("token in a URL", "://", r"://([a-z0-9_-]{20,256})@", _random),
    _context(
        "token in a URL",
        "=",
        r"[?&](?:access_token|id_token|refresh_token|token|api_?key|auth|sig|x-amz-security-token|client_secret|password)"
        r"=([a-z0-9+/=._~%-]{8,})",
        _opaque,
    ),
    _context("signature of a URL", "signature=", r"[?&;](?:x-amz-|x-goog-)?signature=([a-z0-9+/=._~%-]{16,})", _opaque),
    _context("webhook", "hooks.slack.com", r"hooks\.slack\.com/(?:services|workflows)/([a-z0-9/]{20,})"),
    _context("webhook", "/webhooks/", r"/webhooks/([0-9]{10,}/[\w-]{30,})"),
    _context(
        "netrc password",
        "machine",
        rf"machine{_SPACE}{{1,8}}[^\s\\{HIDDEN}]{{1,200}}{_SPACE}{{1,20}}login{_SPACE}{{1,8}}[^\s\\{HIDDEN}]{{1,200}}"
        rf"{_SPACE}{{1,20}}password{_SPACE}{{1,8}}([^\s\\\"'{HIDDEN}]{{3,}})",
    ),
    _context(
        "Docker login", "auth", rf"auth{_QUOTE}\s{{0,8}}:\s{{0,8}}{_QUOTE}([a-z0-9+/]{{8,}}={{0,2}})", _pair_in_base64
    ),
    _context("Azure key", "key=", r"(?:account|access)key=([a-z0-9+/]{40,}={0,2})"),
    _context(
        "password of curl",
        "curl",
        rf"curl\b[^\n{HIDDEN}]{{0,80}}?\s(?:-u|--user)[\s=]{{0,4}}(?:{_QUOTE})?[^\s:\"'\\{HIDDEN}]{{1,100}}"
        rf":([^\s\"'\\{HIDDEN}$]{{3,}})",
    ),
)


def context_spans(text: str, low: str) -> Iterator[Span]:
    """Secrets known by what surrounds them in `text`; `low` is the same in lower case, earlier marks blanked."""
    for kind, sign, pattern, wanted in _CONTEXTS:
        if sign in low:
            for found in pattern.finditer(low):
                start, end = found.span(1)
                if wanted is None or wanted(text[start : min(end, start + 4096)]):
                    yield Span(start, end, kind)
    yield from _wandb_spans(low)


_HEX_40 = re.compile(r"(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])")
_OF_GIT = re.compile(rf"commit|revision|sha1|sha256|hash|checkpoint|{HIDDEN}")
_LOGIN_AFTER = re.compile(r"\s{0,4}\|\s{0,4}wandb login")


def _wandb_spans(low: str) -> Iterator[Span]:
    """Keys of Weights & Biases look like commits: only what stands beside the name tells them apart."""
    if "wandb" in low:
        for found in _HEX_40.finditer(low):
            before = low[max(found.start() - 100, 0) : found.start()]
            name = before.rfind("wandb")
            if (name >= 0 and not _OF_GIT.search(before, name)) or _LOGIN_AFTER.match(low, found.end()):
                yield Span(*found.span(), "Weights & Biases key")
