"""What a test can order to go wrong. Each fault strikes a number of matching requests and counts them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.hub.wire import Response, as_json


@dataclass
class Fault:
    """`skip`: that many matching requests go through first. `struck`: how many it hit.

    Fields go together: `Fault("PUT /lfs/", cut_upload=1000, before=hub.stop)` is a Hub that dies during an upload.
    """

    route: str
    times: int = 1
    skip: int = 0
    response: Response | None = None  # instead of the true one
    delay: float = 0
    cut_upload: int | None = None  # bytes of the body that are read before the connection is closed
    cut_download: int | None = None  # bytes of the answer's body that are sent before it is
    reset: bool = False  # closed with RST instead of FIN
    lost: bool = False  # everything is done, and no answer comes
    before: Callable[[], object] | None = None
    struck: int = 0


@dataclass
class Faults:
    ordered: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def refuse(
        self,
        route: str,
        status: int,
        times: int = 1,
        retry_after: int | None = None,
        body: Any = None,
        skip: int = 0,
        **headers: str,
    ) -> Fault:
        """Answered with `status`. `body`: bytes, or what becomes JSON."""
        message = {"error": f"ordered by the test: {status}"} if body is None else body
        retry = {} if retry_after is None else {"Retry-After": str(retry_after)}
        named = {name.replace("_", "-"): value for name, value in headers.items()} | retry
        response = Response(status, named, body) if isinstance(body, bytes) else as_json(message, status, named)
        return self.order(Fault(route, times, skip, response))

    def conflict(self, route: str = "/commit/", times: int = 1, skip: int = 0) -> Fault:
        """412, as if somebody else had committed; nobody has. See also `before` and `Repository.commit_aside`."""
        return self.refuse(route, 412, times, body={"error": "A commit has happened since. Please refresh"}, skip=skip)

    def forbid(self, route: str, times: int = 1, skip: int = 0) -> Fault:
        message = "You don't have the required permissions to perform this action"
        return self.refuse(route, 403, times, body={"error": message}, skip=skip, X_Error_Message=message)

    def cut_upload(self, route: str, after: int = 0, times: int = 1, skip: int = 0) -> Fault:
        """The connection is closed when `after` bytes of the request's body are read; nothing is stored."""
        return self.order(Fault(route, times, skip, cut_upload=after, reset=True))

    def cut_download(self, route: str, after: int = 0, times: int = 1, skip: int = 0, reset: bool = False) -> Fault:
        """The connection is closed when `after` bytes of the answer's body are sent."""
        return self.order(Fault(route, times, skip, cut_download=after, reset=reset))

    def lose_answer(self, route: str, times: int = 1, skip: int = 0) -> Fault:
        """What is asked for is done, and the connection is closed before the answer."""
        return self.order(Fault(route, times, skip, lost=True))

    def delay(self, route: str, seconds: float, times: int = 1, skip: int = 0) -> Fault:
        return self.order(Fault(route, times, skip, delay=seconds))

    def before(self, route: str, action: Callable[[], object], times: int = 1, skip: int = 0) -> Fault:
        """`action` is called when the request has been read, before it is answered: a race without luck."""
        return self.order(Fault(route, times, skip, before=action))

    def order(self, fault: Fault) -> Fault:
        self.ordered.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self.ordered.clear()

    def strike(self, line: str) -> Fault:
        """The first fault that is due for this request; one without effect if there is none."""
        with self._lock:
            for fault in self.ordered:
                if fault.route not in line or fault.struck >= fault.times:
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.struck += 1
                return fault
        return Fault(line)
