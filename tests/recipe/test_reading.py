"""A recipe's mistakes are told by the key that was typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunelab.errors import RecipeError
from tunelab.recipe import ChatTask, LoraTuning, PeftTuning, SquadTask, dump, expand, read_recipe

GRID = """
name: methods
task: {version: 1.1, train: data/train.json, test: $SQUAD_HOME/dev.json.gz}
grid:
  cases:
    - {tuning: {kind: full}, training: {learning_rate: 3.0e-5}}
    - {tuning: {kind: lora, rank: 4}}
  task.train_limit: [500, 4000]
  seed: [0, 1]
"""


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    return tmp_path / "recipe.yaml"


def test_paths_are_relative_to_the_file_and_may_hold_variables(
    recipe_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQUAD_HOME", "/squad")
    recipe_file.write_text(GRID)
    recipe = read_recipe(recipe_file)
    assert isinstance(recipe.task, SquadTask)
    assert recipe.task.version == "1.1"
    assert recipe.task.train == (str(recipe_file.parent.resolve() / "data/train.json"),)
    assert recipe.task.test == ("$SQUAD_HOME/dev.json.gz",)


def test_a_variable_that_is_not_set_is_named(
    recipe_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SQUAD_HOME", raising=False)
    recipe_file.write_text(GRID)
    with pytest.raises(RecipeError, match=r"\$SQUAD_HOME, which is not set"):
        read_recipe(recipe_file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training: {epoch: 3}", r"(?s)no setting 'training.epoch'.*Did you mean 'epochs'"),
        ("tuning: {kind: lora, rnk: 3}", r"(?s)no setting 'tuning.rnk'.*Did you mean 'rank'"),
        ("tuning: {rank: 3}", "'tuning' has no kind"),
        ("tuning: {kind: vera, rank: 3}", r"(?s)no setting 'tuning.rank'.*Allowed: kind, options"),
        ("training: {epochs: many}", "'training.epochs' is 'many', but"),
        ("training: {batch_size: 0}", "'training.batch_size' is 0, but"),
        ("trainning: {epochs: 1}", r"(?s)no setting 'trainning'.*Did you mean 'training'"),
        ("task: {version: 3}", "'task.version' is 3"),
        ("grid: {seed: 3}", "valid list"),
        ("a: [", "line 1 is no valid YAML"),
        ("seed: 1\ntuning: {kind: lora}\nseed: 2", "line 3 .* 'seed' stands twice"),
        ("? [a, b]\n: 1", "no valid YAML: found unhashable key"),
        ("", "it holds nothing"),
        ("- a", "it holds a list"),
    ],
)
def test_what_does_not_fit_is_told_in_one_sentence(
    recipe_file: Path, text: str, message: str
) -> None:
    recipe_file.write_text(text)
    with pytest.raises(RecipeError, match=message) as caught:
        read_recipe(recipe_file)
    assert caught.value.exit_code == 2


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no recipe file .*nothing\.yaml"):
        read_recipe(tmp_path / "nothing.yaml")


def test_arguments_lie_over_the_file(recipe_file: Path) -> None:
    recipe_file.write_text("training: {epochs: 3}")
    recipe = read_recipe(
        recipe_file, ["training.epochs=1", "tuning={kind: vera, options: {r: 4}}", "seed=7"]
    )
    assert recipe.training.epochs == 1
    assert recipe.tuning == PeftTuning(kind="vera", options={"r": 4})
    assert recipe.seed == 7


def test_an_argument_replaces_the_axis_of_its_name(recipe_file: Path) -> None:
    recipe_file.write_text("grid: {seed: [0, 1], task.train_limit: [10, 20]}")
    recipe = read_recipe(recipe_file, ["seed=5"])
    assert recipe.seed == 5
    assert recipe.grid == {"task.train_limit": (10, 20)}


def test_an_argument_ends_the_search_for_it(recipe_file: Path) -> None:
    recipe_file.write_text("search: {over: {training.learning_rate: [1.0e-4]}, trials: 1}")
    recipe = read_recipe(recipe_file, ["training.learning_rate=3e-4"])
    assert recipe.search is None
    assert recipe.training.learning_rate == 3e-4


def test_an_argument_can_set_an_axis(recipe_file: Path) -> None:
    recipe_file.write_text("name: axes")
    recipe = read_recipe(recipe_file, ["grid.task.train_limit=[10, 20]"])
    assert recipe.grid == {"task.train_limit": (10, 20)}


def test_an_argument_that_the_cases_would_override_is_refused(recipe_file: Path) -> None:
    recipe_file.write_text("grid: {cases: [{tuning: {kind: full}}]}")
    with pytest.raises(RecipeError, match=r"'tuning.rank' is set by grid\.cases"):
        read_recipe(recipe_file, ["tuning.rank=4"])


@pytest.mark.parametrize(
    ("text", "argument", "where"),
    [
        ("grid: {tuning: [{kind: lora, rank: 8}]}", "tuning.rank=4", r"grid\.tuning"),
        ("grid: {model: [{path: tiny}, {path: minilm}]}", "model.path=tiny", r"grid\.model"),
        ("grid: {task: [{kind: chat, test: a.json}]}", "task.test_limit=4", r"grid\.task"),
        (
            "search: {over: {tuning: [{kind: full}]}, trials: 1}",
            "tuning.rank=4",
            r"search\.over\.tuning",
        ),
    ],
)
def test_an_argument_below_an_axis_that_would_win_is_refused(
    recipe_file: Path, text: str, argument: str, where: str
) -> None:
    recipe_file.write_text(text)
    with pytest.raises(RecipeError, match=f"is set by {where}, which would win"):
        read_recipe(recipe_file, [argument])


def test_an_argument_below_an_axis_that_leaves_it_alone_counts(recipe_file: Path) -> None:
    recipe_file.write_text(
        "task: {kind: chat, test: t.jsonl}\n"
        "grid: {model: [{path: tiny}], task: [{kind: chat, train: a.jsonl}]}"
    )
    asked = ["model.max_length=64", "task.test_limit=4"]
    [run] = expand(read_recipe(recipe_file, asked))
    assert run.model.max_length == 64
    assert run.task == ChatTask(kind="chat", test=run.task.test, train=run.task.train, test_limit=4)


@pytest.mark.parametrize("text", ["grid: [seed]", "grid: {cases: 3}", "grid: {cases: {seed: 1}}"])
def test_a_grid_that_is_none_is_told_with_an_argument_too(recipe_file: Path, text: str) -> None:
    recipe_file.write_text(text)
    with pytest.raises(RecipeError, match="grid"):
        read_recipe(recipe_file, ["training.epochs=1"])


@pytest.mark.parametrize(
    "text",
    [
        "grid: {model: [{path: ./here}]}",
        "grid: {model.path: [./here]}",
        "grid: {task: [{train: here.json}]}",
        "grid: {task.train: [[here.json]]}",
        "grid: {also_evaluate: [[{kind: text, test: here.txt}]]}",
        "grid: {task: [[{kind: chat, test: here.jsonl, train: here.jsonl}, {test: here.json}]]}",
        "search: {over: {model: [{path: ./here}]}, trials: 1}",
        "grid: {cases: [{search: {over: {model.path: [./here]}, trials: 1}}]}",
    ],
)
def test_paths_in_lists_of_values_are_relative_to_the_recipe_too(
    recipe_file: Path, text: str
) -> None:
    recipe_file.write_text(text)
    said = dump(read_recipe(recipe_file))
    assert said.count(f"{recipe_file.parent}/here") == text.count("here")


@pytest.mark.parametrize("argument", ["epochs", "=3"])
def test_an_argument_without_a_value_is_refused(recipe_file: Path, argument: str) -> None:
    recipe_file.write_text("name: x")
    with pytest.raises(RecipeError, match="is no setting"):
        read_recipe(recipe_file, [argument])


def test_a_recipe_written_out_reads_the_same(recipe_file: Path) -> None:
    recipe_file.write_text("tuning: {kind: lora, dora: true, targets: query}\nseed: 3")
    recipe = read_recipe(recipe_file)
    assert isinstance(recipe.tuning, LoraTuning)
    assert recipe.tuning.targets == ("query",)
    recipe_file.write_text(dump(recipe))
    assert read_recipe(recipe_file) == recipe
