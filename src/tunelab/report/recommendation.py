"""What a study advises, in sentences: best quality, cheapest within noise of it, best under limits.

Pure: from figures and verdicts to sentences. A sentence says no more than the verdicts do: where
methods are not separable it says so, and with one seed each that it is about the trained models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tunelab.report.figures import duration, middle, scored, size
from tunelab.statistics import Verdict

CostName = Literal["time", "memory", "size"]


@dataclass(frozen=True, slots=True)
class Measure:
    """What is compared and paid for: how it is called, and how a value is shown."""

    name: str
    show: Callable[[float], str]


COSTS: Mapping[CostName, Measure] = {
    "time": Measure("training time", duration),
    "memory": Measure("peak memory", size),
    "size": Measure("saved size", size),
}


@dataclass(frozen=True, slots=True)
class Option:
    """A method with finished runs, on the metric that decides."""

    label: str
    value: float
    low: float | None
    high: float | None
    seeds: int
    costs: Mapping[CostName, tuple[float, ...]]
    """One value a run; empty where the hardware does not tell."""
    runs: tuple[str, ...]
    """The directories of its finished runs."""


@dataclass(frozen=True, slots=True)
class Advice:
    """A sentence or two, and the runs that it rests on."""

    topic: str
    sentence: str
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Limit:
    """What a run may cost at most, in seconds or bytes, and as it was asked for."""

    value: float
    told: str


Limits = Mapping[CostName, Limit]
"""Those that were asked for."""

NO_LIMITS: Limits = {}


@dataclass(frozen=True, slots=True)
class Field:
    """The options that can be told apart or not: all that were scored on the same items."""

    options: tuple[Option, ...]
    verdicts: Mapping[tuple[str, str], Verdict]
    metric: str

    @classmethod
    def of(cls, options: Sequence[Option], verdicts: Sequence[Verdict], metric: str) -> Field:
        """Options from the best score down, with their verdicts by pair."""
        ordered = tuple(sorted(options, key=lambda option: -option.value))
        return cls(ordered, {(v.first, v.second): v for v in verdicts}, metric)

    def among(self, options: Sequence[Option]) -> Field:
        """The same verdicts on fewer options."""
        kept = {option.label for option in options}
        return Field(tuple(o for o in self.options if o.label in kept), self.verdicts, self.metric)

    def tied(self) -> list[Option]:
        """Those that no verdict separates from the best score, it included."""
        best, *others = self.options
        return [best, *(option for option in others if not self.beats(best, option))]

    def beats(self, first: Option, second: Option) -> bool:
        """Whether a verdict says that the first is better."""
        verdict = self.verdict(first, second)
        if verdict is None:
            return False
        return verdict.outcome == ("better" if verdict.first == first.label else "worse")

    def verdict(self, first: Option, second: Option) -> Verdict | None:
        """The one on the two, whichever is named first."""
        forth, back = (first.label, second.label), (second.label, first.label)
        return self.verdicts.get(forth) or self.verdicts.get(back)

    def lead(self, first: Option, second: Option, *, unit: str = "") -> str:
        """By how much the first scores higher: 1.9 [0.8, 3.1]."""
        verdict = self.verdict(first, second)
        assert verdict is not None
        found, sign = verdict.difference, 1 if verdict.first == first.label else -1
        ends = [sign * end for end in (found.low, found.high) if end is not None]
        return scored(sign * found.value, *sorted(ends), unit=unit)

    def shown(self, option: Option) -> str:
        """An option with its score: lora-r8 (61.0 F1 [56.8, 65.2])."""
        ends = [end for end in (option.low, option.high) if end is not None]
        return f"{option.label} ({scored(option.value, *ends, unit=self.metric)})"


def recommend(field: Field, *, limits: Limits = NO_LIMITS) -> list[Advice]:
    """The advice of a study on one metric, the most important first."""
    if not field.options:
        return [Advice("No answer yet", "No run finished, so there is nothing to recommend.", ())]
    if len(field.options) == 1:
        return [_only_one(field), *_within_limits(field, limits)]
    return [
        best_quality(field),
        *_cheapest(field),
        *_within_limits(field, limits),
        *_ladders(field, [name for name in COSTS if name not in limits]),
    ]


def best_quality(field: Field) -> Advice:
    """Which method scores best, and which cannot be told from it."""
    best, *others = field.options
    tied = field.tied()[1:]
    beaten = [option for option in others if option not in tied]
    if not tied:
        told = (
            f"{field.shown(best)} is better than every other method; "
            f"the next, {field.shown(others[0])}, is behind by {field.lead(best, others[0])}."
        )
    else:
        told = (
            f"No single best: {field.shown(best)} scored highest, but "
            f"{listed([field.shown(option) for option in tied])} "
            f"{_is(tied)} not separable from it{_able(field, best, tied)}."
        )
        if beaten:
            names = listed([option.label for option in beaten])
            nearest = f", the nearest of them, {beaten[0].label}," if len(beaten) > 1 else ""
            told += f" {best.label} is better than {names}{nearest} by "
            told += f"{field.lead(best, beaten[0])}."
    return Advice("Best quality", told + _scope(field.options), _runs([best, *others[:1], *tied]))


def _only_one(field: Field) -> Advice:
    (option,) = field.options
    told = f"{field.shown(option)} is the only method with a finished run; a comparison needs two."
    return Advice("One method", told + _scope(field.options), option.runs)


def _cheapest(field: Field) -> list[Advice]:
    """Among those that cannot be told from the best: who needs least of what."""
    tied = field.tied()
    if len(tied) == 1:
        return []
    decided: list[str] = []
    alike_in: list[str] = []
    for name in COSTS:
        known = _by_cost(tied, name)
        if len(known) < 2:
            continue
        least, most = known[0], known[-1]
        alike = [o for o in known[1:] if min(o.costs[name]) <= max(least.costs[name])]
        if len(alike) > len(known) // 2 or len(alike) == len(known) - 1:
            alike_in.append(f"{COSTS[name].name} ({_span(least, most, name)})")
        else:
            decided.append(_least(known, alike, name))
    parts = ["; ".join(decided)] if decided else []
    if alike_in:
        verb = "do" if len(alike_in) > 1 else "does"
        parts.append(f"their {listed(alike_in)} {verb} not tell them apart")
    told = f"Among {listed([option.label for option in tied])}: {'; '.join(parts)}."
    return [Advice("Cheapest within noise of the best", told, _runs(tied))] if parts else []


def _by_cost(options: Sequence[Option], name: CostName) -> list[Option]:
    """Those whose runs tell the cost, the cheapest first."""
    known = [option for option in options if option.costs[name]]
    return sorted(known, key=lambda option: middle(option.costs[name]))


def _least(known: Sequence[Option], alike: Sequence[Option], name: CostName) -> str:
    """Who needs least of one cost; those whose runs overlap with its runs need about the same."""
    least, show = known[0], COSTS[name].show
    dearer = next(option for option in known[1:] if option not in alike)
    about = f" (about the same: {listed([option.label for option in alike])})" if alike else ""
    spent, more = middle(least.costs[name]), middle(dearer.costs[name])
    return f"least {COSTS[name].name}: {least.label}{about}, {show(spent)} against {show(more)}"


def _span(least: Option, most: Option, name: CostName) -> str:
    low, high = (COSTS[name].show(middle(option.costs[name])) for option in (least, most))
    return low if low == high else f"{low} to {high}"


def _within_limits(field: Field, limits: Limits) -> list[Advice]:
    """The best under each limit, and under all of them together."""
    advice = [_under(field, {name: limit}) for name, limit in limits.items()]
    return [*advice, _under(field, limits)] if len(limits) > 1 else advice


def _under(field: Field, limits: Limits) -> Advice:
    asked = listed([f"{limit.told} of {COSTS[name].name}" for name, limit in limits.items()])
    topic = f"Best under {asked}"
    fitting = [
        option
        for option in field.options
        if all(o and max(o) <= limits[n].value for n, o in option.costs.items() if n in limits)
    ]
    if not fitting:
        return Advice(topic, _nothing_fits(field, limits), _runs(field.options))
    inside = field.among(fitting)
    tied = inside.tied()
    left = [option.label for option in field.options if option not in fitting]
    told = (
        field.shown(tied[0])
        if len(tied) == 1
        else f"{listed([field.shown(option) for option in tied])}, not separable"
    )
    told += f"; {listed(left)} {'needs' if len(left) == 1 else 'need'} more." if left else "."
    return Advice(topic, told, _runs(tied))


def _nothing_fits(field: Field, limits: Limits) -> str:
    if len(limits) > 1:
        return "No method stays within all of them."
    name = next(iter(limits))
    known = [option for option in field.options if option.costs[name]]
    if not known:
        return f"No run tells its {COSTS[name].name}."
    least = min(known, key=lambda option: max(option.costs[name]))
    return f"No method; the least is {COSTS[name].show(max(least.costs[name]))}, of {least.label}."


def _ladders(field: Field, names: Sequence[CostName]) -> list[Advice]:
    """Cost by cost, what is worth paying for: each step up is shown to score higher."""
    advice: list[Advice] = []
    for name in names:
        known = _by_need(field.options, name)
        steps: list[Option] = []
        for option in known:
            if not steps or field.beats(option, steps[-1]):
                steps.append(option)
        if len(known) < 2 or len({max(option.costs[name]) for option in known}) < 2:
            continue
        show, called = COSTS[name].show, COSTS[name].name
        parts = [
            f"{step.label} from {show(max(step.costs[name]))} "
            f"({scored(step.value, unit=field.metric)})"
            for step in steps
        ]
        rest = "" if len(steps) == len(known) else f" More {called} is not shown to buy more."
        if rest and steps[-1] is not known[-1] and steps[-1] is field.options[0]:
            rest = " No other method scores higher."
        elif rest and steps[-1] is known[-1]:
            rest = " No other method is shown to be better for less."
        advice.append(Advice(f"If {called} is limited", f"{listed(parts)}.{rest}", _runs(steps)))
    return advice


def _by_need(options: Sequence[Option], name: CostName) -> list[Option]:
    """Those whose runs tell the cost, by what all their runs need; of equals the better first."""
    known = [option for option in options if option.costs[name]]
    return sorted(known, key=lambda option: (max(option.costs[name]), -option.value))


def pareto(options: Sequence[Option], name: CostName) -> list[Option]:
    """Those that no other beats in score at the same or a lower cost; the highest score first."""
    known = [option for option in options if option.costs[name]]
    known.sort(key=lambda option: (-option.value, middle(option.costs[name])))
    kept: list[Option] = []
    for option in known:
        if not kept or middle(option.costs[name]) < middle(kept[-1].costs[name]):
            kept.append(option)
    return kept


def listed(names: Sequence[str], *, most: int = 5) -> str:
    """a, b and c; of many, the first ones and how many others."""
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} others"
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _able(field: Field, best: Option, tied: Sequence[Option]) -> str:
    found = [verdict for option in tied if (verdict := field.verdict(best, option))]
    able = [verdict.detectable for verdict in found if verdict.detectable is not None]
    return f"; this study can show differences above {scored(max(able))}" if able else ""


def _scope(options: Sequence[Option]) -> str:
    """With one seed nothing is known about how much another one would differ."""
    single = [option.label for option in options if option.seeds == 1]
    if not single:
        return ""
    if len(single) == len(options):
        whose = "One seed each: this is about these trained models, not about the methods."
    else:
        whose = f"One seed of {listed(single)}: what is said of it is about one trained model."
    return f" {whose}"


def _is(options: Sequence[Option]) -> str:
    return "is" if len(options) == 1 else "are"


def _runs(options: Sequence[Option]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(run for option in options for run in option.runs))
