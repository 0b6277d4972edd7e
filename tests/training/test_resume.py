"""A training that was broken off anywhere ends bitwise as if it had not been."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.toy import STEPS, Killed, Session

from tunelab.errors import Interrupted
from tunelab.records import Step
from tunelab.training import checkpoint

METHODS: dict[str, dict[str, Any]] = {
    "full": {"kind": "full"},
    "lora": {"kind": "lora", "dropout": 0.1},
    "adalora": {
        "kind": "adalora",
        "options": {"init_r": 6, "target_r": 2, "tinit": 2, "tfinal": 3, "deltaT": 1},
    },
    "adamss": {
        "kind": "adamss",
        "options": {
            "use_asa": True,
            "asa_target_subspaces": 4,
            "init_warmup": 1,
            "final_warmup": 8,
            "mask_interval": 2,
        },
    },
}
UNTIMED = {"seconds", "peak_memory_bytes"}


def told(steps: list[Step]) -> list[dict[str, Any]]:
    return [step.model_dump(exclude=UNTIMED) for step in steps]


def killed_after_step(number: int) -> Callable[[Step], None]:
    def advance(step: Step) -> None:
        if step.step == number:
            raise Killed

    return advance


def in_mid_epoch(session: Session, _patch: pytest.MonkeyPatch) -> None:
    session.train(advance=killed_after_step(5))


def during_validation(session: Session, _patch: pytest.MonkeyPatch) -> None:
    def validating(number: int) -> None:
        if number == 2:
            raise Killed

    session.train(validating=validating)


def while_saving(session: Session, patch: pytest.MonkeyPatch) -> None:
    """The state of step 6 is written, its mark is not."""
    write = checkpoint.write_atomically

    def killed_before_mark(path: Path, content: str | bytes) -> None:
        if path.name == "complete.json" and "step-000006" in str(path):
            raise Killed
        write(path, content)

    with patch.context() as inner:
        inner.setattr(checkpoint, "write_atomically", killed_before_mark)
        session.train()


def when_all_was_trained(session: Session, _patch: pytest.MonkeyPatch) -> None:
    session.train()
    raise Killed


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("broken_off", "from_step"),
    [
        (in_mid_epoch, 4),
        (during_validation, 6),
        (while_saving, 4),
        (when_all_was_trained, STEPS),
    ],
)
def test_the_end_is_the_same(
    method: str,
    broken_off: Callable[[Session, pytest.MonkeyPatch], None],
    from_step: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = Session(tmp_path / "whole", METHODS[method])
    steps = whole.train()
    cut = tmp_path / "cut"
    with pytest.raises(Killed):
        broken_off(Session(cut, METHODS[method]), monkeypatch)

    resumed = Session(cut, METHODS[method])
    assert told(resumed.train()) == told(steps)
    assert resumed.said[-1] == f"goes on from step {from_step}"
    weights = whole.weights()
    assert all(torch.equal(weights[name], value) for name, value in resumed.weights().items())
    assert resumed.proofs() == whole.proofs()
    assert resumed.tuned.method_state().keys() == whole.tuned.method_state().keys()
    assert (cut / "steps.jsonl").read_text().count("\n") == STEPS


def test_who_is_asked_to_stop_writes_a_checkpoint_first(tmp_path: Path) -> None:
    done: list[Step] = []
    with pytest.raises(Interrupted, match="after step 3 of 9"):
        Session(tmp_path, METHODS["lora"]).train(advance=done.append, stop=lambda: len(done) == 3)
    resumed = Session(tmp_path, METHODS["lora"])
    resumed.train()
    assert resumed.said == ["goes on from step 3"]


def test_a_checkpoint_of_other_data_is_not_gone_on_from(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        Session(tmp_path, METHODS["lora"]).train(advance=killed_after_step(5))
    other = Session(tmp_path, METHODS["lora"], origin="other data")
    assert len(other.train()) == STEPS
    assert other.said == [
        f"checkpoint step-00000{step} is passed over: it is of other data or another model"
        for step in (4, 3)
    ]
