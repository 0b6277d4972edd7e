"""Whether a decoder may read what its examples share once: measured on the model itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tunelab.data import Example
from tunelab.doctor.findings import Finding, fact
from tunelab.models.decoder import load_decoder
from tunelab.prompts.prompter import Prompter
from tunelab.prompts.reasoning import reasoning_token_ids
from tunelab.prompts.shots import choose_shots
from tunelab.prompts.vocabulary import fit_vocabulary
from tunelab.recipe import Recipe
from tunelab.tokentree.exactness import check_exactness
from tunelab.tuning import apply_tuning, text_room
from tunelab.tuning.calibration import task_calibration

_TRIED = 256
"""Training questions among which a small tree is looked for."""


def examine_sharing(recipe: Recipe, train: Sequence[Example]) -> list[Finding]:
    """Compare gradients of a small tree with those of one example at a time.

    Raises:
        ModelError: the checkpoint cannot be loaded, or its vocabulary is too small.
        TuningError: the method does not fit the model.
    """
    name = f"sharing, {recipe.tuning.kind}"
    if not recipe.training.share_prefix:
        return [fact(name, "training.share_prefix is off: each example has a row of its own.")]
    decoder = load_decoder(
        recipe.model, seed=recipe.seed, calibrating=partial(task_calibration, recipe, train)
    )
    fit_vocabulary(
        decoder.model, decoder.tokenizer, reasoning_tokens=recipe.prompt.reasoning_tokens
    )
    shots = choose_shots(train, recipe.tuning, seed=recipe.seed)
    prompter = Prompter(decoder.tokenizer, recipe.prompt, shots)
    found = prompter.encode_all(train[:_TRIED], max_length=text_room(recipe))
    if not found.encoded:
        return []
    tuned = apply_tuning(
        decoder.model,
        recipe.tuning,
        total_steps=1,
        seed=recipe.seed,
        new_tokens=reasoning_token_ids(decoder.tokenizer, recipe.prompt.reasoning_tokens),
    )
    exactness = check_exactness(
        tuned.checkpoint,
        found.encoded,
        parameters=list(tuned.trained_parameters().values()),
        virtual=tuned.virtual,
    )
    if exactness.shares or exactness.reason is not None:
        return [fact(name, exactness.line)]
    return [
        Finding(
            name=name,
            severity="warning",
            found=exactness.line,
            remedy=exactness.proof.remedy,
        )
    ]
