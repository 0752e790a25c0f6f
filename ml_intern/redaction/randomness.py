"""Whether a string looks made by a machine to be unguessable, or like a name, a number, a path or a hash."""

from __future__ import annotations

import math
import re
from collections import Counter

_SEPARATORS = re.compile(r"[-_./:@+~#%,=|\s]+")
_CHUNK = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[^A-Za-z0-9]")
_NUMBER = re.compile(r"[-+]?[0-9][0-9_,.]*(?:[eE][-+]?[0-9]+)?[%a-zA-Z]{0,2}")
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_HASH = re.compile(r"[0-9a-fA-F]{7,}")
_NOT_A_VALUE = re.compile(r"[$%{<*]|(?i:data:|sha\d|md5|blake|your|x{4}|\.{3}|https?:|file:|s3:|gs:|hf:)")
_TEMPLATE = re.compile(r"\$\{|\{\{|%\(|\{[^{}]{1,80}\}|<[\w -]+>|\(\)")
HASH_LENGTHS = (32, 40, 56, 64, 96, 128)


def is_name(value: str) -> bool:
    """True for identifiers, words joined by dashes, model ids and versions: each part reads as words and numbers."""
    return all(_reads_as_words(part) for part in _SEPARATORS.split(value) if part)


def _reads_as_words(part: str) -> bool:
    chunks = _CHUNK.findall(part)
    if len(part) <= 8 and len(chunks) <= (4 if part.islower() else 3):
        return True
    if len(part) <= 12 and part.isalnum() and part.islower() and max(map(len, chunks)) >= 4:
        return True  # conv3x3block, top5acc
    # Random letters and digits change class about every second character; words of a language do not.
    return len(part) / len(chunks) >= 3 and max(map(len, chunks)) <= 24


def is_hash(value: str) -> bool:
    return len(value) in HASH_LENGTHS and _HASH.fullmatch(value) is not None


def _is_path(value: str) -> bool:
    """True for file paths and model ids, also with a hash as one of their parts."""
    parts = [part for part in value.split("/") if part]
    return len(parts) >= 2 and all(is_name(part) or _HASH.fullmatch(part) for part in parts)


def looks_random(value: str, least: int) -> bool:
    """True for at least `least` characters with the spread of a generated secret."""
    value = value[:256]
    if len(value) < least or _NOT_A_VALUE.match(value) or _TEMPLATE.search(value):
        return False
    if _NUMBER.fullmatch(value) or _UUID.fullmatch(value) or is_name(value) or _is_path(value):
        return False
    return entropy(value) >= min(3.0, 0.75 * math.log2(len(value)))


def entropy(value: str) -> float:
    """Bits per character."""
    counts = Counter(value)
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts.values())
