"""A run exported as a Space shows its page from that folder alone."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import httpx
import pytest
import yaml
from benchmarks.visitor import Visitor
from tests.command import ONE_THREAD, tunelab

from tunelab.app.catalogue import Catalogue
from tunelab.export.space import make_space
from tunelab.records import Manifest, RunDirectory, write_atomically

PARAGRAPH = "The harbour was built in 1843 by Anna Berg. It has two gates."

try:
    version("tunelab")
except PackageNotFoundError:
    pytest.skip("tunelab runs from its sources: its needs are not known", allow_module_level=True)


@pytest.mark.parametrize("test", ["{here}/secret.json", "$PLACE/secret.json", "reading"])
def test_what_is_asked_here_stays_here(
    test: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", str(tmp_path))
    place = RunDirectory(tmp_path / "run")
    task = {"train": f"{tmp_path}/mine.json", "test": test.format(here=tmp_path)}
    further = [{"kind": "chat", "test": f"{tmp_path}/chat.jsonl"}]
    content = {"task": task, "tuning": {"kind": "lora"}, "also_evaluate": further}
    write_atomically(place.recipe, yaml.safe_dump(content))
    write_atomically(place.adapter / "adapter_config.json", "{}")
    place.write_manifest(Manifest(label="lora-r8", digest="0" * 8, status="ok"))
    decoded = {"prompt": "The secret paragraph.", "response": "a", "found": True, "cut": False}
    secret = {"id": "q", "group": "p", "article": "a", "output": "", "answer": "", "gold": ["x"]}
    write_atomically(place.predictions, json.dumps(secret | {"decoded": decoded}) + "\n")
    told = make_space(place, tmp_path / "space")
    kept = test == "reading"
    assert (tmp_path / "space" / "run" / "predictions.jsonl").exists() == kept
    assert any("stay here" in sentence for sentence in told) != kept
    assert str(tmp_path) not in (tmp_path / "space" / "run" / "recipe.yaml").read_text()
    catalogue = Catalogue([str(tmp_path / "space" / "run")])
    assert bool(catalogue.studies) == bool(catalogue.scored()) == kept
    assert catalogue.askable() == ["run"]


@pytest.mark.slow
@pytest.mark.parametrize("part", ["decoder", "head"])
def test_a_space_answers_by_itself(study: Path, tmp_path: Path, part: str) -> None:
    run = next(path for path in (study / "runs").iterdir() if part in path.name)
    space = tmp_path / "space"
    done = tunelab("export", run, "--format", "space", "--to", space)
    assert done.returncode == 0, done.stderr
    assert "stay here" in done.stdout  # the test questions
    matter = yaml.safe_load((space / "README.md").read_text().split("---")[1])
    assert matter["sdk"] == "gradio" and matter["app_file"] == "app.py"
    needed = (space / "requirements.txt").read_text().splitlines()
    assert f"gradio=={matter['sdk_version']}" in needed
    assert any(line.startswith("torch==") for line in needed)
    assert not (space / "run" / "predictions.jsonl").exists()
    for file in space.rglob("*"):  # nothing names a place on this machine
        if file.suffix in (".yaml", ".md", ".txt", ".json", ".jsonl"):
            assert str(study.parents[1]) not in file.read_text(), file
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    alone = ONE_THREAD | {"GRADIO_SERVER_PORT": port, "PYTHONPATH": ""}
    command = [sys.executable, str(space / "app.py")]
    with subprocess.Popen(command, env=alone, cwd=tmp_path) as server:
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(url, server)
            page = Visitor(url).press(
                "ask", ["run"], PARAGRAPH, "Who built it?", "as the run does", None
            )[0]
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=60)
    assert '<p class="answer">' in page


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    """Until the page is there."""
    while server.poll() is None:
        try:
            httpx.get(url)
            return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError("the page ended")
