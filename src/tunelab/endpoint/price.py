"""What asking costs: estimated before, counted while it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunelab.endpoint.body import Body, text_bytes
from tunelab.endpoint.reply import RemoteReply
from tunelab.recipe import Api

BYTES_A_TOKEN = 4
"""Of English, roughly, with the tokenizers of the day."""
_MILLION = 1_000_000


@dataclass(slots=True)
class Spending:
    """Requests, tokens and money so far. What came from the cache was paid before."""

    requests: int = 0
    cached: int = 0
    """Of the requests."""
    read: int = 0
    """Tokens of prompts."""
    written: int = 0
    paid_read: int = 0
    """Of `read` what was asked for now."""
    paid_written: int = 0

    def count(self, reply: RemoteReply, *, cached: bool) -> None:
        """Add a reply."""
        read, written = reply.read or 0, reply.written or 0
        self.requests += 1
        self.read += read
        self.written += written
        if cached:
            self.cached += 1
        else:
            self.paid_read += read
            self.paid_written += written

    def price(self, api: Api) -> float | None:
        """Of all requests, whenever they were paid; None where the recipe names no price."""
        return price(api, read=self.read, written=self.written)

    def paid(self, api: Api) -> float | None:
        """Of the requests that were not in the cache."""
        return price(api, read=self.paid_read, written=self.paid_written)

    def sentence(self, api: Api) -> str:
        """For the notes of a run."""
        told = (
            f"{self.requests:,} requests, {self.cached:,} of them from the cache; "
            f"{self.read:,} tokens read and {self.written:,} written"
        )
        whole, paid = self.price(api), self.paid(api)
        return told if whole is None else f"{told}; price {whole:.4g}, of which {paid:.4g} now"


def price(api: Api, *, read: float, written: float) -> float | None:
    """In the recipe's currency; None where it names no price."""
    if api.input_price is None and api.output_price is None:
        return None
    return (read * (api.input_price or 0) + written * (api.output_price or 0)) / _MILLION


def estimate(bodies: Sequence[Body], api: Api) -> float | None:
    """About what requests will cost, a little high: replies are as long as they may be."""
    read = sum(map(text_bytes, bodies)) / BYTES_A_TOKEN
    limits = (body.get("max_tokens") or body.get("max_completion_tokens") for body in bodies)
    written = sum(limit or 0 for limit in limits)
    return price(api, read=read, written=written)
