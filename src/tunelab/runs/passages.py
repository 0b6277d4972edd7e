"""Decoders and general text: how likely all of it is; trained, all of it is learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from tunelab.data import Passage
from tunelab.evaluation.likelihood import target_sums
from tunelab.evaluation.written_scores import mean_loss
from tunelab.prompts.rolling import VERSION, RollingReader
from tunelab.recipe import TextTask
from tunelab.records import Prediction, Read
from tunelab.runs.decoding import TOKENS_PER_PASS
from tunelab.runs.loaded import Loaded
from tunelab.runs.tasked import Learnable


@dataclass(frozen=True, slots=True)
class TextReader:
    """A decoder that reads general text."""

    task: TextTask
    loaded: Loaded

    @property
    def version(self) -> str:
        """Names the way of cutting."""
        return VERSION

    def learn(self, examples: Sequence[Passage]) -> Learnable:
        """Every window of every text is a training example."""
        windows = [self._rolling.windows(example.text) for example in examples]
        kept = [index for index, each in enumerate(windows) for _ in each]
        return Learnable(kept, [window for each in windows for window in each])

    def answer(self, examples: Sequence[Passage], name: str) -> list[Prediction]:
        """How likely each text is."""
        return [
            Prediction(
                id=example.id,
                group=example.group,
                article="",
                output="",
                answer="",
                gold=(),
                read=read,
            )
            for example, read in zip(examples, self._read(examples, name), strict=True)
        ]

    def score(self, examples: Sequence[Passage]) -> float:
        """Minus the nats per token."""
        return -mean_loss(self._read(examples, "validation"))

    @property
    def _rolling(self) -> RollingReader:
        window = min(self.task.window, self.loaded.room)
        self.loaded.tell(f"{self.task.kind}: read in windows of {window} tokens")
        return RollingReader(self.loaded.tokenizer, window=window, overlap=self.task.overlap)

    def _read(self, examples: Sequence[Passage], name: str) -> list[Read]:
        loaded, rolling = self.loaded, self._rolling
        windows = [rolling.windows(example.text) for example in examples]
        flat = [window for each in windows for window in each]
        with loaded.working(name, len(flat)) as advance:
            sums = target_sums(
                loaded.tuned,
                flat,
                share=loaded.share,
                tokens_per_pass=TOKENS_PER_PASS,
                advance=lambda count: advance(count, ""),
            )
        bounds = pairwise(accumulate((len(each) for each in windows), initial=0))
        return [
            Read(
                log_prob=sum(sums[first:last]),
                tokens=sum(sum(window.targets) for window in flat[first:last]),
                bytes=len(example.text.encode()),
            )
            for example, (first, last) in zip(examples, bounds, strict=True)
        ]
