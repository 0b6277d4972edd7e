"""Official file formats, hub data sets and the generated set, read as `Example`; and splits."""

from tunelab.data.example import Answer, Example, examples_digest, misplaced_answers, text_hash
from tunelab.data.sources import TaskData, load_sources, load_task
from tunelab.data.splits import shared_paragraphs, split_validation, take_limit
from tunelab.data.squad import parse_squad, read_json, read_squad

__all__ = [
    "Answer",
    "Example",
    "TaskData",
    "examples_digest",
    "load_sources",
    "load_task",
    "misplaced_answers",
    "parse_squad",
    "read_json",
    "read_squad",
    "shared_paragraphs",
    "split_validation",
    "take_limit",
    "text_hash",
]
