"""A scripted OpenAI-compatible server on loopback: real clients talk to it; it answers what a test says, faults too.

Whatever is posted to `…/messages` is answered in Anthropic's shape, to `…/api/chat` in Ollama's.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.anthropic_shape import anthropic_events, anthropic_message
from tests.support.ollama_shape import ollama_lines


@dataclass(frozen=True)
class Answer:
    """One reply. `calls`: (tool, arguments as JSON text). `status` other than 200 is an error with `text` as message.

    `finish`: why the reply ended; `none` leaves it out. `cut`: the connection breaks after that many bytes of the body.
    `ends_after`: a stream ends in good order after that many chunks, with nothing that says so. `breaks_after`: after
    that many chunks the stream holds an error. `pause`: seconds before each chunk. `cached`: tokens of the prompt that
    were read from a cache. `streams`: False answers a request for a stream with plain JSON. `indexed`: False gives
    every call the index 0.
    """

    text: str = ""
    calls: Sequence[tuple[str, str]] = ()
    finish: str = ""
    status: int = 200
    code: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: int | None = None
    usage: tuple[int, int] | None = (100, 10)
    reasoning: str = ""
    cached: int = 0
    ends_after: int | None = None
    breaks_after: int | None = None
    pause: float = 0.0
    streams: bool = True
    indexed: bool = True


def call(name: str, **arguments: Any) -> Answer:
    return Answer(calls=[(name, json.dumps(arguments))])


Script = Callable[[dict[str, Any]], Answer]


class OpenAIServer:
    """`requests` are the bodies as they came, `headers` and `paths` what came with each. `script` gets each body and
    answers; see `in_turn`."""

    def __init__(self, script: Script, models: Sequence[str] = ("scripted",)) -> None:
        self.script, self.models = script, models
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def keys(self) -> list[str]:
        return [headers.get("authorization", "") for headers in self.headers]

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def serving(script: Script, models: Sequence[str] = ("scripted",)) -> Iterator[OpenAIServer]:
    server = OpenAIServer(script, models)
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

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # a client that has waited long enough goes away
                super().handle()

        def do_GET(self) -> None:
            if self.path == "/api/tags":
                found: dict[str, Any] = {"models": [{"name": name} for name in server.models]}
            else:
                found = {"object": "list", "data": [{"id": name, "object": "model"} for name in server.models]}
            self._send(200, json.dumps(found).encode(), Answer())

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path.endswith("/api/show"):  # litellm asks Ollama about a model before it sends tools
                return self._send(200, b"{}", Answer())
            server.requests.append(body)
            server.headers.append({name.lower(): value for name, value in self.headers.items()})
            server.paths.append(self.path)
            answer = server.script(body)
            time.sleep(answer.delay)
            claude, ollama = self.path.endswith("/messages"), self.path.endswith("/api/chat")
            if answer.status != 200:
                error = {"message": answer.text, "type": "error", "code": answer.code or None}
                self._send(answer.status, json.dumps({"error": error}).encode(), answer)
            elif ollama:
                self._stream(list(ollama_lines(body, answer))[: answer.ends_after], answer)
            elif body.get("stream") and answer.streams:
                events = list(anthropic_events(body, answer))[: answer.ends_after] if claude else _events(body, answer)
                self._stream(events, answer)
            else:
                whole = anthropic_message(body, answer) if claude else _completion(body, answer)
                self._send(200, json.dumps(whole).encode(), answer)

        def _head(self, status: int, kind: str, answer: Answer, *more: tuple[str, str]) -> None:
            self.send_response(status)
            for name, value in [("Content-Type", kind), *answer.headers.items(), *more]:
                self.send_header(name, value)
            self.end_headers()

        def _send(self, status: int, data: bytes, answer: Answer) -> None:
            self._head(status, "application/json", answer, ("Content-Length", str(len(data))))
            self.wfile.write(data if answer.cut is None else data[: answer.cut])
            if answer.cut is not None:
                self.close_connection = True

        def _stream(self, events: Iterable[str], answer: Answer) -> None:
            """In pieces as they are written, as servers do; without the last, empty piece where it is cut."""
            self._head(200, "text/event-stream", answer, ("Transfer-Encoding", "chunked"))
            left = answer.cut
            for event in events:
                time.sleep(answer.pause)
                data = event.encode() if left is None else event.encode()[:left]
                if data:
                    self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                    self.wfile.flush()
                if left is not None:
                    left -= len(data)
                    if left <= 0:
                        self.close_connection = True
                        return
            self.wfile.write(b"0\r\n\r\n")

    return Handler


def _events(body: dict[str, Any], answer: Answer) -> Iterator[str]:
    """The stream as server-sent events, up to where it ends or breaks."""
    for place, chunk in enumerate(_chunks(body, answer)):
        if place == answer.ends_after:
            return
        if place == answer.breaks_after:
            yield f"data: {json.dumps({'error': {'message': 'The engine broke down.', 'code': 500}})}\n\n"
            return
        yield f"data: {json.dumps(chunk)}\n\n"
    yield "data: [DONE]\n\n"


def _tool_calls(answer: Answer) -> list[dict[str, Any]]:
    return [
        {"id": f"call_{place}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for place, (name, arguments) in enumerate(answer.calls)
    ]


def _usage(answer: Answer) -> dict[str, Any]:
    if answer.usage is None:
        return {}
    prompt, completion = answer.usage
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if answer.cached:
        usage["prompt_tokens_details"] = {"cached_tokens": answer.cached}
    return {"usage": usage}


def _finish(answer: Answer) -> str | None:
    if answer.finish == "none":
        return None
    return answer.finish or ("tool_calls" if answer.calls else "stop")


def _completion(body: dict[str, Any], answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    if answer.calls:
        message["tool_calls"] = _tool_calls(answer)
    choice = {"index": 0, "message": message, "finish_reason": _finish(answer)}
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": body["model"]}
    return {**head, "choices": [choice], **_usage(answer)}


def _chunks(body: dict[str, Any], answer: Answer) -> Iterator[dict[str, Any]]:
    """Reasoning and text in pieces of five characters, each call's arguments in two, usage at the end where it was
    asked for."""
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    yield chunk({"role": "assistant", "content": ""})
    for name, text in (("reasoning_content", answer.reasoning), ("content", answer.text)):
        for start in range(0, len(text), 5):
            yield chunk({name: text[start : start + 5]})
    for place, made in enumerate(_tool_calls(answer)):
        index = place if answer.indexed else 0
        arguments = made["function"]["arguments"]
        half = len(arguments) // 2
        first = {**made, "index": index, "function": {**made["function"], "arguments": arguments[:half]}}
        yield chunk({"tool_calls": [first]})
        yield chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments[half:]}}]})
    yield chunk({}, _finish(answer))
    if body.get("stream_options", {}).get("include_usage") and answer.usage is not None:
        yield {**head, "choices": [], **_usage(answer)}
