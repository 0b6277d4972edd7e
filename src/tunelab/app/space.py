"""What `app.py` of an exported Space starts: one run, open to all, with nothing that is written."""

from __future__ import annotations

import os

from tunelab.app.lab import Lab
from tunelab.app.serving import serve_page
from tunelab.serve.running import bind

PORT = "7860"
"""Where the hub expects a Space to listen, unless GRADIO_SERVER_PORT says otherwise."""


def show(run: str) -> None:
    """Show a run's page on all addresses of this machine, until it is stopped."""
    listening = bind("0.0.0.0", int(os.environ.get("GRADIO_SERVER_PORT", PORT)))
    serve_page(Lab.of([run], taught=None, questions=None), listening, hosts=["*"])
