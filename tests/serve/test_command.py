"""`tunelab serve`, and `tunelab run` that asks it: two commands and a socket between them."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.command import ONE_THREAD, tunelab

pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")

KEY = "sk-only-in-the-environment-7431"


@pytest.mark.slow
def test_a_run_asks_a_served_model(
    tmp_path: Path, small_data: Path, small_decoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ONE_THREAD, "OPENAI_API_KEY", KEY)
    monkeypatch.setitem(ONE_THREAD, "TUNELAB_CACHE", str(tmp_path / "cache"))
    command = [sys.executable, "-m", "tunelab", "serve", str(small_decoder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ONE_THREAD) as server:
        assert server.stdout is not None
        name, url = server.stdout.readline().split(": ")
        api: dict[str, Any] = {"input_price": 1.5, "output_price": 2}
        near = {"path": str(small_decoder), "max_length": 2000}
        far = {"endpoint": url.strip(), "name": name, "api": api}
        task = {part: str(small_data / f"{part}.json") for part in ("train", "test")}
        recipe: dict[str, Any] = {
            "task": task | {"train_limit": 20, "test_limit": 6, "validation": 0.2},
            "prompt": {"style": "chat-json"},
            "tuning": {"kind": "none"},
            "evaluation": {"max_new_tokens": 8, "no_answer_threshold": "decoded"},
            "grid": {"cases": [{"model": near}, {"model": far}]},
        }
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(recipe))
        refused = tunelab(
            "run",
            path,
            "grid=null",
            f"model={json.dumps(far)}",
            "--out",
            tmp_path / "no",
            "model.api.max_price=0.000001",
        )
        done = tunelab("run", path, "--out", tmp_path / "out")
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=60) == 0
    assert refused.returncode == 3 and "would cost about" in refused.stderr
    assert done.returncode == 0, done.stderr
    written = [
        {row["id"]: row["decoded"]["response"] for row in map(json.loads, path.open())}
        for path in (tmp_path / "out").glob("runs/*/predictions.jsonl")
    ]
    assert len(written) == 2 and written[0] == written[1]
    assert KEY not in done.stdout + done.stderr + refused.stderr
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path


def test_wrong_usage_is_told(small_decoder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = tunelab("serve", small_decoder, "--port", port)
    assert done.returncode == 2 and f"port {port}" in done.stderr
    done = tunelab("serve", "/nowhere", "--host", "no.such.host.invalid", "--port", "0")
    assert done.returncode == 2 and "Nothing can listen" in done.stderr
    assert "everybody who can reach this machine" in done.stderr
