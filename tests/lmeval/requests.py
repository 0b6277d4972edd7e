"""Requests as lm-eval makes them."""

from __future__ import annotations

from typing import Any

from lm_eval.api.instance import Instance

SHOTS = "".join(f"Question: what is {n} and {n}?\nAnswer: {2 * n}\n\n" for n in range(20))
PAIRS = [
    ("", "Alice lives here."),
    ("", "<s>Alice lives here."),
    ("Who lives here? ", "Alice"),
    ("Who lives here?  \n", "Bob"),
    ("<s>Who lives here?", " Alice"),
    *((f"{SHOTS}Question: and {n}?\nAnswer:", f" {letter}") for n in range(6) for letter in "ABC"),
    *((f"{SHOTS}Question: and 7?\nAnswer:", text) for text in (" fourteen", " four", " 14")),
    ("a long story " * 900, "and its end, which is long " * 4),  # longer than the model reads
]


def instances(kind: str, arguments: list[tuple[Any, ...]]) -> list[Instance]:
    return [
        Instance(request_type=kind, doc={}, arguments=each, idx=index)  # pyright: ignore[reportArgumentType]
        for index, each in enumerate(arguments)
    ]
