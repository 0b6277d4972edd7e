"""Timings of real small models, and predictions of those that do not fit."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.command import ONE_THREAD, tunelab
from transformers import AutoModelForCausalLM

from tunelab.errors import UsageError
from tunelab.latency.case import Case, Failed, Load, Measured, Predicted, Timing
from tunelab.latency.comparing import compare, predict
from tunelab.latency.measuring import measure
from tunelab.latency.shapes import SHAPES, Shape, find_shape
from tunelab.latency.table import document, per_question, rows, tokens_per_second

LOAD = Load((1, 3), 20, 5, 4, warmup=0, repeats=2)
SMALL = Shape(64, 128, 2, 4, 2, 500, tied=False)


def case(source: str | Shape, **changes: object) -> Case:
    fields: dict[str, object] = {"name": "small", "held": "f32", "merged": False}
    return Case(source=source, **(fields | changes))  # pyright: ignore[reportArgumentType]


def test_shapes_have_the_parameters_of_their_models() -> None:
    assert SHAPES["llama-1b"].parameters == 1_235_814_400
    assert SHAPES["llama-3b"].parameters == 3_212_749_824
    assert SHAPES["llama-8b"].parameters == 8_030_261_248
    for shape in (SMALL, Shape(64, 128, 2, 4, 4, 500, tied=True)):
        model = AutoModelForCausalLM.from_config(shape.config())
        assert sum(p.numel() for p in model.parameters()) == shape.parameters
    with pytest.raises(UsageError, match="no shape 'llama-2b'"):
        find_shape("llama-2b")


@pytest.mark.parametrize("held", ["f32", "bf16"])
def test_random_weights_are_measured(held: str) -> None:
    found = measure(case(SMALL, held=held), LOAD)
    assert isinstance(found, Measured), found
    assert found.parameters == SMALL.parameters
    assert found.weight_bytes == pytest.approx((4 if held == "f32" else 2) * SMALL.parameters, 0.01)
    assert [timing.batch for timing in found.timings] == [1, 3]
    for timing in found.timings:
        assert len(timing.first_token) == len(timing.rest) == 2
        assert timing.tokens == 3 * timing.batch
        assert all(seconds > 0 for seconds in (*timing.first_token, *timing.rest))


def test_checkpoints_of_both_kinds_are_measured(small_decoder: Path, small_encoder: Path) -> None:
    decoder = measure(case(str(small_decoder)), LOAD)
    assert isinstance(decoder, Measured) and decoder.timings[0].first_token
    encoder = measure(case(str(small_encoder)), LOAD)
    assert isinstance(encoder, Measured)
    assert not encoder.timings[0].first_token and len(encoder.timings[0].rest) == 2
    assert tokens_per_second(encoder.timings[0]) == []


def test_what_cannot_be_measured_is_a_row() -> None:
    for wrong in (case("/nowhere/at/all"), case(SMALL, held="gptq-int4")):
        found = measure(wrong, LOAD)
        assert isinstance(found, Failed) and found.reason
        [line] = rows([wrong], [found])
        assert line[-1] == found.reason


def test_what_does_not_fit_is_predicted_in_proportion() -> None:
    timing = Timing(2, 62, (1.0, 3.0, 2.0), (10.0, 30.0, 20.0))
    measured = Measured(SHAPES["llama-1b"].parameters, 1, 1, (timing,))
    reference = (case(SHAPES["llama-1b"], name="llama-1b"), measured)
    found = predict(case(SHAPES["llama-8b"]), LOAD, [reference])
    factor = SHAPES["llama-8b"].read_per_token / SHAPES["llama-1b"].read_per_token
    [scaled] = found.timings
    assert scaled.first_token == pytest.approx((2 * factor,))
    assert scaled.rest == pytest.approx((20 * factor,))
    assert "times llama-1b" in found.basis


def test_without_a_reference_the_bandwidth_is_a_bound() -> None:
    [found] = compare([case(SMALL)], LOAD, memory_bytes=1, told=lambda line: None)
    assert isinstance(found, Predicted) and "GB/s" in found.basis
    assert found.timings[0].rest[0] > 0 and not found.timings[0].first_token


def test_figures_of_a_batch() -> None:
    timing = Timing(4, 124, (1.0,), (3.0,))
    assert per_question(timing) == [1.0]
    assert tokens_per_second(timing) == pytest.approx([124 / 3])
    found = Measured(10, 20, 30, (timing,))
    [entry] = document([case(SMALL)], [found])
    assert entry["seconds_to_first_token"] == [1.0] and entry["peak_memory_bytes"] == 30


@pytest.mark.slow
def test_the_command(small_decoder: Path, tmp_path: Path) -> None:
    settings = ["--batch", "1,2", "--paragraph", "16", "--question", "4", "--answer", "3"]
    page = tmp_path / "latency.md"
    done = tunelab(
        "latency", small_decoder, *settings, "--repeats", "2", "--out", page, "--json", "--quiet"
    )
    assert done.returncode == 0, done.stderr
    entries = json.loads(done.stdout)
    assert [entry["batch"] for entry in entries] == [1, 2]
    assert "| model | precision | batch | time to first token |" in page.read_text()


@pytest.mark.slow
def test_a_row_without_figures_fails_the_command(tmp_path: Path) -> None:
    done = tunelab("latency", tmp_path / "nothing", "--json", "--quiet")
    assert done.returncode == 1
    [entry] = json.loads(done.stdout)
    assert "no checkpoint" in entry["failed"]


def test_wrong_usage_is_told() -> None:
    for arguments, told in (
        ((), "nothing to measure"),
        (("tiny", "--precision", "fp4"), "no precision 'fp4'"),
        (("tiny", "--batch", "0"), "--batch is '0'"),
    ):
        done = tunelab("latency", *arguments)
        assert done.returncode == 2 and told in done.stderr


@pytest.mark.slow
def test_what_nobody_waits_for_any_more_ends() -> None:
    words = ("-m", "tunelab", "latency", "tiny", "--repeats", "100000")
    command = [sys.executable, *words]
    with subprocess.Popen(command, env=ONE_THREAD, stderr=subprocess.DEVNULL) as asked:
        started = psutil.Process(asked.pid)
        while not (found := started.children()) or found[-1].memory_info().rss < 2e8:
            time.sleep(0.1)  # until it loads the model
        asked.kill()
        assert not psutil.wait_procs(found[-1:], timeout=60)[1]
