"""The matrix is made by running every method; one that fails fails alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.tuning.small import encoder, tuning

from tunelab.cli import main
from tunelab.tuning.matrix import Checked, all_tunings, check_methods, summaries
from tunelab.tuning.methods import peft_methods


def test_one_that_fails_fails_alone_and_gives_its_reason() -> None:
    done: list[str] = []
    kinds = ("lora", "cpt", "c3a", "ia3", "head")
    rows = check_methods(encoder(), [tuning(kind=kind) for kind in kinds], advance=done.append)
    assert done == list(kinds)
    assert [row.works for row in rows] == [True, False, False, True, True]
    lora, cpt, c3a, _, head = rows
    assert lora.trained_parameters == 2 * 8 * (4 * (32 + 32) + 2 * (32 + 64)) + 66
    assert lora.merges
    assert lora.stored_bytes and lora.cpu_seconds_per_step
    assert "CAUSAL_LM" in cpt.reason
    assert "block size" in c3a.reason and "\n" not in c3a.reason
    assert (head.trained_parameters, head.merges) == (66, None)


def test_a_method_that_does_not_train_is_not_said_to_work() -> None:
    row = check_methods(encoder(), [tuning(kind="none")], advance=lambda _: None)[0]
    assert row == Checked("none", works=False, reason=row.reason)
    assert "Nothing requires a gradient" in row.reason


def test_every_method_of_the_installed_peft_is_listed_and_tried() -> None:
    listed = summaries()
    assert listed.keys() >= peft_methods().keys()
    assert all(summary and "\n" not in summary for summary in listed.values())
    assert {tuning.kind for tuning in all_tunings()} == listed.keys() - {"none"}


def test_the_list_and_the_matrix_from_the_command_line(
    small_encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["methods"])
    assert "\nlora                     Low-rank updates" in capsys.readouterr().out

    page = tmp_path / "matrix.md"
    chosen = ["--check", str(small_encoder), "--only", "vera", "--only", "cpt"]
    with pytest.raises(SystemExit):
        main(["methods", *chosen, "--to", str(page), "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert {row["method"]: row["works"] for row in rows} == {"vera": True, "cpt": False}
    assert "| cpt | no |" in page.read_text()
    assert "1 of 2 work." in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "vera"], "belong to --check"),
        (["--check", "minilm", "--only", "verra"], "Did you mean 'vera'"),
        (["--check", "./nowhere"], "There is no checkpoint in"),
    ],
)
def test_wrong_usage_is_told(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["methods", *arguments])
    assert left.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_most_of_peft_works_on_an_encoder() -> None:
    rows = {
        row.method: row for row in check_methods(encoder(), all_tunings(), advance=lambda _: None)
    }
    needed = ["full", "head", "lora", "prefix", "prompt", "ia3", "adalora", "vera", "p_tuning"]
    assert [name for name in needed if not rows[name].works] == []
    assert sum(row.works for row in rows.values()) > len(rows) / 2


def test_the_matrix_of_precisions_measures_what_is_held_in_the_middle_of_a_step(
    wide_decoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("bitsandbytes", reason="the extra `quant` is not installed")
    page = tmp_path / "matrix.md"
    only = [part for kind in ("lora", "prefix", "stack") for part in ("--only", kind)]
    held = ["--quantize", "none", "--quantize", "nf4"]
    with pytest.raises(SystemExit):
        main(["methods", "--check", str(wide_decoder), *only, *held, "--to", str(page), "--json"])
    tables = json.loads(capsys.readouterr().out)
    failed = {row["method"]: row["reason"] for rows in tables.values() for row in rows}
    failed = {method: reason for method, reason in failed.items() if reason}
    assert failed.keys() == {"lora (init: orthogonal)"}  # PEFT makes A of the base's own dtype
    assert {row["method"] for row in tables["none"]} - {row["method"] for row in tables["nf4"]} == {
        "lora (init: pissa)",
        "lora (init: olora)",
    }
    assert all(row["held_bits"] is None for row in tables["none"])
    bits = [row["held_bits"] for row in tables["nf4"] if row["works"]]
    assert all(4 < each < 6 for each in bits)  # constants weigh on a model of this size
    assert "| lora (init: pissa) | yes, " in page.read_text()
    assert "| stack (lora + prefix) | yes, " in page.read_text()
