"""A decoder that is at hand, and how it is asked: what every kind of task needs of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from accelerate import Accelerator
from transformers import PreTrainedTokenizerBase

from tunelab.prompts.encoded import EncodedExample
from tunelab.recipe import Evaluation, Recipe
from tunelab.records import Proof
from tunelab.runs.progress import Display
from tunelab.tokentree.exactness import check_exactness
from tunelab.tuning import TunedModel


@dataclass(slots=True)
class Loaded:
    """A tuned decoder with its tokenizer."""

    tuned: TunedModel
    tokenizer: PreTrainedTokenizerBase
    evaluation: Evaluation
    """How replies are written."""
    max_length: int
    """Tokens that the model reads at most."""
    accelerator: Accelerator
    display: Display
    seed: int = 0
    """Of what is sampled."""
    share: bool = True
    """Whether what sequences have in common is read once."""
    notes: list[str] = field(default_factory=list)
    """What a reader of the table must know; it grows while the model answers."""

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        tuned: TunedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        accelerator: Accelerator,
        display: Display,
    ) -> Loaded:
        """What a recipe tunes, asked as it says."""
        return cls(
            tuned,
            tokenizer,
            recipe.evaluation,
            max_length=recipe.model.max_length,
            accelerator=accelerator,
            display=display,
            seed=recipe.seed,
            share=recipe.training.share_prefix,
        )

    @property
    def room(self) -> int:
        """Tokens of a text, beside the virtual ones of prompt and prefix tuning."""
        return self.max_length - self.tuned.virtual_tokens

    @property
    def longest(self) -> str:
        """The room, in the words of the recipe."""
        virtual = self.tuned.virtual_tokens
        beside = f" beside {virtual} virtual tokens" if virtual else ""
        return f"model.max_length={self.max_length}{beside}"

    @contextmanager
    def working(self, name: str, count: int) -> Iterator[Callable[[int, str], None]]:
        """The model reads or writes, in the precision of the run; yields what moves the bar."""
        with self.display.phase(name, count) as advance, self.accelerator.autocast():
            yield advance

    def tell(self, sentence: str) -> None:
        """Note a sentence once; nothing where it is empty."""
        if sentence and sentence not in self.notes:
            self.notes.append(sentence)

    def prove_sharing(self, encoded: Sequence[EncodedExample]) -> list[Proof]:
        """Share prefixes only if this model's gradients stay the same; untuned, what it says.

        Returns:
            The proof, if it holds.
        """
        if not self.share or not encoded:
            return []
        found = check_exactness(
            self.tuned.checkpoint,
            encoded,
            parameters=list(self.tuned.trained_parameters().values()),
            virtual=self.tuned.virtual,
        )
        self.share = found.shares
        if found.shares:
            return [found.proof]
        self.tell(found.line)
        return []

    def text(self, ids: Sequence[int]) -> str:
        """Tokens as text, control tokens included."""
        text = self.tokenizer.decode(list(ids))
        assert isinstance(text, str)
        return text
