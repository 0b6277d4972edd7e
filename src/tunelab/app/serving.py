"""The page on a socket: nothing from the network, no files to give or take.

Gradio's own server looks for a network, sends telemetry and offers files. So the page is mounted in
a plain one, and what it does not use is closed: uploads, files, proxies, the list of functions.
"""

from __future__ import annotations

import re
import socket

import gradio as gr
from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunelab.app.lab import Lab
from tunelab.app.page import make_page, theme
from tunelab.app.rendering import style
from tunelab.serve.running import serve_application

_CLOSED = re.compile(
    r"/+(gradio_api/+)?(upload|file|proxy|stream|deep_link|custom_component|component_server"
    r"|info|openapi|call|run|api|runs|run-history|dev|vibe|monitoring|login|token|cancel_upload"
    r"|upload_progress|svelte)([/=.?].*)?"
)
"""What Gradio offers and this page does not need."""
_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'"
)
"""The browser itself refuses to fetch anything from elsewhere."""
LOOPBACK = ["127.0.0.1", "localhost", "[::1]"]


def make_web_application(lab: Lab, *, hosts: list[str]) -> FastAPI:
    """The page as a web application.

    Args:
        lab: what it shows.
        hosts: names under which it may be asked; ["*"] allows all. On loopback this keeps other
            pages out that have their own name point here.
    """
    application = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    application.add_middleware(_Closed)
    application.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)
    return gr.mount_gradio_app(
        application,
        make_page(lab),
        path="/",
        theme=theme(),
        css=style(),
        footer_links=[],
        run_history=False,
        allowed_paths=[],
        blocked_paths=["/"],
        show_error=False,
        max_file_size=1,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
    )


def serve_page(lab: Lab, listening: socket.socket, *, hosts: list[str]) -> None:
    """Show the page until SIGINT or SIGTERM."""
    try:
        serve_application(make_web_application(lab, hosts=hosts), listening, lifespan="on")
    finally:
        lab.shelf.close()


def _is_closed(path: str) -> bool:
    """Nothing that is offered has a control character in its name; with a line break behind it, a
    closed path would be none to us, and still be one to Gradio's routes."""
    return not path.isprintable() or _CLOSED.fullmatch(path) is not None


class _Closed:
    """Closes what is not needed, and adds the policy to every reply."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _is_closed(scope["path"]):
            await PlainTextResponse("Not here.", status_code=404)(scope, receive, send)
            return

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = _POLICY
                headers["Referrer-Policy"] = "no-referrer"
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self._app(scope, receive, send_with_policy)
