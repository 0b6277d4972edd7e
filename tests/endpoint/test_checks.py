"""What is refused before anything is asked, and how runs of endpoints are called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.endpoint.scripted import scripted

from tunelab.doctor.examination import examine
from tunelab.errors import PriceError, RecipeError
from tunelab.recipe import Recipe, digest, expand, labels, validate
from tunelab.runs.experiment import check

HERE = {"endpoint": "http://127.0.0.1:9/v1", "name": "m"}


def recipe(data: Path, model: dict[str, Any], **changes: Any) -> Recipe:
    task = {"train": str(data / "train.json"), "test": str(data / "test.json"), "validation": 0.2}
    content: dict[str, Any] = {"task": task, "model": HERE | model, "tuning": {"kind": "none"}}
    return validate(content | changes, source="test")


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TUNELAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-7431")


@pytest.mark.parametrize(
    ("model", "changes", "told"),
    [
        ({"endpoint": "https://me:secret@host/v1"}, {}, "keys and passwords do not belong"),
        ({"endpoint": "https://host/v1?key=secret"}, {}, "keys and passwords do not belong"),
        ({"endpoint": "host/v1"}, {}, "no address of a server"),
        ({"endpoint": "ftp://host/v1"}, {}, "no address of a server"),
        ({"name": None}, {}, "model.name is not"),
        ({"endpoint": "http://example.org/v1"}, {}, "would travel unencrypted"),
        ({}, {"tuning": {"kind": "lora"}}, "'tuning.kind' asks for what"),
        ({}, {"evaluation": {"decoding": "beams"}}, "'evaluation.decoding'"),
        ({}, {"evaluation": {"constrain": "span"}}, "'evaluation.constrain'"),
        ({}, {"evaluation": {"no_answer_threshold": 1.5}}, "without log-probabilities"),
        ({"api": {"max_price": 1}}, {}, "no price is"),
    ],
)
def test_what_cannot_be_is_refused(
    model: dict[str, Any], changes: dict[str, Any], told: str, small_data: Path
) -> None:
    with pytest.raises(RecipeError, match=told) as caught:
        check([recipe(small_data, model, **changes)])
    assert "secret" not in str(caught.value)


def test_a_server_that_needs_no_key_may_be_near(small_data: Path) -> None:
    check([recipe(small_data, {"endpoint": "http://example.org/v1", "api": {"key_variable": ""}})])


def test_what_costs_too_much_is_not_begun(small_data: Path) -> None:
    prices = {"input_price": 1.0, "output_price": 4.0, "max_price": 0.02}
    dear = recipe(small_data, {"api": prices})
    check([dear])
    with pytest.raises(PriceError, match=r"would cost about 0\.0\d+, .* Nothing was asked"):
        check([dear, dear.model_copy(update={"seed": 1}), dear, dear])


def test_patience_and_prices_make_no_other_run(small_data: Path) -> None:
    one = recipe(small_data, {})
    other = recipe(small_data, {"api": {"concurrency": 2, "input_price": 3, "timeout": 5}})
    assert digest(one) == digest(other)
    assert digest(one) != digest(recipe(small_data, {"api": {"logprobs": 5}}))


def test_models_go_by_their_names(small_data: Path, small_decoder: Path) -> None:
    models = [HERE | {"name": "small"}, HERE | {"name": "large"}, {"path": str(small_decoder)}]
    runs = expand(recipe(small_data, {}, grid={"cases": [{"model": model} for model in models]}))
    assert labels(runs[:2]) == ["none,path=small", "none,path=large"]


def test_the_doctor_shows_the_conversation_and_asks_nothing(small_data: Path) -> None:
    with scripted() as script:
        run = recipe(small_data, {"endpoint": script.url}, prompt={"style": "chat-json"})
        examination = examine([run])
    assert examination.healthy and not script.bodies
    text = "".join(token.text for token in examination.sights[0].tokens)
    assert text.startswith("user: Find the shortest passage")
