"""Official file formats, hub data sets and the generated set, read as examples; and splits."""

from tunelab.data.choice import ChoiceExample
from tunelab.data.choices import Shots, load_choices
from tunelab.data.example import Answer, Example, examples_digest, misplaced_answers, text_hash
from tunelab.data.sources import ItemT, TaskData, load_sources, load_squad
from tunelab.data.splits import shared_paragraphs, split_validation, take_limit
from tunelab.data.squad import parse_squad, read_json, read_squad

__all__ = [
    "Answer",
    "ChoiceExample",
    "Example",
    "ItemT",
    "Shots",
    "TaskData",
    "examples_digest",
    "load_choices",
    "load_sources",
    "load_squad",
    "misplaced_answers",
    "parse_squad",
    "read_json",
    "read_squad",
    "shared_paragraphs",
    "split_validation",
    "take_limit",
    "text_hash",
]
