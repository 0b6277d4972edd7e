"""Answers parts of the data, chooses the no-answer threshold on validation, and takes the time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from tunelab.data import Example
from tunelab.evaluation.ablations import Ablation, ablate, with_gold
from tunelab.evaluation.contamination import Reader, score_orders
from tunelab.evaluation.spans import apply_threshold
from tunelab.evaluation.threshold import choose_threshold
from tunelab.metrics.squad import SquadVersion, answer_f1
from tunelab.recipe import Recipe, extractive
from tunelab.records import OrderShard, Prediction
from tunelab.runs.family import Answers
from tunelab.runs.remote_checks import gives_scores


@dataclass(slots=True)
class Answering:
    """A tuned model that answers questions."""

    recipe: Recipe
    family: Answers
    seconds: float = 0.0
    """Spent so far."""

    def answer(self, examples: Sequence[Example], name: str) -> list[Prediction]:
        """One prediction per example, always answered; `name` stands on the progress bar."""
        began = time.perf_counter()
        predictions = self.family.answer(examples, name)
        self.seconds += time.perf_counter() - began
        return predictions

    def answer_ablated(self, examples: Sequence[Example], ablation: Ablation) -> list[Prediction]:
        """One prediction per example, whose context was taken away or exchanged."""
        changed = ablate(examples, ablation, seed=self.recipe.seed)
        return with_gold(self.answer(changed, ablation), examples)

    def order_shards(
        self, examples: Sequence[Example], *, reader: Reader | None
    ) -> list[OrderShard]:
        """How likely the questions of each paragraph are, in their order and in others."""
        assert reader is not None, "check_family refuses encoders"
        began = time.perf_counter()
        shards = score_orders(
            examples,
            seed=self.recipe.seed,
            model=reader,
        )
        self.seconds += time.perf_counter() - began
        return shards

    @property
    def chooses_threshold(self) -> bool:
        """Whether validation is asked for the no-answer threshold."""
        wanted = self.recipe.evaluation.no_answer_threshold
        chooses = self._version == "2.0" and wanted == "validation"
        return chooses and gives_scores(self.recipe)

    def threshold(self, validation: Sequence[Prediction]) -> float | None:
        """The no-answer threshold that the recipe asks for; None where it withholds no answer."""
        if self._version == "1.1" or not gives_scores(self.recipe):
            return None
        match self.recipe.evaluation.no_answer_threshold:
            case "decoded":
                return None
            case "validation":
                if any(row.span_score is None or row.null_score is None for row in validation):
                    return None  # an endpoint did not give the log-probabilities that were asked
                return choose_threshold(validation) if validation else 0.0
            case wanted:
                return wanted

    @property
    def _version(self) -> SquadVersion:
        return extractive(self.recipe.task).version

    def validation_f1(self, examples: Sequence[Example]) -> float:
        """Mean F1 on validation with the threshold that is best there, in percent."""
        predictions = self.answer(examples, "validation")
        final = apply_threshold(predictions, self.threshold(predictions))
        return 100.0 * sum(answer_f1(row.answer, row.gold) for row in final) / len(final)
