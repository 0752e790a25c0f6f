"""Sessions: appending an event, opening a long log, forking, and an upload of 1, 100 and 1,000 new events.

`python -m tests.bench.bench_session`. The Hub is the stand-in on loopback, so an upload's time is the program's own.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ml_intern.redaction import Redactor
from ml_intern.session.fork import fork
from ml_intern.session.log import EventLog, read_log
from ml_intern.session.state import fold
from ml_intern.session.store import SessionStore
from ml_intern.session.sync.remote import Remote
from ml_intern.session.sync.upload import Uploader
from tests.support.hub import serve_hub
from tests.support.session import write_session

TEXT = "step 12: loss 0.4312, accuracy 0.8731\n" * 20  # some 800 characters, as a tool's result has


def timed(act: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    act()
    return 1000 * (time.perf_counter() - began)


def appended(log: EventLog, count: int) -> list[float]:
    return [
        timed(lambda: log.append("tool.result", purpose="p", id="1", name="read_file", result=TEXT, failed=False))
        for _ in range(count)
    ]


def spread(times: list[float]) -> str:
    return f"median {statistics.median(times):.2f} ms, p95 {sorted(times)[int(0.95 * len(times))]:.2f} ms"


def main() -> None:
    os.environ["HF_HUB_DISABLE_XET"] = "1"
    redactor = Redactor.from_environment({"HF_TOKEN": "hf_" + "aB3dE6gH" * 4, "OPENAI_API_KEY": "sk-" + "x9Y8z7W6" * 5})
    with tempfile.TemporaryDirectory() as folder, serve_hub() as hub:
        home = Path(folder)
        with EventLog(home / "plain" / "events.jsonl") as log:
            print(f"append, 10,000 times: {spread(appended(log, 10_000))}")
        with EventLog(home / "clean" / "events.jsonl", lambda data: redactor.data(data)[0]) as log:
            times = appended(log, 2_000)
            print(f"append with redaction, 2,000 times: {spread(times)}")
        path = home / "plain" / "events.jsonl"
        print(f"open 10,000 events: {spread([timed(lambda: fold(read_log(path))) for _ in range(9)])}")

        hub.user("hf_write", "ada")
        session = write_session(home / "here")
        remote = Remote(hub.site, "hf_write")
        remote.make("ada/sessions", public=False)
        uploader = Uploader(session, remote, "ada/sessions", redactor, home / "here")
        print(f"first upload, {len(session.events())} events: {timed(uploader.upload):.0f} ms")
        for count in (1, 100, 1000):
            with EventLog(session.log) as log:
                appended(log, count)
            before = hub.received()
            spent = timed(uploader.upload)
            print(f"upload after {count} new events: {spent:.0f} ms, {(hub.received() - before) / 1000:.0f} kB sent")
        print(f"upload with nothing new: {timed(uploader.upload):.0f} ms")
        store = SessionStore(home / "here" / "sessions")
        print(f"fork of {len(session.events())} events: {timed(lambda: fork(store, session, None)):.0f} ms")


if __name__ == "__main__":
    main()
