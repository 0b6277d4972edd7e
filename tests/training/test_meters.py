"""Energy is read where the hardware tells, and memory grows with what is held."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tunelab.training.meters import EnergyMeter


def test_joules_are_summed_over_packages_and_wrap_around(tmp_path: Path) -> None:
    for number, start in enumerate((100, 900_000)):
        package = tmp_path / f"intel-rapl:{number}"
        package.mkdir()
        (package / "max_energy_range_uj").write_text("1000000")
        (package / "energy_uj").write_text(str(start))
    (tmp_path / "intel-rapl:0:0").mkdir()  # a part of package 0, counted in it
    meter = EnergyMeter(tmp_path)
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("500100")
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("100000")
    assert meter.joules() == 0.5 + 0.2


def test_without_counters_there_is_no_energy(tmp_path: Path) -> None:
    assert EnergyMeter(tmp_path).joules() is None


def test_the_peak_counts_what_was_held_for_a_while() -> None:
    script = """
import torch
from tunelab.training.meters import MemoryMeter
meter = MemoryMeter()
before = meter.peak_bytes()
held = torch.ones(50_000_000)
del held
print(before, meter.peak_bytes())
"""
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    before, after = map(int, told.stdout.split())
    assert 190_000_000 < after - before < 230_000_000
