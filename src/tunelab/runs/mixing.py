"""Decoders and mixtures: every part is asked in its own way, all are learnt together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunelab.data import Example, Mixed, MixtureData, part_shares
from tunelab.evaluation.likelihood import target_sums
from tunelab.evaluation.measure import first_metric
from tunelab.evaluation.spans import apply_threshold
from tunelab.prompts.encoded import EncodedExample
from tunelab.recipe import MixtureTask, Recipe, SquadTask, part_names
from tunelab.records import Prediction
from tunelab.runs.decoding import TOKENS_PER_PASS, DecoderFamily
from tunelab.runs.loaded import Loaded
from tunelab.runs.responders import responder_of
from tunelab.runs.tasked import Learnable, Responder
from tunelab.training.mixture import Mix, counts_of


@dataclass(frozen=True, slots=True)
class SquadResponder:
    """Extractive questions as a part of a mixture; answers are taken as they were decoded, or
    withheld by the recipe's own number."""

    recipe: Recipe
    task: SquadTask
    train: Sequence[Example]
    loaded: Loaded

    @property
    def version(self) -> str:
        """Names the wording."""
        return self._family.prompter.version

    def learn(self, examples: Sequence[Example]) -> Learnable:
        """Prompt and answer; nothing is cut."""
        found = self._family.prompter.encode_all(examples, max_length=self.loaded.room)
        fitting = {example.id for example in found.examples}
        kept = [index for index, example in enumerate(examples) if example.id in fitting]
        lost = len(examples) - len(kept)
        longest = f"model.max_length={self.loaded.max_length}"
        note = f"training: {lost} of {len(examples)} questions are longer than {longest}"
        return Learnable(kept, list(found.encoded), f"{note} and left out" if lost else "")

    def answer(self, examples: Sequence[Example], name: str) -> list[Prediction]:
        """What the model writes, read and scored."""
        family = self._family
        predictions = family.answer(examples, name)
        for note in family.notes:
            self.loaded.tell(note)
        wanted = self.recipe.evaluation.no_answer_threshold
        if self.task.version == "1.1" or isinstance(wanted, str):
            return apply_threshold(predictions, None)
        return apply_threshold(predictions, wanted)

    def score(self, examples: Sequence[Example]) -> float:
        """F1 in percent."""
        return first_metric(self.task, self.answer(examples, "validation"))

    @property
    def _family(self) -> DecoderFamily:
        return DecoderFamily.around(self.loaded, self.recipe, self.train)


class MixtureResponder:
    """Puts the examples of every part to the model in the way of that part.

    Args:
        task: the mixture.
        data: its examples.
        recipe: of the run.
        loaded: the model.
    """

    def __init__(
        self, task: MixtureTask, data: MixtureData, recipe: Recipe, loaded: Loaded
    ) -> None:
        self._task = task
        self._loaded = loaded
        self._parts: dict[str, Responder] = {}
        for name, part in zip(part_names(task), task.parts, strict=True):
            self._parts[name] = (
                SquadResponder(recipe, part, data.parts[name].train, loaded)
                if isinstance(part, SquadTask)
                else responder_of(part, data.parts[name], loaded)
            )

    @property
    def version(self) -> str:
        """Names the wordings."""
        return ", ".join(dict.fromkeys(part.version for part in self._parts.values()))

    def learn(self, examples: Sequence[Mixed]) -> Learnable:
        """Everything that is learnt, part by part, and how often each part is drawn."""
        kept: list[int] = []
        encoded: list[EncodedExample] = []
        notes: list[str] = []
        parts: list[str] = []
        for name, (indices, members) in self._by_part(examples).items():
            found = self._parts[name].learn(members)
            kept += [indices[place] for place in found.kept]
            encoded += found.encoded
            parts += [name] * len(found.kept)
            notes += [f"{name}: {found.note}"] if found.note else []
        mix = Mix(tuple(parts), counts_of(self._task, parts))
        notes.append(mix.sentence)
        return Learnable(kept, encoded, "; ".join(notes), mix)

    def answer(self, examples: Sequence[Mixed], name: str) -> list[Prediction]:
        """One prediction per example, its id behind the name of its part."""
        found: dict[int, Prediction] = {}
        for part, (indices, members) in self._by_part(examples).items():
            answered = self._parts[part].answer(members, f"{name}, {part}")
            for index, row in zip(indices, answered, strict=True):
                mixed = examples[index]
                found[index] = row.model_copy(update={"id": mixed.id, "group": mixed.group})
        return [found[index] for index in range(len(examples))]

    def score(self, examples: Sequence[Mixed]) -> float:
        """Minus the nats per token of what would be learnt, the parts by their weights."""
        shares = part_shares(self._task)
        score, weight = 0.0, 0.0
        for name, (_, members) in self._by_part(examples).items():
            encoded = self._parts[name].learn(members).encoded
            if encoded:
                with self._loaded.accelerator.autocast():
                    sums = target_sums(
                        self._loaded.tuned,
                        encoded,
                        share=self._loaded.share,
                        tokens_per_pass=TOKENS_PER_PASS,
                    )
                score += shares[name] * sum(sums) / sum(sum(each.targets) for each in encoded)
                weight += shares[name]
        return score / weight if weight else 0.0

    def _by_part(self, examples: Sequence[Mixed]) -> dict[str, tuple[list[int], list[object]]]:
        """Part -> its places among the examples, and its examples."""
        found: dict[str, tuple[list[int], list[object]]] = {}
        for index, mixed in enumerate(examples):
            indices, members = found.setdefault(mixed.part, ([], []))
            indices.append(index)
            members.append(mixed.example)
        return found
