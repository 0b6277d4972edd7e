"""The contents of the files of a run directory. Units stand in the names.

A change that an older reader would misread raises `SCHEMA_VERSION`; records of a later version are
refused, never guessed at.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 4
"""2 added what a decoder wrote to a prediction; 3 how it weighed given choices, the cost of a
search and the list of files; 4 replies in free text, and how likely a model found a text."""

READABLE_VERSIONS = (1, 2, 3, 4)
"""What an earlier version lacks has a default."""

Status = Literal["running", "ok", "out_of_memory", "diverged", "failed", "interrupted"]

Finish = Literal["stop", "length"]


class Record(BaseModel):
    """A frozen row or file; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Proof(Record):
    """One claim that a run checked about itself, and what it saw."""

    name: str
    held: bool
    found: str
    """What was seen, as a sentence with its figures."""
    remedy: str = ""
    """What to do, where it did not hold."""


class Cost(Record):
    """What a run cost (design 4.4). None means that the hardware or the recipe does not tell."""

    seconds_training: float
    """Wall-clock seconds of the optimiser steps, over all sessions of a resumed run."""
    seconds_evaluation: float
    """Wall-clock seconds of predicting and scoring validation and test items, likewise."""
    peak_memory_bytes: int | None
    """Accelerator memory; on a CPU the growth above the idle process with its imports."""
    trained_parameters: int
    total_parameters: int
    saved_bytes: int
    """Size of adapter/ or model/."""
    tokens_per_second: float | None
    """Real (not padding) tokens trained on per second of training; None if nothing was trained."""
    seconds_overhead: float | None = None
    """Wall-clock seconds of all else: loading, tokenising, saving, proving. None where resumed."""
    held_bytes: int | None = None
    """All weights, as they are held while the model answers; on disk they take the same."""
    answering_tokens_per_second: float | None = None
    """Tokens read and written per second of answering."""
    energy_joules: float | None = None
    """None too where the run was resumed: the counters of the sessions before are gone."""
    price: float | None = None
    """In the currency of the recipe's `price_per_hour`."""


class SearchCost(Record):
    """What choosing settings took: all trials of a method, failed ones included.

    The seeds of a method share their trials: every run of it has the same figures, to count once.
    """

    trials: int
    examples: int
    """Training questions seen by all trials, each time that they were."""
    seconds: float
    """Wall-clock seconds of training and evaluation."""
    price: float | None = None
    """In the currency of the recipe's `price_per_hour`."""


class FileRecord(Record):
    """A file of a finished run, so that a later reader sees whether it is still what it was."""

    bytes: int
    sha256: str


class Manifest(Record):
    """manifest.json: what was run, on what, how it ended, what it cost and what it proved."""

    schema_version: int = SCHEMA_VERSION
    label: str
    digest: str
    status: Status
    message: str = ""
    """Why the status is not ok, as in error.txt but without a traceback."""
    versions: dict[str, str] = Field(default_factory=dict)
    hardware: dict[str, str] = Field(default_factory=dict)
    threads: int | None = None
    data: dict[str, str] = Field(default_factory=dict)
    """Counts and SHA-256 digests of the examples of train, validation and test."""
    model: dict[str, str] = Field(default_factory=dict)
    """Class and SHA-256 of the weights the run started from."""
    cost: Cost | None = None
    proofs: tuple[Proof, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader of the table must know, such as how validation was split off."""
    steps: int = 0
    loss_first: float | None = None
    """Loss of the first optimiser step, before any update."""
    loss_last: float | None = None
    """Mean loss of the last tenth of the steps."""
    no_answer_threshold: float | None = None
    """Chosen on validation; an item is left unanswered when null - span score is above it."""
    search: dict[str, Any] | None = None
    """Settings that a search chose, by dotted path."""
    search_cost: SearchCost | None = None
    files: dict[str, FileRecord] = Field(default_factory=dict)
    """Weights, step log, predictions and scores of a finished run, by their path in it."""


class Step(Record):
    """One line of steps.jsonl: one optimiser step."""

    step: int
    """Counts from 1."""
    examples: int
    """Examples seen since the beginning."""
    tokens: int
    """Real tokens of this step, padding not counted."""
    target_tokens: int
    """Positions that the loss is taken at."""
    loss: float
    """Sum of the losses at the targets over their count, before this step's update."""
    learning_rate: float
    grad_norm: float
    """Global L2 norm before clipping."""
    seconds: float
    peak_memory_bytes: int | None


class Span(Record):
    """A candidate answer of an extractive model."""

    text: str
    start: int
    """Unicode character offset in the context."""
    score: float
    """Start logit plus end logit."""


class Decoded(Record):
    """What a decoder was asked and wrote, and how long the two answers are that were scored."""

    prompt: str
    """Up to where the response begins."""
    response: str
    """All that it wrote, without special tokens."""
    valid: bool
    """Whether an answer that is not empty could be read off the response."""
    finished: Finish
    """stop: by itself. length: at the limit of tokens."""
    span_tokens: int
    """Tokens whose log-probabilities `span_score` sums, end-of-sequence included."""
    null_tokens: int
    """Likewise for `null_score`."""


class Weighed(Record):
    """How likely a model found each of the given choices."""

    choices: tuple[str, ...]
    """As they were weighed: letters or texts."""
    log_probs: tuple[float, ...]
    """Sums over the tokens of each; empty where the question was too long to be read."""
    answer: int
    """Index of the right one."""
    also_true: tuple[int, ...] = ()
    """Further true ones, which count for MC2 alone."""


class Read(Record):
    """How likely a model found a text that it was given."""

    log_prob: float
    """Of all its tokens that were asked for, each given what is before it; in nats."""
    tokens: int
    bytes: int
    """Of the same text in UTF-8."""


class Replied(Record):
    """What a model was asked in a conversation, and replied."""

    prompt: str
    """Up to where the reply begins."""
    response: str
    """All that it wrote; a control token, but for the one that ends a turn, stands as its name."""
    finished: Finish
    """stop: by itself. length: at the limit of tokens."""
    both_sides: bool
    """Whether the model went on to write the user's turn."""


class Prediction(Record):
    """One line of predictions.jsonl: all that rescoring an item needs, and no times."""

    id: str
    group: str
    """The paragraph: the unit of resampling."""
    article: str
    output: str
    """Best answer if one must be given; a decoder's answer as decoded, empty for "no answer"."""
    answer: str
    """Final answer, after the threshold; empty for "no answer"."""
    gold: tuple[str, ...]
    """Accepted answers; empty if the question has none."""
    span_score: float | None = None
    """Score of `output`: a sum of two logits, or the log-probability of the finished answer."""
    null_score: float | None = None
    """Score of "no answer", likewise."""
    n_best: tuple[Span, ...] = ()
    decoded: Decoded | None = None
    """None for an extractive model."""
    weighed: Weighed | None = None
    """Of a task with given choices, unless a decoder wrote its answer."""
    read: Read | None = None
    """Of free text: the true replies, or the text itself. None where it was too long to be read."""
    replied: Replied | None = None
    """Of free text: what was written for the last turn. None where that was too long."""


class OrderShard(Record):
    """One line of contamination.jsonl: a paragraph's questions in the published and other orders.

    Log-probabilities are in nats, of all tokens of the questions, nothing but questions before
    them.
    """

    group: str
    items: int
    canonical: float
    """In the order of the test file."""
    shuffled: tuple[float, ...]
    """In other orders, drawn at random."""


class PredictionBrief(Prediction):
    """A prediction as it is scored: its other candidates stay in the file, which is twice as fast.

    A key that no line has stands for them, and what is not known is passed over.
    """

    model_config = ConfigDict(extra="ignore")
    n_best: tuple[Span, ...] = Field(default=(), validation_alias="(not read)")


class Score(Record):
    """A metric with its 95 % interval over paragraphs, its count and its convention."""

    value: float
    low: float | None
    high: float | None
    count: int
    convention: str


Scores = dict[str, dict[str, Score]]
"""scores.json: task -> metric -> score."""
