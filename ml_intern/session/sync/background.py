"""Uploads a session now and then while it is worked on, beside the run: nothing waits for it, or for a dead network.

Where another machine has taken the session over, the run is told to stop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ml_intern.errors import MlInternError
from ml_intern.session.events import EventType
from ml_intern.session.sync.remote import SyncError
from ml_intern.session.sync.upload import GoneElsewhere, Uploader

_LONGEST_PAUSE = 900.0  # seconds between two tries while the network is away
_LAST_TRY = 120.0  # seconds that the end of a run waits for the last upload
_LAPSE = 10.0  # seconds that it waits then for the Hub to know that nobody is here any more


def incomplete(session: str, repo: str, problem: MlInternError) -> MlInternError:
    """What a person is told of the last upload of a session, which `problem` kept from being whole."""
    return MlInternError(
        f"Not all of session {session} is uploaded to {repo}.",
        f"{problem.what} {problem.why}".strip(),
        f"{problem.next} Upload the rest: ml-intern sessions upload {session} --repo {repo}".strip(),
    )


class BackgroundSync:
    """Use as a context manager around the run. `tell(type, data)` logs; `lost` is called when the session is no longer
    this machine's. `every`: seconds between two uploads. Once it is left, `rest` says in words why not all could be
    uploaded, and what is to be done; empty where all was."""

    rest = ""

    def __init__(
        self,
        uploader: Uploader,
        every: float,
        tell: Callable[[EventType, dict[str, Any]], None],
        lost: Callable[[], None],
    ) -> None:
        self._uploader, self._every, self._tell, self._lost = uploader, every, tell, lost
        self._ended = threading.Event()
        self._problem: MlInternError | None = None
        self._given_up = self._gone = self._whole = self._left = False
        self._thread = threading.Thread(target=self._work, name="sync", daemon=True)

    def __enter__(self) -> BackgroundSync:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        why = f"the upload takes longer than {_LAST_TRY:.0f} s"
        try:
            self._thread.join(_LAST_TRY)
        except KeyboardInterrupt:
            why = "nobody wanted to wait for the upload"
        if self._gone:
            self.rest = str(self._problem)
        if self._whole or self._gone:
            return
        # What still hangs is left behind, and a thread for this too, should it hang as well.
        lapse = threading.Thread(target=self._uploader.lapse, name="lapse", daemon=True)
        lapse.start()
        lapse.join(_LAPSE)
        if self._whole:
            return
        here, repo = self._uploader.folder.id, self._uploader.repo
        self.rest = str(incomplete(here, repo, self._problem or MlInternError(why)))
        self._say(" ".join(self.rest.splitlines()))
        self._left = True

    def _say(self, text: str) -> None:
        if not self._left:  # the log is closed then
            self._tell("note", {"text": text})

    def _work(self) -> None:
        pause = 0.0  # at once: that nobody else works on it is worth knowing first
        while not self._ended.wait(pause) and not self._given_up:
            pause = self._every if self._once(release=False) else min(max(pause, self._every) * 2, _LONGEST_PAUSE)
        if not self._given_up:
            self._whole = self._once(release=True)

    def _once(self, release: bool) -> bool:
        try:
            done = self._uploader.upload(release=release, fresh=release)
        except GoneElsewhere as error:
            self._given_up = self._gone = True
            self._problem = error
            self._say(f"{error.what} This machine stops.")
            self._lost()
            return False
        except MlInternError as error:
            self._give_up_on(error, release)
            return False
        except Exception as error:  # such as a file that changed under its hands: the next upload comes in any case
            what = MlInternError("The session could not be uploaded.", f"{type(error).__name__}: {error}")
            self._give_up_on(what, release)
            return False
        if self._problem and not release:
            self._say(f"Uploads to {done.repo} go on.")
        self._problem = None
        return True

    def _give_up_on(self, error: MlInternError, last: bool) -> None:
        """Said once for each problem, and for the `last` upload by who ends; what will not pass by itself is not tried
        again."""
        if isinstance(error, SyncError) and not error.passing:
            self._given_up = True
        before, self._problem = self._problem, error
        if (before is None or error.what != before.what) and not last:
            rest = " It is not tried again." if self._given_up else " It is tried again."
            self._say(f"{error.what} {error.why}{rest}")
