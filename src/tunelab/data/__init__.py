"""Official file formats, hub data sets and the generated set, read as examples; and splits."""

from tunelab.data.choice import ChoiceExample
from tunelab.data.choices import Shots, load_choices
from tunelab.data.conversation import Conversation, Role, Turn
from tunelab.data.example import (
    Answer,
    Example,
    ItemT,
    Mixed,
    Single,
    examples_digest,
    misplaced_answers,
    text_hash,
)
from tunelab.data.mixture import MixtureData, load_mixture, load_single, part_shares
from tunelab.data.passage import Passage
from tunelab.data.sources import TaskData, load_sources, load_squad
from tunelab.data.splits import shared_paragraphs, split_validation, take_limit
from tunelab.data.squad import parse_squad, read_json, read_squad
from tunelab.data.text import load_text
from tunelab.data.written import load_written

__all__ = [
    "Answer",
    "ChoiceExample",
    "Conversation",
    "Example",
    "ItemT",
    "Mixed",
    "MixtureData",
    "Passage",
    "Role",
    "Shots",
    "Single",
    "TaskData",
    "Turn",
    "examples_digest",
    "load_choices",
    "load_mixture",
    "load_single",
    "load_sources",
    "load_squad",
    "load_text",
    "load_written",
    "misplaced_answers",
    "parse_squad",
    "part_shares",
    "read_json",
    "read_squad",
    "shared_paragraphs",
    "split_validation",
    "take_limit",
    "text_hash",
]
