"""What a run takes from the machine: peak memory and energy, where the hardware tells."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import psutil
import torch

_RAPL = Path("/sys/class/powercap")


class MemoryMeter:
    """Peak memory since the meter was made.

    On an accelerator its allocator's peak; on a CPU the growth of the process's peak resident set
    above what it held when the meter was made (with its imports done). The peak of a process never
    falls, so on a CPU the meter is meant for a process that does one run.
    """

    def __init__(self) -> None:
        self._cuda = torch.cuda.is_available()
        if self._cuda:
            torch.cuda.reset_peak_memory_stats()
        self._idle = psutil.Process().memory_info().rss

    def peak_bytes(self) -> int:
        """The peak so far."""
        if self._cuda:
            return torch.cuda.max_memory_allocated()
        return max(_peak_resident_bytes() - self._idle, 0)


class EnergyMeter:
    """Joules of the processor packages since the meter was made, from Linux's RAPL counters."""

    def __init__(self, root: Path = _RAPL) -> None:
        self._packages = [p for p in sorted(root.glob("intel-rapl:*")) if p.name.count(":") == 1]
        self._start = self._read()

    def joules(self) -> float | None:
        """Energy so far; None where the counters are missing or may not be read."""
        now = self._read()
        if now is None or self._start is None:
            return None
        total = 0
        for package, before, after in zip(self._packages, self._start, now, strict=True):
            wraps = int((package / "max_energy_range_uj").read_text())
            total += after - before if after >= before else after - before + wraps
        return total / 1e6

    def _read(self) -> list[int] | None:
        try:
            values = [int((package / "energy_uj").read_text()) for package in self._packages]
        except OSError:
            return None
        return values or None


def _peak_resident_bytes() -> int:
    """The largest resident set of this process so far.

    On Linux from VmHWM: getrusage's figure there outlives exec, so that a process started by a
    large one would begin with its peak.
    """
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return psutil.Process().memory_info().rss
