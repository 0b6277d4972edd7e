"""The training loop: one readable function for every method.

An optimiser step sees `batch_size` examples, whatever passes they are cut into and however many
processes share these: the loss is the sum over the step's targets divided by their count, so
cutting changes nothing but rounding. Every process runs this loop; the first one writes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tunelab.errors import DivergedError, Interrupted
from tunelab.recipe import Training
from tunelab.records import RunDirectory, Step, append_line, write_atomically
from tunelab.training.checkpoint import Checkpoints, Progress
from tunelab.training.devices import Devices
from tunelab.training.meters import MemoryMeter
from tunelab.training.mixture import drawn_order, epoch_size
from tunelab.training.objective import Objective
from tunelab.training.optimizers import make_optimizer
from tunelab.training.schedule import rate_factor, step_examples, steps_per_epoch
from tunelab.tuning import TrainingWatch, TunedModel
from tunelab.tuning.sharded import whole

DIVERGED_FACTOR = 100.0
"""A loss above this many times the first step's (or above this, if that was below 1) diverged."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the loop asks of the world around it."""

    validate: Callable[[], float] | None
    """Score on validation, higher is better; None where nothing is chosen."""
    advance: Callable[[Step], None]
    """Told after every step."""
    stop: Callable[[], bool]
    """Whether somebody asked the run to stop."""
    skip: Callable[[int], None] = lambda _count: None
    """Told how many steps an earlier session did."""
    say: Callable[[str], None] = lambda _sentence: None
    """Told in one line what a reader of the progress should know."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished training leaves besides the weights."""

    steps: list[Step]
    best_epoch: int | None
    """Counts from 1; None where the last one was kept."""
    seconds_validation: float
    """Over all sessions of a resumed run."""
    resumed: bool
    """Whether an earlier session did a part."""


def train(
    tuned: TunedModel,
    objective: Objective,
    settings: Training,
    *,
    devices: Devices,
    seed: int,
    directory: RunDirectory,
    origin: str,
    watch: TrainingWatch,
    memory: MemoryMeter,
    hooks: Hooks,
) -> Outcome:
    """Train in place; goes on from the latest complete checkpoint in `directory`.

    A checkpoint is written every `checkpoint_steps`, when an epoch ends, and again when it was
    validated, so that a kill during a validation costs that validation alone.

    Args:
        objective: the training examples and their loss.
        devices: the processes that train together; the model is prepared for them.
        origin: names the data and the weights the training begins with; a checkpoint of another
            origin is not gone on from.

    Raises:
        DivergedError: the loss is not a number, or beyond every bound.
        ProofError: a claim about the training did not hold.
        Interrupted: `hooks.stop` asked for it; a checkpoint was written.
        StorageError: the disk is full; the checkpoints so far are kept.
    """
    trained = tuned.trained_parameters()
    groups = tuned.parameter_groups(settings.learning_rate, settings.weight_decay)
    optimizer = make_optimizer(settings, groups)
    rates = [group["lr"] for group in optimizer.param_groups]
    watch.before(optimizer)
    checkpoints = Checkpoints(
        directory, tuned, optimizer, watch, origin=origin, devices=devices, say=hooks.say
    )
    progress, steps = checkpoints.restore()
    resumed = progress.step > 0
    # what was done behind the checkpoint is done again
    write_atomically(directory.steps, "".join(row.model_dump_json() + "\n" for row in steps))
    hooks.skip(progress.step)
    per_epoch = steps_per_epoch(epoch_size(objective), settings.batch_size)
    total = per_epoch * settings.epochs
    tuned.model.train()
    drawn, order = -1, list[int]()

    while True:
        index = progress.step
        epoch, step_in_epoch = divmod(index, per_epoch)
        if hooks.validate is not None and settings.select == "best" and progress.validated < epoch:
            _validate(progress, hooks.validate, checkpoints, devices)
            checkpoints.save(progress, steps)
            tuned.model.train()
        if index == total:
            break
        began = time.perf_counter()
        if epoch != drawn:  # once, for it takes long where the data are large
            order = drawn_order(objective, seed=seed, epoch=epoch)
            drawn = epoch
        chosen = step_examples(order, step_in_epoch, settings.batch_size)
        batch = objective.batch(chosen)

        loss = devices.backward(batch.passes(devices.size), targets=batch.targets)
        tuned.after_backward()
        watch.after_backward()
        norm = devices.accelerator.clip_grad_norm_(list(trained.values()), settings.max_grad_norm)
        assert norm is not None  # it is, with DeepSpeed alone
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * rate_factor(index, total, settings)
        optimizer.step()
        watch.after_step()
        tuned.after_step(index)
        optimizer.zero_grad(set_to_none=True)

        progress.step = index + 1
        progress.examples += len(chosen)
        steps.append(
            Step(
                step=progress.step,
                examples=progress.examples,
                tokens=batch.tokens,
                target_tokens=batch.targets,
                loss=loss,
                learning_rate=settings.learning_rate * rate_factor(index, total, settings),
                grad_norm=float(whole(norm)),
                seconds=time.perf_counter() - began,
                peak_memory_bytes=memory.peak_bytes(),
            )
        )
        append_line(directory.steps, steps[-1])
        hooks.advance(steps[-1])
        _refuse_divergence(steps)

        at_epoch_end = step_in_epoch + 1 == per_epoch
        stopping = devices.any(hooks.stop())
        if at_epoch_end or stopping or progress.step % settings.checkpoint_steps == 0:
            checkpoints.save(progress, steps)
        if stopping:
            raise Interrupted(
                f"Stopped after step {progress.step} of {total}; a checkpoint is written.",
                hint="The same command goes on from there.",
            )

    checkpoints.load_best(progress)
    tuned.model.eval()
    return Outcome(steps, progress.best_epoch, progress.seconds_validation, resumed)


def _refuse_divergence(steps: Sequence[Step]) -> None:
    first, last = steps[0].loss, steps[-1]
    bound = DIVERGED_FACTOR * max(first, 1.0) if math.isfinite(first) else 0.0
    if not (math.isfinite(last.loss) and math.isfinite(last.grad_norm)) or last.loss > bound:
        raise DivergedError(
            f"The training diverged: at step {last.step} the loss is {last.loss:g} and the "
            f"gradient norm {last.grad_norm:g}, at a learning rate of {last.learning_rate:g}.",
            hint="Lower training.learning_rate, lengthen training.warmup, or use model.dtype=f32.",
        )


def _validate(
    progress: Progress,
    validate: Callable[[], float],
    checkpoints: Checkpoints,
    devices: Devices,
) -> None:
    """Validate the epoch that just ended, and keep its weights if it is the best so far."""
    began = time.perf_counter()
    score = devices.judged(validate)
    progress.seconds_validation += time.perf_counter() - began
    progress.validated += 1
    if progress.best_score is None or score > progress.best_score:
        checkpoints.save_best(progress.validated)
        progress.best_epoch, progress.best_score = progress.validated, score
