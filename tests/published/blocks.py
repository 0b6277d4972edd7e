"""The computed blocks of docs/systems that need nothing but the published tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tests.published.recompute import SAMPLED, read, systems
from tests.published.shares import Difference, Share, share


def lit_llama_rows() -> str:
    """System 1: official SQuAD 2.0 figures."""
    table = read("lit_llama_qa.toml")
    has, no = int(table["HasAns_total"]), int(table["NoAns_total"])
    rows = [
        [
            row["name"],
            share(row["exact"], has + no).told(2),
            f"{float(row['f1']):.2f}",
            share(row["HasAns_exact"], has).told(),
            f"{float(row['HasAns_f1']):.1f}",
            share(row["NoAns_exact"], no).told(),
        ]
        for row in table["rows"]
    ]
    return ruled(["run", "EM", "F1", "HasAns EM", "HasAns F1", "NoAns EM"], rows)


def lit_llama_differences() -> str:
    """System 1: the differences that its text speaks of."""
    table = read("lit_llama_qa.toml")
    count = int(table["HasAns_total"]) + int(table["NoAns_total"])
    exact = {row["name"]: share(row["exact"], count) for row in table["rows"]}
    parts = {
        (row["name"], part): share(row[f"{part}_exact"], int(table[f"{part}_total"]))
        for row in table["rows"]
        for part in ("HasAns", "NoAns")
    }
    rank_8, rank_16 = "7B LoRA r8, argmax, bf16", "7B LoRA r16"
    pairs = [
        ("7B full", rank_8),
        (rank_8, "7B LoRA r8, int8"),
        ("7B LoRA r8, int8", "7B LoRA r8, int4 GPTQ"),
        (rank_16, "7B LoRA r16, int8"),
        (rank_8, "7B LoRA r8, sampled"),
        ("30B LoRA r8", rank_8),
        (rank_16, rank_8),
    ]
    lines = [f"{a} - {b}: {Difference(exact[a], exact[b]).told('EM', 2)}" for a, b in pairs]
    lines += [
        f"{rank_16} - {rank_8}, {part} alone: "
        f"{Difference(parts[rank_16, part], parts[rank_8, part]).told('EM')}"
        for part in ("HasAns", "NoAns")
    ]
    return bullets(lines)


def _squad_counts(row: dict[str, Any]) -> tuple[int, int]:
    """Questions of a row of system 2 with an answer, and without."""
    table = read("llama_squad.toml")
    if not row.get("sampled"):
        return int(table["has_answer"]), int(table["no_answer"])
    has = int(row["sampled_has_answer"])
    return has, SAMPLED - has


def _exact(row: dict[str, Any]) -> Share:
    return share(row["exact"], sum(_squad_counts(row)))


_AS_A_SAMPLE = ", if about 1,000 questions"


def _counted(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, the 70b one as the sample that it is."""
    names = {row["name"] for row in rows}
    return [row for row in rows if row["name"] + _AS_A_SAMPLE not in names]


def llama_squad_rows() -> str:
    """System 2: its five percentages."""
    cells: list[list[str]] = []
    for row in _counted(read("llama_squad.toml")["rows"]):
        has, no = _squad_counts(row)
        cells.append(
            [
                row["name"].replace("<", "\\<"),
                f"{has + no:,}",
                share(row["valid"], has + no).told() if "valid" in row else "-",
                _exact(row).told(),
                share(row["no"], no).told(),
                share(row["has"], has).told(),
            ]
        )
    return ruled(["row", "questions", "valid", "exact", "no answer", "has answer"], cells)


def llama_squad_differences() -> str:
    """System 2: the differences that its text speaks of."""
    exact = {row["name"]: _exact(row) for row in _counted(read("llama_squad.toml")["rows"])}
    eight, three = "single-turn, 8.0 epochs", "head: Llama 3, 1.2 epochs"
    pairs = [
        (f"{eight}, 10 beams", eight),
        (eight, "GPT 4"),
        (eight, f"Llama 2 70b chat, quantised{_AS_A_SAMPLE}"),
        ("deepset/deberta-v3-large-squad2", f"{eight}, 10 beams"),
        ("head: 5 <blah_n>", three),
        ("head: 5 <blah_n>, 3.0 epochs", "head: 5 <blah_n>"),
        ("head: 25 <blah_n>", "head: 25 <blah>"),
        ("head: 5 <blah_n>, 3.0 epochs", "deepset/deberta-v3-large-squad2"),
    ]
    lines = [f"{a} - {b}: {Difference(exact[a], exact[b]).told('points')}" for a, b in pairs]
    return bullets(line.replace("<", "\\<") for line in lines)


_PUBMEDQA = 500
"""Questions of the official test half."""
_EXPERT = "LLaMA-33B-4bit + LoRA"


def expert_pubmedqa() -> str:
    """System 3: PubMedQA, each row against its own."""
    rows = {row["name"]: row for row in read("expert.toml")["pubmedqa"]}
    own = share(rows[_EXPERT]["accuracy"], _PUBMEDQA)
    cells: list[list[str]] = []
    for name, row in rows.items():
        theirs = share(row["accuracy"], _PUBMEDQA)
        found = Difference(own, theirs)
        beside = [f"{found.points:+.1f} ± {found.half_width:.1f}", _changes(found)]
        cells.append(
            [name, theirs.told(), row.get("f1", "-"), *(("-", "-") if name == _EXPERT else beside)]
        )
    head = ["row", "accuracy", "macro-F1", f"{_EXPERT} minus it", "separable, paired, up to"]
    return ruled(head, cells)


def _changes(found: Difference) -> str:
    """Up to how many questions that are right in one row alone a difference is separable."""
    least, most = abs(found.first.right - found.second.right), found.allowed_changes
    return f"{most} changes" if most is not None and most >= least else "never"


def expert_mmlu() -> str:
    """System 3: MMLU over questions, the 4-bit row recomputed from its subjects."""
    table = read("expert.toml")
    categories, counts = table["categories"], [int(count) for count in table["questions"]]
    subjects = table["subjects"].values()
    right = {
        where: sum(
            float(points) * int(count) / 100 for at, count, points in subjects if at == where
        )
        for where in categories
    }
    four_bit = [Share(round(right[c]), n) for c, n in zip(categories, counts, strict=True)]
    rows = {
        row["name"]: [share(f, n) for f, n in zip(row["figures"], counts, strict=True)]
        for row in table["rows"]
    }
    rows[table["four_bit"]["name"]] = four_bit
    cells = [
        [name, *(each.told() for each in [*found, _pooled(found)])] for name, found in rows.items()
    ]
    against = rows[table["four_bit"]["against"]]
    lines = [
        f"4 bits - 16 bits, {name}: {Difference(mine, theirs).told('points')}"
        for name, mine, theirs in zip(
            [*categories, "all"],
            [*four_bit, _pooled(four_bit)],
            [*against, _pooled(against)],
            strict=True,
        )
    ]
    return f"{ruled(['row, over questions', *categories, 'all'], cells)}\n\n{bullets(lines)}"


def _pooled(shares: Sequence[Share]) -> Share:
    return Share(sum(each.right for each in shares), sum(each.count for each in shares))


def distilbert_rows() -> str:
    """System 4."""
    table = read("distilbert.toml")
    count = int(table["questions"])
    names = ["epochs", "trained", "time", "memory", "first_loss"]
    cells = [
        [
            row["name"],
            *(f"{row[name]:,}" if name == "trained" else str(row[name]) for name in names),
            share(row["exact_match"], count).told(),
            row["f1"],
        ]
        for row in table["rows"]
    ]
    head = ["run", "epochs", "trained parameters", "time", "GPU memory", "first loss", "EM", "F1"]
    return ruled(head, cells)


def distilbert_parameters() -> str:
    """System 4: what its two numbers of trained parameters are made of."""
    shape = {name: int(value) for name, value in read("distilbert.toml")["shape"].items()}
    width, inner = shape["width"], shape["inner"]
    norm = 2 * width
    embeddings = (shape["vocabulary"] + shape["positions"]) * width + norm
    attention = 4 * (width * width + width)
    feed_forward = 2 * width * inner + inner + width
    body = embeddings + shape["layers"] * (attention + feed_forward + 2 * norm)
    head = 2 * width + 2
    lora = shape["layers"] * 2 * 8 * (width + width)
    return bullets(
        [
            f"the encoder {body:,}, the span head {width} x 2 + 2 = {head:,}: "
            f"together {body + head:,}, the published number of full tuning",
            f'{head:,} is the span head alone, the published number of "LoRA"',
            f"LoRA of rank 8 on q_lin and v_lin would be {lora:,} and the head, "
            f"{lora + head:,} together",
        ]
    )


_LAB_QUESTIONS = (1172, 10042, 3153, 817)
"""ARC challenge, HellaSwag, mmlu_stem, TruthfulQA, as lm-eval has them."""


def lab_rows() -> str:
    """System 5: deltas recomputed, in points, with the interval that the counts allow."""
    table = read("llama_lab.toml")
    names = table["benchmarks"]
    base = [share(100 * float(f), n) for f, n in zip(table["base"], _LAB_QUESTIONS, strict=True)]
    cells = [["base", *(each.told() for each in base)]]
    separable: list[str] = []
    for row in table["rows"]:
        told: list[str] = []
        for name, was, score, before in zip(names, base, row["scores"], table["base"], strict=True):
            points = 100 * (float(score) - float(before))
            half = Difference(share(100 * float(score), was.count), was).half_width
            told.append(f"{points:+.2f} ± {half:.2f}")
            separable += [f"{row['name']} on {name}"] if abs(points) > half else []
        cells.append([row["name"], *told])
    count = len(table["rows"]) * len(names)
    verdict = f"{len(separable)} of {count} deltas are separable unpaired: {', '.join(separable)}."
    head = [f"{name} ({n:,})" for name, n in zip(names, _LAB_QUESTIONS, strict=True)]
    return f"{ruled(['run', *head], cells)}\n\n{verdict}"


def mistakes(title: str) -> str:
    """The published figures of a project that its own table contradicts."""
    [system] = [each for each in systems() if each.title == title]
    wrong = [claim for claim in system.claims if not claim.agrees]
    cells = [
        [claim.row, claim.figure, claim.published, f"{claim.recomputed:.{claim.decimals + 1}f}"]
        for claim in wrong
    ]
    told = f"{len(wrong)} of {len(system.claims)} recomputed figures do not agree:"
    return f"{told}\n\n{ruled(['row', 'figure', 'published', 'recomputed'], cells)}"


def ruled(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in markdown; the first column to the left."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
