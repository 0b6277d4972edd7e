"""A long text in windows: every token is a target once, behind what lm-eval puts before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from tunelab.errors import ModelError
from tunelab.prompts.rolling import RollingReader

TEXT = "Anna met Ben in Rome. Who met Ben? </s> stands for itself. " * 5


@pytest.fixture(scope="module")
def tokenizer(small_decoder: Path) -> Any:
    return AutoTokenizer.from_pretrained(small_decoder)


@pytest.mark.parametrize(("window", "overlap"), [(16, 0), (16, 7), (20, 19), (4096, 0)])
def test_every_token_is_scored_once(tokenizer: Any, window: int, overlap: int) -> None:
    windows = RollingReader(tokenizer, window=window, overlap=overlap).windows(TEXT)
    scored = [
        token
        for each in windows
        for token, target in zip(each.ids, each.targets, strict=True)
        if target
    ]
    assert tokenizer.decode(scored) == TEXT
    assert tokenizer.eos_token_id not in scored
    assert all(len(each.ids) <= window for each in windows)
    assert windows[0].ids[0] == tokenizer.bos_token_id
    for each in windows[1:]:
        assert each.targets.index(True) == max(1, overlap)


def test_windows_are_those_of_lm_eval(tokenizer: Any) -> None:
    utils = pytest.importorskip("lm_eval.utils", reason="the extra `lm-eval` is not installed")
    windows = RollingReader(tokenizer, window=17, overlap=1).windows(TEXT)
    tokens = [token for each in windows for token in each.ids[1:]]
    official = map(
        utils.make_disjoint_window,
        utils.get_rolling_token_windows(
            tokens, prefix_token=tokenizer.bos_token_id, max_seq_len=16, context_len=1
        ),
    )
    assert [(list(each.ids[:1]), list(each.ids[1:])) for each in windows] == [
        (list(before[-1:]), list(scored)) for before, scored in official
    ]


@pytest.mark.parametrize("window", [-3, 0, 1])
def test_windows_without_room_are_refused(tokenizer: Any, window: int) -> None:
    with pytest.raises(ModelError, match=f"window of {window} tokens"):
        RollingReader(tokenizer, window=window, overlap=0)
