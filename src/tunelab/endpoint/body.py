"""The body of a request: all that the reply depends on, and so the key of the cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tunelab.recipe import Evaluation, Model

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message."""

    role: Literal["system", "user", "assistant"]
    text: str


def chat_body(turns: Sequence[Turn], model: Model, settings: Evaluation, *, seed: int) -> Body:
    """What is sent to chat/completions.

    Args:
        turns: the conversation, which ends with a user's turn.
        model: its name, and further fields.
        settings: how the reply is written.
        seed: of sampling.
    """
    body: Body = {
        "model": model.name,
        "messages": [{"role": turn.role, "content": turn.text} for turn in turns],
        "max_tokens": settings.max_new_tokens,
        "temperature": 0,
    }
    if settings.decoding == "sample":
        body |= {"temperature": settings.temperature, "top_p": settings.top_p, "seed": seed}
    if model.api.logprobs:
        body |= {"logprobs": True, "top_logprobs": model.api.logprobs}
    body |= model.api.options
    return {name: value for name, value in body.items() if value is not None}


def body_digest(url: str, body: Body) -> str:
    """SHA-256 of a request, wherever it is asked from and with whatever key."""
    whole = json.dumps({"url": url, "body": body}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()


def text_bytes(body: Body) -> int:
    """Bytes of all that is said in a request."""
    return sum(len(each["content"].encode("utf-8", "replace")) for each in body["messages"])
