"""What is looked at before a model behind an endpoint is asked: settings, and the price."""

from __future__ import annotations

from collections.abc import Sequence

from tunelab.data import Example, TaskData, load_squad
from tunelab.endpoint import ReplyCache, estimate, read_address
from tunelab.endpoint.body import Body
from tunelab.errors import PriceError, RecipeError
from tunelab.evaluation.ablations import ablate
from tunelab.recipe import NoTuning, Recipe, extractive
from tunelab.runs.remote import bodies_of, wording_of


def check_remote(runs: Sequence[Recipe]) -> None:
    """Refuse what a model behind an endpoint cannot do, or may not cost.

    Raises:
        RecipeError: the address, the key, or a setting does not fit.
        PriceError: what is not in the cache would cost more than `max_price`.
    """
    prices: list[float] = []
    for run in runs:
        if run.model.endpoint is None:
            continue
        _check_settings(run)
        api = run.model.api
        if api.max_price is None:
            continue
        price = estimate(_uncached(run, load_squad(extractive(run.task))), api)
        if price is None:
            raise RecipeError(
                "model.api.max_price is set, but no price is: nothing can be estimated.",
                hint="Set model.api.input_price and output_price, per million tokens.",
            )
        prices.append(price)
        if sum(prices) > api.max_price:
            raise PriceError(
                f"Asking {run.model.name} would cost about {sum(prices):.4g}, and "
                f"model.api.max_price is {api.max_price:g}. Nothing was asked.",
                hint="Raise model.api.max_price, or lower task.test_limit.",
            )


def estimated_price(run: Recipe, data: TaskData[Example]) -> str:
    """A sentence on what is not in the cache yet."""
    bodies = _uncached(run, data)
    price = estimate(bodies, run.model.api)
    told = f"{len(bodies):,} requests to {run.model.name} are not in the cache"
    return told if price is None else f"{told}; they will cost about {price:.4g}"


def _check_settings(run: Recipe) -> None:
    read_address(run.model)
    settings, prompt = run.evaluation, run.prompt
    wrong = [
        name
        for name, is_wrong in (
            ("tuning.kind", not isinstance(run.tuning, NoTuning)),
            ("evaluation.decoding", settings.decoding == "beams"),
            ("evaluation.constrain", settings.constrain != "none"),
            ("evaluation.force_start", settings.force_start),
            ("evaluation.reasoning_limit", settings.reasoning_limit > 0),
            ("evaluation.contamination", settings.contamination),
            ("prompt.reasoning_tokens", prompt.reasoning_tokens > 0),
        )
        if is_wrong
    ]
    if wrong:
        raise RecipeError(
            f"'{wrong[0]}' asks for what a model behind an endpoint cannot do: it is asked, and "
            "writes as it likes.",
            hint="Say tuning: {kind: none} (shots are allowed), evaluation.decoding=greedy or "
            "sample, and leave the others out.",
        )
    if isinstance(settings.no_answer_threshold, float) and not run.model.api.logprobs:
        raise RecipeError(
            "evaluation.no_answer_threshold is a number, but without log-probabilities there is "
            "nothing to hold against it.",
            hint="Set model.api.logprobs=20 where the endpoint offers them.",
        )


def _uncached(run: Recipe, data: TaskData[Example]) -> list[Body]:
    """The requests that a run will have to pay for."""
    wording = wording_of(run, data.train)
    asked = [*data.validation] if asks_validation(run) else []
    if run.evaluation.split == "test":
        asked += data.test
    for ablation in run.evaluation.ablations:
        asked += ablate(data.test, ablation, seed=run.seed)
    cache = ReplyCache.of(read_address(run.model).url)
    bodies = bodies_of(run, wording, asked)
    return [body for body in bodies if cache.find(body) is None]


def asks_validation(run: Recipe) -> bool:
    """Whether validation questions are answered, for a threshold or because they are the split."""
    settings = run.evaluation
    chooses = extractive(run.task).version == "2.0" and settings.no_answer_threshold == "validation"
    return settings.split == "validation" or (chooses and gives_scores(run))


def gives_scores(run: Recipe) -> bool:
    """Whether the recipe asks for log-probabilities, without which no threshold is chosen."""
    return run.model.endpoint is None or run.model.api.logprobs > 0
