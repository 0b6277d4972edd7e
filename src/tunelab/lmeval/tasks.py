"""lm-eval itself: its command line, and its tasks by name.

lm-eval 0.4.13 loads no plug-ins, so the model class is registered here before it starts.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunelab.errors import UsageError

if TYPE_CHECKING:
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

NAME = "tunelab"
SUGGESTED = 8
"""Names that are listed of those that are like a wrong one; lm-eval knows thousands."""


def require_lm_eval() -> None:
    """Refuse to go on without the extra.

    Raises:
        UsageError: lm-eval is not installed.
    """
    if importlib.util.find_spec("lm_eval") is None:
        raise UsageError("lm-eval is not installed.", hint="Type: pip install 'tunelab[lm-eval]'")


def register() -> None:
    """Make the class known to lm-eval under the name `tunelab`; it is imported when it is used.

    Raises:
        UsageError: lm-eval is not installed.
    """
    require_lm_eval()
    importlib.import_module("lm_eval.models")  # registers lm-eval's own
    from lm_eval.api.registry import model_registry

    if NAME not in model_registry:
        model_registry.register(NAME, target="tunelab.lmeval.model:TunelabLM")


def command_line(arguments: Sequence[str]) -> None:
    """Run lm-eval's own command line, with the model class `tunelab` beside its own.

    Raises:
        UsageError: lm-eval is not installed, or does not know a task or a model class.
    """
    register()
    from lm_eval._cli import HarnessCLI
    from lm_eval.utils import setup_logging

    setup_logging()
    sys.argv = ["lm-eval", *arguments]  # where lm-eval looks for them
    harness = HarnessCLI()
    parsed = harness.parse_args()
    try:
        harness.execute(parsed)
    except ValueError as error:
        raise _explained(error) from error


def task_manager(names: Sequence[str], *, include_path: Path | None = None) -> TaskManager:
    """lm-eval's index of its tasks, or of those in a folder alone if it has all the names.

    Reading all of lm-eval's task files takes a while.

    Raises:
        UsageError: lm-eval is not installed, the folder does not exist, or neither lm-eval nor the
            folder knows a name.
    """
    require_lm_eval()
    if include_path is not None and not include_path.is_dir():
        raise UsageError(
            f"There is no folder {include_path}.",
            hint="--include-path takes a folder of lm-eval's task files (.yaml).",
        )
    from lm_eval.tasks import TaskManager

    folder = None if include_path is None else str(include_path)
    if folder is not None:
        manager = TaskManager(include_path=folder, include_defaults=False)
        if all(manager.match_tasks([name]) for name in names):
            return manager
    manager = TaskManager(include_path=folder)
    for name in names:
        if not manager.match_tasks([name]):
            raise UsageError(
                f"lm-eval knows no task '{name}'.", hint=_nearest(name, manager.all_tasks)
            )
    return manager


def evaluate_tasks(
    model: LM,
    names: Sequence[str],
    *,
    include_path: Path | None = None,
    shots: int | None = None,
    limit: int | None = None,
) -> dict[str, Any]:
    """lm-eval's results for a model, as `simple_evaluate` gives them, samples included.

    Args:
        model: any model class of lm-eval, such as a `TunelabLM`.
        names: tasks, groups or tags.
        include_path: a folder of task files, beside lm-eval's own.
        shots: instead of each task's own number.
        limit: items per task; for trying things out.

    Raises:
        UsageError: as `task_manager`.
    """
    manager = task_manager(names, include_path=include_path)
    import lm_eval

    evaluate: Any = lm_eval.simple_evaluate  # its decorator hides its parameters
    results = evaluate(
        model=model, tasks=list(names), num_fewshot=shots, limit=limit, task_manager=manager
    )
    assert results is not None, "one process, which is the first"
    return dict(results)


def _explained(error: ValueError) -> Exception:
    """lm-eval's complaint about a name as one with a suggestion; any other as it is."""
    text = str(error)
    hints: dict[str, Callable[[], str]] = {
        "Tasks not found: ": lambda: _nearest(text.partition(": ")[2].split(", ")[0], _likely()),
        "Attempted to load model": lambda: f"Use --model {NAME}, or one of lm-eval's own.",
        "Need to specify task": lambda: "Give --tasks NAME; `tunelab lm-eval ls tasks` lists them.",
        "Specify --output_path": lambda: "Give --output_path FOLDER.",
    }
    for beginning, hint in hints.items():
        if text.startswith(beginning):
            return UsageError(f"lm-eval: {text.split('! Supported')[0]}.", hint=hint())
    return error


def _likely() -> list[str]:
    """Names of lm-eval's task files and their folders, which most tasks and groups go by."""
    import lm_eval.tasks

    found = Path(lm_eval.tasks.__file__).parent.rglob("*.yaml")
    return sorted({name for path in found for name in (path.stem, path.parent.name)})


def _nearest(name: str, known: Sequence[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, n=SUGGESTED, cutoff=0.6)
    if not close:
        return "`tunelab lm-eval ls tasks` lists its tasks; --include-path adds a folder of others."
    return f"Did you mean '{close[0]}'? Others like it: {', '.join(close[1:]) or 'none'}."
