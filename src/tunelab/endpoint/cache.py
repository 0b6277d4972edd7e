"""Replies on disk, one file a request, so that nothing is paid twice: not after a kill, not by
another run, not in another output directory.

    $TUNELAB_CACHE (or ~/.cache/tunelab) / endpoint / ab / abcdef....json

A file holds the request and the reply. Whoever wants fresh replies deletes them.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunelab.endpoint.body import Body, body_digest
from tunelab.records import write_atomically


@dataclass(frozen=True, slots=True)
class ReplyCache:
    """Replies of one endpoint."""

    url: str
    folder: Path

    @classmethod
    def of(cls, url: str) -> ReplyCache:
        """The user's cache, wherever tunelab is run."""
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        root = Path(os.environ.get("TUNELAB_CACHE") or Path(home) / "tunelab")
        return cls(url, root / "endpoint")

    def find(self, body: Body) -> Any:
        """The reply to a request as the endpoint sent it; None if there is none."""
        path = self._path(body)
        try:
            return json.loads(path.read_text(encoding="utf-8"))["reply"]
        except (OSError, ValueError, KeyError, TypeError):
            return None  # a damaged file is asked for anew

    def keep(self, body: Body, reply: object) -> None:
        """Keep a reply, durably and in one step."""
        content = {"url": self.url, "request": body, "reply": reply}
        write_atomically(self._path(body), json.dumps(content, indent=1) + "\n")

    def _path(self, body: Body) -> Path:
        digest = body_digest(self.url, body)
        return self.folder / digest[:2] / f"{digest}.json"
