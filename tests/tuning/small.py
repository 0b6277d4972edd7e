"""Encoders of a few thousand parameters, and the shortest training loop, for the tuning tests."""

from __future__ import annotations

import copy
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor
from transformers import (
    AutoModelForQuestionAnswering,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    PretrainedConfig,
    PreTrainedModel,
    RobertaConfig,
)

from tunelab.recipe.schema import Tuning
from tunelab.tuning import TunedModel, apply_tuning

SMALL: dict[str, Any] = {
    "vocab_size": 120,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
}
DEBERTA_V3: dict[str, Any] = {
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "share_att_key": True,
    "position_buckets": 16,
    "position_biased_input": False,
    "norm_rel_ebd": "layer_norm",
}
ENCODERS: dict[str, PretrainedConfig] = {
    "bert": BertConfig(**SMALL),
    "distilbert": DistilBertConfig(
        vocab_size=120, dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=64
    ),
    "deberta": DebertaV2Config(**SMALL, **DEBERTA_V3),
    "roberta": RobertaConfig(**SMALL),
    "electra": ElectraConfig(**SMALL, embedding_size=16),
    "modernbert": ModernBertConfig(**SMALL, pad_token_id=0, cls_token_id=1, sep_token_id=2),
}
TARGETS = torch.tensor([[2, 5], [3, 3], [4, 6]])


def tuning(**fields: object) -> Tuning:
    return TypeAdapter(Tuning).validate_python(fields)


def encoder(name: str = "bert") -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModelForQuestionAnswering.from_config(copy.deepcopy(ENCODERS[name]))


def batch() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, 120, (3, 12), generator=generator)
    mask = torch.ones_like(ids)
    mask[2, 8:] = 0
    ids[2, 8:] = 0
    types = (torch.arange(12) >= 5).long().expand(3, 12)
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


def tuned(name: str = "bert", *, seed: int = 0, **fields: Any) -> TunedModel:
    return apply_tuning(encoder(name), tuning(**fields), total_steps=4, seed=seed)


def loss(model: TunedModel, rows: dict[str, Tensor]) -> Tensor:
    return torch.nn.functional.cross_entropy(model.span_logits(**rows), TARGETS)


def train(model: TunedModel, rows: dict[str, Tensor], *, steps: int = 4) -> None:
    if not model.expected:
        return
    optimizer = torch.optim.AdamW(model.parameter_groups(1e-2, 0.01))
    model.model.train()
    for index in range(steps):
        loss(model, rows).backward()
        model.after_backward()
        optimizer.step()
        model.after_step(index)
        optimizer.zero_grad()
    model.model.eval()


@torch.no_grad()
def logits(model: TunedModel, rows: dict[str, Tensor]) -> Tensor:
    model.model.eval()
    return model.span_logits(**rows)
