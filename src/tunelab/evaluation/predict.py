"""Runs a model over windows and reads its answers: no gradients, little padding, any order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from tunelab.data import Example
from tunelab.evaluation.spans import WindowLogits, read_spans
from tunelab.prompts.passes import Pass, cut_passes, pad_pass
from tunelab.prompts.windows import Window
from tunelab.recipe import Evaluation
from tunelab.records import Prediction
from tunelab.tuning import TunedModel

SpanModel = Callable[[Pass], torch.Tensor]
"""A pass of B windows of L tokens -> (B, L, 2) float32 start and end logits."""


def span_logits(tuned: TunedModel, rows: Pass) -> torch.Tensor:
    """Start and end logits of a pass, (B, L, 2) float32; padding is -inf."""
    logits = tuned.span_logits(rows.input_ids, rows.attention_mask, rows.token_type_ids)
    return logits.float().masked_fill(rows.attention_mask.unsqueeze(-1) == 0, -torch.inf)


def predict(
    model: SpanModel,
    examples: Sequence[Example],
    windows: Sequence[Window],
    settings: Evaluation,
    *,
    tokens_per_pass: int,
    pad_id: int,
    device: torch.device,
    advance: Callable[[int], None],
) -> list[Prediction]:
    """Answer every example; `advance` is called with the number of windows done."""
    outputs = _outputs(model, windows, tokens_per_pass, pad_id, device, advance)
    return read_spans(
        examples,
        outputs,
        n_best=settings.n_best,
        max_answer_tokens=settings.max_answer_tokens,
    )


@torch.inference_mode()
def _outputs(
    model: SpanModel,
    windows: Sequence[Window],
    tokens_per_pass: int,
    pad_id: int,
    device: torch.device,
    advance: Callable[[int], None],
) -> Iterator[WindowLogits]:
    for members in cut_passes(windows, tokens_per_pass=tokens_per_pass):
        logits = model(pad_pass(members, pad_id=pad_id, device=device)).cpu().numpy()
        for window, row in zip(members, logits, strict=True):
            length = len(window.input_ids)
            yield WindowLogits(window, start=row[:length, 0], end=row[:length, 1])
        advance(len(members))
