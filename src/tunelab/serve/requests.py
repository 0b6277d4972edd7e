"""What may be asked: chat/completions and completions, as far as one model can honour them.

Nothing is guessed. A field that nobody knows is refused with the nearest known one; a field of the
real interface that would change the answer here, and cannot, is refused by name. Fields that only
concern accounts and billing are taken and left alone.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tunelab.answering import Writing
from tunelab.errors import did_you_mean
from tunelab.prompts.chat import Message
from tunelab.prompts.frame import Quoted

MOST_MESSAGES = 1000
MOST_TOKENS = 1_000_000
DEFAULT_TOKENS = 512
"""Of a chat reply whose request names no limit; `completions` has OpenAI's 16."""

Stops = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=16)]


class RefusedError(Exception):
    """A request that is answered with an error.

    Args:
        message: what was wrong, and what is allowed.
        status: of HTTP.
        param: the field that it is about.
        code: a word for programs.
    """

    def __init__(
        self, message: str, *, status: int = 400, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.param = param
        self.code = code


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class TextPart(_Body):
    """A part of a message; pictures and sound have other types."""

    type: Literal["text"]
    text: str


class Said(_Body):
    """A message."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    name: str | None = None

    def message(self) -> Message:
        """The message with its text as text from outside."""
        match self.content:
            case str(text):
                pass
            case parts:
                text = "".join(part.text for part in parts)
        return Message("system" if self.role == "developer" else self.role, (Quoted(text),))


class StreamOptions(_Body):
    """Of a stream."""

    include_usage: bool = False
    include_obfuscation: bool = False


class _Request(_Body):
    model: str | None = None
    temperature: float = Field(default=1.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    seed: int | None = None
    stop: Annotated[str, Field(min_length=1, max_length=200)] | Stops | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    # what would change the answer is allowed at the value that changes nothing
    n: Literal[1] | None = None
    presence_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    frequency_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None
    # accounts and billing
    user: str | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop texts."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def streams_usage(self) -> bool:
        """Whether a stream ends with the number of tokens."""
        return self.stream_options is not None and self.stream_options.include_usage


class ResponseFormat(_Body):
    """Plain text is all there is."""

    type: Literal["text"]


class ChatRequest(_Request):
    """A conversation that wants a reply."""

    messages: list[Said] = Field(min_length=1, max_length=MOST_MESSAGES)
    max_tokens: int | None = Field(default=None, ge=1, le=MOST_TOKENS)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=MOST_TOKENS)
    logprobs: bool = False
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    response_format: ResponseFormat | None = None
    tools: Annotated[list[Any], Field(max_length=0)] | None = None
    parallel_tool_calls: bool | None = None

    def writing(self) -> Writing:
        """How the reply is to be written."""
        if self.top_logprobs is not None and not self.logprobs:
            raise RefusedError("top_logprobs needs logprobs: true.", param="top_logprobs")
        return Writing(
            max_tokens=self.max_completion_tokens or self.max_tokens or DEFAULT_TOKENS,
            temperature=self.temperature,
            top_p=self.top_p,
            seed=self.seed,
            stop=self.stops,
            rivals=(self.top_logprobs or 0) if self.logprobs else None,
        )

    def conversation(self) -> list[Message]:
        """What was said."""
        return [each.message() for each in self.messages]


class TextRequest(_Request):
    """A bare text to be continued."""

    prompt: str = Field(min_length=1)
    max_tokens: int | None = Field(default=16, ge=1, le=MOST_TOKENS)
    logprobs: int | None = Field(default=None, ge=0, le=20)
    echo: bool | None = None
    best_of: Literal[1] | None = None
    suffix: None = None

    def writing(self) -> Writing:
        """How the continuation is to be written."""
        return Writing(
            max_tokens=self.max_tokens or 16,
            temperature=self.temperature,
            top_p=self.top_p,
            seed=self.seed,
            stop=self.stops,
            rivals=self.logprobs,
        )


Request = ChatRequest | TextRequest
Kind = TypeVar("Kind", bound=BaseModel)


def read_request(kind: type[Kind], body: bytes) -> Kind:
    """Read the body of a request.

    Raises:
        RefusedError: it is no JSON, or does not fit.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in detail["loc"]) or None
        if detail["type"] == "json_invalid":
            raise RefusedError(f"The body is no JSON: {detail['msg']}") from None
        if detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1:
            known = did_you_mean(str(detail["loc"][0]), kind.model_fields)
            raise RefusedError(f"There is no field '{where}' here. {known}", param=where) from None
        message = f"'{where}' does not fit: {detail['msg']}." if where else f"{detail['msg']}."
        raise RefusedError(message, param=where) from None
