"""The log as it leaves the machine: the same, or, where something in it is secret, written anew with its own chain."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from ml_intern.redaction import Finding, Redactor
from ml_intern.session.blobs import Blobs, spilled
from ml_intern.session.events import GENESIS, VERSION, Event, encoded


class OutgoingLog:
    """Takes events one after another. `lines` are those to upload, `checksums` theirs; `blobs`: digest to content of
    long texts, kept outputs and scripts; `findings`: in which event what was replaced."""

    def __init__(self, redactor: Redactor, kept: Blobs) -> None:
        self._redactor, self._kept = redactor, kept
        self._texts: dict[str, str] = {}  # digest of a script or an output to that of the version that leaves
        self.lines: list[bytes] = []
        self.checksums: list[str] = []
        self.blobs: dict[str, bytes] = {}
        self.findings: list[tuple[int, Finding]] = []

    def advance(self, events: Sequence[Event]) -> None:
        """Takes in the events beyond those that it has."""
        for event in events[len(self.lines) :]:
            data, found = self._redactor.data(event.data, guess=True)
            self._note(event, found)
            if event.type == "tool.result" and event.data.get("files"):
                files = {self.name(name): self._text(event, digest) for name, digest in event.data["files"].items()}
                data = {**data, "files": files}
            elif event.type == "output.kept":
                data = {**data, "digest": self._text(event, event.data["digest"])}
            self._add(event, spilled(data, self._put))

    def name(self, name: str) -> str:
        """What leaves for the name of a script."""
        return self._redactor.text(name, guess=True)[0]

    def script(self, digest: str) -> bytes:
        """The content that leaves for a script of this name."""
        return self.blobs[self._texts[digest]]

    def _text(self, event: Event, digest: str) -> str:
        if digest not in self._texts:
            content = self._kept.get(digest)
            text, found = self._redactor.text(content.decode("utf-8", "replace"), guess=True)
            self._note(event, found)
            self._texts[digest] = self._put(text.encode() if found else content)
        return self._texts[digest]

    def _put(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self.blobs[digest] = content
        return digest

    def _note(self, event: Event, found: Sequence[Finding]) -> None:
        self.findings += [(event.seq, one) for one in found]

    def _add(self, event: Event, data: dict[str, Any]) -> None:
        line, checksum = encoded(
            {
                "version": VERSION,
                "seq": event.seq,
                "type": event.type,
                "time": event.time,
                "mono": event.mono,
                "data": data,
                "previous": self.checksums[-1] if self.checksums else GENESIS,
            }
        )
        self.lines.append(line)
        self.checksums.append(checksum)
