"""Decoders and tasks with given answers: choices weighed by likelihood, or answered in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tunelab.data import ChoiceExample, Shots
from tunelab.errors import DataError
from tunelab.evaluation.choosing import chosen, written
from tunelab.evaluation.likelihood import log_likelihoods
from tunelab.evaluation.measure import first_metric
from tunelab.models.decoder import load_decoder
from tunelab.models.loading import weights_digest
from tunelab.prompts.choices import VERSION, ChoicePrompter, Loss, losses_note, weighed_texts
from tunelab.prompts.vocabulary import fit_vocabulary
from tunelab.recipe import AnyChoiceTask, PubmedqaTask, Recipe
from tunelab.records import Prediction, Proof
from tunelab.runs.decoding import PROBED, TOKENS_PER_PASS, log_probs_of
from tunelab.runs.progress import Display
from tunelab.tokentree.decoding import Decoding, Greedy
from tunelab.tokentree.exactness import check_exactness
from tunelab.tokentree.generation import generate
from tunelab.training.answers import AnswerObjective
from tunelab.tuning import TunedModel, apply_tuning, load_tuned
from tunelab.tuning.parity import Logits

AT_ONCE = 256
"""Questions whose tokens are held at a time: neighbours, which share their worked examples."""


@dataclass(slots=True)
class Chooser:
    """A decoder that answers the questions of one task, whatever it was tuned for."""

    tuned: TunedModel
    tokenizer: PreTrainedTokenizerBase
    task: AnyChoiceTask
    shots: Shots
    max_length: int
    """Tokens that the model reads at most."""
    max_new_tokens: int
    """Of an answer in words."""
    accelerator: Accelerator
    display: Display
    share: bool = True
    notes: list[str] = field(default_factory=list)

    @property
    def prompter(self) -> ChoicePrompter:
        """Asks the questions."""
        return ChoicePrompter(
            self.tokenizer, self.task, self.shots, max_length=self.max_length - self._virtual
        )

    @property
    def _virtual(self) -> int:
        """Positions taken by the virtual tokens of prompt and prefix tuning."""
        return self.tuned.virtual_tokens

    def answer(self, examples: Sequence[ChoiceExample], name: str) -> list[Prediction]:
        """One prediction per example, in their order; `name` stands on the progress bar."""
        self.tuned.model.eval()
        if isinstance(self.task, PubmedqaTask) and self.task.read == "generation":
            return self._write(examples, name)
        return self._weigh(examples, name)

    def _weigh(self, examples: Sequence[ChoiceExample], name: str) -> list[Prediction]:
        prompter = self.prompter
        order = sorted(range(len(examples)), key=lambda i: (examples[i].subject, i))
        predictions: dict[int, Prediction] = {}
        losses: Counter[Loss] = Counter()
        with self.display.phase(name, len(examples)) as advance, self.accelerator.autocast():
            for first in range(0, len(order), AT_ONCE):
                members = order[first : first + AT_ONCE]
                fitted = prompter.choices([examples[index] for index in members])
                losses += fitted.losses
                scores = iter(
                    log_likelihoods(
                        self.tuned,
                        [choice for choices in fitted.encoded for choice in choices],
                        share=self.share,
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
        prompter = self.prompter
        fitted = prompter.prompts(examples, room=self.max_new_tokens)
        self._note(fitted.losses, len(examples), name)
        prompts = [fitted.encoded[index][0].ids for index in fitted.kept]
        ends = {prompter.lexer.end_id} - {None}
        with self.display.phase(name, len(prompts)) as advance, self.accelerator.autocast():
            responses = generate(
                self.tuned.checkpoint,
                self.tokenizer,
                prompts,
                Decoding(
                    strategy=Greedy(),
                    max_new_tokens=self.max_new_tokens,
                    stop_ids=frozenset(end for end in ends if end is not None),
                    stop_texts=("\n",),
                ),
                virtual=self.tuned.virtual(),
                share=self.share,
                tokens_per_pass=TOKENS_PER_PASS,
                advance=lambda count: advance(count, ""),
            )
        predictions = [written(example, "", "", finished="length") for example in examples]
        for index, ids, response in zip(fitted.kept, prompts, responses, strict=True):
            prompt = self.tokenizer.decode(list(ids))
            assert isinstance(prompt, str)
            predictions[index] = written(
                examples[index], prompt, response.text, finished=response.finished
            )
        return predictions

    def _note(self, losses: Counter[Loss], count: int, name: str) -> None:
        told = losses_note(losses, of=count, name=name, longest=self.max_length)
        if told and told not in self.notes:
            self.notes.append(told)


class ChoiceFamily:
    """A causal language model that is tuned on a task with given answers, and answers it."""

    def __init__(
        self,
        recipe: Recipe,
        task: AnyChoiceTask,
        shots: Shots,
        *,
        total_steps: int,
        accelerator: Accelerator,
        display: Display,
        stored: Path | None = None,
    ) -> None:
        decoder = load_decoder(recipe.model, seed=recipe.seed)
        fit_vocabulary(decoder.model, decoder.tokenizer, reasoning_tokens=0)
        self._recipe = recipe
        self._accelerator = accelerator
        self.tokenizer = decoder.tokenizer
        self.proofs: list[Proof] = []
        self._identity = {
            "class": type(decoder.model).__name__,
            "sha256": weights_digest(decoder.model),
        }
        self.tuned = (
            apply_tuning(decoder.model, recipe.tuning, total_steps=total_steps, seed=recipe.seed)
            if stored is None
            else load_tuned(decoder.model, stored, recipe.tuning)
        )
        if recipe.training.gradient_checkpointing:
            decoder.model.gradient_checkpointing_enable({"use_reentrant": False})
        self._chooser = Chooser(
            self.tuned,
            decoder.tokenizer,
            task,
            shots,
            max_length=recipe.model.max_length,
            max_new_tokens=recipe.evaluation.max_new_tokens,
            accelerator=accelerator,
            display=display,
            share=recipe.training.share_prefix,
            notes=[f"prompt {VERSION}"],
        )
        self.notes = self._chooser.notes

    def identity(self) -> dict[str, str]:
        """Class and digest of the weights before tuning."""
        return self._identity

    def objective(self, examples: Sequence[ChoiceExample]) -> AnswerObjective:
        """The likelihood of the right answers, and of nothing else."""
        fitted = self._chooser.prompter.answers(examples)
        told = losses_note(
            fitted.losses, of=len(examples), name="training", longest=self._recipe.model.max_length
        )
        if told:
            self.notes.append(told)
        encoded = [fitted.encoded[index][0] for index in fitted.kept]
        if not encoded:
            raise DataError(
                f"None of the {len(examples)} training questions fits model.max_length="
                f"{self._recipe.model.max_length}."
                if examples
                else "There is nothing to train on: the task has no training questions.",
                hint="Raise model.max_length." if examples else "Name some with task.train=FILE.",
            )
        if self._chooser.share:
            found = check_exactness(
                self.tuned.checkpoint,
                encoded,
                parameters=list(self.tuned.trained_parameters().values()),
                virtual=self.tuned.virtual,
            )
            self._chooser.share = found.shares
            if found.shares:
                self.proofs = [found.proof]
            else:
                self.notes.append(found.line)
        return AnswerObjective(
            self.tuned,
            [examples[index] for index in fitted.kept],
            encoded,
            self._recipe.training,
            accelerator=self._accelerator,
            share=self._chooser.share,
        )

    def answer(self, examples: Sequence[ChoiceExample], name: str) -> list[Prediction]:
        """One prediction per example."""
        return replace(self._chooser, tuned=self.tuned).answer(examples, name)

    def score(self, examples: Sequence[ChoiceExample]) -> float:
        """The task's first metric on held-out questions, in points."""
        return first_metric(self._chooser.task, self.answer(examples, "validation"))

    def probe(self, examples: Sequence[ChoiceExample]) -> Logits:
        """Log-probabilities of the answers of a few examples; without autocast."""
        fitted = self._chooser.prompter.answers(examples[:PROBED])
        return log_probs_of([fitted.encoded[index][0] for index in fitted.kept])

    def fresh_base(self) -> PreTrainedModel:
        """The checkpoint as it was before tuning."""
        loaded = load_decoder(self._recipe.model, seed=self._recipe.seed).model
        torch.nn.Module.to(loaded, self._accelerator.device)
        return loaded
