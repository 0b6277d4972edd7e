"""What is wrong, or worth knowing, about the sequences that a decoder reads and learns from.

Pure functions of encoded examples. The prompter makes none of these mistakes by construction; that
it does not is looked at here on every example, as it would be with anybody else's labels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tunelab.data import Single
from tunelab.doctor.findings import Finding, fact, listed
from tunelab.prompts.checks import double_start, untrained_end
from tunelab.prompts.encoded import EncodedExample


@dataclass(frozen=True, slots=True)
class Reading:
    """An example as a decoder reads it."""

    example: Single
    encoded: EncodedExample
    prompt_length: int
    """Tokens of the prompt, read without an answer."""
    merged: bool
    """The tokenizer merges characters across the seam of prompt and answer."""


def examine_lengths(part: str, readings: Sequence[Reading], max_length: int) -> list[Finding]:
    """How long the sequences are, and what a cut at `max_length` would take away.

    Nothing is cut: such examples are left out of the training.
    """
    if not readings:
        return []
    lengths = sorted(len(reading.encoded.ids) for reading in readings)
    long = [reading for reading in readings if len(reading.encoded.ids) > max_length]
    found = (
        f"{part}: {len(readings)} questions, median {lengths[len(lengths) // 2]} tokens, longest "
        f"{lengths[-1]}, of {max_length} that the model reads."
    )
    if not long:
        return [fact("lengths", found)]
    asked = sum(reading.prompt_length > max_length for reading in long)
    return [
        Finding(
            name="lengths",
            severity="error" if len(long) == len(readings) else "warning",
            found=f"{found} {len(long)} are longer and left out; cut to that length {asked} would "
            f"lose the end of their question, and all {len(long)} the end of their answer.",
            remedy=f"Raise model.max_length by {lengths[-1] - max_length}, if the model reads that "
            "many.",
            ids=_ids(long),
        )
    ]


def examine_targets(
    part: str, readings: Sequence[Reading], *, stops: Collection[int]
) -> list[Finding]:
    """Whether the answers, their ends, and nothing else are trained."""
    empty = [r for r in readings if not any(r.encoded.targets)]
    endless = [r for r in readings if untrained_end(r.encoded, stops)]
    asking = [r for r in readings if not r.merged and any(r.encoded.targets[: r.prompt_length])]
    findings: list[Finding] = []
    if empty:
        findings.append(
            Finding(
                name="no targets",
                severity="error",
                found=f"{part}: of {len(empty)} questions no token is trained"
                + (": the model would learn nothing." if len(empty) == len(readings) else "."),
                remedy="Their labels are lost between the prompt and the loss.",
                ids=_ids(empty),
            )
        )
    if endless:
        findings.append(
            Finding(
                name="untrained end",
                severity="error",
                found=f"{part}: {len(endless)} answers do not end in a trained end token: the "
                "model would not learn to stop.",
                remedy="Labels must be masked by place, not by the id of the padding token, which "
                "may be the end token's.",
                ids=_ids(endless),
            )
        )
    if asking:
        findings.append(
            Finding(
                name="trained prompt",
                severity="error",
                found=f"{part}: of {len(asking)} questions the prompt is trained too, not the "
                "answer alone.",
                remedy="The mask of the prompt was overwritten.",
                ids=_ids(asking),
            )
        )
    if findings or not readings:
        return findings
    targets = sum(sum(r.encoded.targets) for r in readings)
    tokens = sum(len(r.encoded.ids) for r in readings)
    return [
        fact(
            "targets",
            f"{part}: the answers and their ends are trained and nothing else, {targets} of "
            f"{tokens} tokens.",
        )
    ]


def examine_seams(part: str, readings: Sequence[Reading], *, begin: int | None) -> list[Finding]:
    """Where sequences begin, and where prompt and answer meet."""
    findings: list[Finding] = []
    twice = [r for r in readings if double_start(r.encoded.ids, begin)]
    if twice:
        findings.append(
            Finding(
                name="double beginning",
                severity="error",
                found=f"{part}: {len(twice)} sequences begin with beginning-of-sequence twice.",
                remedy="The chat template writes it, so that the tokenizer must not add it.",
                ids=_ids(twice),
            )
        )
    merged = [r for r in readings if r.merged]
    if merged:
        findings.append(
            Finding(
                name="seam",
                severity="warning",
                found=f"{part}: in {len(merged)} questions the tokenizer merges characters of "
                "prompt and answer; their target begins at the first token that differs, which "
                "generation will not meet.",
                remedy="Mend answers that begin with spaces or line ends, or use another style.",
                ids=_ids(merged),
            )
        )
    if findings or not readings:
        return findings
    return [
        fact(
            "seam",
            f"{part}: every prompt's tokens are the first of the whole, none begins twice.",
        )
    ]


def examine_answer_room(
    part: str, readings: Sequence[Reading], *, max_new_tokens: int
) -> list[Finding]:
    """Gold answers that are longer than generation goes on."""
    long = [r for r in readings if sum(r.encoded.targets) > max_new_tokens]
    longest = max((sum(r.encoded.targets) for r in readings), default=0)
    if not long:
        return [
            fact(
                "answer room",
                f"{part}: the longest answer has {longest} tokens with its end, of "
                f"{max_new_tokens} that are generated.",
            )
        ]
    return [
        Finding(
            name="answer room",
            severity="warning",
            found=f"{part}: {len(long)} answers with their end are longer than the "
            f"{max_new_tokens} tokens that are generated: they would be broken off.",
            remedy=f"Raise the limit to {longest}.",
            ids=_ids(long),
        )
    ]


def _ids(readings: Iterable[Reading]) -> tuple[str, ...]:
    return listed(reading.example for reading in readings)
