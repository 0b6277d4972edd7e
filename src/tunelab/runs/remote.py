"""Models behind an endpoint in a run: conversations instead of tokens, and what they cost.

They answer and are not tuned. Their predictions are those of any decoder, with scores where the
endpoint gives log-probabilities (`endpoint.scores`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tunelab.data import Example
from tunelab.endpoint import (
    Asked,
    Client,
    RemoteReply,
    ReplyCache,
    Spending,
    Turn,
    chat_body,
    read_address,
)
from tunelab.endpoint.body import Body
from tunelab.endpoint.scores import reply_scores
from tunelab.evaluation.parsing import ParsedAnswer, read_answer, well_formed
from tunelab.prompts.conversation import said
from tunelab.prompts.shots import choose_shots
from tunelab.prompts.wording import Wording
from tunelab.recipe import Recipe
from tunelab.records import Decoded, Finish, Prediction
from tunelab.runs.decoding import unread
from tunelab.runs.progress import Display


class RemoteFamily:
    """A model behind an OpenAI-compatible endpoint.

    Args:
        recipe: with `model.endpoint`.
        train: the training examples, which the worked examples are taken from.
        display: shows how far it is.
        stop: whether to stop; replies so far are kept.
    """

    def __init__(
        self,
        recipe: Recipe,
        train: Sequence[Example],
        *,
        display: Display,
        stop: Callable[[], bool],
    ) -> None:
        self._recipe = recipe
        self._display = display
        self._wording = wording_of(recipe, train)
        self._address = read_address(recipe.model)
        cache = ReplyCache.of(self._address.url)
        self._client = Client(self._address, recipe.model.api, cache=cache, stop=stop)
        self.notes: list[str] = [f"prompt {self._wording.version}"]

    @property
    def spending(self) -> Spending:
        """Requests, tokens and money so far."""
        return self._client.spending

    def identity(self) -> dict[str, str]:
        """Who answers; its weights are not to be seen."""
        return {"class": f"endpoint {self._address.host}", "name": self._recipe.model.name or ""}

    def answer(self, examples: Sequence[Example], name: str) -> list[Prediction]:
        """What the model writes, read; scored where it gives log-probabilities."""
        bodies = bodies_of(self._recipe, self._wording, examples)
        with self._display.phase(name, len(examples)) as advance:
            asked = self._client.ask(bodies, advance=lambda count: advance(count, ""))
        too_long = sum(each.reply is None for each in asked)
        if too_long:
            self.notes.append(
                f"{name}: {too_long} of {len(examples)} questions are longer than the model reads "
                "and count as unreadable"
            )
        return [self._prediction(*pair) for pair in zip(examples, asked, strict=True)]

    def _prediction(self, example: Example, asked: Asked) -> Prediction:
        if asked.reply is None:
            return unread(example)
        reply, wording = asked.reply, self._wording
        text, finished = _up_to_stop(reply, wording.stop_texts)
        parsed = read_answer(
            text,
            style=self._recipe.prompt.style,
            no_answer=wording.no_answer,
            stops=wording.stop_texts,
        )
        span, null = self._scores(reply, parsed)
        return Prediction(
            id=example.id,
            group=example.group,
            article=example.article,
            output=parsed.answer,
            answer=parsed.answer,
            gold=example.gold,
            span_score=span,
            null_score=null,
            decoded=Decoded(
                prompt="\n\n".join(
                    f"{turn.role}: {well_formed(turn.text)}" for turn in _turns(wording, example)
                ),
                response=well_formed(text),
                valid=parsed.valid,
                finished=finished,
                span_tokens=len(reply.tokens),
                null_tokens=0,
            ),
        )

    def _scores(
        self, reply: RemoteReply, parsed: ParsedAnswer
    ) -> tuple[float, float] | tuple[None, None]:
        """Of the answer and of "no answer"; None where the endpoint gives no log-probabilities."""
        if not reply.tokens:
            return None, None
        if not parsed.valid:
            return -math.inf, 0.0  # every threshold withholds what cannot be read
        scores = reply_scores(
            reply.tokens,
            in_json=self._recipe.prompt.style == "chat-json",
            no_answer=self._wording.no_answer,
        )
        if scores is None:
            return None, None
        return scores.said, scores.silent if parsed.answer else scores.said


def wording_of(run: Recipe, train: Sequence[Example]) -> Wording:
    """What is said to the model of a run, with the run's own worked examples."""
    return Wording(run.prompt, choose_shots(train, run.tuning, seed=run.seed))


def bodies_of(run: Recipe, wording: Wording, examples: Sequence[Example]) -> list[Body]:
    """The requests that ask about examples."""
    return [
        chat_body(_turns(wording, example), run.model, run.evaluation, seed=run.seed)
        for example in examples
    ]


def _turns(wording: Wording, example: Example) -> list[Turn]:
    return [Turn(message.role, said(message)) for message in wording.messages(example)]


def _up_to_stop(reply: RemoteReply, stops: Sequence[str]) -> tuple[str, Finish]:
    """The reply up to and with the first stop text, as a decoder at hand would have written it."""
    ends = [place + len(stop) for stop in stops if (place := reply.text.find(stop)) >= 0]
    return (reply.text[: min(ends)], "stop") if ends else (reply.text, reply.finished)
