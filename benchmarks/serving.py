"""`tunelab serve` under load: clients that ask about one paragraph, at once and in turn.

    python -m benchmarks.serving [--clients 8] [--rounds 5] [--model NAME]

A server with a random Llama (or `--model`) answers over a real socket. In each round every client
asks a question of its own about the round's paragraph: first all at once, then one after the other;
rounds take turns in which comes first. The replies have to be the same. Greedy, float32, every
reply of the same length, the paragraph new in every round.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import torch
import uvicorn

from benchmarks.generation import CHAT_TEMPLATE
from benchmarks.goals import Goal, at_least
from tunelab.answering import load_answerer
from tunelab.data.reading import generate
from tunelab.data.squad import parse_squad
from tunelab.serve.application import make_application
from tunelab.serve.running import bind

GOAL = 3.0
"""Times the throughput of one after the other."""
ROUNDS = 5
REPLY_TOKENS = 16
WORDS = 400
"""Words of a paragraph, about."""


@dataclass(frozen=True, slots=True)
class Load:
    """What was seen."""

    clients: int
    seconds: tuple[tuple[float, float], ...]
    """Of each round: one after the other, and at once."""
    equal: bool
    """Whether all replies were the same both ways."""

    @property
    def ratios(self) -> list[float]:
        """Throughput at once over throughput one after the other."""
        return [in_turn / at_once for in_turn, at_once in self.seconds]

    @property
    def held(self) -> bool:
        """Whether the row counts."""
        return self.equal and statistics.median(self.ratios) >= GOAL


def run(*, clients: int = 8, rounds: int = ROUNDS, model: str | None = None) -> Load:
    """Put a server under load."""
    with tempfile.TemporaryDirectory() as folder:
        return _measure(model or str(_random_llama(Path(folder))), clients=clients, rounds=rounds)


def table(load: Load) -> str:
    """One row."""
    in_turn, at_once = (statistics.median(each) for each in zip(*load.seconds, strict=True))
    low, high = min(load.ratios), max(load.ratios)
    lines = [
        "| clients | one after the other | at once | throughput (goal) | same replies |",
        "| ---: | ---: | ---: | ---: | --- |",
        f"| {load.clients} | {in_turn:.2f} s | {at_once:.2f} s | "
        f"{statistics.median(load.ratios):.2f} times, {low:.2f} to {high:.2f} ({GOAL:g}) | "
        f"{'yes' if load.equal else 'no'} |",
    ]
    return "\n".join(lines)


def goal(load: Load) -> Goal:
    """The throughput of many at once."""
    what = f"tunelab serve, {load.clients} clients at once against one after the other"
    return at_least(what, load.ratios, GOAL, same=load.equal)


def _measure(name: str, *, clients: int, rounds: int) -> Load:
    paragraphs = _paragraphs(rounds + 1)
    answerer = load_answerer(name)
    listening = bind("127.0.0.1", 0)
    config = uvicorn.Config(make_application(answerer), log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    taken: list[tuple[float, float]] = []
    equal = True
    with httpx.Client(timeout=600) as http, ThreadPoolExecutor(clients) as pool:

        def ask(prompt: str) -> str:
            body = {
                "messages": [{"role": "user", "content": prompt}],
                "max_tokens": REPLY_TOKENS,
                "temperature": 0,
            }
            found = http.post(f"{url}/chat/completions", json=body).json()
            return found["choices"][0]["message"]["content"]

        for number, paragraph in enumerate(paragraphs):
            prompts = [f"{paragraph}\n\nQuestion {n}: what is it?" for n in range(clients)]
            ways = {
                "at once": lambda prompts=prompts: list(pool.map(ask, prompts)),
                "in turn": lambda prompts=prompts: list(map(ask, prompts)),
            }
            order = list(ways) if number % 2 else list(reversed(ways))
            seconds, replies = {}, {}
            for way in order:
                began = time.perf_counter()
                replies[way] = ways[way]()
                seconds[way] = time.perf_counter() - began
            equal = equal and replies["at once"] == replies["in turn"]
            if number:  # the first round warms up
                taken.append((seconds["in turn"], seconds["at once"]))
    server.should_exit = True
    thread.join(timeout=10)
    answerer.close()
    return Load(clients, tuple(taken), equal)


def _paragraphs(count: int) -> list[str]:
    """Texts of about `WORDS` words that begin in different ways."""
    examples = parse_squad(generate("test", questions=40 * count), source="reading")
    contexts = list(dict.fromkeys(example.context for example in examples))
    texts, words = [], " ".join(contexts).split()
    for number in range(count):
        start = number * len(words) // count
        texts.append(f"Paragraph {number}. {' '.join(words[start : start + WORDS])}")
    return texts


def _random_llama(folder: Path) -> Path:
    """30 million random parameters, as in the other benchmarks."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4000,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(_paragraphs(40), trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|im_end|>")
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=512,
        intermediate_size=1408,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=4096,
        bos_token_id=0,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and say whether the goal was reached."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--model", help="a run or checkpoint; else a random Llama")
    asked = parser.parse_args(arguments)
    load = run(clients=asked.clients, rounds=asked.rounds, model=asked.model)
    print(table(load))
    return 0 if load.held else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
