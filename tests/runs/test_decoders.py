"""Decoders through the command line: every kind of tuning, prompts, shots, ways of decoding."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file
from tests.choices import write_arc
from tests.command import tunelab

pytestmark = pytest.mark.slow


def recipe(folder: Path, data: Path, model: Path, **changes: Any) -> Path:
    content: dict[str, Any] = {
        "name": "decoders",
        "task": {
            "train": str(data / "train.json"),
            "test": str(data / "test.json"),
            "train_limit": 24,
            "test_limit": 8,
            "validation": 0.2,
        },
        "model": {"path": str(model), "max_length": 1500},
        "training": {"epochs": 1, "batch_size": 8, "learning_rate": 1.0e-3},
        "evaluation": {"max_new_tokens": 6},
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content | changes))
    return path


def runs_of(out: Path) -> dict[str, dict[str, Any]]:
    manifests = [json.loads(path.read_text()) for path in out.glob("runs/*/manifest.json")]
    return {manifest["label"]: manifest for manifest in manifests}


def test_tunings_of_a_decoder_and_an_encoder_in_one_table(
    tmp_path: Path, small_data: Path, small_decoder: Path, small_encoder: Path
) -> None:
    kinds = ("none", "full", "head", "lora", "prefix", "prompt")
    cases: list[dict[str, Any]] = [{"tuning": {"kind": kind}} for kind in kinds]
    cases.append({"tuning": {"kind": "none", "shots": 2}})
    cases.append({"tuning": {"kind": "ia3"}})
    encoder = {"path": str(small_encoder), "max_length": 160, "stride": 40}
    cases.append({"tuning": {"kind": "full"}, "model": encoder})
    path = recipe(tmp_path, small_data, small_decoder, grid={"cases": cases})
    done = tunelab("run", path, "--out", tmp_path / "out", "--quiet")
    assert done.returncode == 0, done.stderr
    found = runs_of(tmp_path / "out")
    assert len(found) == len(cases)
    for label, manifest in found.items():
        assert manifest["status"] == "ok", (label, manifest["message"])
        assert all(proof["held"] for proof in manifest["proofs"])


def test_shots_for_an_encoder_are_refused(
    tmp_path: Path, small_data: Path, small_encoder: Path
) -> None:
    path = recipe(tmp_path, small_data, small_encoder, tuning={"kind": "none", "shots": 3})
    done = tunelab("run", path, "model.max_length=160", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "'tuning.shots' is set, but the model" in " ".join(done.stderr.split())


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_reasoning_tokens_are_trained(
    kind: str, tmp_path: Path, small_data: Path, small_decoder: Path
) -> None:
    prompt = {"style": "chat-json", "reasoning_tokens": 3}
    path = recipe(tmp_path, small_data, small_decoder, prompt=prompt, tuning={"kind": kind})
    done = tunelab("run", path, "--out", tmp_path / "out", "--quiet")
    assert done.returncode == 0, done.stderr
    [manifest] = runs_of(tmp_path / "out").values()
    assert all(proof["held"] for proof in manifest["proofs"])
    [predictions] = (tmp_path / "out").glob("runs/*/predictions.jsonl")
    first = json.loads(predictions.read_text().splitlines()[0])
    assert first["decoded"]["prompt"].endswith("<blah_0><blah_1><blah_2>")
    if kind == "lora":
        [adapter] = (tmp_path / "out").glob("runs/*/adapter/adapter_model.safetensors")
        stored = load_file(adapter)
        [rows] = [tensor for name, tensor in stored.items() if "token" in name]
        assert rows.shape == (3, 32)


def test_reasoning_tokens_need_a_method_that_trains_embeddings(
    tmp_path: Path, small_data: Path, small_decoder: Path
) -> None:
    prompt = {"style": "chat-json", "reasoning_tokens": 3}
    path = recipe(tmp_path, small_data, small_decoder, prompt=prompt, tuning={"kind": "prefix"})
    done = tunelab("run", path, "--out", tmp_path / "out", "--quiet")
    assert done.returncode == 1
    assert "'prefix' leaves the embeddings as they are" in " ".join(
        (done.stderr + done.stdout).split()
    )


def test_constrained_answers_are_valid_and_verbatim(
    tmp_path: Path, small_data: Path, small_decoder: Path
) -> None:
    ways = [
        {"max_new_tokens": 6, "constrain": "span", "force_start": True},
        {"max_new_tokens": 6, "constrain": "json"},
    ]
    path = recipe(
        tmp_path,
        small_data,
        small_decoder,
        prompt={"style": "chat-json"},
        tuning={"kind": "none"},
        grid={"evaluation": ways},
    )
    done = tunelab("run", path, "--out", tmp_path / "out", "--quiet")
    assert done.returncode == 0, done.stderr
    contexts = {
        question["id"]: paragraph["context"]
        for article in json.loads((small_data / "test.json").read_text())["data"]
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    }
    files = list((tmp_path / "out").glob("runs/*/predictions.jsonl"))
    assert len(files) == 2
    for file in files:
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        assert all(row["decoded"]["valid"] for row in rows)
        if "constrain=span" in file.parent.name:
            assert any(row["output"] for row in rows)
            assert all(row["output"] in contexts[row["id"]] for row in rows)


def test_json_from_a_plain_prompt_is_refused(
    tmp_path: Path, small_data: Path, small_decoder: Path
) -> None:
    path = recipe(tmp_path, small_data, small_decoder, evaluation={"constrain": "json"})
    done = tunelab("run", path, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "Say prompt.style=chat-json" in " ".join(done.stderr.split())


def test_questions_that_do_not_fit_are_counted(
    tmp_path: Path, small_data: Path, small_decoder: Path
) -> None:
    path = recipe(tmp_path, small_data, small_decoder, tuning={"kind": "full"})
    out = tmp_path / "out"
    done = tunelab("run", path, "model.max_length=290", "--out", out, "--quiet")
    assert done.returncode == 0, done.stderr
    [manifest] = runs_of(out).values()
    [left_out] = [note for note in manifest["notes"] if "training questions are longer" in note]
    left = 24 - int(left_out.split()[0])
    assert 0 < left < 24
    assert manifest["steps"] == -(-left // 8)
    unread = [note for note in manifest["notes"] if "count as unreadable" in note]
    assert unread


@pytest.mark.parametrize("kind", ["prefix", "prompt"])
def test_virtual_tokens_take_room_from_questions(
    kind: str, tmp_path: Path, small_data: Path, small_decoder: Path
) -> None:
    """The model has no more positions than model.max_length says."""
    model = tmp_path / "model"
    shutil.copytree(small_decoder, model)
    config = json.loads((model / "config.json").read_text()) | {"max_position_embeddings": 310}
    (model / "config.json").write_text(json.dumps(config))
    path = recipe(tmp_path, small_data, model, tuning={"kind": kind, "virtual_tokens": 20})
    out = tmp_path / "out"
    done = tunelab("run", path, "model.max_length=310", "--out", out, "--quiet")
    assert done.returncode == 0, done.stderr
    [manifest] = runs_of(out).values()
    told = "model.max_length=310 beside 20 virtual tokens"
    assert any("training questions are longer" in n and told in n for n in manifest["notes"])
    assert any("count as unreadable" in n and told in n for n in manifest["notes"])


@pytest.mark.parametrize("share", [True, False])
def test_a_model_that_cannot_share_prefixes_is_tuned_and_scored(
    share: bool, tmp_path: Path, small_data: Path, small_decoder: Path
) -> None:
    """Bloom measures distances in the row itself."""
    model = write_bloom(tmp_path / "model", tokenizer=small_decoder)
    path = recipe(
        tmp_path,
        small_data,
        model,
        training={"epochs": 1, "batch_size": 8, "share_prefix": share},
        also_evaluate=[{"kind": "arc", "test": str(write_arc(tmp_path / "arc.jsonl"))}],
        grid={"tuning": [{"kind": "lora"}, {"kind": "none"}]},
    )
    done = tunelab("run", path, "--out", tmp_path / "out", "--quiet")
    assert done.returncode == 0, done.stderr + done.stdout
    for manifest in runs_of(tmp_path / "out").values():
        assert manifest["status"] == "ok", manifest["message"]
        assert all(proof["held"] for proof in manifest["proofs"])
        assert any("in a row of its own" in note for note in manifest["notes"]) == share
    text = tmp_path / "text.txt"
    text.write_text("Anna met Ben in Rome. Who met Ben?\n" * 20)
    read = tunelab("evaluate", model, "--task", "text", "--data", text, "window=32")
    assert read.returncode == 0, read.stderr
    assert "in a row of its own" in " ".join(read.stdout.split())


def write_bloom(folder: Path, *, tokenizer: Path) -> Path:
    """Two layers with random weights and the tokenizer of another checkpoint."""
    from transformers import AutoTokenizer, BloomConfig, BloomForCausalLM

    read = AutoTokenizer.from_pretrained(tokenizer)
    read.save_pretrained(folder)
    config = BloomConfig(
        vocab_size=len(read), hidden_size=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=1
    )
    BloomForCausalLM(config).save_pretrained(folder)
    return folder
