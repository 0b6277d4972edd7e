"""The kinds of task a recipe may name: where their data are, and how they are asked and scored.

The first is read off a paragraph. Some have given answers, of which a model chooses one: a decoder
by how likely it finds each, an encoder with a classification head. Others are answered in free
text, by decoders alone.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

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


class WrittenTask(Settings):
    """What tasks that are answered in free text have in common."""

    train: SomeNames = ()
    """Files (.jsonl, .json, .parquet; .gz too) or hub ids; OWNER/NAME#SPLIT names a split."""
    test: Names
    """Likewise. Never used for any choice; what is tested is not trained on."""
    train_limit: int | None = Field(default=None, ge=1)
    """Rows: whole groups in the order of a hash, the last one cut."""
    test_limit: int | None = Field(default=None, ge=1)
    """Likewise."""
    validation: float = Field(default=0.1, ge=0, le=0.5)
    """Share of the training rows held out, as whole groups, for every choice."""
    template: Literal["model", "plain"] = "model"
    """model: the tokenizer's chat template. plain: headings, for a model without one."""
    bad_rows: Literal["refuse", "leave-out"] = "refuse"
    """What becomes of rows that cannot be read: an error that names the first, or a count."""


class ChatTask(WrittenTask):
    """Conversations: messages, ShareGPT or Alpaca rows; every turn of the assistant is trained."""

    kind: Literal["chat"]


class TextQaTask(WrittenTask):
    """Questions on a text, answered in free words: rows of context, question and answers."""

    kind: Literal["text-qa"]


class TextTask(Settings):
    """General text as it is, read in windows for its perplexity; trained, all of it is learnt."""

    kind: Literal["text"]
    train: SomeNames = ()
    """Rows with a `text` (.jsonl, .json, .parquet, a hub id), or any other text file, which is cut
    at empty lines into pieces of 4,000 characters or more; .gz too."""
    test: Names
    """Likewise. Never used for any choice; what is tested is not trained on."""
    train_limit: int | None = Field(default=None, ge=1)
    """Texts, in the order of a hash."""
    test_limit: int | None = Field(default=None, ge=1)
    """Likewise."""
    validation: float = Field(default=0.1, ge=0, le=0.5)
    """Share of the training texts held out for every choice."""
    window: int = Field(default=1024, ge=16)
    """Tokens of a window; a long text is read in several."""
    overlap: int = Field(default=0, ge=0)
    """Tokens that a window takes over from the one before it, to be read and not scored again."""


def _kind(value: object) -> str:
    match value:
        case {"kind": str(kind)} | Settings(kind=str(kind)):
            return kind
        case _:
            return "squad"


AnyChoiceTask = PubmedqaTask | MmluTask | ArcTask | HellaswagTask | TruthfulqaTask
AnyWrittenTask = ChatTask | TextQaTask
FurtherTask = AnyChoiceTask | AnyWrittenTask | TextTask
"""What a model may be asked that was not tuned on it."""
SingleTask = SquadTask | FurtherTask

_FurtherTasks = (
    Annotated[PubmedqaTask, Tag("pubmedqa")]
    | Annotated[MmluTask, Tag("mmlu")]
    | Annotated[ArcTask, Tag("arc")]
    | Annotated[HellaswagTask, Tag("hellaswag")]
    | Annotated[TruthfulqaTask, Tag("truthfulqa")]
    | Annotated[ChatTask, Tag("chat")]
    | Annotated[TextQaTask, Tag("text-qa")]
    | Annotated[TextTask, Tag("text")]
)
_SingleTask = Annotated[Annotated[SquadTask, Tag("squad")] | _FurtherTasks, Discriminator(_kind)]


class MixtureTask(Settings):
    """Several tasks trained together; every run is scored on each of them."""

    kind: Literal["mixture"]
    parts: tuple[_SingleTask, ...] = Field(min_length=2)
    """The tasks, as tables; decoders only."""
    weights: tuple[Annotated[float, Field(ge=0)], ...] = ()
    """Each part's share of an epoch's examples, relative to the others; not given: equal shares.

    A part of weight 0 is not trained on, and scored all the same.
    """
    examples: int | None = Field(default=None, ge=1)
    """Examples of an epoch; not given: as many as the parts with a weight have together."""

    @model_validator(mode="after")
    def _check_weights(self) -> Self:
        if self.weights and len(self.weights) != len(self.parts):
            raise ValueError(f"it has {len(self.parts)} parts and {len(self.weights)} weights")
        if self.weights and not 0 < sum(self.weights) < math.inf:
            raise ValueError("its weights should be finite and not all 0")
        return self

    @property
    def train(self) -> tuple[str, ...]:
        """What the parts are trained on."""
        return tuple(name for part in self.parts for name in part.train)

    @property
    def test(self) -> tuple[str, ...]:
        """What the parts are tested on."""
        return tuple(name for part in self.parts for name in part.test)

    @property
    def validation(self) -> float:
        """The largest share that a part holds out."""
        return max(part.validation for part in self.parts)

    @property
    def train_limit(self) -> None:
        """Every part has its own."""
        return None


def task_name(task: Task) -> str:
    """The task's name in scores.json and on the command line."""
    match task:
        case SquadTask():
            return "squad" if task.version == "1.1" else "squad_v2"
        case ArcTask():
            return f"arc_{task.part}"
        case _:
            return task.kind


def part_names(task: MixtureTask) -> tuple[str, ...]:
    """The names of the parts: `chat`, `chat-2` ... where a kind comes again."""
    names = [task_name(part) for part in task.parts]
    return tuple(
        name if names.index(name) == place else f"{name}-{names[: place + 1].count(name)}"
        for place, name in enumerate(names)
    )


def untrained(task: Task) -> Task:
    """The task as a model is asked it that learns nothing: whatever is trained on is left out.

    So the runs of a data swap share one untuned model. Tasks that may show training questions stay
    as they are.
    """
    match task:
        case ChatTask() | TextQaTask() | TextTask():
            usual = type(task).model_fields["validation"].default
            return task.model_copy(update={"train": (), "train_limit": None, "validation": usual})
        case MixtureTask():
            parts = tuple(untrained(part) for part in task.parts)
            return task.model_copy(update={"parts": parts, "weights": (), "examples": None})
        case _:
            return task


def as_mixture(value: object) -> object:
    """A list of tasks, each with its `weight`, stands for a mixture."""
    if not isinstance(value, list | tuple):
        return value
    parts = [dict(each) if isinstance(each, dict) else each for each in value]
    weights = [part.pop("weight", 1) for part in parts if isinstance(part, dict)]
    return {"kind": "mixture", "parts": parts, "weights": weights}


Task = Annotated[
    Annotated[SquadTask, Tag("squad")] | _FurtherTasks | Annotated[MixtureTask, Tag("mixture")],
    Discriminator(_kind),
    BeforeValidator(as_mixture),
]


def _as_tables(value: object) -> object:
    """A name alone stands for a task with all its defaults."""
    if isinstance(value, str):
        value = (value,)
    if isinstance(value, list | tuple):
        return tuple({"kind": each} if isinstance(each, str) else each for each in value)
    return value


FurtherTasks = Annotated[
    tuple[Annotated[_FurtherTasks, Discriminator(_kind)], ...], BeforeValidator(_as_tables)
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
