"""What a model may be asked, and the one thread on which it answers.

What arrives within a few milliseconds, or while the model is busy, is done together: questions on
one paragraph, or conversations with one beginning, then share a token tree. A torch model, a
tokenizer and autocast are at home on one thread; everybody else waits for a future.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from tunelab.answering.answered import Answered
from tunelab.answering.listener import Piece, Reply
from tunelab.data import Example
from tunelab.prompts.chat import Message
from tunelab.recipe import Evaluation

GATHERING_SECONDS = 0.004
"""How long the first of several requests waits for another; each one that comes is waited on."""
GATHERINGS = 10
"""But no more often than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How a reply is written."""

    max_tokens: int = 256
    temperature: float = 0.0
    """0: always the likeliest token."""
    top_p: float = 1.0
    """Among the fewest tokens that together have this probability."""
    seed: int | None = None
    """None: another draw each time."""
    stop: tuple[str, ...] = ()
    """Texts that end a reply."""
    rivals: int | None = None
    """How many rivals of each token are told with their log-probabilities; None: no scores."""


@dataclass(slots=True)
class Questions:
    """Examples to be answered in one way."""

    examples: Sequence[Example]
    settings: Evaluation
    future: Future[list[Answered]] = field(default_factory=Future)


@dataclass(slots=True)
class Talk:
    """A conversation to be replied to, or a bare text to be continued."""

    prompt: Sequence[Message] | str
    writing: Writing
    hear: Callable[[Piece], None]
    left: threading.Event = field(default_factory=threading.Event)
    """Set by whoever no longer wants the reply."""
    future: Future[Reply] = field(default_factory=Future)


Job = Questions | Talk


class Desk:
    """Takes jobs from any thread, and does them in groups on its own.

    Args:
        work: does a group, and settles the future of each of its jobs.
    """

    def __init__(self, work: Callable[[list[Job]], None]) -> None:
        self._work = work
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._attend, name="model", daemon=True)
        self._thread.start()

    def put(self, job: Job) -> None:
        """Leave a job; its future tells when it is done."""
        assert not self._closed, "a desk that was closed takes no more jobs"
        self._jobs.put(job)

    def close(self) -> None:
        """Finish what was left, and end the thread."""
        self._closed = True
        self._jobs.put(None)
        self._thread.join()

    def _attend(self) -> None:
        last = False
        while not last and (first := self._jobs.get()) is not None:
            group = [first]
            for _ in range(GATHERINGS):
                time.sleep(GATHERING_SECONDS)
                came = [self._jobs.get() for _ in range(self._jobs.qsize())]
                last = None in came
                group += [job for job in came if job is not None]
                if last or not came:
                    break
            # from here on nobody can cancel a job, so that its future can be settled
            group = [job for job in group if job.future.set_running_or_notify_cancel()]
            try:
                self._work(group)
            except Exception as error:  # noqa: BLE001 - whoever waits learns of it
                for job in group:
                    if not job.future.done():
                        job.future.set_exception(error)
