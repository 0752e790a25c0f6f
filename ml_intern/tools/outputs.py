"""Outputs of tools that were shown to a model cut: each is kept whole, under a number that the cut text names.

Knows nothing of where they are kept. Only what a tool of this work answered gets in here, so nothing else comes out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from ml_intern.errors import InputError

READER = "read_output"  # the tool that shows them
_NAMED = re.compile(rf"; {READER} with id (\d+) ")


class Outputs:
    """`put` keeps a text and gives its digest, `get` gives it back; `tell` hears the digest of each new one. `known`:
    digests of those kept before, in their order. Without `put` and `get` they are held in memory."""

    def __init__(
        self,
        put: Callable[[str], str] | None = None,
        get: Callable[[str], str] | None = None,
        tell: Callable[[str], object] = lambda digest: None,
        known: Iterable[str] = (),
    ) -> None:
        held: dict[str, str] = {}
        self._put = put or (lambda text: held.setdefault(text, text))
        self._get = get or held.__getitem__
        self._tell = tell
        self._digests = list(dict.fromkeys(known))

    def keep(self, text: str) -> int:
        """The number under which it can be read from now on; the same for the same text."""
        digest = self._put(text)
        if digest not in self._digests:
            self._tell(digest)
            self._digests.append(digest)
        return self._digests.index(digest) + 1

    def whole(self, id: int) -> str:
        """Raises InputError where there is none of this number."""
        if not 1 <= id <= len(self._digests):
            known = f"there are 1 to {len(self._digests)}" if self._digests else "none was cut so far"
            raise InputError(f"There is no output {id}.", known, "Take the id from where a text was cut.")
        return self._get(self._digests[id - 1])

    def cut(self, text: str, head: int, tail: int, what: str = "left out") -> str:
        """The first `head` and the last `tail` characters; between them how many were left out, and the id by which all
        of it can be read: of the whole, where `text` is one that was cut before."""
        if len(text) <= head + tail:
            return text
        before = [int(id) for id in _NAMED.findall(text) if 1 <= int(id) <= len(self._digests)]
        id = before[0] if len(before) == 1 else self.keep(text)
        return f"{text[:head]}\n{mark(len(text) - head - tail, what, id)}\n{text[-tail:]}"


def mark(count: int, what: str, id: int) -> str:
    """What stands in the place of characters that are not shown."""
    return f"… {count} characters {what}; {READER} with id {id} shows all of it …"
