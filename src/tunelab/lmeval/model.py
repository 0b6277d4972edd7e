"""The model class `tunelab` of lm-eval: its requests, answered on the token tree.

    loglikelihood           continuations behind stems (`tokentree.scoring`)
    loglikelihood_rolling   lm-eval's own windows over a text, scored likewise
    generate_until          `tokentree.generation`, each answer cut at its stops by lm-eval

Numbers are those of lm-eval's own `hf` model, up to rounding, which reads each request from its
first token to its last. `batch_size` is accepted and means nothing: rows are filled by tokens.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Self

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import (
    configure_pad_token,
    handle_stop_sequences,
    normalize_gen_kwargs,
    postprocess_generated_text,
    resolve_max_length,
)
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from tqdm import tqdm

from tunelab.errors import UsageError, did_you_mean
from tunelab.lmeval.encoding import Encoding
from tunelab.lmeval.loading import load_for_lm_eval
from tunelab.tokentree.decoding import Beams, Decoding, Greedy, Sample, Strategy
from tunelab.tokentree.generation import generate
from tunelab.tokentree.scoring import TOKENS_PER_PASS, Scored, score_continuations
from tunelab.tokentree.stems import Continuation

ARGUMENTS = (
    "path",
    "revision",
    "dtype",
    "quantize",
    "device",
    "max_length",
    "add_bos_token",
    "prefix_token_id",
    "tokens_per_pass",
)
"""What `--model_args` may hold."""
SAMPLING = ("do_sample", "temperature", "top_p", "num_beams", "length_penalty")
"""What `--gen_kwargs` may hold, beside the stops and the length."""

_log = logging.getLogger("lm_eval.tunelab")


class TunelabLM(TemplateLM):
    """A decoder loaded by tunelab, as lm-eval asks it.

    Args:
        path: a run directory, an adapter, a folder, a hub id or a bundled name.
        revision: of a hub id.
        dtype: as `model.dtype` of a recipe; if not given, that of the run, else f32.
        quantize: as `model.quantize`, likewise; else none.
        device: as torch writes it.
        max_length: tokens that the model is given at most; if not given, what it can read.
        add_bos_token: whether texts begin with that token; if not given, the tokenizer's habit.
        prefix_token_id: what stands for an empty context.
        tokens_per_pass: of the token tree.
    """

    def __init__(
        self,
        path: str,
        *,
        revision: str | None = None,
        dtype: str | None = None,
        quantize: str | None = None,
        device: str | None = None,
        max_length: int | None = None,
        add_bos_token: bool | None = None,
        prefix_token_id: int | None = None,
        tokens_per_pass: int = TOKENS_PER_PASS,
    ) -> None:
        super().__init__()
        self.path = path
        changes = {"revision": revision, "dtype": dtype, "quantize": quantize}
        self.settings, self.tuned, tokenizer = load_for_lm_eval(
            path, {key: value for key, value in changes.items() if value is not None}, device=device
        )
        self._device = self.tuned.checkpoint.device
        self.tokenizer = configure_pad_token(tokenizer)
        self.tokens_per_pass = tokens_per_pass
        limit = resolve_max_length(self.tuned.checkpoint.config, self.tokenizer)
        self.encoding = Encoding(
            self.tokenizer,
            (max_length or limit) - self.tuned.virtual_tokens,
            add_bos_token=add_bos_token,
            prefix_token_id=prefix_token_id,
        )

    @classmethod
    def create_from_arg_obj(
        cls, arg_dict: dict[str, Any], additional_config: dict[str, Any] | None = None
    ) -> Self:
        """Called by lm-eval with `--model_args` and the options that every model gets.

        Raises:
            UsageError: an argument that the class does not know, or no path.
        """
        for name in arg_dict:
            if name not in ARGUMENTS:
                raise UsageError(
                    f"The model class tunelab has no argument '{name}'.",
                    hint=did_you_mean(name, ARGUMENTS),
                )
        if "path" not in arg_dict:
            raise UsageError(
                "The model class tunelab is not told which model.",
                hint="Give --model_args path=MODEL: a run, an adapter, a folder or a hub id.",
            )
        device: dict[str, Any] = {"device": (additional_config or {}).get("device")}
        return cls(**device | arg_dict)

    @property
    def max_length(self) -> int:
        """Tokens of a request that the model reads at most."""
        return self.encoding.max_length

    @property
    def eot_token_id(self) -> int:
        """End of text."""
        token = self.tokenizer.eos_token_id
        return token if isinstance(token, int) else self.encoding.prefix

    @property
    def prefix_token_id(self) -> int:
        """What stands for an empty context."""
        return self.encoding.prefix

    @property
    def tokenizer_name(self) -> str:
        """Under which lm-eval caches requests."""
        return self.tokenizer.name_or_path.replace("/", "__")

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **kwargs: Any
    ) -> list[int]:
        """The tokens of a text."""
        assert add_special_tokens is None and not kwargs
        return list(self.encoding.text(string))

    def loglikelihood(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[tuple[float, bool]]:
        """Log-probability of each continuation, and whether greedy decoding would say it."""
        texts: list[Any] = [request.args for request in requests]
        before = self.encoding.truncated
        asked = self.encoding.pairs(texts)
        self._tell_truncated(before)
        scored = self._score(asked, quiet=disable_tqdm)
        answers = [(each.log_prob, each.greedy) for each in scored]
        for pair, answer in zip(texts, answers, strict=True):
            self.cache_hook.add_partial("loglikelihood", pair, answer)
        return answers

    def loglikelihood_rolling(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[float]:
        """Log-probability of each text from its first token on, in windows of `max_length`."""
        windows: list[Continuation] = []
        owners: list[int] = []
        for owner, request in enumerate(requests):
            cut = get_rolling_token_windows(
                token_list=self.tok_encode(request.args[0]),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length,
                context_len=1,
            )
            for context, targets in map(make_disjoint_window, cut):
                windows.append(Continuation(tuple(context), tuple(targets)))
                owners.append(owner)
        sums = [0.0] * len(requests)
        for owner, each in zip(owners, self._score(windows, quiet=disable_tqdm), strict=True):
            sums[owner] += each.log_prob
        for request, total in zip(requests, sums, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, total)
        return sums

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """What the model writes behind each context, up to the first of its stops."""
        asked: list[Any] = [request.args for request in requests]
        keys = [json.dumps(settings, sort_keys=True) for _, settings in asked]
        order = sorted(range(len(requests)), key=lambda index: (keys[index], index))
        answers: dict[int, str] = {}
        before = self.encoding.truncated
        with tqdm(total=len(requests), disable=disable_tqdm, desc="generate_until") as bar:
            for _, members in groupby(order, key=lambda index: keys[index]):
                chosen = list(members)
                contexts = [asked[index][0] for index in chosen]
                settings = asked[chosen[0]][1]
                answers.update(zip(chosen, self._generate(contexts, settings, bar), strict=True))
        self._tell_truncated(before)
        for index, request in enumerate(requests):
            self.cache_hook.add_partial("generate_until", request.args, answers[index])
        return [answers[index] for index in range(len(requests))]

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """A conversation as the model's own template writes it."""
        text = self.tokenizer.apply_chat_template(
            chat_history,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )
        assert isinstance(text, str)
        return text

    def get_model_info(self) -> dict[str, Any]:
        """What lm-eval writes into its results about the model."""
        checkpoint = self.tuned.checkpoint
        return {
            "model_num_parameters": checkpoint.num_parameters(),
            "model_dtype": str(checkpoint.dtype),
            "model_revision": self.settings.revision or "main",
            "model_tuning": self.tuned.tuning.kind,
            "model_quantize": self.settings.quantize,
            "requests_cut_on_the_left": self.encoding.truncated,
        }

    def _loglikelihood_tokens(
        self, requests: list[tuple[tuple[str, str], list[int], list[int]]], **kwargs: Any
    ) -> list[tuple[float, bool]]:
        """Asked for by the base class; `loglikelihood` goes its own way."""
        asked = [Continuation(tuple(context), tuple(targets)) for _, context, targets in requests]
        return [
            (each.log_prob, each.greedy)
            for each in self._score(asked, quiet=bool(kwargs.get("disable_tqdm")))
        ]

    def _score(self, asked: Sequence[Continuation], *, quiet: bool) -> list[Scored]:
        with (
            tqdm(total=len(asked), disable=quiet, desc="log-likelihoods") as bar,
            self._autocast(),
        ):
            return score_continuations(
                self.tuned.checkpoint,
                asked,
                virtual=self.tuned.virtual(),
                tokens_per_pass=self.tokens_per_pass,
                advance=bar.update,
            )

    def _generate(
        self, contexts: Sequence[str], settings: dict[str, Any], bar: tqdm[Any]
    ) -> list[str]:
        wanted: dict[str, Any] = dict(normalize_gen_kwargs(settings, 256))
        eos = self.tokenizer.decode([self.eot_token_id])
        until = handle_stop_sequences(wanted.pop("until"), eos=str(eos))
        longest = wanted.pop("max_gen_toks")
        ends = self.tuned.checkpoint.generation_config.eos_token_id
        stops = ends if isinstance(ends, list) else [] if ends is None else [ends]
        with self._autocast():
            written = generate(
                self.tuned.checkpoint,
                self.tokenizer,
                self.encoding.prompts(contexts, room=longest),
                Decoding(
                    strategy=_strategy(wanted),
                    max_new_tokens=longest,
                    stop_ids=frozenset({self.eot_token_id, *stops}),
                    stop_texts=tuple(text for text in until if text),
                ),
                virtual=self.tuned.virtual(),
                tokens_per_pass=self.tokens_per_pass,
                advance=bar.update,
            )
        return [
            postprocess_generated_text(
                str(self.tokenizer.decode(list(each.ids), skip_special_tokens=True)), until, None
            )
            for each in written
        ]

    def _autocast(self) -> torch.autocast:
        wanted = self.settings.dtype == "bf16"
        return torch.autocast(self._device.type, torch.bfloat16, enabled=wanted)

    def _tell_truncated(self, before: int) -> None:
        if count := self.encoding.truncated - before:
            _log.warning(
                "%d requests are longer than the %d tokens that the model reads and were cut on "
                "the left.",
                count,
                self.max_length,
            )


def _strategy(settings: dict[str, Any]) -> Strategy:
    """How to decode, from what is left of lm-eval's generation settings.

    Raises:
        UsageError: a setting that tunelab does not have.
    """
    for name in settings:
        if name not in SAMPLING:
            raise UsageError(
                f"The model class tunelab generates without '{name}'.",
                hint=did_you_mean(name, (*SAMPLING, "until", "max_gen_toks")),
            )
    beams = int(settings.get("num_beams", 1))
    if settings.get("do_sample"):
        temperature = float(settings.get("temperature", 1.0))
        if temperature <= 0 or beams > 1:
            raise UsageError(
                f"do_sample=True with temperature={temperature:g} and num_beams={beams}.",
                hint="Sampling needs a temperature above 0 and no beams.",
            )
        seed = torch.initial_seed()  # lm-eval sets it from --seed
        return Sample(temperature, float(settings.get("top_p", 1.0)), seed)
    return Beams(beams, float(settings.get("length_penalty", 1.0))) if beams > 1 else Greedy()
