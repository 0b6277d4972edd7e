"""What `app.py` of an exported Space starts: one run, open to all, with nothing that is written."""

from __future__ import annotations

from tunelab.app.lab import Lab
from tunelab.app.serving import serve_page
from tunelab.serve.running import bind

PORT = 7860
"""Where the hub expects a Space to listen."""


def show(run: str, *, port: int = PORT) -> None:
    """Show a run's page on all addresses of this machine, until it is stopped."""
    serve_page(Lab.of([run], taught=None, questions=None), bind("0.0.0.0", port), hosts=["*"])
