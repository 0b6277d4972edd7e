"""A run exported as a Space shows its page from that folder alone."""

from __future__ import annotations

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

PARAGRAPH = "The harbour was built in 1843 by Anna Berg. It has two gates."

pytestmark = pytest.mark.slow

try:
    version("tunelab")
except PackageNotFoundError:
    pytest.skip("tunelab runs from its sources: its needs are not known", allow_module_level=True)


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
