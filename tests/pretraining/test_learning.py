"""What is learned of a sheet, the curriculum, and a run that goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from pretraining.batch import cut, lay_out, losses
from pretraining.curriculum import LEVELS, MASTERED, Progress, lesson, story_tree
from pretraining.looking import Look, Station, gather
from pretraining.model import first_model, take_over
from pretraining.scenes import Size, small_scene
from pretraining.sheet import Sheet, encode, write_sheet
from safetensors.torch import load_file
from tests.pretraining.small import small_tokenizer
from transformers import PreTrainedTokenizerFast

from pretraining import train
from tunelab.data.reading.draw import Draw
from tunelab.prompts.encoded import EncodedExample


@pytest.fixture(scope="module")
def tokenizer() -> Iterator[PreTrainedTokenizerFast]:
    with pytest.MonkeyPatch.context() as patch:
        yield small_tokenizer(patch)


def _sheet(seed: str, *, facts: int) -> Sheet:
    draw = Draw(seed)
    return write_sheet(draw, small_scene(draw, Size(1, facts), most=12))


def test_targets_are_the_answer_and_its_end(tokenizer: PreTrainedTokenizerFast) -> None:
    for number in range(40):
        sheet = _sheet(f"a {number}", facts=3)
        for branch, (example, _) in zip(sheet.branches, encode(sheet, tokenizer), strict=True):
            chosen = [i for i, target in zip(example.ids, example.targets, strict=True) if target]
            text = str(tokenizer.decode(chosen))
            assert text.endswith(branch.answer + branch.end), "nothing of the answer is missed"
            assert len(text) - len(branch.answer + branch.end) <= 2, "a quote, at most, with it"


def test_a_rectangle_of_trees_loses_what_single_examples_lose(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    model = first_model(tokenizer, seed=0).eval()
    model.set_attn_implementation("eager")
    examples = encode(_sheet("b", facts=3), tokenizer)
    other = encode(_sheet("c", facts=1), tokenizer)

    def total(groups: list[list[tuple[EncodedExample, tuple[Look, ...]]]]) -> tuple[float, float]:
        trees = [gather(group) for group in groups]
        rows = lay_out(trees, pad=2, text_share=0.0, text_weight=0.0, seed=0)
        read = losses(model, rows, guided=True)
        return float((read.losses * rows.weights).sum()), float(read.looking)

    with torch.no_grad():
        alone = [total([[example]]) for example in (*examples, *other)]
        loss, looking = total([examples, other])
    assert loss == pytest.approx(sum(one for one, _ in alone), rel=2e-3)
    assert looking == pytest.approx(sum(one for _, one in alone), rel=2e-3)


def test_a_cut_keeps_every_tree_and_its_limit(tokenizer: PreTrainedTokenizerFast) -> None:
    trees = [story_tree(Draw(f"d {n}"), level=n % 3, tokenizer=tokenizer) for n in range(12)]
    parts = cut(trees, tokens=600)
    assert sorted(map(id, trees)) == sorted(id(tree) for part in parts for tree in part)
    for part in parts:
        assert len(part) == 1 or len(part) * max(map(len, part)) <= 600


def test_a_level_is_left_when_it_is_mastered_and_not_before() -> None:
    progress = Progress()
    for _ in range(300):
        progress.learn(MASTERED - 0.05)
    assert progress.level == 0
    for _ in range(300):
        progress.learn(0.95)
    assert 1 <= progress.level < len(LEVELS)
    for _ in range(3000):
        progress.learn(1.0)
    assert progress.level == len(LEVELS) - 1


def test_looks_lead_from_the_question_to_its_clue_and_to_the_answer(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    seen = {"by name": 0, "by value": 0}
    for number in range(40):
        draw = Draw(f"l {number}")
        size = Size(2, 4) if number % 2 else None
        sheet = write_sheet(draw, small_scene(draw, size, most=12))
        for branch, (example, looks) in zip(sheet.branches, encode(sheet, tokenizer), strict=True):
            if (hint := branch.hint) is None:
                continue
            text = sheet.beginning + branch.prompt + branch.answer + branch.end
            asked = text[slice(*hint.asked)]
            assert text[slice(*hint.answer)] == branch.answer.strip()
            begin = example.targets.index(True)
            by_station = {
                station: [one for one in looks if one.station is station] for station in Station
            }
            assert all(one.queries[0] > one.keys[0] for one in looks)
            assert by_station[Station.GATHER][0].queries[0] == begin - 1
            assert by_station[Station.FOLLOW][0].queries == (begin - 1,)
            if hint.found is None:
                seen["by name"] += 1
                [(_, name)] = hint.names
                assert asked.casefold() in text[slice(*name)].casefold()
                assert by_station[Station.MATCH][0].queries == (begin - 1,)
                assert not by_station[Station.FIND]
            else:
                seen["by value"] += 1
                assert asked == text[slice(*hint.found)]
                assert hint.found in [value for value, _ in hint.names]
                assert [one.queries for one in by_station[Station.FIND]] == [(begin - 1,)]
                assert all(one.queries[0] >= begin for one in by_station[Station.MATCH])
    assert seen["by name"] > 30
    assert seen["by value"] > 30


def test_a_lesson_is_fixed_by_its_seed(tokenizer: PreTrainedTokenizerFast) -> None:
    def tokens(seed: str) -> list[list[int]]:
        made = lesson(seed, level=2, tokens=900, tokenizer=tokenizer)
        return [one.tree.tokens.tolist() for one in (*made.present, *made.others)]

    assert tokens("e") == tokens("e") != tokens("f")


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "TOKENS", 300)
    monkeypatch.setattr(train, "_TELL_EVERY", 1)
    for name in ("once", "twice"):
        tokenizer.save_pretrained(tmp_path / name / "tokenizer")
    train.pretrain(tmp_path / "once", steps=4, processes=1)
    train.pretrain(tmp_path / "twice", steps=2, processes=1)
    train.pretrain(tmp_path / "twice", steps=4, processes=1)
    once, twice = (load_file(tmp_path / n / "checkpoint.safetensors") for n in ("once", "twice"))
    assert once.keys() == twice.keys()
    for name, tensor in once.items():
        torch.testing.assert_close(twice[name], tensor, rtol=1e-3, atol=1e-4, msg=name)
    lines = (tmp_path / "twice" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]
    model, said = train.load_average(tmp_path / "twice", tokenizer)
    assert said["step"] == "4"
    assert all(weight.isfinite().all() for weight in model.parameters())


def test_layers_behind_a_smaller_model_say_what_it_says_at_first(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    model = first_model(tokenizer, seed=0)
    smaller = first_model(tokenizer, seed=1)
    smaller.model.layers = smaller.model.layers[:3]
    smaller.config.num_hidden_layers = 3
    smaller.save_pretrained(tmp_path)
    take_over(model, tmp_path)
    tokens = torch.arange(20)[None]
    with torch.no_grad():
        torch.testing.assert_close(model(tokens).logits, smaller(tokens).logits)
    assert all(weight.requires_grad for weight in model.parameters())
