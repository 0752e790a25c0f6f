"""Notices that an agent goes in circles: the same failure, or the same call with the same result, again and again."""

from __future__ import annotations

import hashlib
import re
from collections import Counter

from ml_intern.errors import DoomLoop
from ml_intern.llm.protocol import ToolCall

_WARN_AT, _STOP_AT = 3, 6


def failure_signature(text: str) -> str:
    """What failed, with everything that varies between two tries (numbers, paths, hex) folded away."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"^[\w.]*(Error|Exception|Warning|Interrupt)\b|^FAILED", line)]
    kept = " | ".join(dict.fromkeys(telling[-2:] or lines[-1:]))
    kept = re.sub(r"(/[\w.\-]+)+", "PATH", kept)
    kept = re.sub(r"\b0x[0-9a-f]+\b|\b[0-9a-f]{8,}\b", "HEX", kept)
    return re.sub(r"\d+(\.\d+)?", "N", kept)[:300]


class DoomLoopDetector:
    """`see` returns a warning for the model when something repeats for the third time, else ''; raises DoomLoop at
    the sixth. A warning is given once for each signature."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()
        self._warned: set[str] = set()

    def see(self, call: ToolCall, result: str) -> str:
        if result.startswith("FAILED"):
            signature = f"{call.name} keeps failing in the same way: {failure_signature(result)}"
        else:
            digest = hashlib.sha256(f"{call.arguments}\0{result}".encode()).hexdigest()
            signature = f"{call.name} was called again with the same arguments and the same result ({digest[:8]})"
        return self._count(signature)

    def see_text_only(self) -> str:
        return self._count("a text came without a tool call while the work is open")

    def _count(self, signature: str) -> str:
        self._seen[signature] += 1
        count = self._seen[signature]
        if count >= _STOP_AT:
            raise DoomLoop(f"Stopped after {count} repetitions: {signature}.", next="Look at the session's log.")
        if count >= _WARN_AT and signature not in self._warned:
            self._warned.add(signature)
            return f"This repeats ({count} times): {signature}. Do it in another way, or give up with the reason."
        return ""
