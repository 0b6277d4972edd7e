"""A small model that learnt two answers by heart: asked, generated, read, scored by real parts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from tests.prompts.small import chatml, example
from transformers import LlamaConfig, LlamaForCausalLM

from tunelab.data import Example
from tunelab.evaluation.decoding import decode_answers
from tunelab.evaluation.parsing import Style
from tunelab.evaluation.scores import squad_scores
from tunelab.evaluation.spans import apply_threshold
from tunelab.evaluation.threshold import choose_threshold
from tunelab.prompts.encoded import EncodedExample
from tunelab.prompts.prompter import Prompter
from tunelab.recipe import Prompt
from tunelab.tokentree.decoding import Decoding, Generated
from tunelab.tokentree.generation import generate

EXAMPLES = [example(id="q1"), example("Where is Rome?", answers=(), id="q2")]


def one_by_one(
    model: LlamaForCausalLM, rows: Sequence[EncodedExample]
) -> tuple[list[torch.Tensor], list[int]]:
    """Log-probability of the targets of each row, without any sharing."""
    sums: list[torch.Tensor] = []
    for row in rows:
        ids = torch.tensor([row.ids])
        found = model(input_ids=ids).logits[0, :-1].log_softmax(-1)
        chosen = found.gather(-1, ids[0, 1:, None])[:, 0]
        sums.append(chosen[torch.tensor(row.targets[1:])].sum())
    return sums, [sum(row.targets) for row in rows]


def by_heart(prompter: Prompter) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(chatml()),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    model = LlamaForCausalLM(config)
    rows = [prompter.encode(row) for row in EXAMPLES]
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(300):
        optimiser.zero_grad()
        loss = -torch.stack(one_by_one(model, rows)[0]).sum()
        if loss < 0.2:
            return model.eval()
        loss.backward()
        optimiser.step()
    pytest.fail("two answers were not learnt by heart")


def written(
    model: LlamaForCausalLM, prompter: Prompter, rows: Sequence[Example]
) -> list[Generated]:
    return generate(
        model,
        chatml(),
        [prompter.prompt_ids(row) for row in rows],
        Decoding(max_new_tokens=30, stop_ids=prompter.stop_ids),
        tokens_per_pass=500,
        advance=lambda done: None,
    )


@pytest.mark.parametrize("style", ["plain", pytest.param("chat-json", marks=pytest.mark.slow)])
def test_what_was_learnt_is_asked_written_read_and_scored(style: Style) -> None:
    prompter = Prompter(chatml(), Prompt(style=style))
    model = by_heart(prompter)
    generated = written(model, prompter, EXAMPLES)

    def score(rows: Sequence[EncodedExample]) -> tuple[list[float], list[int]]:
        with torch.inference_mode():
            sums, counts = one_by_one(model, rows)
        return [float(value) for value in sums], counts

    prompts = [str(chatml().decode(list(prompter.prompt_ids(row)))) for row in EXAMPLES]
    found = decode_answers(EXAMPLES, prompts, generated, asking=prompter, style=style, score=score)
    assert [row.output for row in found] == ["France", ""]
    for row, text in zip(found, generated, strict=True):
        assert row.decoded is not None and row.span_score is not None
        assert row.decoded.valid and row.decoded.finished == "stop"
        # the finished string, by teacher forcing, is as likely as generation found it
        assert row.span_score == pytest.approx(text.log_prob, abs=1e-3)
        assert row.decoded.span_tokens == len(text.ids)
    first, second = found
    assert first.null_score is not None and first.span_score is not None
    assert first.null_score < first.span_score
    assert second.null_score == second.span_score
    final = apply_threshold(found, choose_threshold(found))
    scores = squad_scores(final, version="2.0")["squad_v2"]
    assert scores["exact"].value == scores["decoded_exact"].value == 100.0
    assert scores["literal_exact"].value == scores["literal_valid"].value == 1.0
