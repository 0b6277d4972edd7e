"""One loaded model that answers questions and, if it is a decoder, talks.

It may be asked from any number of threads at once. Answers are those that the run's own scoring
would give, equal to those asked alone up to rounding.
"""

from __future__ import annotations

import queue
import random
from collections import defaultdict
from collections.abc import Callable, Generator, Sequence

import torch

from tunelab.answering.answered import Answered, weigh
from tunelab.answering.jobs import Desk, Job, Questions, Talk, Writing
from tunelab.answering.listener import Listener, Piece
from tunelab.data import Example
from tunelab.errors import DataError, TunelabError, UsageError
from tunelab.evaluation.spans import apply_threshold
from tunelab.prompts.chat import Message
from tunelab.prompts.conversation import Conversations, check_text, read_text
from tunelab.recipe import Evaluation, Recipe
from tunelab.runs.decoding import DecoderFamily
from tunelab.runs.encoding import EncoderFamily
from tunelab.tokentree.decoding import Decoding, Greedy, Sample


class TooLongError(DataError):
    """A prompt leaves no room for a reply."""


class Answerer:
    """A model that is loaded and stays so until it is closed.

    Args:
        name: what people call it.
        recipe: how it was tuned and is asked.
        family: the model.
        threshold: the no-answer threshold that the run chose, if it did.
    """

    def __init__(
        self,
        name: str,
        recipe: Recipe,
        family: DecoderFamily | EncoderFamily,
        *,
        threshold: float | None,
    ) -> None:
        self.name = name
        self.recipe = recipe
        self._family = family
        self._threshold = threshold
        self._conversations: Conversations | None = None
        self._desk = Desk(self._work)

    @property
    def writes(self) -> bool:
        """Whether it is a decoder: an encoder points at passages and cannot talk."""
        return isinstance(self._family, DecoderFamily)

    @property
    def longest(self) -> int:
        """Tokens that the model reads and writes in all."""
        config = self._family.tuned.checkpoint.config.get_text_config().to_dict()
        positions = config.get("max_position_embeddings") or config.get("n_positions")
        return int(positions or 2**31) - self._family.tuned.virtual_tokens

    def answer(
        self, examples: Sequence[Example], *, settings: Evaluation | None = None
    ) -> list[Answered]:
        """Answer questions; waits.

        Args:
            examples: with or without gold answers.
            settings: another way of decoding than the run's own, such as constrained to spans.

        Raises:
            TunelabError: a text cannot be read, or an extra that `settings` needs is missing.
        """
        for example in examples:
            check_text(example.context)
            check_text(example.question)
        job = Questions(examples, settings or self.recipe.evaluation)
        self._desk.put(job)
        return job.future.result()

    def talk(
        self,
        prompt: Sequence[Message] | str,
        writing: Writing,
        *,
        hear: Callable[[Piece], None] = lambda _piece: None,
    ) -> Talk:
        """Begin a reply to a conversation, or the continuation of a bare text; does not wait.

        `future` of what is returned holds the reply, or the `TunelabError` that it came to;
        `left.set()` there ends it early.

        Args:
            prompt: what was said, or the text.
            writing: how.
            hear: is given the reply piece by piece, on the model's thread.

        Raises:
            UsageError: the model is an encoder.
        """
        if not self.writes:
            raise UsageError(
                f"'{self.name}' is an encoder: it points at passages of a text and cannot write.",
                hint="Ask a decoder, or ask this one a question on a paragraph (`tunelab app`).",
            )
        job = Talk(prompt, writing, hear)
        self._desk.put(job)
        return job

    def stream(
        self, prompt: Sequence[Message] | str, writing: Writing
    ) -> Generator[str, None, None]:
        """The reply piece by piece; whoever closes it ends the reply.

        Raises:
            TunelabError: as for `talk`, or a text that cannot be read or is too long.
        """
        pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        job = self.talk(prompt, writing, hear=lambda piece: pieces.put(piece.text))
        job.future.add_done_callback(lambda _future: pieces.put(None))
        try:
            while (text := pieces.get()) is not None:
                yield text
            job.future.result()
        finally:
            job.left.set()

    def close(self) -> None:
        """Finish what was asked; after this nothing can be, and the memory can be used again."""
        self._desk.close()

    def _work(self, jobs: list[Job]) -> None:
        """Do a group of jobs, on the model's own thread."""
        device = self._family.tuned.checkpoint.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.recipe.model.dtype == "bf16"):
            self._answer([job for job in jobs if isinstance(job, Questions)])
            self._reply([job for job in jobs if isinstance(job, Talk)])

    def _answer(self, jobs: Sequence[Questions]) -> None:
        for settings in dict.fromkeys(job.settings for job in jobs):
            alike = [job for job in jobs if job.settings == settings]
            try:
                self._answer_alike(alike, settings)
            except TunelabError as error:
                if len(alike) == 1:
                    alike[0].future.set_exception(error)
                    continue
                for job in alike:  # one of them cannot be asked: the others still can
                    self._answer([job])

    def _answer_alike(self, jobs: Sequence[Questions], settings: Evaluation) -> None:
        examples = [example for job in jobs for example in job.examples]
        family = self._family.answering_by(settings)
        found = iter(apply_threshold(family.answer(examples, "questions"), self._threshold))
        for job in jobs:
            job.future.set_result([weigh(next(found), each.context) for each in job.examples])

    def _reply(self, jobs: Sequence[Talk]) -> None:
        groups: dict[Greedy | Sample, list[Talk]] = defaultdict(list)
        chance = random.getrandbits(63)
        for job in jobs:
            groups[_strategy(job.writing, chance)].append(job)
        for strategy, group in groups.items():
            self._write(strategy, group)

    def _write(self, strategy: Greedy | Sample, jobs: Sequence[Talk]) -> None:
        """Write replies side by side; what cannot be asked is told to those who asked it."""
        assert isinstance(self._family, DecoderFamily)
        tokenizer = self._family.tokenizer
        stop_ids = self._stop_ids(self._family)
        asked: list[tuple[Talk, tuple[int, ...], Listener]] = []
        for job in jobs:
            try:
                ids = self._read(job.prompt)
                if len(ids) >= self.longest:
                    raise TooLongError(
                        f"The prompt has {len(ids)} tokens, and the model reads and writes "
                        f"{self.longest} in all.",
                        hint="Shorten it, or leave the beginning of the conversation out.",
                    )
            except TunelabError as error:
                job.future.set_exception(error)
                continue
            listener = Listener(
                tokenizer,
                limit=job.writing.max_tokens,
                stop_ids=stop_ids,
                stop_texts=job.writing.stop,
                rivals=job.writing.rivals,
                hear=job.hear,
                left=job.left,
            )
            asked.append((job, ids, listener))
        if not asked:
            return
        self._family.tuned.model.eval()
        self._family.write(
            [ids for _, ids, _ in asked],
            Decoding(
                strategy=strategy,
                max_new_tokens=max(job.writing.max_tokens for job, _, _ in asked),
                stop_ids=stop_ids,
            ),
            constraint=_Listeners([listener for _, _, listener in asked]),
            advance=lambda _count: None,
        )
        for job, ids, listener in asked:
            job.future.set_result(listener.reply(prompt_tokens=len(ids)))

    def _read(self, prompt: Sequence[Message] | str) -> tuple[int, ...]:
        if isinstance(prompt, str):
            ids = read_text(self._family.tokenizer, prompt)
            if not ids:
                raise DataError("The prompt is empty: there is nothing to continue.")
            return ids
        return self._talk_through_template().prompt_ids(prompt)

    def _stop_ids(self, family: DecoderFamily) -> frozenset[int]:
        """End of turn and end-of-sequence, in whichever style the model was tuned."""
        own = family.prompter.stop_ids
        if not family.tokenizer.chat_template:
            return own
        return own | self._talk_through_template().stop_ids

    def _talk_through_template(self) -> Conversations:
        if self._conversations is None:
            self._conversations = Conversations(self._family.tokenizer)
        return self._conversations


class _Listeners:
    """The listeners of some prompts, as a constraint on what is written."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = listeners

    def begin(self, prompt: int) -> Listener:
        """The listener of a prompt."""
        return self._listeners[prompt]


def _strategy(writing: Writing, chance: int) -> Greedy | Sample:
    """Those who name no seed share the draw of chance, so that they can be answered together."""
    if writing.temperature == 0:
        return Greedy()
    seed = chance if writing.seed is None else writing.seed
    return Sample(writing.temperature, writing.top_p, seed)
