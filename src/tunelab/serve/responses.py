"""Replies in the form of OpenAI's interface: whole, and as the pieces of a stream."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tunelab.answering import Piece, Reply
from tunelab.answering.listener import TokenScore
from tunelab.serve.requests import ChatRequest, RefusedError, Request

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply to one request, under one id."""

    request: Request
    model: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, reply: Reply) -> Document:
        """A reply that is not streamed."""
        choice: Document = {"index": 0, "finish_reason": reply.finished}
        if isinstance(self.request, ChatRequest):
            choice["message"] = {"role": "assistant", "content": reply.text, "refusal": None}
            choice["logprobs"] = _chat_scores(reply.scores) if self._scored else None
        else:
            choice["text"] = reply.text
            choice["logprobs"] = _text_scores(reply.scores) if self._scored else None
        return self._around([choice], streamed=False) | {"usage": usage(reply)}

    def opening(self) -> Document | None:
        """The first piece of a chat, which only says whose turn it is."""
        if isinstance(self.request, ChatRequest):
            return self._streamed({"delta": {"role": "assistant", "content": ""}}, None)
        return None

    def piece(self, piece: Piece) -> Document:
        """Some more text."""
        if isinstance(self.request, ChatRequest):
            choice: Document = {"delta": {"content": piece.text}}
            if self._scored:
                choice["logprobs"] = _chat_scores(piece.scores)
        else:
            choice = {"text": piece.text}
            if self._scored:
                choice["logprobs"] = _text_scores(piece.scores)
        return self._streamed(choice, None)

    def ending(self, reply: Reply) -> list[Document]:
        """How it ended and, if wanted, how many tokens it took."""
        last: Document = {"delta": {}} if isinstance(self.request, ChatRequest) else {"text": ""}
        documents = [self._streamed(last, reply.finished)]
        if self.request.streams_usage:
            documents.append(self._around([], streamed=True) | {"usage": usage(reply)})
        return documents

    @property
    def _scored(self) -> bool:
        return self.request.writing().rivals is not None

    def _streamed(self, choice: Document, finish: str | None) -> Document:
        return self._around([{"index": 0, "finish_reason": finish, **choice}], streamed=True)

    def _around(self, choices: Sequence[Document], *, streamed: bool) -> Document:
        if isinstance(self.request, ChatRequest):
            name, prefix = f"chat.completion{'.chunk' * streamed}", "chatcmpl"
        else:
            name, prefix = "text_completion", "cmpl"
        return {
            "id": f"{prefix}-{self.id}",
            "object": name,
            "created": self.created,
            "model": self.model,
            "choices": list(choices),
        }


def usage(reply: Reply) -> Document:
    """How many tokens were read and written."""
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.tokens,
        "total_tokens": reply.prompt_tokens + reply.tokens,
    }


def error_document(refused: RefusedError) -> Document:
    """What went wrong."""
    kind = "invalid_request_error" if refused.status < 500 else "server_error"
    return {
        "error": {
            "message": refused.message,
            "type": kind,
            "param": refused.param,
            "code": refused.code,
        }
    }


def event(document: Document) -> bytes:
    """One event of a stream; JSON has no bare line break, so that a text cannot end its event."""
    return b"data: " + json.dumps(document, ensure_ascii=False).encode() + b"\n\n"


LAST_EVENT = b"data: [DONE]\n\n"


def _chat_scores(scores: Sequence[TokenScore]) -> Document:
    return {
        "content": [
            {
                **_token(score.text, score.log_prob),
                "top_logprobs": [_token(*rival) for rival in score.rivals],
            }
            for score in scores
        ]
    }


def _token(text: str, log_prob: float) -> Document:
    return {"token": text, "logprob": log_prob, "bytes": list(text.encode())}


def _text_scores(scores: Sequence[TokenScore]) -> Document:
    offsets, place = [], 0
    for score in scores:
        offsets.append(place)
        place += len(score.text)
    return {
        "tokens": [score.text for score in scores],
        "token_logprobs": [score.log_prob for score in scores],
        "top_logprobs": [dict(reversed(score.rivals)) for score in scores],
        "text_offset": offsets,
    }
