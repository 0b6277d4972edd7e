"""What the documentation says can be done: its links, recipes, commands and code are tried.

Recipes are read and laid out as grids, commands are parsed but not run, Python is run page by page
in a folder of its own. A fenced `text` block behind a Python block is what that prints. A comment
`<!-- not run: why -->` before a block of Python keeps it from being run; it is compiled still.
"""

from __future__ import annotations

import io
import re
import shlex
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import typer.main
import yaml
from tests.documentation.markdown import PAGES, ROOT, Page, Span, commands, read_page
from tests.documentation.measured import CARDS, fill

from tunelab.cli import app
from tunelab.errors import TunelabError
from tunelab.recipe import PeftTuning, Recipe, expand, read_recipe, trials

ALTERNATIVES = re.compile(r"\|[\w/.-]+")
OPTIONAL = re.compile(r"(?<!\S)\[([^\[\]]*)\](?!\S)")
FILE = re.compile(r"[a-z][\w.-]*(/[\w.-]+)+\.(py|toml|yaml|md|sh|html)")
STRANGERS = ("out/", "path/", "adapter/", "model/")
"""What begins like this lies on the reader's machine, not in the repository."""

page = lru_cache(maxsize=None)(read_page)
every_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
with_python = [path for path in PAGES if any(b.language == "python" for b in page(path).blocks)]
SLOW = ("docs/add-a-model.md",)
"""Their Python takes more than two seconds."""
HEADINGS = (
    "Idea",
    "Formula",
    "Trained and stored",
    "Cost measured here",
    "When it loses",
    "Settings",
    "Paper",
)


@every_page
def test_links_lead_somewhere(path: Path) -> None:
    assert list(_dead_links(page(path))) == []


@every_page
def test_files_and_extras_that_are_named_exist(path: Path) -> None:
    read = page(path)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = set(extras["optional-dependencies"])
    code = [*read.spans, *read.blocks]
    named = {extra for each in code for extra in re.findall(r"tunelab\[([\w-]+)\]", each.text)}
    assert named <= known
    places = (ROOT, ROOT / "src" / "tunelab", path.parent)
    missing = [
        f"line {span.line}: {span.text}"
        for span in read.spans
        if FILE.fullmatch(span.text) and not span.text.startswith(STRANGERS)
        if not any((place / span.text).exists() for place in places)
    ]
    assert missing == []


@every_page
def test_recipes_can_be_read(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNELAB_DATA", str(tmp_path))
    problems = []
    for line, text in _recipes(page(path)):
        try:
            for run in _runs(text, tmp_path):
                trials(run)
        except TunelabError as error:
            problems.append(f"line {line}: {error}")
    assert problems == []


def test_peft_has_the_options_that_recipes_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNELAB_DATA", str(tmp_path))
    tunings = [
        run.tuning
        for path in PAGES
        for _, text in _recipes(page(path))
        for run in _runs(text, tmp_path)
        if isinstance(run.tuning, PeftTuning)
    ]
    assert tunings, "no page shows one"
    from tunelab.tuning.methods import check_options

    for tuning in tunings:
        check_options(tuning)


@every_page
def test_commands_are_what_the_command_line_takes(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNELAB_DATA", str(tmp_path))
    problems = []
    for code in commands(page(path)):
        try:
            _check_command(code.text, tmp_path)
        except Exception as error:  # noqa: BLE001 - Typer keeps its own classes to itself
            named = isinstance(code, Span) and str(error).startswith("Missing ")
            if not named:  # running text may speak of a command without calling it
                problems.append(f"line {code.line}: {code.text}: {error}")
    assert problems == []


@pytest.mark.parametrize("path", CARDS.glob("*.md"), ids=lambda path: path.stem)
def test_a_card_has_the_usual_headings_and_the_figures_of_the_results(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert tuple(re.findall(r"^## (.*)$", text, re.MULTILINE)) == HEADINGS
    assert fill(text) == text, "python -m tests.documentation.measured"
    assert f"(methods/{path.name})" in (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.slow] * (name in SLOW), id=name)
        for path in with_python
        for name in [str(path.relative_to(ROOT))]
    ],
)
def test_python_runs_and_prints_what_the_page_says(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "documentation"}
    printed: str | None = None
    for block in page(path).blocks:
        if block.language == "python":
            code = compile(block.text, f"{page(path)}, line {block.line}", "exec")
            printed = None
            if not block.note.startswith("not run: "):
                with redirect_stdout(io.StringIO()) as output:
                    exec(code, names)
                printed = output.getvalue()
        elif block.language == "text" and printed is not None:
            assert printed == block.text
            printed = None


def test_the_checks_find_what_is_wrong(tmp_path: Path) -> None:
    text = "# A page\n[a](no.md) [b](#a-page) [c](#no)\n\n    tuning: {kind: lora, rnk: 8}\n"
    (tmp_path / "page.md").write_text(text)
    read = read_page(tmp_path / "page.md")
    assert list(_dead_links(read)) == ["line 2: no.md", "line 2: #no"]
    [(line, recipe)] = _recipes(read)
    assert line == 4
    with pytest.raises(TunelabError, match=r"no setting 'tuning\.rnk'"):
        _runs(recipe, tmp_path)
    _check_command("tunelab run RECIPE.yaml [key.path=value ...] --out DIR", tmp_path)
    _check_command("tunelab evaluate MODEL|RUN --task mmlu [--json]", tmp_path)
    for wrong in (
        "tunelab rnu RECIPE.yaml --out DIR",
        "tunelab run RECIPE.yaml --out DIR --no-such-option",
        "tunelab run RECIPE.yaml",
        "tunelab run RECIPE.yaml training.epoch=1 --out DIR",
        "make coffee",
        "python -m tunelab.no.such.module",
    ):
        with pytest.raises(Exception, match=r"[A-Z]"):
            _check_command(wrong, tmp_path)


def _dead_links(read: Page) -> Iterator[str]:
    for line, target in read.links:
        if re.match(r"[a-z]+:|//", target):
            continue  # elsewhere: no test needs the network
        name, _, anchor = unquote(target).partition("#")
        file = (read.path.parent / name).resolve() if name else read.path
        anchored = file.suffix == ".md" and file.exists() and anchor in page(file).anchors
        if not file.exists() or (anchor and not anchored):
            yield f"line {line}: {target}"


def _recipes(read: Page) -> Iterator[tuple[int, str]]:
    """YAML that sets something of a recipe: blocks, and `key: {...}` in running text."""
    for block in read.blocks:
        if block.language in ("yaml", "") and _sets_something(block.text):
            yield block.line, block.text
    for span in read.spans:
        if re.match(r"\w+: [\[{]", span.text) and _sets_something(span.text):
            yield span.line, span.text


def _sets_something(text: str) -> bool:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return False
    return isinstance(found, dict) and bool(found.keys() & Recipe.model_fields.keys())


def _runs(text: str, folder: Path) -> list[Recipe]:
    file = folder / "recipe.yaml"
    file.write_text(text)
    return expand(read_recipe(file))


@lru_cache(maxsize=1)
def _command_line() -> Any:
    return typer.main.get_command(app)


def _check_command(text: str, folder: Path) -> None:
    """Raise if `text` is a command of ours and cannot be typed like this."""
    while OPTIONAL.search(text):
        text = OPTIONAL.sub(r"\1", text)
    if not text.startswith(("tunelab ", "make ", "python ")):
        return
    match shlex.split(text, comments=True):
        case ["tunelab", name, *arguments] if not name.startswith("-"):
            plain = [ALTERNATIVES.sub("", each) for each in arguments]
            known = _command_line().commands
            assert name in known, f"No such command: {name}"
            known[name].make_context(name, list(plain))
            if name in ("run", "doctor"):
                settings = [
                    each for each in plain if re.match(r"[a-z_]+[.=]", each) and "=" in each
                ]
                (folder / "plain.yaml").write_text("name: plain\n")
                real = [each for each in settings if not each.startswith("key.path")]
                read_recipe(folder / "plain.yaml", real)
        case ["make", target, *_]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), (
                f"No such target: {target}"
            )
        case ["python", "-m", module, *_]:
            parts = module.split(".")
            places = [place.joinpath(*parts) for place in (ROOT, ROOT / "src")]
            found = [place.with_suffix(".py").exists() or place.is_dir() for place in places]
            assert any(found), f"No such module: {module}"
