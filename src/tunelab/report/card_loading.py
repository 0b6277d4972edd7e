"""The code in a model card that loads its weights; a test runs it. No model is loaded here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tunelab.metrics.pubmedqa import LABELS
from tunelab.models.checkpoint import BUNDLED
from tunelab.recipe import MixtureTask, Recipe, SquadTask, adapter_parts

Head = Literal["spans", "classes", "text"]
"""What comes out of a model: a span of the context, one of a few answers, or text."""

AUTO: dict[Head, str] = {
    "spans": "AutoModelForQuestionAnswering",
    "classes": "AutoModelForSequenceClassification",
    "text": "AutoModelForCausalLM",
}


def loading(recipe: Recipe, *, base: str, head: Head, adapter: bool, in_run: bool = True) -> str:
    """Code for PEFT or transformers, and for tunelab, to be run in the folder of the weights.

    Args:
        recipe: of the run.
        base: the name of the checkpoint that the run started from, as the card tells it.
        head: what comes out of the model.
        adapter: whether the weights are an adapter to `base`.
        in_run: whether the folder lies in the run, which tunelab loads with its settings.
    """
    usual = _adapter(recipe, base=base, head=head) if adapter else _whole(head)
    parts = [f"With {'PEFT' if adapter else 'transformers'}, in this folder:", code(usual)]
    if recipe.model.quantize != "none" and adapter:
        parts.append(
            f"It was trained on a base in {recipe.model.quantize}; on the base as it is, loaded "
            "like this, its answers differ a little."
        )
    if not in_run:
        return "\n\n".join(parts)
    if isinstance(recipe.task, SquadTask):
        parts += ["With tunelab, as the run that scored:", code(_ASKED)]
    elif head == "text" and not isinstance(recipe.task, MixtureTask):
        again = f"tunelab evaluate .. --task {recipe.task.kind}"
        parts += ["With tunelab, on the task again:", code([again], "sh")]
    return "\n\n".join(parts)


def loading_gguf(recipe: Recipe) -> str:
    """The commands for a model in llama.cpp's format."""
    parts = ["With llama.cpp, in this folder:", code(["llama-server -m *.gguf"], "sh")]
    if isinstance(recipe.task, SquadTask):
        parts.append(
            f"It was tuned on prompts of the style `{recipe.prompt.style}` (tunelab's "
            "docs/prompts.md); asked in other words it may answer worse than it was scored."
        )
    return "\n\n".join(parts)


def code(lines: Sequence[str], language: str = "python") -> str:
    """A fenced block."""
    return "\n".join([f"```{language}", *lines, "```"])


def _adapter(recipe: Recipe, *, base: str, head: Head) -> list[str]:
    auto, where = AUTO[head], f'"{base}"'
    imports = ["from peft import PeftModel", f"from transformers import {auto}, AutoTokenizer"]
    if recipe.model.path in BUNDLED:
        imports += ["", "from tunelab.models.checkpoint import resolve_checkpoint"]
        where = f"resolve_checkpoint({where})"
    if head == "classes":
        where += f", num_labels={len(LABELS)}"
    lines = [
        *imports,
        "",
        f"base = {auto}.from_pretrained({where})  # what it was tuned from",
        'tokenizer = AutoTokenizer.from_pretrained(".")',
    ]
    if recipe.prompt.reasoning_tokens:
        rows = "max(len(tokenizer), base.get_input_embeddings().num_embeddings)"
        lines.append(f"base.resize_token_embeddings({rows})")
    first, *others = adapter_parts(recipe)
    upon = [f'model = PeftModel.from_pretrained(model.get_base_model(), "{n}")' for n in others]
    return [*lines, f'model = PeftModel.from_pretrained(base, "{first or "."}")', *upon]


def _whole(head: Head) -> list[str]:
    return [
        f"from transformers import {AUTO[head]}, AutoTokenizer",
        "",
        f'model = {AUTO[head]}.from_pretrained(".")',
        'tokenizer = AutoTokenizer.from_pretrained(".")',
    ]


_ASKED = (
    "from tunelab.answering import load_answerer",
    "from tunelab.data import Example",
    "",
    'answerer = load_answerer("..")  # the run that this folder lies in',
    'asked = Example("1", "Who wrote it?", "Ada wrote it.", answers=(), group="", article="")',
    "[answered] = answerer.answer([asked])",
    "print(answered.prediction.answer)",
)
