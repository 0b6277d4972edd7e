"""Decoders and tasks that are answered in free text: replies written, and true ones weighed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tunelab.data import Conversation
from tunelab.evaluation.likelihood import target_sums
from tunelab.evaluation.parsing import well_formed
from tunelab.evaluation.written_scores import mean_loss
from tunelab.prompts.turns import EncodedTurns, TurnsPrompter
from tunelab.recipe import AnyWrittenTask
from tunelab.records import Prediction, Read, Replied
from tunelab.runs.decoding import TOKENS_PER_PASS, decoding_of
from tunelab.runs.loaded import Loaded
from tunelab.runs.tasked import Learnable
from tunelab.tokentree.generation import generate


@dataclass
class Writer:
    """A decoder that replies in the conversations of one task, whatever it was tuned for."""

    task: AnyWrittenTask
    loaded: Loaded

    @cached_property
    def prompter(self) -> TurnsPrompter:
        """Writes the conversations."""
        return TurnsPrompter(self.loaded.tokenizer, self.task.template)

    @property
    def version(self) -> str:
        """Names the way of writing."""
        return self.prompter.version

    def learn(self, examples: Sequence[Conversation]) -> Learnable:
        """Every turn of the assistant, with its end."""
        encoded = [self.prompter.encode(each).whole for each in examples]
        kept = [index for index, each in enumerate(encoded) if len(each.ids) <= self.loaded.room]
        lost = len(examples) - len(kept)
        note = self._too_long("training", lost, len(examples), "are left out")
        return Learnable(kept, [encoded[index] for index in kept], note)

    def answer(self, examples: Sequence[Conversation], name: str) -> list[Prediction]:
        """What is written for the last turn, and how likely all true turns are."""
        encoded = [self.prompter.encode(each) for each in examples]
        read = self._read(examples, encoded, name)
        replied = self._reply(examples, encoded, name)
        return [
            _prediction(example, read.get(index), replied.get(index))
            for index, example in enumerate(examples)
        ]

    def score(self, examples: Sequence[Conversation]) -> float:
        """Minus the nats per token of the true turns; nothing is written."""
        encoded = [self.prompter.encode(each) for each in examples]
        read = self._read(examples, encoded, "validation")
        return -mean_loss(read.values())

    def _read(
        self, examples: Sequence[Conversation], encoded: Sequence[EncodedTurns], name: str
    ) -> dict[int, Read]:
        """How likely the true turns are, of the conversations that the model can read."""
        loaded = self.loaded
        kept = [i for i, each in enumerate(encoded) if len(each.whole.ids) <= loaded.room]
        lost = len(encoded) - len(kept)
        loaded.tell(self._too_long(name, lost, len(encoded), "have no perplexity"))
        with loaded.working(name, len(kept)) as advance:
            sums = target_sums(
                loaded.tuned,
                [encoded[index].whole for index in kept],
                share=loaded.share,
                tokens_per_pass=TOKENS_PER_PASS,
                advance=lambda count: advance(count, "reading"),
            )
        return {
            index: Read(
                log_prob=log_prob,
                tokens=sum(encoded[index].whole.targets),
                bytes=sum(len(reply.encode()) for reply in examples[index].replies),
            )
            for index, log_prob in zip(kept, sums, strict=True)
        }

    def _reply(
        self, examples: Sequence[Conversation], encoded: Sequence[EncodedTurns], name: str
    ) -> dict[int, Replied]:
        """What is written for the last turn, where that leaves room for a reply."""
        loaded = self.loaded
        wanted = loaded.evaluation.max_new_tokens
        kept = [i for i, each in enumerate(encoded) if each.prompt_length + wanted <= loaded.room]
        lost = len(encoded) - len(kept)
        loaded.tell(
            self._too_long(name, lost, len(encoded), f"have no room for {wanted} tokens of a reply")
        )
        prompts = [self.prompter.prompt_ids(examples[index]) for index in kept]
        with loaded.working(name, len(kept)) as advance:
            written = generate(
                loaded.tuned.checkpoint,
                loaded.tokenizer,
                prompts,
                decoding_of(loaded.evaluation, stop_ids=self.prompter.stop_ids, seed=loaded.seed),
                virtual=loaded.tuned.virtual(),
                share=loaded.share,
                tokens_per_pass=TOKENS_PER_PASS,
                advance=lambda count: advance(count, "writing"),
            )
        found: dict[int, Replied] = {}
        for index, prompt, reply in zip(kept, prompts, written, strict=True):
            response = well_formed(reply.text)
            found[index] = Replied(
                prompt=well_formed(loaded.text(prompt)),
                response=response,
                finished=reply.finished,
                both_sides=self.prompter.takes_both_sides(response),
            )
        return found

    def _too_long(self, name: str, lost: int, count: int, what: str) -> str:
        """A sentence on what is longer than the model reads; empty where nothing is."""
        if not lost:
            return ""
        longest = f"model.max_length={self.loaded.max_length}"
        return f"{name}: {lost} of {count} rows are too long for {longest}: they {what}"


def _prediction(example: Conversation, read: Read | None, replied: Replied | None) -> Prediction:
    response = replied.response.strip() if replied else ""
    return Prediction(
        id=example.id,
        group=example.group,
        article=example.article,
        output=response,
        answer=response,
        gold=example.gold,
        read=read,
        replied=replied,
    )
