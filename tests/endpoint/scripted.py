"""A real HTTP server on loopback that behaves, or misbehaves, as a test tells it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[[BaseHTTPRequestHandler, Any], None]


@dataclass
class Script:
    """What the server does, request by request; behind its end it answers."""

    behaviours: list[Behaviour] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    """Of the requests so far."""
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    answer: str = '```json\n{"answer": "7 sea"}\n```'
    most: int = 0
    """Requests that were under way at a time."""
    url: str = ""


@contextmanager
def scripted(*behaviours: Behaviour) -> Iterator[Script]:
    """A server at `url`."""
    script = Script(list(behaviours))
    lock = threading.Lock()
    under_way = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            nonlocal under_way
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                under_way += 1
                script.most = max(script.most, under_way)
                script.bodies.append(body)
                script.headers.append(dict(self.headers))
                script.times.append(time.monotonic())
                behave = script.behaviours.pop(0) if script.behaviours else replies(script.answer)
            try:
                behave(self, body)
            finally:
                with lock:
                    under_way -= 1

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    script.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()


def send(
    handler: BaseHTTPRequestHandler,
    content: str,
    *,
    status: int = 200,
    kind: str = "application/json",
    headers: dict[str, str] | None = None,
) -> None:
    data = content.encode()
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(data)))
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(data)


def replies(text: str, *, after: float = 0.0, logprobs: Any = None) -> Behaviour:
    def behave(handler: BaseHTTPRequestHandler, body: Any) -> None:
        time.sleep(after)
        choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 100, "completion_tokens": 10}
        document = {"choices": [choice | {"logprobs": logprobs}], "usage": usage}
        send(handler, json.dumps(document))

    return behave


def refuses(status: int, message: str = "no", **more: Any) -> Behaviour:
    headers = more.pop("headers", None)
    document = json.dumps({"error": {"message": message, **more}})
    return lambda handler, _body: send(handler, document, status=status, headers=headers)


def says(content: str, *, kind: str = "application/json") -> Behaviour:
    return lambda handler, _body: send(handler, content, kind=kind)


def silence(handler: BaseHTTPRequestHandler, _body: Any) -> None:
    time.sleep(1.5)
    handler.close_connection = True


def hangs_up(handler: BaseHTTPRequestHandler, _body: Any) -> None:
    handler.close_connection = True


def half(handler: BaseHTTPRequestHandler, _body: Any) -> None:
    """Promises more than it sends."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [{"mess')
    handler.close_connection = True


def drips(handler: BaseHTTPRequestHandler, _body: Any) -> None:
    """A byte now and then, for longer than anybody waits."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    try:
        for _ in range(40):
            handler.wfile.write(b"1\r\n \r\n")
            handler.wfile.flush()
            time.sleep(0.1)
    except OSError:
        handler.close_connection = True


def repeats_the_key(handler: BaseHTTPRequestHandler, _body: Any) -> None:
    """Sends back what it was sent, as some test servers do."""
    text = f'```json\n{{"answer": "{handler.headers["Authorization"]}"}}\n```'
    document = {"choices": [{"message": {"content": text}}], "headers": dict(handler.headers)}
    send(handler, json.dumps(document))
