"""LoRA and virtual tokens in one model, which PEFT cannot mix: two adapters around one checkpoint.

    checkpoint             its linear layers wrapped by LoRA, in place
      beneath  PeftModel   holds and stores LoRA          adapter/lora/
      above    PeftModel   holds and stores the tokens    adapter/prefix/ (or prompt/)

Both train together. A user loads them the same way: LoRA onto the checkpoint, then the virtual
tokens onto what `get_base_model()` gives.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from peft import PeftModel
from transformers import PreTrainedModel

from tunelab.errors import TuningError
from tunelab.recipe.schema import StackTuning
from tunelab.tuning.layers import is_decoder
from tunelab.tuning.model import TunedModel
from tunelab.tuning.prompted import Prompted
from tunelab.tuning.storing import load_adapter


def refuse_encoder(model: PreTrainedModel) -> None:
    """Raise a `TuningError` for an encoder, whose head would belong to both adapters."""
    if not is_decoder(model):
        raise TuningError(
            f"tuning.kind=stack is for decoders, but {type(model).__name__} is an encoder.",
            hint="Use tuning.kind=lora or prefix.",
        )


def stacked(beneath: TunedModel, above: PeftModel, tuning: StackTuning) -> TunedModel:
    """Both adapters as one model; PEFT froze the lower one when it made the upper one."""
    lower = {id(p) for name, p in beneath.model.named_parameters() if name in beneath.expected}
    for parameter in beneath.model.parameters():
        if id(parameter) in lower:
            parameter.requires_grad_(True)
    below = {id(parameter) for parameter in beneath.model.parameters()}
    whole = Prompted(above)
    expected = frozenset(
        name
        for name, parameter in whole.named_parameters()
        if id(parameter) in lower or id(parameter) not in below
    )
    return TunedModel(whole, tuning, expected, beneath.start, beneath.adapted)


def load_stacked(model: PreTrainedModel, folder: Path, tuning: StackTuning) -> TunedModel:
    """Put what was stored onto a fresh checkpoint, which is changed in place.

    Raises:
        RecordError: a folder holds no weights, too few, or those of another checkpoint.
    """
    device = model.device
    lora, virtual = tuning.parts
    beneath = load_adapter(model, folder / lora.kind)
    base = cast("PreTrainedModel", beneath.get_base_model())
    whole = Prompted(load_adapter(base, folder / virtual.kind))
    whole.to(device).requires_grad_(False).eval()
    return TunedModel(whole, tuning, frozenset(), {}, beneath)
