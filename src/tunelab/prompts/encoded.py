"""An example as a decoder reads it: one sequence of tokens, some of them targets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EncodedExample:
    """A whole example, tokenised in one piece: prompt and answer."""

    ids: tuple[int, ...]
    """Tokens, beginning-of-sequence and end-of-sequence included where the style has them."""
    targets: tuple[bool, ...]
    """For each token whether the model is trained to predict it from those before it."""

    def __post_init__(self) -> None:
        assert len(self.ids) == len(self.targets) > 0
        assert not self.targets[0], "nothing stands before the first token"
