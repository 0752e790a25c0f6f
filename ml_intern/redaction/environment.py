"""Which variables of an environment hold secrets, by their names and by what their values look like."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from urllib.parse import unquote

SHORTEST = 8
SHORTEST_KEY = 6  # of what is known to be a key; a shorter value would be found all over honest text
# What a server that wants no key is given in its place is made of these words: EMPTY, sk-no-key-required, lm-studio.
_NO_KEY = re.compile(
    r"sk|api|any|anything|apikey|changeme|cpp|default|dummy|empty|example|fake|false|here|ignored|is|key|keyless|llama"
    r"|llamacpp|lm|lmstudio|local|localhost|my|na|needed|no|nokey|none|not|notneeded|null|ollama|openai|placeholder"
    r"|required|secret|server|set|studio|test|testing|the|this|token|true|undefined|unused|used|vllm|whatever|your"
    r"|(.)\1*"
)
_PARTS = re.compile(r"[^A-Za-z0-9]+")
_ANY_KEY = re.compile(r".*(?:KEY|TOKEN|SECRET|CREDENTIAL|COOKIE|AUTH)S?\d{0,2}|AUTHORIZATION|PAT")
_PASSWORD = re.compile(r".*(?:PASSW(?:OR)?D|PWD|PASSPHRASE|SECRET)S?\d{0,2}|PASS")
_PLACES = ("PWD", "OLDPWD")  # directories, not passwords
_PATH = re.compile(
    r"(?:~|\.{1,2})?/(?:[a-z][a-z0-9_.-]{1,15}|Users|Library|Applications|Volumes|System)(?:/.*)?"
    r"|[A-Za-z]:[\\/].*|(?:~|\.{1,2})[\\/].*|[\w./-]+\.(?:pem|key|json|txt|crt|cer|sock|ya?ml|toml)"
)
_PLAIN = re.compile(r"[A-Za-z]?[a-z]{1,19}(?:[ _-][a-z]{1,19})*|[A-Z]{1,19}(?:_[A-Z]{1,19})*")
_PLAIN_PASSWORDS = frozenset(("disabled", "required", "optional", "password", "preferred", "keychain", "changeme"))
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://")
_USER = re.compile(r"://([^\s/@:]*)(?::([^\s/@]*))?@")
_QUERY = re.compile(r"[?&](?:\w*token|\w*key|sig|signature|\w*secret|password)=([^&#\s]+)", re.IGNORECASE)


def secrets_of(environ: Mapping[str, str], keys: Container[str] = ()) -> dict[str, str]:
    """Name to value of the variables that hold secrets; a password within a URL stands under its variable's name.
    `keys`: variables that hold one whatever they are called and whatever it looks like, unless it says that it is
    none."""
    found: dict[str, str] = {}
    for name, value in environ.items():
        value = value.strip()
        secrets = [value] if name in keys and _is_key(value) else []
        secrets += _secrets_of_url(value) if "://" in value else []
        if not secrets and name not in keys and _is_secret(name, value):
            secrets = [value]
        for number, secret in enumerate(secrets):
            found[name if number == 0 else f"{name}.{number}"] = secret
    return found


def _is_key(value: str) -> bool:
    parts = filter(None, _PARTS.split(value.lower()))
    return len(value) >= SHORTEST_KEY and not all(_NO_KEY.fullmatch(part) for part in parts)


def _secrets_of_url(value: str) -> list[str]:
    pieces = [piece for user, password in _USER.findall(value) for piece in (password or user,)]
    pieces += _QUERY.findall(value)
    pieces += [unquote(piece) for piece in pieces if "%" in piece]
    # A user's name alone is no secret, unless it is long enough to be a token (https://TOKEN@github.com).
    names = {user for user, password in _USER.findall(value) if not password and len(user) < 20}
    return [piece for piece in pieces if len(piece) >= SHORTEST and piece not in names]


def _is_secret(name: str, value: str) -> bool:
    if len(value) < SHORTEST or name in _PLACES or _PATH.fullmatch(value) or _URL.match(value):
        return False
    parts = _PARTS.split(name.upper())
    if any(_PASSWORD.fullmatch(part) for part in parts):
        return value.lower() not in _PLAIN_PASSWORDS
    if not any(_ANY_KEY.fullmatch(part) for part in parts):
        return False
    return _PLAIN.fullmatch(value) is None and not value.isdecimal()
