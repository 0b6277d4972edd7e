"""`tunelab tasks` and `tunelab models`: what is there, one line each."""

from __future__ import annotations

import json
from typing import Annotated

import typer

TASKS = {
    "squad": "extractive question answering in the official SQuAD format, version 1.1 or 2.0",
    "pubmedqa": "yes, no or maybe from an abstract: accuracy, macro-F1",
    "mmlu": "57 subjects, four choices: accuracy by question and by subject, both category maps",
    "arc": "science questions, three to five choices; as arc_challenge and arc_easy: acc, acc_norm",
    "hellaswag": "how a scene goes on, four endings: acc, acc_norm",
    "truthfulqa": "true answers against popular errors: MC1, MC2",
    "chat": "conversations (messages, ShareGPT, Alpaca): perplexity, token F1, ROUGE-L, both sides",
    "text-qa": "questions on a text, answered in free words: token F1, ROUGE-L, perplexity",
    "text": "general text: perplexity, bits per byte; in also_evaluate, evaluate and mixtures",
    "mixture": "several tasks trained together by weights, every run scored on each",
    "lm-eval:NAME": "any task of lm-eval, for `tunelab evaluate` (docs/lm-eval.md)",
}

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document.")]


def tasks(as_json: JsonOption = False) -> None:
    """List the kinds of task, and the data set that tunelab generates."""
    from tunelab.data.reading import SPLITS

    _print(
        TASKS | {f"reading/{split}": "generated, in SQuAD 2.0 form" for split in SPLITS}, as_json
    )


def models(as_json: JsonOption = False) -> None:
    """List the bundled models; any folder or hub id works too."""
    from tunelab.models.checkpoint import BUNDLED

    _print({name: model.summary for name, model in BUNDLED.items()}, as_json)


def _print(rows: dict[str, str], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows))
        return
    width = max(map(len, rows))
    for name, summary in rows.items():
        typer.echo(f"{name:{width}}  {summary}")
