"""The page over HTTP: what it answers, to one and to many, and what it keeps closed."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from benchmarks.visitor import Visitor
from tests.command import ONE_THREAD

from tunelab.cli import main

PARAGRAPH = "The harbour was built in 1843 by Anna Berg. It has two gates."

pytestmark = pytest.mark.slow


def test_sixteen_visitors_at_once_hear_what_each_hears_alone(url: str, study: Path) -> None:
    runs = sorted(path.name for path in (study / "runs").iterdir())

    def ask(number: int) -> str:
        asked = runs[:2], PARAGRAPH, f"Who built gate {number}?", "words of the paragraph", None
        [page, *_] = Visitor(url).press("ask", *asked)
        assert page.count('<article class="card">') == 2 and "problem" not in page
        return re.sub(r"\d+ ms", "", page)  # how long it took may differ

    alone = [ask(number) for number in range(16)]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(16))) == alone


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/file=/etc/passwd",
        "gradio_api/file/etc/passwd",
        "file=/etc/passwd",
        "gradio_api/file={study}/recipe.yaml",
        "gradio_api//file={study}/recipe.yaml",
        "gradio_api/proxy=http://127.0.0.1/",
        "gradio_api/info",
        "gradio_api/openapi.json",
        "gradio_api/upload_progress?upload_id=1",
        "gradio_api/runs",
        "monitoring",
        "static/..%2f..%2f..%2f..%2fblocks.py",
        "assets/../../../blocks.py",
        "custom_component/1/client/component/../../../../etc/passwd",
    ],
)
def test_no_path_can_be_read(url: str, study: Path, path: str) -> None:
    found = httpx.get(f"{url}/{path.format(study=study)}")
    assert found.status_code in (400, 403, 404), found.text[:200]
    assert "root:" not in found.text and "train_limit" not in found.text


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/info%0A",
        "gradio_api/info%0a%0a",
        "%0Agradio_api/info",
        "gradio_api/file=http://127.0.0.1:1/%0A",
        "gradio_api/file=http://127.0.0.1:1/%0D%0Ax",
        "gradio_api/proxy=http://127.0.0.1:1/%0A",
        "gradio_api/openapi.json%E2%80%A8",
    ],
)
def test_a_control_character_opens_no_closed_path(url: str, path: str) -> None:
    for method in ("GET", "HEAD", "POST"):
        found = httpx.request(method, f"{url}/{path}")
        assert found.status_code == 404
        assert method == "HEAD" or found.text == "Not here."


def test_nothing_can_be_left_and_no_other_page_can_ask(url: str) -> None:
    sent = httpx.post(f"{url}/gradio_api/upload", files={"files": b"x" * 100})
    assert sent.status_code == 404
    assert httpx.get(url, headers={"Host": "elsewhere.example"}).status_code == 400
    first = httpx.get(url)
    assert "connect-src 'self'" in first.headers["content-security-policy"]
    asked = {"data": [], "fn_index": 0, "session_hash": "x"}
    origin = {"Origin": "https://elsewhere.example"}
    answer = httpx.post(f"{url}/gradio_api/queue/join", json=asked, headers=origin)
    assert "access-control-allow-origin" not in answer.headers


def test_nonsense_is_refused_and_the_page_goes_on(url: str) -> None:
    visitor = Visitor(url)
    [page, *_] = visitor.press("ask", [], PARAGRAPH, "Who?", "free", None)
    assert "No run is chosen" in page
    with pytest.raises((AssertionError, httpx.HTTPStatusError)):
        visitor.press("ask", ["../../../etc"], PARAGRAPH, "Who?", "free", None)
    for body in (b"", b"{", b"[]", b'{"data": 1}', b'{"fn_index": 10000, "data": []}'):
        answer = httpx.post(
            f"{url}/gradio_api/queue/join",
            content=body,
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code >= 400
    assert httpx.get(url).status_code == 200


def test_wrong_usage_is_told(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        told = refused(capsys, str(study), "--port", port, "--no-teaching")
    assert f"port {port}" in told
    assert "nothing" in refused(capsys, str(tmp_path / "nothing"))
    told = refused(capsys, str(study), "--host", "0.0.0.0", "--memory", "8")
    assert "--memory is '8'" in told and "there is no password" in told


def test_the_command_serves_the_page_until_it_is_interrupted(study: Path, tmp_path: Path) -> None:
    taught = tmp_path / "taught.json"
    command = [sys.executable, "-m", "tunelab", "app", str(study), "--port", "0"]
    command += ["--taught", str(taught)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ONE_THREAD) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        assert "gradio" in httpx.get(address).text
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=60) == 0
    assert not taught.exists()  # nothing is written before anything is taught


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What `tunelab app` says when it does not start."""
    with pytest.raises(SystemExit) as left:
        main(["app", *arguments])
    assert left.value.code == 2
    return capsys.readouterr().err
