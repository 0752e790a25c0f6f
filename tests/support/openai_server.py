"""A scripted OpenAI-compatible server on loopback: real clients talk to it; it answers what a test says, faults too."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One reply. `calls`: (tool, arguments as JSON text). `status` other than 200 is an error with `text` as message.
    `cut`: the connection ends after that many bytes of the body."""

    text: str = ""
    calls: Sequence[tuple[str, str]] = ()
    finish: str = ""
    status: int = 200
    code: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: int | None = None
    usage: tuple[int, int] = (100, 10)


def call(name: str, **arguments: Any) -> Answer:
    return Answer(calls=[(name, json.dumps(arguments))])


Script = Callable[[dict[str, Any]], Answer]


class OpenAIServer:
    """`requests` are the bodies as they came. `script` gets each and answers; see `in_turn`."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def serving(script: Script) -> Iterator[OpenAIServer]:
    server = OpenAIServer(script)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def in_turn(*answers: Answer) -> Script:
    """One answer after another, the last for ever."""
    left = list(answers)
    lock = threading.Lock()

    def script(_: dict[str, Any]) -> Answer:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return script


def _handler(server: OpenAIServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            return

        def do_GET(self) -> None:
            self._send(200, json.dumps({"object": "list", "data": [{"id": "scripted", "object": "model"}]}).encode())

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.requests.append(body)
            server.keys.append(self.headers.get("Authorization", ""))
            answer = server.script(body)
            time.sleep(answer.delay)
            if answer.status != 200:
                error = {"message": answer.text, "type": "error", "code": answer.code or None}
                self._send(answer.status, json.dumps({"error": error}).encode(), answer)
            elif body.get("stream"):
                chunks = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in _chunks(body, answer))
                self._send(200, f"{chunks}data: [DONE]\n\n".encode(), answer, "text/event-stream")
            else:
                self._send(200, json.dumps(_completion(body, answer)).encode(), answer)

        def _send(self, status: int, data: bytes, answer: Answer | None = None, kind: str = "application/json") -> None:
            answer = answer or Answer()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data if answer.cut is None else data[: answer.cut])
            if answer.cut is not None:
                self.close_connection = True

    return Handler


def _tool_calls(answer: Answer) -> list[dict[str, Any]]:
    return [
        {"id": f"call_{place}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for place, (name, arguments) in enumerate(answer.calls)
    ]


def _usage(answer: Answer) -> dict[str, int]:
    prompt, completion = answer.usage
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _finish(answer: Answer) -> str:
    return answer.finish or ("tool_calls" if answer.calls else "stop")


def _completion(body: dict[str, Any], answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
    if answer.calls:
        message["tool_calls"] = _tool_calls(answer)
    choice = {"index": 0, "message": message, "finish_reason": _finish(answer)}
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": body["model"]}
    return {**head, "choices": [choice], "usage": _usage(answer)}


def _chunks(body: dict[str, Any], answer: Answer) -> Iterator[dict[str, Any]]:
    """Text in pieces of five characters, each call's arguments in two, usage at the end."""
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    yield chunk({"role": "assistant", "content": ""})
    for start in range(0, len(answer.text), 5):
        yield chunk({"content": answer.text[start : start + 5]})
    for place, made in enumerate(_tool_calls(answer)):
        arguments = made["function"]["arguments"]
        half = len(arguments) // 2
        first = {**made, "index": place, "function": {**made["function"], "arguments": arguments[:half]}}
        yield chunk({"tool_calls": [first]})
        yield chunk({"tool_calls": [{"index": place, "function": {"arguments": arguments[half:]}}]})
    yield chunk({}, _finish(answer))
    yield {**head, "choices": [], "usage": _usage(answer)}
