"""Several things at once, that whoever waits for them can walk away from. Knows nothing of what they are."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable


def at_once(number: int, work: Callable[[str], None], names: Iterable[str]) -> None:
    """`work` for each of `names`, so many at a time. Where one fails, those that have begun come to their end, and its
    error is raised; at Ctrl-C nothing is waited for."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    done: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
    over = threading.Event()
    for name in names:
        waiting.put(name)

    def labour() -> None:
        while not over.is_set():
            try:
                work(waiting.get_nowait())
            except queue.Empty:
                return
            except Exception as error:
                done.put(error)
            else:
                done.put(None)

    # Daemons: Python itself waits for the threads of a pool, and for one that hangs it would wait long.
    todo = waiting.qsize()
    threads = [threading.Thread(target=labour, daemon=True) for _ in range(min(number, todo))]
    try:
        for thread in threads:
            thread.start()
        for _ in range(todo):
            if (error := done.get()) is not None:
                over.set()
                for thread in threads:
                    thread.join()
                raise error
    finally:
        over.set()
