"""A visitor without a browser: presses buttons over HTTP, as Gradio's own page does."""

from __future__ import annotations

import json
import uuid
from typing import Any

import httpx


class Visitor:
    """One visit to the page at an address.

    Args:
        url: as `tunelab app` prints it.
    """

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=600)
        self._session = uuid.uuid4().hex
        config = self._http.get("/config").json()
        named = {
            part["props"].get("elem_id"): part["id"]
            for part in config["components"]
            if part["props"].get("elem_id")
        }
        self._presses = {
            name: each["id"]
            for each in config["dependencies"]
            for target, event in each["targets"]
            for name, part in named.items()
            if part == target and event == "click"
        }

    def press(self, button: str, *values: Any) -> list[Any]:
        """What comes back when a button is pressed; a state is given as None."""
        asked = {
            "data": list(values),
            "fn_index": self._presses[button],
            "session_hash": self._session,
        }
        joined = self._http.post("/gradio_api/queue/join", json=asked)
        joined.raise_for_status()
        event = joined.json()["event_id"]
        with self._http.stream(
            "GET", "/gradio_api/queue/data", params={"session_hash": self._session}
        ) as told:
            for line in told.iter_lines():
                message = json.loads(line.removeprefix("data: ")) if line else {}
                if message.get("event_id") != event:
                    continue
                if message["msg"] == "process_completed":
                    assert message["success"], message
                    return message["output"]["data"]
        raise AssertionError("the reply broke off")
