"""lm-eval's own tasks on real items: the numbers of `hf`, except where two choices are one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benchmarks.lm_eval_equality import compare_samples
from benchmarks.lm_eval_tasks import write_tasks

from tunelab.lmeval.tasks import evaluate_tasks


@pytest.mark.slow
def test_real_items_are_scored_as_by_hf(
    shared_data: Path, tmp_path: Path, theirs: Any, ours: Any
) -> None:
    names = write_tasks(shared_data, tmp_path, items=12, subjects=3)
    wanted = evaluate_tasks(theirs, names, include_path=tmp_path)
    found = evaluate_tasks(ours, names, include_path=tmp_path)
    for name in names:
        equality = compare_samples(wanted["samples"][name], found["samples"][name])
        assert equality.held, f"{name}: {equality.told}"
        if not equality.close:
            for metric, value in wanted["results"][name].items():
                if isinstance(value, float) and "stderr" not in metric:
                    assert found["results"][name][metric] == pytest.approx(value, rel=1e-5)
