"""Decoders in a run: prompts as token trees, written answers, and the scores behind abstaining."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self, assert_never

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from tunelab.data import Example
from tunelab.errors import DataError
from tunelab.evaluation.constraints import AnswerConstraint
from tunelab.evaluation.decoding import decode_answers
from tunelab.evaluation.grammars import AnswerForm
from tunelab.models.decoder import Calibrating, Decoder, load_decoder
from tunelab.models.loading import weights_digest
from tunelab.prompts.encoded import EncodedExample
from tunelab.prompts.prompter import Prompter
from tunelab.prompts.reasoning import reasoning_token_ids
from tunelab.prompts.shots import choose_shots
from tunelab.prompts.vocabulary import fit_vocabulary
from tunelab.recipe import Evaluation, Model, Recipe
from tunelab.records import Decoded, Prediction, Proof
from tunelab.runs.loaded import Loaded
from tunelab.runs.progress import Display
from tunelab.tokentree.decoding import (
    Beams,
    Constraint,
    Decoding,
    Generated,
    Greedy,
    Sample,
)
from tunelab.tokentree.generation import generate
from tunelab.tokentree.reading import readable_rows, sequence_log_probs, target_log_probs
from tunelab.training.answers import AnswerObjective
from tunelab.tuning import TunedModel, apply_tuning
from tunelab.tuning.apply import load_stored, model_to_load
from tunelab.tuning.calibration import task_calibration
from tunelab.tuning.parity import Logits

TOKENS_PER_PASS = 4096
"""Without gradients a pass may be larger than in training."""
TEXTS_AT_ONCE = 256
"""Texts between two moves of the progress bar."""
PROBED = 4
"""Examples that models are compared on."""
LOOKED_AT = 64
"""Examples among which a few are chosen that the model can read."""


def log_probs_of(encoded: Sequence[EncodedExample], *, share: bool) -> Logits:
    """What a model says of the targets of a few examples; without autocast."""

    def log_probs(tuned: TunedModel) -> torch.Tensor:
        model = tuned.checkpoint
        tuned.model.eval()
        rows = readable_rows(model, encoded, share=share, tokens_per_pass=TOKENS_PER_PASS)
        with torch.inference_mode():
            return torch.cat(
                [target_log_probs(model, row.tree, virtual=tuned.virtual()) for row in rows]
            )

    return log_probs


class DecoderFamily:
    """A tuned causal language model."""

    def __init__(
        self,
        recipe: Recipe,
        train: Sequence[Example],
        *,
        total_steps: int,
        accelerator: Accelerator,
        display: Display,
        stored: Path | None = None,
    ) -> None:
        self._recipe = recipe
        self.answered_tokens = 0
        self._calibrating = partial(task_calibration, recipe, train)
        settings = model_to_load(recipe, stored)
        decoder = _load(recipe, settings, self._calibrating)
        self.tokenizer = decoder.tokenizer
        self.prompter = Prompter(
            decoder.tokenizer, recipe.prompt, choose_shots(train, recipe.tuning, seed=recipe.seed)
        )
        self.proofs: list[Proof] = []
        self._identity = {
            "class": type(decoder.model).__name__,
            "sha256": weights_digest(decoder.model),
            "quantize": settings.quantize,
        }
        if decoder.calibration is not None:
            self._identity["calibration"] = decoder.calibration.line
        if stored is None:
            self.tuned = apply_tuning(
                decoder.model,
                recipe.tuning,
                total_steps=total_steps,
                seed=recipe.seed,
                new_tokens=reasoning_token_ids(self.tokenizer, recipe.prompt.reasoning_tokens),
            )
        else:
            self.tuned = load_stored(decoder.model, stored, recipe.tuning)
        self._loaded = Loaded.of(
            recipe, self.tuned, self.tokenizer, accelerator=accelerator, display=display
        )
        self.notes = self._loaded.notes
        self.notes.append(f"prompt {self.prompter.version}")
        if recipe.training.gradient_checkpointing:
            decoder.model.gradient_checkpointing_enable({"use_reentrant": False})

    @classmethod
    def around(cls, loaded: Loaded, recipe: Recipe, train: Sequence[Example]) -> Self:
        """A family that asks and answers with a model that somebody else tunes and saves."""
        family = cls.__new__(cls)
        family._recipe = recipe
        family._loaded = replace(loaded, notes=[])
        family.answered_tokens = 0
        family.tokenizer = loaded.tokenizer
        family.prompter = Prompter(
            loaded.tokenizer, recipe.prompt, choose_shots(train, recipe.tuning, seed=recipe.seed)
        )
        family.notes = family._loaded.notes
        family.proofs = []
        family.tuned = loaded.tuned
        return family

    def answering_by(self, settings: Evaluation) -> Self:
        """The same model, answering in another way."""
        other = copy.copy(self)
        other._recipe = self._recipe.model_copy(update={"evaluation": settings})
        return other

    def identity(self) -> dict[str, str]:
        """Class and digest of the weights before tuning."""
        return self._identity

    @property
    def share(self) -> bool:
        """Whether what sequences have in common is read once."""
        return self._loaded.share

    @property
    def room(self) -> int:
        """Tokens of a text, beside the virtual ones of prompt and prefix tuning."""
        return self._loaded.room

    def prove_sharing(self, examples: Sequence[Example]) -> None:
        """Share prefixes only if what the model says stays the same; any answer shows it."""
        asked = examples[:LOOKED_AT]
        encoded = [self.prompter.answer_ids(each, self.prompter.no_answer) for each in asked]
        room = self._loaded.room
        self.proofs = self._loaded.prove_sharing(
            [each for each in encoded if len(each.ids) <= room]
        )

    def objective(self, examples: Sequence[Example]) -> AnswerObjective:
        """The likelihood of the answers; examples longer than `model.max_length` are left out."""
        found = self.prompter.encode_all(examples, max_length=self.room)
        if not found.examples:
            raise DataError(
                f"None of the {len(examples)} training questions fits {self._loaded.longest}.",
                hint="Raise model.max_length, or lower tuning.shots.",
            )
        if found.too_long:
            self._loaded.tell(
                f"{len(found.too_long)} of {len(examples)} training questions are longer than "
                f"{self._loaded.longest} and were left out"
            )
        self.proofs = self._loaded.prove_sharing(found.encoded)
        return AnswerObjective(
            self.tuned,
            [example.group for example in found.examples],
            found.encoded,
            self._recipe.training,
            accelerator=self._loaded.accelerator,
            share=self.share,
        )

    def answer(self, examples: Sequence[Example], name: str) -> list[Prediction]:
        """What the model writes, read and scored.

        A question that leaves no room in `model.max_length` is not put to the model; it gets an
        empty response, which counts as one that cannot be read.
        """
        settings = self._recipe.evaluation
        prompts = self.prompter.prompts_of(examples)
        forced = self.prompter.forced_ids if settings.force_start else ()
        longest = self.room - settings.max_new_tokens - len(forced)
        read = [index for index, prompt in enumerate(prompts) if len(prompt) <= longest]
        if len(read) < len(prompts):
            self._loaded.tell(
                f"{name}: {len(prompts) - len(read)} of {len(prompts)} questions leave no room for "
                f"{settings.max_new_tokens} tokens in {self._loaded.longest} and count as "
                "unreadable"
            )
        self.tuned.model.eval()
        with self._loaded.working(name, len(read)) as advance:
            written = self.write(
                [prompts[index] for index in read],
                decoding_of(
                    settings,
                    stop_ids=self.prompter.stop_ids,
                    stop_texts=self.prompter.stop_texts,
                    seed=self._recipe.seed,
                ),
                constraint=self._constraint([examples[index].context for index in read]),
                forced_start=forced,
                advance=lambda count: advance(count, ""),
            )
            answered = decode_answers(
                [examples[index] for index in read],
                [self._loaded.text(prompts[index]) for index in read],
                written,
                asking=self.prompter,
                style=self._recipe.prompt.style,
                score=self._score,
            )
        self.answered_tokens += sum(len(prompts[index]) for index in read)
        self.answered_tokens += sum(len(each.ids) for each in written)
        found = dict(zip(read, answered, strict=True))
        return [
            found[index] if index in found else unread(example)
            for index, example in enumerate(examples)
        ]

    def write(
        self,
        prompts: Sequence[Sequence[int]],
        decoding: Decoding,
        *,
        constraint: Constraint | None = None,
        forced_start: Sequence[int] = (),
        advance: Callable[[int], None],
    ) -> list[Generated]:
        """Continue any prompts, given as tokens; see `tokentree.generation`."""
        return generate(
            self.tuned.checkpoint,
            self.tokenizer,
            prompts,
            decoding,
            virtual=self.tuned.virtual(),
            constraint=constraint,
            forced_start=forced_start,
            share=self.share,
            tokens_per_pass=TOKENS_PER_PASS,
            advance=advance,
        )

    @property
    def reader(self) -> DecoderFamily:
        """It gives a text by itself a probability."""
        return self

    def encode_text(self, text: str) -> EncodedExample:
        """A text by itself, behind the beginning of a sequence; its first token is no target."""
        return self.prompter.text_ids(text)

    def text_log_probs(self, texts: Sequence[EncodedExample], name: str) -> list[float]:
        """The log-probability of each text; what texts have in common is read once."""
        self.tuned.model.eval()
        found: list[float] = []
        with self._loaded.working(name, len(texts)) as advance:
            for first in range(0, len(texts), TEXTS_AT_ONCE):
                scores, _ = self._score(texts[first : first + TEXTS_AT_ONCE])
                found += scores
                advance(len(scores), "")
        return found

    def probe(self, examples: Sequence[Example]) -> Logits:
        """Log-probabilities of the answers of a few examples; without autocast."""
        found = self.prompter.encode_all(examples, max_length=self.room)
        return log_probs_of(found.encoded[:PROBED], share=self.share)

    def fresh_base(self) -> PreTrainedModel:
        """The checkpoint as it was before tuning."""
        loaded = _load(self._recipe, self._recipe.model, self._calibrating).model
        torch.nn.Module.to(loaded, self._loaded.accelerator.device)
        return loaded

    @torch.inference_mode()
    def _score(self, alternatives: Sequence[EncodedExample]) -> tuple[list[float], list[int]]:
        """Log-probabilities of finished answers, and how many tokens each has."""
        scores = [0.0] * len(alternatives)
        rows = readable_rows(
            self.tuned.checkpoint, alternatives, share=self.share, tokens_per_pass=TOKENS_PER_PASS
        )
        for packed in rows:
            found = sequence_log_probs(
                self.tuned.checkpoint,
                packed.tree,
                [alternatives[index] for index in packed.examples],
                virtual=self.tuned.virtual(),
            )
            for index, score in zip(packed.examples, found.log_probs.tolist(), strict=True):
                scores[index] = score
        return scores, [sum(alternative.targets) for alternative in alternatives]

    def _constraint(self, contexts: Sequence[str]) -> AnswerConstraint | None:
        """What each answer may be."""
        settings, asking = self._recipe.evaluation, self.prompter
        if settings.constrain == "none":
            return None
        return AnswerConstraint(
            settings.constrain,
            self.tokenizer,
            AnswerForm(
                asking.opening,
                asking.ending,
                json=self._recipe.prompt.style == "chat-json",
                no_answer=asking.no_answer,
            ),
            contexts=contexts,
            stop_ids=asking.stop_ids,
            forced_start=asking.forced_ids if settings.force_start else (),
            reasoning_tokens=settings.reasoning_limit or None,
        )


def _load(recipe: Recipe, settings: Model, calibrating: Calibrating) -> Decoder:
    """The checkpoint, with rows for the reasoning tokens; equal seeds give equal rows."""
    decoder = load_decoder(settings, seed=recipe.seed, calibrating=calibrating)
    fit_vocabulary(
        decoder.model, decoder.tokenizer, reasoning_tokens=recipe.prompt.reasoning_tokens
    )
    return decoder


def unread(example: Example) -> Prediction:
    """The prediction of a question that was not put to the model: every threshold withholds it."""
    return Prediction(
        id=example.id,
        group=example.group,
        article=example.article,
        output="",
        answer="",
        gold=example.gold,
        span_score=-math.inf,
        null_score=0.0,
        decoded=Decoded(
            prompt="", response="", valid=False, finished="length", span_tokens=0, null_tokens=0
        ),
    )


def decoding_of(
    settings: Evaluation,
    *,
    stop_ids: frozenset[int],
    stop_texts: tuple[str, ...] = (),
    seed: int,
) -> Decoding:
    """The recipe's way of decoding, with the prompt's own endings."""
    match settings.decoding:
        case "greedy":
            strategy = Greedy()
        case "beams":
            strategy = Beams(settings.beams)
        case "sample":
            strategy = Sample(settings.temperature, settings.top_p, seed)
        case _:
            assert_never(settings.decoding)
    return Decoding(
        strategy=strategy,
        max_new_tokens=settings.max_new_tokens,
        stop_ids=stop_ids,
        stop_texts=stop_texts,
    )
