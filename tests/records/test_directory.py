"""What a run directory says about its own files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunelab.errors import RecordError, VersionError
from tunelab.records import Manifest, RunDirectory


@pytest.fixture
def finished(tmp_path: Path) -> RunDirectory:
    """A run directory with a file of each kind."""
    directory = RunDirectory(tmp_path / "run")
    directory.adapter.mkdir(parents=True)
    (directory.adapter / "adapter_model.safetensors").write_bytes(b"weights")
    (directory.adapter / "tokenizer.json").write_text("{}")
    directory.predictions.write_text("{}\n")
    directory.scores.write_text("{}\n")
    manifest = Manifest(label="lora", digest="0", status="ok", files=directory.file_records())
    directory.write_manifest(manifest)
    return directory


def test_whole_files_are_no_damage(finished: RunDirectory) -> None:
    manifest = finished.read_manifest()
    assert set(manifest.files) == {
        "adapter/adapter_model.safetensors",
        "predictions.jsonl",
        "scores.json",
    }
    assert finished.damaged_files(manifest) == []
    (finished.adapter / "tokenizer.json").unlink()  # comes with the checkpoint
    assert finished.damaged_files(manifest) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("predictions.jsonl", None),
        ("predictions.jsonl", b"{}"),
        ("scores.json", b"[]\n"),
        ("adapter/adapter_model.safetensors", b"half"),
        ("adapter/adapter_model.safetensors", None),
    ],
)
def test_what_is_gone_or_changed_is_damage(
    finished: RunDirectory, name: str, content: bytes | None
) -> None:
    path = finished.path / name
    path.unlink() if content is None else path.write_bytes(content)
    assert finished.damaged_files(finished.read_manifest()) == [name]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b'{"schema_version": 3}'])
def test_a_damaged_manifest_is_told(finished: RunDirectory, content: bytes) -> None:
    finished.manifest.write_bytes(content)
    with pytest.raises(RecordError, match=r"manifest\.json"):
        finished.read_manifest()


def test_a_manifest_from_the_future_is_an_error_of_its_own(finished: RunDirectory) -> None:
    finished.manifest.write_text(json.dumps({"schema_version": 99, "label": "lora"}))
    with pytest.raises(VersionError, match="schema version 99"):
        finished.read_manifest()


@pytest.mark.parametrize("version", [1, 2])
def test_manifests_of_earlier_versions_are_read(finished: RunDirectory, version: int) -> None:
    older = {"schema_version": version, "label": "lora", "digest": "0", "status": "ok"}
    finished.manifest.write_text(json.dumps(older))
    manifest = finished.read_manifest()
    assert (manifest.status, manifest.files, manifest.search_cost) == ("ok", {}, None)
    assert finished.damaged_files(manifest) == []
