"""Decoders and tasks with given answers: choices weighed by likelihood, or answered in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tunelab.data import ChoiceExample, Shots
from tunelab.evaluation.choosing import chosen, written
from tunelab.evaluation.likelihood import log_likelihoods
from tunelab.evaluation.measure import first_metric
from tunelab.prompts.choices import VERSION, ChoicePrompter, Loss, losses_note, weighed_texts
from tunelab.recipe import AnyChoiceTask, PubmedqaTask
from tunelab.records import Prediction
from tunelab.runs.decoding import TOKENS_PER_PASS, decoding_of
from tunelab.runs.loaded import Loaded
from tunelab.runs.tasked import Learnable
from tunelab.tokentree.generation import generate

AT_ONCE = 256
"""Questions whose tokens are held at a time: neighbours, which share their worked examples."""


@dataclass(frozen=True, slots=True)
class Chooser:
    """A decoder that answers the questions of one task, whatever it was tuned for."""

    task: AnyChoiceTask
    shots: Shots
    loaded: Loaded

    @property
    def version(self) -> str:
        """Names the wording."""
        return VERSION

    @property
    def prompter(self) -> ChoicePrompter:
        """Asks the questions."""
        loaded = self.loaded
        return ChoicePrompter(loaded.tokenizer, self.task, self.shots, max_length=loaded.room)

    def answer(self, examples: Sequence[ChoiceExample], name: str) -> list[Prediction]:
        """One prediction per example, in their order; `name` stands on the progress bar."""
        self.loaded.tuned.model.eval()
        if isinstance(self.task, PubmedqaTask) and self.task.read == "generation":
            return self._write(examples, name)
        return self._weigh(examples, name)

    def learn(self, examples: Sequence[ChoiceExample]) -> Learnable:
        """The right answers behind their prompts."""
        fitted = self.prompter.answers(examples)
        note = losses_note(
            fitted.losses, of=len(examples), name="training", longest=self.loaded.max_length
        )
        encoded = [fitted.encoded[index][0] for index in fitted.kept]
        return Learnable(fitted.kept, encoded, note)

    def score(self, examples: Sequence[ChoiceExample]) -> float:
        """The task's first metric on held-out questions, in points."""
        return first_metric(self.task, self.answer(examples, "validation"))

    def _weigh(self, examples: Sequence[ChoiceExample], name: str) -> list[Prediction]:
        prompter, loaded = self.prompter, self.loaded
        order = sorted(range(len(examples)), key=lambda i: (examples[i].subject, i))
        predictions: dict[int, Prediction] = {}
        losses: Counter[Loss] = Counter()
        with loaded.working(name, len(examples)) as advance:
            for first in range(0, len(order), AT_ONCE):
                members = order[first : first + AT_ONCE]
                fitted = prompter.choices([examples[index] for index in members])
                losses += fitted.losses
                scores = iter(
                    log_likelihoods(
                        loaded.tuned,
                        [choice for choices in fitted.encoded for choice in choices],
                        share=loaded.share,
                        tokens_per_pass=TOKENS_PER_PASS,
                    )
                )
                for index, choices in zip(members, fitted.encoded, strict=True):
                    found = [next(scores) for _ in choices]
                    texts = weighed_texts(self.task, examples[index])
                    predictions[index] = chosen(examples[index], texts, found)
                advance(len(members), "")
        self._note(losses, len(examples), name)
        return [predictions[index] for index in range(len(examples))]

    def _write(self, examples: Sequence[ChoiceExample], name: str) -> list[Prediction]:
        prompter, loaded = self.prompter, self.loaded
        fitted = prompter.prompts(examples, room=loaded.evaluation.max_new_tokens)
        self._note(fitted.losses, len(examples), name)
        prompts = [fitted.encoded[index][0].ids for index in fitted.kept]
        end = prompter.lexer.end_id
        with loaded.working(name, len(prompts)) as advance:
            responses = generate(
                loaded.tuned.checkpoint,
                loaded.tokenizer,
                prompts,
                decoding_of(
                    loaded.evaluation,
                    stop_ids=frozenset() if end is None else frozenset({end}),
                    stop_texts=("\n",),
                    seed=loaded.seed,
                ),
                virtual=loaded.tuned.virtual(),
                share=loaded.share,
                tokens_per_pass=TOKENS_PER_PASS,
                advance=lambda count: advance(count, ""),
            )
        predictions = [written(example, "", "", finished="length") for example in examples]
        for index, ids, response in zip(fitted.kept, prompts, responses, strict=True):
            prompt = loaded.text(ids)
            predictions[index] = written(
                examples[index], prompt, response.text, finished=response.finished
            )
        return predictions

    def _note(self, losses: Counter[Loss], count: int, name: str) -> None:
        self.loaded.tell(losses_note(losses, of=count, name=name, longest=self.loaded.max_length))
