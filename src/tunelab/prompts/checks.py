"""What must hold of an encoded example, as functions of its tokens alone.

The prompter keeps to all of it by construction; the doctor looks again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tunelab.prompts.encoded import EncodedExample


def target_start(prompt: Sequence[int], whole: Sequence[int]) -> int:
    """Where the target of a whole example begins: behind its prompt.

    A tokenizer may merge characters across the seam. The whole example's tokens then leave the
    prompt's own before their end, and the target begins at the first token that differs.
    """
    for index, (one, other) in enumerate(zip(prompt, whole, strict=False)):
        if one != other:
            return max(index, 1)
    return min(len(prompt), len(whole))


def seam_mismatch(prompt: Sequence[int], whole: Sequence[int]) -> bool:
    """Whether the prompt's own tokens are not the first tokens of the whole example."""
    return tuple(whole[: len(prompt)]) != tuple(prompt)


def double_start(ids: Sequence[int], begin: int | None) -> bool:
    """Whether a sequence begins with two beginning-of-sequence tokens."""
    return begin is not None and list(ids[:2]) == [begin, begin]


def untrained_end(example: EncodedExample, stops: Collection[int]) -> bool:
    """Whether the model is not taught to stop: the last token is no trained end token."""
    return not (example.targets[-1] and example.ids[-1] in stops)
