"""What a user asks for: the schema, its YAML form, and the grid of runs that it describes."""

from tunelab.recipe.grid import digest, expand, labels, trials, tuning_label, with_settings
from tunelab.recipe.reading import dump, expand_variables, read_recipe, validate
from tunelab.recipe.schema import (
    Evaluation,
    FullTuning,
    HeadTuning,
    LoraTuning,
    Model,
    NoTuning,
    PeftTuning,
    PrefixTuning,
    Prompt,
    PromptTuning,
    Recipe,
    Search,
    Task,
    Training,
    Tuning,
)

__all__ = [
    "Evaluation",
    "FullTuning",
    "HeadTuning",
    "LoraTuning",
    "Model",
    "NoTuning",
    "PeftTuning",
    "PrefixTuning",
    "Prompt",
    "PromptTuning",
    "Recipe",
    "Search",
    "Task",
    "Training",
    "Tuning",
    "digest",
    "dump",
    "expand",
    "expand_variables",
    "labels",
    "read_recipe",
    "trials",
    "tuning_label",
    "validate",
    "with_settings",
]
