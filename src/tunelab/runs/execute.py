"""One run, from its resolved recipe to its finished directory.

    data -> model -> tuning -> training -> saving -> proofs -> predictions -> scores

The manifest is written first with status `running`, and last with how the run ended. Where several
processes train together each goes this way; all but the first leave it when the training is over,
unless the model is sharded, and what they write is thrown away.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import torch
from accelerate.utils import set_seed

from tunelab.data import Example, ItemT, TaskData, load_squad
from tunelab.errors import Interrupted, ProofError, StorageError
from tunelab.evaluation.measure import task_scores
from tunelab.models.precision import precision_notes
from tunelab.recipe import NoTuning, Recipe, SquadTask, digest, dump
from tunelab.records import Manifest, Proof, RunDirectory, Status, Step, write_atomically
from tunelab.records.files import remove_leftovers, storage_errors
from tunelab.report.card import write_card
from tunelab.runs.answering import Answering
from tunelab.runs.cost import Used, cost, cost_of_asking
from tunelab.runs.decoding import DecoderFamily
from tunelab.runs.encoding import EncoderFamily
from tunelab.runs.ending import ending
from tunelab.runs.environment import hardware, versions
from tunelab.runs.examples import describe
from tunelab.runs.family import Trainable, load_family
from tunelab.runs.opening import Opened, open_task
from tunelab.runs.progress import Display
from tunelab.runs.remote import RemoteFamily
from tunelab.runs.remote_checks import estimated_price
from tunelab.runs.scoring import score, score_also
from tunelab.runs.sharing import NOTHING_SHARED, Shared
from tunelab.runs.storing import store
from tunelab.runs.tracking import Mirror
from tunelab.runs.trained import Trained, find_trained
from tunelab.training.devices import Devices, Seat, meet, refuse_difference, take_device
from tunelab.training.loop import Hooks, Outcome, train
from tunelab.training.meters import EnergyMeter, MemoryMeter
from tunelab.training.mixture import epoch_size
from tunelab.training.schedule import steps_per_epoch
from tunelab.tuning import TrainingWatch, TunedModel
from tunelab.tuning.proofs import raise_unless_held


def execute(
    recipe: Recipe,
    label: str,
    directory: RunDirectory,
    *,
    quiet: bool,
    stop: Callable[[], bool],
    shared: Shared = NOTHING_SHARED,
    seat: Seat | None = None,
) -> None:
    """Do a run, or what an interrupted one left to do; with a seat, this process's part of it.

    What can go wrong in a run is not raised: it becomes the status of its manifest, with a
    message, so that the other runs of a grid go on and the table shows it.
    """
    take_device(seat)
    run = _Run(recipe, label, directory, quiet=quiet, stop=stop, shared=shared, seat=seat)
    try:
        run.do()
    except Exception as error:  # noqa: BLE001 - every run ends with a status
        with suppress(StorageError):  # if not even this can be written, the parent process tells
            run.end(*ending(error))
    finally:
        run.mirror.finish()


class _Run:
    """A run while it goes on: its manifest grows with what is known."""

    def __init__(
        self,
        recipe: Recipe,
        label: str,
        directory: RunDirectory,
        *,
        quiet: bool,
        stop: Callable[[], bool],
        shared: Shared,
        seat: Seat | None,
    ) -> None:
        self.recipe = recipe
        self.seat = seat
        self.shared = shared
        self.directory = directory
        self.stop = stop
        self.began = time.perf_counter()
        self.memory = MemoryMeter()
        self.energy = EnergyMeter()
        self.display = Display(directory.path.name, quiet=quiet)
        self.mirror = Mirror(recipe, directory, say=self.display.say)
        self.answering_display = Display(
            directory.path.name, quiet=quiet, look_up=self._raise_if_stopped
        )
        self.manifest = Manifest(
            label=label,
            digest=digest(recipe),
            status="running",
            versions=versions(),
            hardware=hardware(),
            threads=torch.get_num_threads(),
        )

    def do(self) -> None:
        """The run from top to bottom."""
        recipe = self.recipe
        write_atomically(self.directory.recipe, dump(recipe))
        remove_leftovers(self.directory.path)
        match recipe.task:
            case SquadTask():
                data = self.shared.data or load_squad(recipe.task)
                work = self._tune if recipe.model.endpoint is None else self._ask
                self._begin(data)
                work(data)
            case task:
                opened = open_task(recipe, task, display=self.answering_display)
                self._begin(opened.data)
                self._respond(opened)
        if self.seat is not None and self.seat.rank > 0:
            self.end("ok")
            return
        self.note(notes=(*self.manifest.notes, *self.mirror.notes))
        write_card(self.directory)
        self.note(files=self.directory.file_records())
        self.end("ok")
        shutil.rmtree(self.directory.checkpoints, ignore_errors=True)

    def _meet(self) -> Devices:
        """Every generator seeded, and the other processes joined, where there are any."""
        set_seed(self.recipe.seed)
        precision = "bf16" if self.recipe.model.dtype == "bf16" else "no"
        devices = meet(self.seat, mixed_precision=precision)
        processes = {"processes": self.seat.line} if self.seat is not None else {}
        found = self.manifest.hardware | processes
        self.note(hardware=found, threads=torch.get_num_threads())
        return devices

    def _begin(self, data: TaskData[ItemT]) -> None:
        trains = not isinstance(self.recipe.tuning, NoTuning)
        about_precision = precision_notes(self.recipe.model, trains=trains)
        for sentence in about_precision:
            self.display.say(sentence)
        self.note(data=describe(data), notes=(*data.notes, *about_precision))
        self.mirror.start()

    def end(self, status: Status, message: str = "", trace: str = "") -> None:
        """Write how the run ended."""
        with storage_errors(self.directory.error):
            self.directory.error.unlink(missing_ok=True)
        if message:
            write_atomically(self.directory.error, f"{message}\n{trace}")
            self.display.say(f"{status}: {message}")
        self.note(status=status, message=message)

    def note(self, **changes: object) -> None:
        """Add to the manifest, on disk too."""
        self.manifest = self.manifest.model_copy(update=changes)
        self.directory.write_manifest(self.manifest)

    def _tune(self, data: TaskData[Example]) -> None:
        """A model at hand: tune it, and answer with it."""
        recipe = self.recipe
        devices = self._meet()
        scored = find_trained(recipe, self.directory)
        family = load_family(
            recipe,
            data.train,
            total_steps=_training_steps(recipe, len(data.train)),
            accelerator=devices.accelerator,
            display=self.answering_display,
            tokens=self.shared.tokens,
            stored=scored.stored if scored else None,
            home=devices.home,
        )
        self.note(model=family.identity())
        answering = Answering(recipe, family)

        trained: Outcome | None = None
        if family.tuned.expected:
            held_out = data.validation
            validate = (lambda: answering.validation_f1(held_out)) if held_out else None
            trained = self._train(data.train, family, validate, devices)
            answering.seconds = trained.seconds_validation  # those of earlier sessions too
        if devices.answers:
            devices.answered(lambda: self._answer(data, family, answering, scored, devices))
        if not devices.is_first:
            return
        self.note(notes=(*self.manifest.notes, *family.notes))
        self._costed(family.tuned, trained, answering.seconds, answered=family.answered_tokens)

    def _answer(
        self,
        data: TaskData[Example],
        family: EncoderFamily | DecoderFamily,
        answering: Answering,
        scored: Trained | None,
        devices: Devices,
    ) -> None:
        """All that is asked of the model when it is trained."""
        if not family.tuned.expected:
            family.prove_sharing(data.test)
        self._score(data, answering, scored)
        if scored is not None:
            return
        self._also(family, devices)
        if self.recipe.evaluation.contamination:
            shards = answering.order_shards(data.test, reader=family.reader)
            self.directory.write_contamination(shards)

    def _respond(self, opened: Opened) -> None:
        """Any other task: tune a model, and let it choose or write."""
        recipe, data = self.recipe, opened.data
        devices = self._meet()
        steps = _training_steps(recipe, opened.examples)
        family = opened.family(steps, devices.accelerator, home=devices.home)
        self.note(model=family.identity())
        trained: Outcome | None = None
        if family.tuned.expected:
            validate = (lambda: family.score(data.validation)) if data.validation else None
            trained = self._train(data.train, family, validate, devices)
        if not devices.answers:
            return
        wanted = data.test if recipe.evaluation.split == "test" else data.validation
        if not family.tuned.expected:
            devices.answered(lambda: family.prove_sharing(wanted))
        began = time.perf_counter()
        predictions = devices.answered(lambda: family.answer(wanted, recipe.evaluation.split))
        seconds = time.perf_counter() - began
        seconds += trained.seconds_validation if trained else 0.0
        self.directory.write_predictions(predictions)
        scores = task_scores(recipe.task, predictions)
        self.directory.write_scores(scores)
        self.mirror.scores(scores)
        devices.answered(lambda: self._also(family, devices))
        if not devices.is_first:
            return
        self.note(notes=(*self.manifest.notes, *family.notes))
        self._costed(family.tuned, trained, seconds, answered=0)

    def _ask(self, data: TaskData[Example]) -> None:
        """A model behind an endpoint: answer with it."""
        api = self.recipe.model.api
        self.display.say(estimated_price(self.recipe, data))
        family = RemoteFamily(self.recipe, data.train, display=self.display, stop=self.stop)
        self.note(model=family.identity())
        answering = Answering(self.recipe, family)
        self._score(data, answering, None)
        spent = family.spending
        self.note(
            notes=(*self.manifest.notes, *family.notes, spent.sentence(api)),
            cost=cost_of_asking(answering.seconds, price=spent.price(api)),
        )

    def _train(
        self,
        examples: Sequence[ItemT],
        family: Trainable[ItemT],
        validate: Callable[[], float] | None,
        devices: Devices,
    ) -> Outcome:
        """Train, save, and prove that what was saved is what was trained."""
        recipe = self.recipe
        tuned = family.tuned
        objective = family.objective(examples)
        total = _training_steps(recipe, epoch_size(objective))
        origin = f"{self.manifest.data} {self.manifest.model}"
        refuse_difference(devices.from_all(origin))
        devices.prepare(tuned)
        watch = TrainingWatch(tuned)
        try:
            with self.display.phase("training", total) as advance:

                def told(step: Step) -> None:
                    advance(1, f"loss {step.loss:.3f}")
                    self.mirror.step(step)

                outcome = train(
                    tuned,
                    objective,
                    recipe.training,
                    devices=devices,
                    seed=recipe.seed,
                    directory=self.directory,
                    origin=hashlib.sha256(origin.encode()).hexdigest(),
                    watch=watch,
                    memory=self.memory,
                    hooks=Hooks(
                        validate=validate if recipe.training.epochs > 1 else None,
                        advance=told,
                        stop=self.stop,
                        say=self.display.say,
                        skip=lambda count: advance(count, ""),
                    ),
                )
        except ProofError:
            self.note(proofs=(*family.proofs, *watch.proofs_so_far()))
            raise
        agreed = devices.agreement(tuned.trained_parameters())
        kept = outcome.best_epoch or recipe.training.epochs
        last = outcome.steps[-max(1, total // 10) :]
        self.note(
            steps=total,
            loss_first=outcome.steps[0].loss,
            loss_last=sum(step.loss for step in last) / len(last),
            notes=(*self.manifest.notes, f"kept epoch {kept} of {recipe.training.epochs}"),
        )
        if devices.answers:
            proofs = store(family, examples, watch, devices=devices, directory=self.directory)
            self._prove((*agreed, *proofs))
        return outcome

    def _raise_if_stopped(self) -> None:
        if self.stop():
            raise Interrupted(
                "Stopped while answering; what was trained is in a checkpoint.",
                hint="The same command goes on from there.",
            )

    def _prove(self, proofs: Sequence[Proof]) -> None:
        self.note(proofs=tuple(proofs))
        raise_unless_held(proofs)

    def _also(self, family: Trainable[ItemT], devices: Devices) -> None:
        notes = score_also(
            self.recipe,
            family.tuned,
            family.tokenizer,
            share=family.share,
            accelerator=devices.accelerator,
            directory=self.directory,
            display=self.answering_display,
        )
        self.note(notes=(*self.manifest.notes, *notes))

    def _score(self, data: TaskData[Example], answering: Answering, scored: Trained | None) -> None:
        directory = self.directory
        threshold = score(self.recipe, data, answering, scored=scored, directory=directory)
        self.mirror.scores(directory.read_scores())
        self.note(no_answer_threshold=threshold)

    def _costed(
        self, tuned: TunedModel, trained: Outcome | None, evaluation: float, *, answered: int
    ) -> None:
        used = Used(
            trained=trained,
            seconds=time.perf_counter() - self.began,
            seconds_evaluation=evaluation,
            answered_tokens=answered,
            peak_memory_bytes=self.memory.peak_bytes(),
            energy_joules=self.energy.joules(),
        )
        saved = sum(path.stat().st_size for path in self.directory.weights())
        self.note(cost=cost(used, tuned, saved_bytes=saved, hourly=self.recipe.price_per_hour))


def _training_steps(recipe: Recipe, count: int) -> int:
    """Of a run that trains on so many examples."""
    return recipe.training.epochs * steps_per_epoch(count, recipe.training.batch_size)
