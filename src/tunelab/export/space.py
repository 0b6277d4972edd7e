"""A run as a Space of the Hugging Face hub: a folder that shows the run's web app there.

    README.md          what the hub reads: which SDK, which file to start
    app.py             starts the page of `tunelab app`, open to visitors, without the tab Teach
    requirements.txt   what tunelab needs, in the versions that are installed here
    tunelab/           this very tunelab, so that the Space shows what was looked at here
    run/               the run, without the answers to test questions that are no one else's
    base/              the checkpoint that an adapter stands on, where it is no name of the hub

It runs on any machine: `pip install -r requirements.txt && python app.py`.
"""

from __future__ import annotations

import json
import re
import shutil
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import yaml

import tunelab
from tunelab.data.sources import is_file
from tunelab.errors import UsageError
from tunelab.models.checkpoint import BUNDLED, resolve_checkpoint
from tunelab.recipe import (
    FullTuning,
    HeadTuning,
    Recipe,
    dump,
    extractive,
    read_written,
)
from tunelab.records import RunDirectory, write_atomically
from tunelab.records.files import storage_errors
from tunelab.report.card import shortened

_EXTRAS = ("app", "constrain")
_APP = '''"""Shows the run in `run/`; see https://huggingface.co/docs/hub/spaces."""

import os
from pathlib import Path

os.chdir(Path(__file__).parent)

from tunelab.app.space import show  # noqa: E402

show("run")
'''


def check_space(recipe: Recipe) -> None:
    """Refuse runs that could not answer elsewhere, before anything is made.

    Raises:
        RecipeError: the task is of another kind than squad.
        UsageError: a part of the run is not in its own directory, or the app is not installed.
    """
    extractive(recipe.task)
    _requirements(recipe)
    if recipe.evaluation.quantize:
        raise UsageError(
            "This run scores what another one trained, in another precision.",
            hint="Make a Space of the run that trained it.",
        )
    if recipe.model.quantize.startswith("gptq"):
        raise UsageError(
            "The base of this run is quantised anew from its training questions wherever it is "
            "loaded; a Space does not have them.",
            hint="Export it with --format merged, and make a Space of a run on that.",
        )


def make_space(place: RunDirectory, folder: Path) -> tuple[str, ...]:
    """Write the folder of a Space.

    Returns:
        What a user must know of it.

    Raises:
        ModelError: the checkpoint that an adapter stands on is missing.
        StorageError: it cannot be written.
    """
    recipe = read_written(place.recipe)
    base = _local_base(recipe)
    whole = isinstance(recipe.tuning, FullTuning | HeadTuning)
    path = "./run/model" if whole else "./base" if base else recipe.model.path
    with storage_errors(folder):
        for part in (place.adapter, place.model):
            if part.is_dir():
                shutil.copytree(part, folder / "run" / part.name)
        files = [place.manifest, place.scores, place.steps]
        if not _own_tests(recipe):
            files.append(place.predictions)
        for file in files:
            if file.exists():
                shutil.copy(file, folder / "run" / file.name)
        if base is not None:
            shutil.copytree(base, folder / "base")
        package = Path(tunelab.__file__).parent
        shutil.copytree(package, folder / "tunelab", ignore=shutil.ignore_patterns("__pycache__"))
    for config in (folder / "run").rglob("adapter_config.json"):
        content = json.loads(config.read_text(encoding="utf-8"))
        write_atomically(config, json.dumps(content | {"base_model_name_or_path": path}, indent=1))
    write_atomically(folder / "run" / "recipe.yaml", dump(_elsewhere(recipe, path)))
    write_atomically(folder / "app.py", _APP)
    write_atomically(folder / "requirements.txt", "\n".join(_requirements(recipe)) + "\n")
    write_atomically(folder / "README.md", _readme(place, recipe))
    return (
        *(("The base is copied to base/.",) if base else ()),
        *_about_tests(recipe),
        "Try it here: pip install -r requirements.txt && python app.py. Then upload the folder "
        "to a Space of the SDK gradio; it was not tried against the real hub.",
    )


def _local_base(recipe: Recipe) -> Path | None:
    """The folder of the checkpoint that an adapter stands on; None where it need not come along."""
    if isinstance(recipe.tuning, FullTuning | HeadTuning) or recipe.model.path in BUNDLED:
        return None
    folder = Path(resolve_checkpoint(recipe.model.path))
    return folder if folder.is_dir() else None


def _elsewhere(recipe: Recipe, model: str) -> Recipe:
    """The recipe with no path of this machine in it; what is asked beside its task stays here."""
    task = extractive(recipe.task)
    named = {"train": tuple(map(shortened, task.train)), "test": tuple(map(shortened, task.test))}
    same = model == recipe.model.path
    checkpoint = {
        "path": model,
        "revision": recipe.model.revision if same else None,
        "calibration": shortened(recipe.model.calibration) if recipe.model.calibration else None,
    }
    changes = {
        "also_evaluate": (),
        "task": task.model_copy(update=named),
        "model": recipe.model.model_copy(update=checkpoint),
    }
    return recipe.model_copy(update=changes)


def _own_tests(recipe: Recipe) -> list[str]:
    """The files of test questions. Predictions hold those questions, their paragraphs and answers,
    so they stay where these are."""
    return [Path(name).name for name in extractive(recipe.task).test if is_file(name)]


def _about_tests(recipe: Recipe) -> tuple[str, ...]:
    away = _own_tests(recipe)
    if not away:
        return ()
    told = f"The test questions ({', '.join(away)}) and what was answered to them stay here"
    return (f"{told}: visitors ask their own.",)


def _requirements(recipe: Recipe) -> list[str]:
    """What tunelab needs for this run, each in its installed version.

    Raises:
        UsageError: something of it is not installed.
    """
    wanted = {"gradio": ""}
    bundled = BUNDLED.get(recipe.model.path)
    extras = {*_EXTRAS, *({bundled.extra} if bundled and bundled.extra else ())}
    if recipe.model.quantize in ("int8", "nf4"):
        extras.add("quant")
    try:
        for line in requires("tunelab") or ():
            name = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
            extra = re.search(r"extra == ['\"]([^'\"]+)", line)
            if name != "tunelab" and (extra is None or extra[1] in extras):
                wanted[name] = ""
        return [f"{name}=={version(name).partition('+')[0]}" for name in sorted(wanted)]
    except PackageNotFoundError as error:
        raise UsageError(
            f"The Space needs {error.name}, which is not installed here, so its version is not "
            "known.",
            hint="Type: pip install 'tunelab[app]'",
        ) from error


def _readme(place: RunDirectory, recipe: Recipe) -> str:
    matter = {
        "title": recipe.name,
        "sdk": "gradio",
        "sdk_version": version("gradio"),
        "python_version": "3.11",
        "app_file": "app.py",
        "pinned": False,
    }
    written = yaml.safe_dump(matter, sort_keys=False, allow_unicode=True)
    return (
        f"---\n{written}---\n\n# {recipe.name}\n\nAsk the run `{place.path.name}`: made with "
        f"`tunelab export --format space`, tunelab {tunelab.__version__}.\n"
    )
