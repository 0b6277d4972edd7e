"""`tunelab plan`, and what `tunelab run` makes of a plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from tests.command import tunelab

from tunelab.errors import FitError
from tunelab.plan.devices import Device
from tunelab.recipe import read_recipe
from tunelab.runs.experiment import run_experiment


@pytest.fixture
def recipe(small_encoder: Path, small_data: Path, tmp_path: Path) -> Path:
    """Two methods on a small encoder."""
    content = {
        "name": "planned",
        "task": {
            "version": "2.0",
            "train": str(small_data / "train.json"),
            "test": str(small_data / "test.json"),
            "train_limit": 16,
            "validation": 0.0,
        },
        "model": {"path": str(small_encoder), "max_length": 160, "stride": 40},
        "training": {"epochs": 1, "batch_size": 8, "learning_rate": 1.0e-3},
        "evaluation": {"no_answer_threshold": "decoded"},
        "grid": {"tuning": [{"kind": "full"}, {"kind": "lora"}]},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.slow
def test_a_plan_as_a_document_with_its_price(recipe: Path) -> None:
    done = tunelab("plan", recipe, "--device", "l4", "--price", "2", "--json")
    assert done.returncode == 0, done.stderr
    runs = json.loads(done.stdout)["runs"]
    assert [run["label"] for run in runs] == ["full", "lora-r8"]
    assert all(run["fits"] and run["price"] > 0 for run in runs)
    assert runs[0]["trained_parameters"] > runs[1]["trained_parameters"]


@pytest.mark.slow
def test_what_will_not_fit_is_refused_with_remedies(recipe: Path) -> None:
    done = tunelab("plan", recipe, "--device", "l4", "--memory", "0.0005")
    assert done.returncode == 3
    assert "NO" in done.stdout
    assert "tuning.kind=lora" in done.stdout
    assert "--sharding fsdp" in done.stdout


@pytest.mark.slow
def test_a_device_that_is_not_known(recipe: Path) -> None:
    done = tunelab("plan", recipe, "--device", "a100")
    assert done.returncode == 2
    assert "a100-80" in done.stderr
    assert "--memory" in done.stderr


@pytest.mark.slow
def test_a_run_that_will_not_fit_is_not_started(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Device("a small machine", 1e6, 1e12, 1e12, None, "made up", on_cpu=True)
    monkeypatch.setattr("tunelab.runs.foresight.find_device", lambda _name: small)
    monkeypatch.setattr("tunelab.runs.foresight.available_memory", lambda: small.memory)
    asked = read_recipe(recipe)
    with pytest.raises(FitError) as refused:
        run_experiment(asked, tmp_path / "out", quiet=True)
    assert refused.value.exit_code == 3
    assert "--anyway" in refused.value.hint
    assert not list((tmp_path / "out").glob("runs/*/manifest.json"))
    done = run_experiment(asked, tmp_path / "out", quiet=True, anyway=True)
    assert [manifest.status for manifest in done] == ["ok", "ok"]
    from tunelab.report.study import read_study
    from tunelab.report.table import cells, make_row

    rows = [make_row(method) for method in read_study(tmp_path / "out").methods]
    assert all("%" in cells(row, {})["planned memory"] for row in rows)
