"""The model card of a finished run: what the hub reads, what is told, and code that runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from tests.command import ONE_THREAD
from tests.running import run_here

from tunelab.data import read_squad
from tunelab.data.reading import generate
from tunelab.recipe import Recipe
from tunelab.records import RunDirectory, find_runs
from tunelab.report.card_loading import loading


@pytest.fixture(scope="module")
def study(small_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of LoRA and one of full tuning."""
    folder = tmp_path_factory.mktemp("cards")
    for split in ("train", "test"):
        (folder / f"{split}.json").write_text(json.dumps(generate(split, questions=24)))
    content: dict[str, Any] = {
        "name": "cards",
        "task": {"train": "train.json", "test": "test.json", "validation": 0},
        "model": {"path": str(small_encoder), "max_length": 160, "stride": 40},
        "training": {"epochs": 1, "learning_rate": 1.0e-3},
        "grid": {"tuning": [{"kind": "full"}, {"kind": "lora"}]},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content))
    run_here(folder / "recipe.yaml", folder / "out")
    return folder / "out"


def card_of(study: Path, label: str) -> tuple[RunDirectory, Path]:
    [place] = [run for run in find_runs(study) if run.path.name.startswith(label)]
    [card] = place.path.glob("*/README.md")
    return place, card


@pytest.mark.parametrize(("label", "library"), [("lora-r8", "peft"), ("full", "transformers")])
def test_the_hub_reads_the_card(study: Path, small_encoder: Path, label: str, library: str) -> None:
    place, path = card_of(study, label)
    matter = ModelCard(path.read_text()).data.to_dict()
    assert matter["library_name"] == library
    assert matter["base_model"] == small_encoder.name
    assert {"exact", "f1"} <= set(matter["metrics"])
    [result] = matter["model-index"][0]["results"]
    assert result["dataset"]["type"] == "squad_v2"
    assert "datasets" not in matter  # generated data are not on the hub
    scores = place.read_scores()["squad_v2"]
    text = path.read_text()
    assert f"| squad_v2 | f1 | {scores['f1'].value:.4g} |" in text
    assert scores["f1"].convention in text
    assert all(proof.found in " ".join(text.split()) for proof in place.read_manifest().proofs)
    assert all(found in text for found in place.read_manifest().data.values())


@pytest.mark.parametrize("label", ["lora-r8", "full"])
def test_the_card_names_no_folder_of_this_machine(study: Path, label: str) -> None:
    _, path = card_of(study, label)
    assert not re.search(r"(?<![\w.])/\w", path.read_text()), "an absolute path"


@pytest.mark.parametrize("label", ["lora-r8", "full"])
def test_the_code_of_the_card_runs(
    study: Path, small_encoder: Path, label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    place, path = card_of(study, label)
    beside = path.parent / small_encoder.name  # where the card's name of the base leads to
    beside.symlink_to(small_encoder)
    blocks = re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)
    assert len(blocks) == 2
    monkeypatch.chdir(path.parent)
    made: dict[str, Any] = {}
    exec("\n".join(blocks), made)
    beside.unlink()
    examples = read_squad(study.parent / "test.json")
    answerer = made["answerer"]
    said = {row.prediction.id: row.prediction.answer for row in answerer.answer(examples)}
    answerer.close()
    assert said == {row.id: row.answer for row in place.read_predictions()}
    alone = made["answered"].prediction  # on the question that the card itself asks
    rows = made["tokenizer"](made["asked"].question, made["asked"].context, return_tensors="pt")
    with torch.inference_mode():
        output = made["model"].eval()(**rows)
    null = float(output.start_logits[0, 0] + output.end_logits[0, 0])
    assert null == pytest.approx(alone.null_score, abs=1e-4)
    assert float(output.start_logits.max() + output.end_logits.max()) >= alone.span_score - 1e-4


def test_a_card_is_remade_from_files_alone_without_torch(study: Path) -> None:
    _, path = card_of(study, "lora-r8")
    before = path.read_text()
    path.unlink()
    script = (
        "import sys\nfrom tunelab.cli import main\n"
        "try: main(sys.argv[1:])\nfinally: assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "report", str(study)],
        capture_output=True,
        text=True,
        check=False,
        env=ONE_THREAD,
    )
    assert done.returncode == 0, done.stderr
    assert path.read_text() == before


def test_a_decoder_says_what_its_base_and_its_new_tokens_are() -> None:
    recipe = Recipe.model_validate(
        {
            "model": {"path": "tiny", "quantize": "nf4"},
            "prompt": {"style": "chat-json", "reasoning_tokens": 3},
        }
    )
    told = loading(recipe, base="tiny", head="text", adapter=True)
    assert 'AutoModelForCausalLM.from_pretrained(resolve_checkpoint("tiny"))' in told
    assert "base.resize_token_embeddings(max(len(tokenizer)" in told
    assert "trained on a base in nf4" in told


def test_a_task_with_given_answers_is_evaluated_again() -> None:
    recipe = Recipe.model_validate({"task": {"kind": "pubmedqa"}, "model": {"path": "tiny"}})
    told = loading(recipe, base="tiny", head="text", adapter=False)
    assert "tunelab evaluate .. --task pubmedqa" in told
    told = loading(recipe, base="bert", head="classes", adapter=True)
    assert "num_labels=3" in told
    assert "tunelab evaluate" not in told  # which is for decoders
