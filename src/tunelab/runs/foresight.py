"""Plans runs before they are started, and refuses one that will not fit.

A bound is looked at first, which costs nothing. Where it comes near the memory there is, a run is
planned before it starts. What took long is planned in any case, afterwards if not before, so that
the report shows prediction and measurement side by side: a plan looks at the recipe, the data and
the configuration of the model, never at the run. A plan that cannot be made stops nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tunelab.errors import FitError, TunelabError
from tunelab.plan.bound import bound
from tunelab.plan.configurations import find_config
from tunelab.plan.devices import available_memory, find_device
from tunelab.recipe import is_searched
from tunelab.records import Forecast, Manifest
from tunelab.report.figures import size
from tunelab.runs.planned import Planned

if TYPE_CHECKING:
    from tunelab.plan.planning import Planner

_NEAR = 0.5
"""Of the memory there is: what the bound may come to."""
_STEPS = 4
"""Optimiser steps that are looked at: fewer than `tunelab plan` takes."""
_LONG_SECONDS = 60.0
"""Of training: a run that took so long is worth a plan."""


class Foresight:
    """The forecasts of the runs of a grid.

    Args:
        say: told in one line what is not refused but should be known.
        anyway: start runs that will not fit.
    """

    def __init__(self, say: Callable[[str], None], *, anyway: bool) -> None:
        self._say = say
        self._anyway = anyway
        self._planner: Planner | None = None

    def look(self, items: Sequence[Planned]) -> None:
        """Plan the runs that might not fit, and write down what was found.

        Raises:
            FitError: one of them will not fit.
        """
        available = available_memory()
        for item in items:
            if item.recipe.model.endpoint is not None or item.directory.manifest.exists():
                continue
            config, _ = find_config(item.recipe.model)
            if bound(item.recipe, config) <= _NEAR * available:
                continue
            forecast = self._planned(item)
            if forecast is not None and not forecast.fits:
                self._refuse(forecast)

    def complete(self, item: Planned, manifest: Manifest) -> None:
        """Plan a run that was long and is not planned."""
        cost = manifest.cost
        long = cost is not None and cost.seconds_training > _LONG_SECONDS
        if long and item.recipe.model.endpoint is None and not item.directory.plan.exists():
            self._planned(item)

    def _planned(self, item: Planned) -> Forecast | None:
        try:
            forecast = self._ready().plan(item.recipe, item.label)
        except TunelabError as error:
            self._say(f"no plan of {item.label}: {error.problem}")
        except Exception as error:  # noqa: BLE001 - a plan is no reason not to run
            self._say(f"no plan of {item.label}: {error!r}")
        else:
            if not is_searched(item.recipe):  # else its settings, and its place, are not yet known
                item.directory.write_plan(forecast)
            return forecast
        return None

    def _ready(self) -> Planner:
        """The planner; what it needs takes long to import, and most grids need none."""
        from tunelab.plan.estimate import Machine
        from tunelab.plan.planning import Planner

        if self._planner is None:
            self._planner = Planner(Machine(find_device(None)), steps=_STEPS)
        return self._planner

    def _refuse(self, forecast: Forecast) -> None:
        told = (
            f"{forecast.label} will not fit: it needs about {size(forecast.peak_memory_bytes)}, "
            f"and there are {size(forecast.available_bytes)}."
        )
        if not self._anyway:
            raise FitError(
                told,
                hint="`tunelab plan` with the same recipe says what would make it fit; --anyway "
                "starts it all the same.",
            )
        self._say(told)
