"""Windows that were stored come back as they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunelab.data import Example
from tunelab.data.reading import generate
from tunelab.data.squad import parse_squad
from tunelab.models.encoder import load_tokenizer
from tunelab.prompts import shared
from tunelab.prompts.shared import shared_windows
from tunelab.prompts.windows import encode_windows
from tunelab.recipe import Model


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return parse_squad(generate("train", questions=12), source="test")


def test_the_second_reader_gets_the_same_windows_without_tokenising(
    examples: list[Example],
    small_encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = Model(path=str(small_encoder), max_length=160, stride=40)
    tokenizer = load_tokenizer(model)
    whole = encode_windows(examples, tokenizer, model)
    assert len(whole) > len(examples)
    assert shared_windows(examples, tokenizer, model, folder=tmp_path) == whole

    with monkeypatch.context() as patch:
        patch.delattr(shared, "encode_windows")
        assert shared_windows(examples, tokenizer, model, folder=tmp_path) == whole
    # other examples, other settings: other windows
    longer = model.model_copy(update={"max_length": 200})
    for rows, settings in ((examples[:5], model), (examples, longer)):
        wanted = encode_windows(rows, tokenizer, settings)
        assert shared_windows(rows, tokenizer, settings, folder=tmp_path) == wanted
    assert len(list(tmp_path.iterdir())) == 3
    assert shared_windows(examples, tokenizer, model, folder=None) == whole

    for path in tmp_path.iterdir():
        content = path.read_bytes()
        path.write_bytes(content[:-7] + b"damaged")
    assert shared_windows(examples, tokenizer, model, folder=tmp_path) == whole
