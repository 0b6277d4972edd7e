"""The whole recipe schema: what a user may write, with units, bounds and defaults.

A recipe is a value: frozen, and complete once read. Behaviour is chosen by its types (the kind of
tuning), never by asking what is there. Every field is read by something; a test proves it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from tunelab.recipe.settings import Names, Settings
from tunelab.recipe.tasks import FurtherTasks, SquadTask, Task

Precision = Literal["none", "int8", "nf4", "gptq-int4", "gptq-int8"]


class Api(Settings):
    """How a model behind an endpoint is asked."""

    key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the key, which is written nowhere; "": no key is sent."""
    concurrency: int = Field(default=8, ge=1, le=256)
    """Requests under way at a time."""
    timeout: float = Field(default=60, gt=0)
    """Seconds that one request may take in all."""
    retries: int = Field(default=6, ge=0)
    """How often a request is repeated, ever later, after 429, 5xx, silence or nonsense."""
    logprobs: int = Field(default=0, ge=0, le=20)
    """Likeliest tokens to ask for at each place; above 0, answers get scores and a threshold."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Further fields of the request's body; null takes a field out."""
    input_price: float | None = Field(default=None, ge=0)
    """Price of a million tokens read, in your currency."""
    output_price: float | None = Field(default=None, ge=0)
    """Price of a million tokens written."""
    max_price: float | None = Field(default=None, ge=0)
    """Nothing is asked if all runs together are estimated above it; a run that passes it ends."""


class Model(Settings):
    """The pretrained checkpoint, or a model behind an OpenAI-compatible endpoint."""

    path: str = "minilm"
    """Bundled name, folder, or hub id; encoders point at spans, decoders write answers."""
    revision: str | None = None
    """Branch, tag or commit of a hub id."""
    dtype: Literal["f32", "bf16", "bf16-true"] = "f32"
    """bf16: autocast, weights and optimiser state stay float32. bf16-true: everything bfloat16."""
    quantize: Precision = "none"
    """How the linear layers are held; adapters are trained on top (docs/quantisation.md)."""
    double_quant: bool = True
    """nf4: the scales of the blocks are quantised too, which saves 0.4 bits a weight."""
    calibration: str | None = None
    """gptq: a text file, a paragraph a line, or `reading`; not given: the task's own training
    questions (squad)."""
    calibration_samples: int = Field(default=128, ge=1)
    """gptq: so many paragraphs of at most max_length tokens are read."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Replaces all dropout rates of the checkpoint; on a CPU, 0 makes training much faster."""
    max_length: int = Field(default=384, ge=16)
    """Encoders: tokens of one window. Decoders: tokens of prompt and answer; nothing is cut."""
    stride: int = Field(default=128, ge=0)
    """Encoders: context tokens that two neighbouring windows share."""
    endpoint: str | None = None
    """Address of a server, such as https://api.openai.com/v1; then `path` is not read."""
    name: str | None = None
    """The model's name at the endpoint."""
    api: Api = Api()
    """How an endpoint is asked."""

    @property
    def called(self) -> str:
        """What it goes by: its name at the endpoint, where it is behind one."""
        return self.path if self.endpoint is None else self.name or self.endpoint


class Prompt(Settings):
    """How a decoder is asked; an encoder has no prompt. The texts are in docs/prompts.md."""

    style: Literal["plain", "chat-json"] = "plain"
    """plain: headings, a bare answer. chat-json: the model's own chat template, answer in JSON."""
    turns: Literal["single", "multi"] = "single"
    """chat-json. multi: context, question and wanted format in three turns of the user."""
    system: str | None = Field(default=None, min_length=1)
    """chat-json: the system message. Without one, the template does as it does by itself."""
    reasoning_tokens: int = Field(default=0, ge=0, le=1000)
    """chat-json: so many `<blah_i>` before the answer, with embeddings of their own."""
    no_answer: str | None = Field(default=None, min_length=1)
    """Said of an unanswerable question; else the style's own: `<unk>` (plain), `?` (chat-json)."""


class NoTuning(Settings):
    """The checkpoint as it is; the baseline of every comparison."""

    kind: Literal["none"]
    shots: int = Field(default=0, ge=0, le=16)
    """Decoders: training examples shown in the prompt."""


class FullTuning(Settings):
    """Every parameter is trained."""

    kind: Literal["full"]


class HeadTuning(Settings):
    """The task's head alone is trained."""

    kind: Literal["head"]


class LoraTuning(Settings):
    """Low-rank updates of linear layers, with PEFT's variants; the head is trained."""

    kind: Literal["lora"]
    rank: int = Field(default=8, ge=1)
    """r: the rank of the update B A."""
    alpha: float = Field(default=16, gt=0)
    """The update is scaled by alpha / rank (alpha / sqrt(rank) with rslora)."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """On the input of A."""
    targets: Names = ("all-linear",)
    """Names of the modules to adapt; `all-linear` means all linear layers but the head."""
    dora: bool = False
    """Weight decomposition into magnitude and direction (arXiv 2402.09353)."""
    rslora: bool = False
    """Scaling by 1 / sqrt(rank) (arXiv 2312.03732)."""
    init: Literal["default", "gaussian", "pissa", "olora", "orthogonal"] = "default"
    """How A and B start: pissa (arXiv 2404.02948), olora (arXiv 2406.01775)."""
    plus_ratio: float = Field(default=1.0, gt=0)
    """LoRA+: learning rate of B over that of A (arXiv 2402.12354)."""


class PrefixTuning(Settings):
    """Trained keys and values in front of every layer (arXiv 2101.00190); the head is trained."""

    kind: Literal["prefix"]
    virtual_tokens: int = Field(default=20, ge=1)
    """Length of the prefix."""


class PromptTuning(Settings):
    """Trained embeddings in front of the input (arXiv 2104.08691); the head is trained."""

    kind: Literal["prompt"]
    virtual_tokens: int = Field(default=20, ge=1)
    """Length of the prompt."""


class PeftTuning(Settings):
    """Any other PEFT method by its lower-case name, with its own options; the head is trained."""

    kind: str
    """Such as ia3, adalora, vera, oft; `tunelab methods` lists them."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the method's PEFT configuration class."""


class StackTuning(Settings):
    """LoRA and virtual tokens in one model, trained together; decoders only."""

    kind: Literal["stack"]
    parts: tuple[LoraTuning, PrefixTuning | PromptTuning]
    """`lora`, then `prefix` or `prompt`, each with its own settings; stored as two adapters."""


_OWN_KINDS = ("none", "full", "head", "lora", "prefix", "prompt", "stack")


def _kind(value: object) -> str | None:
    match value:
        case {"kind": str(kind)} | Settings(kind=str(kind)):
            return kind if kind in _OWN_KINDS else "peft"
        case _:
            return None


Tuning = Annotated[
    Annotated[NoTuning, Tag("none")]
    | Annotated[FullTuning, Tag("full")]
    | Annotated[HeadTuning, Tag("head")]
    | Annotated[LoraTuning, Tag("lora")]
    | Annotated[PrefixTuning, Tag("prefix")]
    | Annotated[PromptTuning, Tag("prompt")]
    | Annotated[StackTuning, Tag("stack")]
    | Annotated[PeftTuning, Tag("peft")],
    Discriminator(_kind),
]


class Training(Settings):
    """The optimiser steps: AdamW on the sum of a step's losses over the count of its targets."""

    epochs: int = Field(default=3, ge=1)
    """Passes over the training questions."""
    batch_size: int = Field(default=16, ge=1)
    """Questions per optimiser step, however they are laid out in forward passes."""
    together: Annotated[int, Field(ge=1)] | Literal["all"] | None = None
    """How many questions of a paragraph follow one another in the shuffled order of an epoch.

    Not given: all of them where they share a prefix (decoders with share_prefix), else 1.
    """
    learning_rate: float = Field(default=1e-4, gt=0)
    """The highest rate of the schedule."""
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    """After the warm-up; linear and cosine fall to zero at the last step."""
    warmup: float = Field(default=0.1, ge=0)
    """Below 1 a share of all steps, else a number of steps; the rate rises linearly from zero."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Of matrices; biases and normalisation weights are not decayed."""
    optimizer: Literal["adamw", "adamw-8bit", "paged-adamw", "paged-adamw-8bit"] = "adamw"
    """bitsandbytes holds the moments in 8 bits, or pages them out of the GPU's memory (CUDA)."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this global L2 norm."""
    share_prefix: bool = True
    """Decoders: what the examples of a step have in common is computed once, same gradient."""
    gradient_checkpointing: bool = False
    """Decoders: activations are computed twice; less memory, about a third more time."""
    tokens_per_pass: int = Field(default=1024, ge=1)
    """Padded tokens of a pass, never the result: a CPU likes 1024 (decoders 4096), a GPU 8192."""
    checkpoint_steps: int = Field(default=50, ge=1)
    """Optimiser steps between two checkpoints."""
    select: Literal["best", "last"] = "best"
    """Which epoch's weights are kept: the best on validation, or the last."""


class Evaluation(Settings):
    """How answers are read off the model."""

    split: Literal["test", "validation"] = "test"
    """What the predictions and scores of the run are about."""
    quantize: tuple[Precision, ...] = ()
    """Score what was trained in these precisions too, a row each; its own is always scored."""
    n_best: int = Field(default=20, ge=1)
    """Start and end positions considered per window."""
    max_answer_tokens: int = Field(default=30, ge=1)
    """Longer spans are not answers."""
    no_answer_threshold: Literal["validation", "decoded"] | float = "validation"
    """Version 2.0: unanswered when null score - span score is above it.

    `validation`: chosen there. `decoded`: none; a decoder's answer is what it said, and an
    encoder answers every question.
    """
    decoding: Literal["greedy", "beams", "sample"] = "greedy"
    """Decoders: how a response is written."""
    beams: int = Field(default=4, ge=1)
    """Hypotheses that `beams` follows."""
    temperature: float = Field(default=1.0, gt=0)
    """`sample`: divides the logits."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """`sample`: among the fewest tokens that together have this probability."""
    max_new_tokens: int = Field(default=48, ge=1)
    """Decoders: the longest response."""
    constrain: Literal["none", "json", "span"] = "none"
    """Decoders. json: always the asked JSON. span: always words of the context, or no answer."""
    force_start: bool = False
    """Decoders: a response begins with the opening of the answer, such as of its JSON."""
    reasoning_limit: int = Field(default=0, ge=0)
    """Decoders: tokens that may be written freely before a constrained answer begins."""
    ablations: tuple[Literal["question-only", "shuffled-context"], ...] = ()
    """The test again, without contexts or with those of other paragraphs: what remains of a score
    was not read."""
    contamination: bool = False
    """Decoders: tests whether the model prefers the published order of the test questions."""


class Search(Settings):
    """A fair search: the same trials and the same examples for every case, on validation only."""

    over: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = Field(min_length=1)
    """Dotted path -> values; the product of the lists, in their order."""
    trials: int = Field(ge=1)
    """How many of the product are tried, spread evenly over it."""
    train_limit: int | None = Field(default=None, ge=1)
    """Training questions of a trial; of the last rung where there is halving."""
    epochs: int | None = Field(default=None, ge=1)
    """Epochs of a trial."""
    halving: int | None = Field(default=None, ge=2)
    """Successive halving (arXiv 1502.07943): all start with few questions, and the best of every
    so many go on with so many times as many. The same rungs for every method."""


class Recipe(Settings):
    """An experiment: task x model x tuning x seed, or a grid of them."""

    name: str = Field(default="experiment", min_length=1)
    """Title of the tables."""
    label: str | None = Field(default=None, pattern=r"^[^,/@|\n]{1,60}$")
    """Names a row of the tables, in a case of the grid; not given: made from what differs."""
    task: Task = SquadTask()
    """What is learnt and tested: a table with its `kind`, or a list of them with weights."""
    model: Model = Model()
    """What is tuned."""
    prompt: Prompt = Prompt()
    """How a decoder is asked."""
    tuning: Tuning = LoraTuning(kind="lora")
    """How it is tuned: a table with its `kind`."""
    training: Training = Training()
    """How long and how fast."""
    evaluation: Evaluation = Evaluation()
    """How answers are read off."""
    also_evaluate: FurtherTasks = ()
    """What must not be forgotten: names such as mmlu, or tables as of `task`.

    The untuned model and every tuned one are scored on the same items; decoders only.
    """
    seed: int = Field(default=0, ge=0)
    """Initialisation, dropout and the order of the data, the same order for every method."""
    track: tuple[Literal["tensorboard", "trackio", "wandb"], ...] = ()
    """Trackers that runs are mirrored to; the run directory stays the truth."""
    price_per_hour: float | None = Field(default=None, gt=0)
    """Price of an hour of this machine, in your currency."""
    grid: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] | None = None
    """`cases` (each merged over the recipe) x the product of the other lists, by dotted path."""
    search: Search | None = None
    """Chooses settings per case before the runs."""
