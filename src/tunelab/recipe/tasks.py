"""The kinds of task a recipe may name: where their data are, and how they are asked and scored.

The first is read off a paragraph. The others have given answers, of which a model chooses one: a
decoder by how likely it finds each, an encoder with a classification head.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from tunelab.errors import RecipeError
from tunelab.recipe.settings import Names, Settings, SomeNames, as_text

Scoring = Literal["letter", "text"]


class SquadTask(Settings):
    """Extractive question answering, as SQuAD has it."""

    kind: Literal["squad"] = "squad"
    """Extractive question answering in the official SQuAD format."""
    version: Annotated[Literal["1.1", "2.0"], BeforeValidator(as_text)] = "2.0"
    """1.1: every question has an answer in the text. 2.0: some have none."""
    train: Names = ("reading",)
    """Files (.json or .json.gz), hub ids, or `reading`; a list joins them.

    A path may begin with an environment variable. It stays as it is written, so that a run is the
    same run wherever its data lie.
    """
    test: Names = ("reading",)
    """Likewise. Never used for any choice."""
    train_limit: int | None = Field(default=None, ge=1)
    """Questions: whole paragraphs in the order of a hash of their text, the last one cut."""
    test_limit: int | None = Field(default=None, ge=1)
    """Likewise."""
    validation: float = Field(default=0.1, ge=0, le=0.5)
    """Share of the training questions held out, as whole articles, for every choice."""


class ChoiceTask(Settings):
    """What tasks with given answers have in common."""

    train: SomeNames = ()
    """Files, folders or hub ids; not given: the training part of what `test` names, if any."""
    test: Names
    """Likewise; a path may begin with an environment variable. Never used for any choice."""
    train_limit: int | None = Field(default=None, ge=1)
    """Questions, in the order of a hash of their ids."""
    test_limit: int | None = Field(default=None, ge=1)
    """Likewise."""
    validation: float = Field(default=0.1, ge=0, le=0.5)
    """Share of the training questions held out for every choice."""


class PubmedqaTask(ChoiceTask):
    """Yes, no or maybe from the abstract of a paper (PubMedQA, arXiv 1909.06146)."""

    kind: Literal["pubmedqa"]
    test: Names = ("qiaojin/PubMedQA",)
    """`ori_pqal.json`, or a hub id with its rows. Training takes the other half of the ids."""
    test_ids: str | None = None
    """`test_ground_truth.json`: whose ids are tested. Not given: the file of that name beside."""
    setting: Literal["reasoning-required", "reasoning-free"] = "reasoning-required"
    """Whether the abstract is given without its conclusion, or the conclusion alone."""
    target: Literal["label", "label-first"] = "label"
    """What decoders are trained to say; label-first: the label, then the paper's conclusion."""
    read: Literal["likelihood", "generation"] = "likelihood"
    """How a decoder's answer is read: the likeliest label, or the first one that it writes."""
    shots: int = Field(default=0, ge=0, le=16)
    """Decoders: worked examples of the training half in front of every question."""


class MmluTask(ChoiceTask):
    """Questions of 57 subjects with four choices (MMLU, arXiv 2009.03300)."""

    kind: Literal["mmlu"]
    test: Names = ("cais/mmlu",)
    """A folder with dev/, val/ and test/ of `<subject>_<part>.csv`, or a hub id. `val` trains."""
    subjects: SomeNames = ()
    """Of the 57, or stem, humanities, social_sciences, other (lm-eval's). Not given: all."""
    shots: int = Field(default=5, ge=0, le=5)
    """The first so many of the subject's `dev` questions stand in front."""
    scoring: Scoring = "letter"
    """letter: the choices stand in the question, and A to D are weighed. text: the choices are."""


class ArcTask(ChoiceTask):
    """Science questions of school exams with three to five choices (ARC, arXiv 1803.05457)."""

    kind: Literal["arc"]
    test: Names = ("allenai/ai2_arc",)
    """Official .jsonl files or a hub id."""
    part: Literal["challenge", "easy"] = "challenge"
    """Which set it is; names the scores, and chooses the part of a hub id."""
    shots: int = Field(default=0, ge=0, le=25)
    """The first training questions, by hash, stand in front."""
    scoring: Scoring = "text"
    """text: the choices are weighed. letter: they stand in the question, and letters are."""


class HellaswagTask(ChoiceTask):
    """How does the scene go on: four endings (HellaSwag, arXiv 1905.07830)."""

    kind: Literal["hellaswag"]
    test: Names = ("Rowan/hellaswag",)
    """Official .jsonl files (.gz too) or a hub id."""
    shots: int = Field(default=0, ge=0, le=25)
    """The first training questions, by hash, stand in front."""
    scoring: Scoring = "text"
    """As for arc."""


class TruthfulqaTask(ChoiceTask):
    """Which answers are true, against popular errors (TruthfulQA, arXiv 2109.07958): MC1, MC2."""

    kind: Literal["truthfulqa"]
    test: Names = ("truthfulqa/truthful_qa",)
    """`mc_task.json` or a hub id. The six worked examples of the paper stand in front."""


def _kind(value: object) -> str:
    match value:
        case {"kind": str(kind)} | Settings(kind=str(kind)):
            return kind
        case _:
            return "squad"


AnyChoiceTask = PubmedqaTask | MmluTask | ArcTask | HellaswagTask | TruthfulqaTask

Task = Annotated[
    Annotated[SquadTask, Tag("squad")]
    | Annotated[PubmedqaTask, Tag("pubmedqa")]
    | Annotated[MmluTask, Tag("mmlu")]
    | Annotated[ArcTask, Tag("arc")]
    | Annotated[HellaswagTask, Tag("hellaswag")]
    | Annotated[TruthfulqaTask, Tag("truthfulqa")],
    Discriminator(_kind),
]


def _as_tables(value: object) -> object:
    """A name alone stands for a task with all its defaults."""
    if isinstance(value, str):
        value = (value,)
    if isinstance(value, list | tuple):
        return tuple({"kind": each} if isinstance(each, str) else each for each in value)
    return value


ChoiceTasks = Annotated[
    tuple[
        Annotated[
            Annotated[PubmedqaTask, Tag("pubmedqa")]
            | Annotated[MmluTask, Tag("mmlu")]
            | Annotated[ArcTask, Tag("arc")]
            | Annotated[HellaswagTask, Tag("hellaswag")]
            | Annotated[TruthfulqaTask, Tag("truthfulqa")],
            Discriminator(_kind),
        ],
        ...,
    ],
    BeforeValidator(_as_tables),
]


def extractive(task: Task) -> SquadTask:
    """The task, of something that knows questions on a text alone.

    Raises:
        RecipeError: it is of another kind.
    """
    if not isinstance(task, SquadTask):
        raise RecipeError(
            f"This is for tasks of the kind squad; the recipe's is {task.kind}.",
            hint="`tunelab evaluate MODEL --task ...` scores any model on it.",
        )
    return task
