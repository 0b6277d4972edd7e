"""The command line as a test calls it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}
"""Small models are no faster with more, and tests run side by side."""


def tunelab(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `tunelab` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "tunelab", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
        env=ONE_THREAD,
    )
