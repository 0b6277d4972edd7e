"""A checkpoint is complete, or it is not there; and there is one before it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from tests.steps import step
from torch import nn

from tunelab.recipe import FullTuning
from tunelab.records import RunDirectory, Step
from tunelab.training.checkpoint import Checkpoints, Progress
from tunelab.training.devices import Devices
from tunelab.tuning import TrainingWatch, TunedModel


class Trained:
    """A layer that took a step, and its checkpoints."""

    def __init__(self, folder: Path) -> None:
        self.layer = nn.Linear(3, 2)
        self.optimizer = torch.optim.AdamW(self.layer.parameters(), lr=0.1)
        self.layer(torch.ones(1, 3)).sum().backward()
        self.optimizer.step()
        self.said: list[str] = []
        tuned = TunedModel(
            self.layer,
            FullTuning(kind="full"),
            frozenset(name for name, _ in self.layer.named_parameters()),
        )
        self.checkpoints = Checkpoints(
            RunDirectory(folder),
            tuned,
            self.optimizer,
            TrainingWatch(tuned),
            origin="test",
            devices=Devices(Accelerator()),
            say=self.said.append,
        )

    def weights(self) -> dict[str, torch.Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.layer.named_parameters()}


def steps(count: int) -> list[Step]:
    return [step(number) for number in range(1, count + 1)]


def test_weights_optimiser_steps_and_random_state_come_back(tmp_path: Path) -> None:
    saved = Trained(tmp_path)
    torch.manual_seed(1)
    saved.checkpoints.save(Progress(7, 112, 2), steps(7))
    drawn = torch.rand(3)
    restored = Trained(tmp_path)
    places = [tensor.data_ptr() for tensor in restored.layer.parameters()]

    assert restored.checkpoints.restore() == (Progress(7, 112, 2), steps(7))
    assert restored.said == ["goes on from step 7"]
    assert all(torch.equal(saved.weights()[name], w) for name, w in restored.weights().items())
    assert [tensor.data_ptr() for tensor in restored.layer.parameters()] == places
    assert torch.equal(torch.rand(3), drawn)
    for a, b in zip(saved.layer.parameters(), restored.layer.parameters(), strict=True):
        moments = saved.optimizer.state[a]["exp_avg"], restored.optimizer.state[b]["exp_avg"]
        assert torch.equal(*moments)


def test_the_latest_and_the_one_before_are_kept_with_the_best_weights_they_need(
    tmp_path: Path,
) -> None:
    trained = Trained(tmp_path)
    for done, best in ((5, 1), (10, 2), (15, 2)):
        trained.checkpoints.save_best(best)
        trained.checkpoints.save(Progress(done, best_epoch=best), [])
    left = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert left == ["best-epoch-0002.pt", "step-000010", "step-000015"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("step-000010/complete.json", None, "it is incomplete, complete.json is missing"),
        ("step-000010/complete.json", b"{", "its completion mark cannot be read"),
        ("step-000010/complete.json", b'{"sha256": ""}', "its completion mark cannot be read"),
        ("step-000010/state.pt", None, "it is incomplete, state.pt is missing"),
        ("step-000010/state.pt", b"half", "its checksum differs, the file was damaged"),
        ("best-epoch-0002.pt", b"half", "its checksum differs, the file was damaged"),
        ("best-epoch-0002.pt", None, "it is incomplete, best-epoch-0002.pt is missing"),
    ],
)
def test_a_damaged_one_does_not_exist_and_the_one_before_takes_its_place(
    tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    trained = Trained(tmp_path)
    for done, best in ((5, 1), (10, 2)):
        trained.checkpoints.save_best(best)
        trained.checkpoints.save(Progress(done, best_epoch=best), steps(done))
    damaged = tmp_path / "checkpoints" / name
    damaged.unlink() if content is None else damaged.write_bytes(content)

    progress, done = trained.checkpoints.restore()
    assert (progress.step, progress.best_epoch, len(done)) == (5, 1, 5)
    assert trained.said == [
        f"checkpoint step-000010 is passed over: {reason}",
        "goes on from step 5",
    ]
    # from there it goes its way again, over what was damaged
    trained.checkpoints.save_best(2)
    trained.checkpoints.save(Progress(10, best_epoch=2), steps(10))
    assert Trained(tmp_path).checkpoints.restore()[0].step == 10


def test_nothing_is_changed_where_no_checkpoint_fits(tmp_path: Path) -> None:
    trained = Trained(tmp_path)
    trained.checkpoints.save(Progress(5), steps(5))
    folder = tmp_path / "checkpoints" / "step-000005"
    state = torch.load(folder / "state.pt", weights_only=True)
    torch.save(state | {"version": 99}, folder / "state.pt")
    mark = json.loads((folder / "complete.json").read_text())
    content = (folder / "state.pt").read_bytes()
    import hashlib

    mark["state"] = hashlib.sha256(content).hexdigest()
    (folder / "complete.json").write_text(json.dumps(mark))

    other = Trained(tmp_path)
    before = other.weights()
    assert other.checkpoints.restore() == (Progress(), [])
    assert all(torch.equal(before[name], value) for name, value in other.weights().items())
    assert "another version of tunelab wrote it" in other.said[0]


def test_the_best_weights_come_back(tmp_path: Path) -> None:
    trained = Trained(tmp_path)
    best = trained.weights()
    trained.checkpoints.save_best(3)
    with torch.no_grad():
        for tensor in trained.layer.parameters():
            tensor.zero_()
    trained.checkpoints.load_best(Progress())  # none was chosen
    assert not any(value.any() for value in trained.weights().values())
    trained.checkpoints.load_best(Progress(best_epoch=3))
    assert all(torch.equal(best[name], value) for name, value in trained.weights().items())
