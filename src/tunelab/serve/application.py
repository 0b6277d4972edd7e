"""The HTTP side of `tunelab serve`: routes, streams, and what is refused.

A body is read up to a limit of bytes and of time; one that is no JSON, or says that it is none, is
refused (so no web page can make a browser send one unasked). A client that goes away ends its
reply.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tunelab.answering import Answerer, Piece, Reply
from tunelab.answering.answerer import TooLongError
from tunelab.answering.jobs import Talk
from tunelab.errors import TunelabError
from tunelab.serve.requests import ChatRequest, RefusedError, Request, TextRequest, read_request
from tunelab.serve.responses import LAST_EVENT, Answer, error_document, event

LARGEST_BODY = 4 * 2**20
"""Bytes."""
SLOWEST_BODY = 30.0
"""Seconds."""
TOO_LONG = "context_length_exceeded"
"""OpenAI's word for it."""
LOOK_EVERY = 0.25
"""Seconds between two looks at whether a client is still there."""

Handler = Callable[[HttpRequest], Awaitable[Response]]


def make_application(answerer: Answerer) -> Starlette:
    """The web application that offers one model."""
    server = _Server(answerer)
    return Starlette(
        routes=[
            Route("/v1/models", _told(server.models), methods=["GET"]),
            Route("/v1/models/{name:path}", _told(server.model), methods=["GET"]),
            Route("/v1/chat/completions", _told(server.chat), methods=["POST"]),
            Route("/v1/completions", _told(server.text), methods=["POST"]),
            Route("/health", _told(server.health), methods=["GET"]),
        ],
        exception_handlers={404: _no_such_place, 405: _no_such_place},
    )


class _Server:
    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer

    async def health(self, _http: HttpRequest) -> Response:
        return JSONResponse({"status": "ok"})

    async def models(self, _http: HttpRequest) -> Response:
        return JSONResponse({"object": "list", "data": [self._card()]})

    async def model(self, http: HttpRequest) -> Response:
        self._check_name(http.path_params["name"])
        return JSONResponse(self._card())

    async def chat(self, http: HttpRequest) -> Response:
        request = read_request(ChatRequest, await _body(http))
        self._check_name(request.model)
        return await self._reply(http, request)

    async def text(self, http: HttpRequest) -> Response:
        request = read_request(TextRequest, await _body(http))
        self._check_name(request.model)
        if request.echo:
            raise RefusedError("This server does not repeat the prompt.", param="echo")
        return await self._reply(http, request)

    async def _reply(self, http: HttpRequest, request: Request) -> Response:
        answer = Answer(request, self._answerer.name)
        prompt = request.conversation() if isinstance(request, ChatRequest) else request.prompt
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[Piece | None] = asyncio.Queue()

        def hear(piece: Piece | None) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

        job = self._answerer.talk(prompt, request.writing(), hear=hear)
        if not request.stream:
            return JSONResponse(answer.whole(await _reply_to(http, job)))
        job.future.add_done_callback(lambda _future: hear(None))
        first = await pieces.get()
        if first is None:  # what was wrong is told with a status of its own
            job.future.result()
        return StreamingResponse(
            _stream(answer, job, first, pieces),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
        )

    def _check_name(self, name: str | None) -> None:
        if name is not None and name != self._answerer.name:
            raise RefusedError(
                f"There is no model '{name[:100]}' here; there is '{self._answerer.name}'.",
                status=404,
                param="model",
                code="model_not_found",
            )

    def _card(self) -> dict[str, object]:
        return {"id": self._answerer.name, "object": "model", "created": 0, "owned_by": "tunelab"}


async def _stream(
    answer: Answer, job: Talk, first: Piece | None, pieces: asyncio.Queue[Piece | None]
) -> AsyncIterator[bytes]:
    """The events of a reply; if nobody reads them any more, the reply ends."""
    try:
        if (opening := answer.opening()) is not None:
            yield event(opening)
        piece = first
        while piece is not None:
            yield event(answer.piece(piece))
            piece = await pieces.get()
        try:
            reply = job.future.result()
        except Exception as error:  # noqa: BLE001 - the status has been sent; the stream tells it
            yield event(error_document(_refusal(error)))
            return
        for document in answer.ending(reply):
            yield event(document)
        yield LAST_EVENT
    finally:
        job.left.set()


async def _reply_to(http: HttpRequest, job: Talk) -> Reply:
    """Wait for the reply, and look now and then whether the client does too."""
    future = asyncio.wrap_future(job.future)
    while True:
        done, _ = await asyncio.wait({future}, timeout=LOOK_EVERY)
        if done:
            return future.result()
        if await http.is_disconnected():
            job.left.set()
            raise ClientDisconnect


async def _body(http: HttpRequest) -> bytes:
    """The body of a request.

    Raises:
        RefusedError: it is too large, too slow, or says that it is no JSON.
    """
    kind = http.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RefusedError(
            f"The body is '{kind[:100]}'; send Content-Type: application/json.", status=415
        )
    body = bytearray()
    try:
        async with asyncio.timeout(SLOWEST_BODY):
            async for chunk in http.stream():
                body += chunk
                if len(body) > LARGEST_BODY:
                    raise RefusedError(f"The body is larger than {LARGEST_BODY} bytes.", status=413)
    except TimeoutError:
        raise RefusedError("The body did not come in time.", status=408) from None
    return bytes(body)


def _told(handler: Handler) -> Handler:
    """Tell every error in the interface's own form."""

    async def told(http: HttpRequest) -> Response:
        try:
            return await handler(http)
        except ClientDisconnect:
            return Response(status_code=499)  # nobody will read it
        except Exception as error:  # noqa: BLE001 - a defect is told too, and the server goes on
            refused = _refusal(error)
            return JSONResponse(error_document(refused), status_code=refused.status)

    return told


def _refusal(error: Exception) -> RefusedError:
    match error:
        case RefusedError():
            return error
        case TooLongError():
            return RefusedError(" ".join((error.problem, error.hint)), code=TOO_LONG)
        case TunelabError():
            return RefusedError(" ".join(filter(None, (error.problem, error.hint))))
        case _:
            return RefusedError(f"A defect of tunelab: {type(error).__name__}.", status=500)


async def _no_such_place(http: HttpRequest, _error: Exception) -> Response:
    refused = RefusedError(
        f"There is no {http.method} {http.url.path[:100]} here; there are POST "
        "/v1/chat/completions, POST /v1/completions and GET /v1/models.",
        status=404,
    )
    return JSONResponse(error_document(refused), status_code=404)
