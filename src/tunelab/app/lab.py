"""All that the page works with, made once when it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunelab.answering import Answered, load_answerer
from tunelab.app.asking import ask_all
from tunelab.app.catalogue import Catalogue
from tunelab.app.chatting import Replies
from tunelab.app.data_view import Looks
from tunelab.app.shelf import Room, Shelf, measured_room
from tunelab.app.studies import Studies
from tunelab.app.teaching import Taught
from tunelab.app.uncertain import Unlabelled
from tunelab.data import Example


@dataclass(frozen=True, slots=True)
class Lab:
    """The runs, the loaded models, and what is kept of both."""

    catalogue: Catalogue
    shelf: Shelf
    replies: Replies
    studies: Studies
    looks: Looks
    unlabelled: Unlabelled
    taught: Taught | None
    """None: nobody can teach."""

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        *,
        taught: Path | None,
        questions: Path | None,
        room: Room = measured_room,
    ) -> Lab:
        """A lab of the runs, studies and checkpoints of these names.

        Args:
            names: as `Catalogue` takes them.
            taught: where taught rows are saved; None: nobody can teach.
            questions: a SQuAD file of unlabelled questions.
            room: what memory is left for models.

        Raises:
            TunelabError: a name is no run, or a file cannot be read.
        """
        catalogue = Catalogue(names)
        shelf = Shelf(
            lambda name: load_answerer(catalogue.entry(name).source),
            size=lambda name: catalogue.entry(name).weights_bytes,
            room=room,
        )
        return cls(
            catalogue,
            shelf,
            Replies(),
            Studies(),
            Looks(),
            Unlabelled(questions),
            Taught(taught) if taught is not None else None,
        )

    def ask_all(self, name: str, examples: Sequence[Example]) -> list[Answered]:
        """Many questions put to one run, in its own way."""
        return ask_all(self.catalogue, self.shelf, name, examples)
