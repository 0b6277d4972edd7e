"""A finished run that is loaded again answers as it did, to one and to many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tunelab.answering import Answerer, Writing, load_answerer
from tunelab.data import Example, load_squad
from tunelab.errors import DataError, UsageError
from tunelab.prompts.chat import Message
from tunelab.prompts.frame import Quoted
from tunelab.recipe import Recipe, extractive, validate
from tunelab.records import RunDirectory
from tunelab.runs.execute import execute


def recipe(checkpoint: Path, data: Path, **changes: Any) -> Recipe:
    task = {"train": str(data / "train.json"), "test": str(data / "test.json")}
    content: dict[str, Any] = {
        "task": task | {"train_limit": 16, "test_limit": 6, "validation": 0.2},
        "model": {"path": str(checkpoint), "max_length": 1500},
        "tuning": {"kind": "lora"},
        "training": {"epochs": 1, "batch_size": 8},
        "evaluation": {"max_new_tokens": 6},
    }
    return validate(content | changes, source="test")


def finished(run: Recipe, folder: Path) -> RunDirectory:
    directory = RunDirectory(folder)
    execute(run, "test", directory, quiet=True, stop=lambda: False)
    assert directory.read_manifest().status == "ok", directory.read_manifest().message
    return directory


@pytest.fixture(scope="module")
def talker(small_decoder: Path) -> Any:
    answerer = load_answerer(str(small_decoder))
    yield answerer
    answerer.close()


def example(number: int) -> Example:
    context = "The harbour was built in 1843 by Anna Berg. It has two gates."
    return Example(f"q{number}", f"Who built gate {number}?", context, (), context, "Harbours")


def said(text: str) -> list[Message]:
    return [Message("user", (Quoted(text),))]


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        ("decoder", "lora"),
        pytest.param("decoder", "full", marks=pytest.mark.slow),
        pytest.param("decoder", "prefix", marks=pytest.mark.slow),
        pytest.param("encoder", "lora", marks=pytest.mark.slow),
        pytest.param("encoder", "full", marks=pytest.mark.slow),
    ],
)
def test_a_run_answers_as_it_did(
    family: str, kind: str, tmp_path: Path, small_data: Path, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(f"small_{family}")
    changes: dict[str, Any] = {"tuning": {"kind": kind}}
    if family == "encoder":
        changes["model"] = {"path": str(model), "max_length": 160, "stride": 40}
    run = recipe(model, small_data, **changes)
    directory = finished(run, tmp_path / "run")
    answerer = load_answerer(str(directory.path))
    found = answerer.answer(load_squad(extractive(run.task)).test)
    answerer.close()
    for one, other in zip(found, directory.read_predictions(), strict=True):
        assert one.prediction.answer == other.answer
        assert one.prediction.span_score == pytest.approx(other.span_score, abs=1e-4)
        assert one.no_answer_probability is not None and 0 <= one.no_answer_probability <= 1
        assert sum(each.probability for each in one.candidates) == pytest.approx(1)


def test_many_at_once_are_answered_as_each_alone(talker: Answerer) -> None:
    alone = [talker.answer([example(number)])[0] for number in range(16)]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(lambda n: talker.answer([example(n)])[0], range(16)))
    for one, other in zip(together, alone, strict=True):
        assert one.prediction.output == other.prediction.output
        assert one.prediction.null_score == pytest.approx(other.prediction.null_score, abs=1e-3)


def test_what_cannot_be_asked_spoils_nothing_else(talker: Answerer) -> None:
    broken = Example("x", "\ud800?", "Text.", (), "x", "x")
    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(talker.answer, [each]) for each in (example(0), broken, example(1))]
        with pytest.raises(DataError):
            jobs[1].result()
        assert jobs[0].result() and jobs[2].result()
    with pytest.raises(DataError, match="The prompt is empty"):
        talker.talk("", Writing()).future.result()


def test_a_reply_comes_piece_by_piece_and_ends_when_nobody_listens(talker: Answerer) -> None:
    whole = talker.talk(said("Hello."), Writing(max_tokens=12)).future.result()
    pieces = list(talker.stream(said("Hello."), Writing(max_tokens=12)))
    assert "".join(pieces) == whole.text and len(pieces) > 2
    heard = talker.stream(said("Hello."), Writing(max_tokens=1000))
    next(heard)
    heard.close()
    left = talker.talk(said("Hello."), Writing(max_tokens=1000))
    left.left.set()
    assert left.future.result().tokens < 1000


def test_what_is_no_model_that_answers_is_told(
    tmp_path: Path, small_encoder: Path, small_data: Path
) -> None:
    pointing = load_answerer(str(small_encoder))
    with pytest.raises(UsageError, match="is an encoder"):
        pointing.talk("abc", Writing())
    pointing.close()
    model = {"endpoint": "http://127.0.0.1:9/v1", "name": "m", "api": {"retries": 0}}
    run = recipe(small_encoder, small_data, model=model, tuning={"kind": "none"})
    directory = RunDirectory(tmp_path / "run")
    execute(run, "test", directory, quiet=True, stop=lambda: False)
    assert directory.read_manifest().status == "failed"
    with pytest.raises(UsageError, match="did not finish"):
        load_answerer(str(directory.path))
