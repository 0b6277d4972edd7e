"""What an endpoint replied, checked: servers differ, and some send nonsense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Finish = Literal["stop", "length"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class RemoteRival(_Part):
    """One of the likeliest tokens of a place."""

    token: str
    logprob: float


class RemoteToken(RemoteRival):
    """A token that was said, and its rivals."""

    top_logprobs: tuple[RemoteRival, ...] = ()


class _Scores(_Part):
    content: tuple[RemoteToken, ...] | None = None


class _Message(_Part):
    content: str | None = None
    """None: a refusal, or a call of a tool."""


class _Choice(_Part):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Scores | None = None


class _Usage(_Part):
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)


class _Document(_Part):
    choices: Annotated[tuple[_Choice, ...], Field(min_length=1)]
    usage: _Usage | None = None


@dataclass(frozen=True, slots=True)
class RemoteReply:
    """A reply, as far as it is read here."""

    text: str
    finished: Finish
    tokens: tuple[RemoteToken, ...]
    """With log-probabilities, where they were asked for and are offered."""
    read: int | None
    """Tokens of the prompt, as the server counts and bills them; None: it does not tell."""
    written: int | None


def read_reply(document: object) -> RemoteReply | str:
    """A reply, or in which way it is none."""
    try:
        found = _Document.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the document'}: {first['msg']}"
    choice = found.choices[0]
    return RemoteReply(
        text=choice.message.content or "",
        finished="length" if choice.finish_reason == "length" else "stop",
        tokens=(choice.logprobs.content if choice.logprobs else None) or (),
        read=found.usage.prompt_tokens if found.usage else None,
        written=found.usage.completion_tokens if found.usage else None,
    )
