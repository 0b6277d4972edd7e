"""The code in a model card that loads its weights; a test runs it. No model is loaded here."""

from __future__ import annotations

from collections.abc import Sequence

from tunelab.models.checkpoint import BUNDLED
from tunelab.recipe import Recipe


def loading(recipe: Recipe, *, base: str, points: bool, adapter: bool) -> str:
    """Code for PEFT or transformers, and for tunelab, to be run in the folder of the weights.

    Args:
        recipe: of the run.
        base: the name of the checkpoint that the run started from, as the card tells it.
        points: whether the model points at spans of a context.
        adapter: whether the weights are an adapter to `base`.
    """
    usual = _adapter(recipe, base=base, points=points) if adapter else _whole(points=points)
    parts = [f"With {'PEFT' if adapter else 'transformers'}, in this folder:", code(usual)]
    if recipe.model.quantize != "none":
        parts.append(
            f"It was trained on a base in {recipe.model.quantize}; on the base as it is, loaded "
            "like this, its answers differ a little."
        )
    return "\n\n".join([*parts, "With tunelab, as the run that scored:", code(_TUNELAB)])


def code(lines: Sequence[str], language: str = "python") -> str:
    """A fenced block."""
    return "\n".join([f"```{language}", *lines, "```"])


def _adapter(recipe: Recipe, *, base: str, points: bool) -> list[str]:
    auto, where = _auto_class(points=points), f'"{base}"'
    imports = ["from peft import PeftModel", f"from transformers import {auto}, AutoTokenizer"]
    if recipe.model.path in BUNDLED:
        imports += ["", "from tunelab.models.checkpoint import resolve_checkpoint"]
        where = f"resolve_checkpoint({where})"
    lines = [
        *imports,
        "",
        f"base = {auto}.from_pretrained({where})  # what it was tuned from",
        'tokenizer = AutoTokenizer.from_pretrained(".")',
    ]
    if recipe.prompt.reasoning_tokens:
        rows = "max(len(tokenizer), base.get_input_embeddings().num_embeddings)"
        lines.append(f"base.resize_token_embeddings({rows})")
    return [*lines, 'model = PeftModel.from_pretrained(base, ".")']


def _whole(*, points: bool) -> list[str]:
    auto = _auto_class(points=points)
    return [
        f"from transformers import {auto}, AutoTokenizer",
        "",
        f'model = {auto}.from_pretrained(".")',
        'tokenizer = AutoTokenizer.from_pretrained(".")',
    ]


def _auto_class(*, points: bool) -> str:
    return "AutoModelForQuestionAnswering" if points else "AutoModelForCausalLM"


_TUNELAB = (
    "from tunelab.answering import load_answerer",
    "from tunelab.data import Example",
    "",
    'answerer = load_answerer("..")  # the run that this folder lies in',
    'asked = Example("1", "Who wrote it?", "Ada wrote it.", answers=(), group="", article="")',
    "[answered] = answerer.answer([asked])",
    "print(answered.prediction.answer)",
)
