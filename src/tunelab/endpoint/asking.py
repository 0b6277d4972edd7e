"""Asks an endpoint: several requests at a time, each patiently, each once.

What may pass (429, 408, 5xx, silence, a torn or senseless reply) is asked again, ever later and
never all at the same moment; where the server says how long to wait, all requests wait that long.
What will not pass (a wrong key, an unknown model, a refused field) ends the run at once.
"""

from __future__ import annotations

import email.utils
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import httpx

from tunelab.endpoint.address import Address
from tunelab.endpoint.body import Body
from tunelab.endpoint.cache import ReplyCache
from tunelab.endpoint.price import Spending
from tunelab.endpoint.reply import RemoteReply, read_reply
from tunelab.errors import EndpointError, Interrupted, PriceError
from tunelab.recipe import Api

FIRST_PAUSE = 0.5
"""Seconds before the first repetition; each further one doubles it."""
LONGEST_PAUSE = 60.0
LONGEST_WAIT = 600.0
"""Seconds that a server may ask us to wait."""
LARGEST_REPLY = 16 * 2**20
"""Bytes."""
TOO_LONG = "context_length_exceeded"
_PASSING = {408, 409, 425, 429}
_SPENT = {"insufficient_quota", "billing_hard_limit_reached"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of one request."""

    reply: RemoteReply | None
    """None: the prompt is longer than the model reads."""


class _WillPass(Exception):
    """Worth asking again."""

    def __init__(self, told: str, *, after: float | None = None) -> None:
        super().__init__(told)
        self.told = told
        self.after = after


class _TooLong(Exception):
    """The prompt is longer than the model reads."""


class Client:
    """Asks one endpoint.

    Args:
        address: where, and with which key.
        api: how.
        cache: of replies.
        stop: whether to give up; what came so far is kept.
    """

    def __init__(
        self, address: Address, api: Api, *, cache: ReplyCache, stop: Callable[[], bool]
    ) -> None:
        self.spending = Spending()
        self._address = address
        self._api = api
        self._cache = cache
        self._stop = stop
        self._over = threading.Event()
        self._not_before = 0.0  # by the monotonic clock
        self._random = random.Random()

    def ask(self, bodies: Sequence[Body], *, advance: Callable[[int], None]) -> list[Asked]:
        """The replies to requests, in their order.

        Raises:
            EndpointError: the endpoint cannot be reached, refuses, or goes on sending nonsense.
            PriceError: more was spent than `max_price`.
            Interrupted: `stop` says so.
        """
        found: dict[int, Asked] = {}
        for index, body in enumerate(bodies):
            if isinstance(kept := read_reply(self._cache.find(body)), RemoteReply):
                self.spending.count(kept, cached=True)
                found[index] = Asked(kept)
        advance(len(found))
        missing = {index: body for index, body in enumerate(bodies) if index not in found}
        for index, asked in self._ask_missing(missing):
            found[index] = asked
            advance(1)
        return [found[index] for index in range(len(bodies))]

    def _ask_missing(self, bodies: dict[int, Body]) -> Iterator[tuple[int, Asked]]:
        """Equal requests are asked once."""
        self._over.clear()
        alike: dict[str, list[int]] = {}
        for index, body in bodies.items():
            alike.setdefault(json.dumps(body, sort_keys=True), []).append(index)
        limits = httpx.Limits(max_connections=self._api.concurrency)
        pool = ThreadPoolExecutor(self._api.concurrency)
        with httpx.Client(limits=limits, headers=self._address.headers()) as http:
            under_way: dict[Future[Asked], list[int]] = {
                pool.submit(self._ask, http, bodies[members[0]]): members
                for members in alike.values()
            }
            try:
                while under_way:
                    done, _ = wait(under_way, timeout=0.2, return_when=FIRST_COMPLETED)
                    for future in done:
                        asked, members = future.result(), under_way.pop(future)
                        if asked.reply is not None:
                            self.spending.count(asked.reply, cached=False)
                        yield from ((index, asked) for index in members)
                    self._look(len(under_way))
            finally:
                self._over.set()
                http.close()  # so that no thread waits for a reply that nobody wants
                pool.shutdown(cancel_futures=True)

    def _look(self, missing: int) -> None:
        if self._stop():
            raise Interrupted(
                f"Stopped with {missing} requests to go; the replies so far are kept.",
                hint="The same command goes on from there.",
            )
        paid, most = self.spending.paid(self._api), self._api.max_price
        if missing and paid is not None and most is not None and paid > most:
            raise PriceError(
                f"{paid:.4g} was spent, and model.api.max_price is {most:g}; {missing} requests "
                "are still to go. The replies so far are kept.",
                hint="Raise model.api.max_price, or lower task.test_limit.",
            )

    def _ask(self, http: httpx.Client, body: Body) -> Asked:
        """One request, as often as it takes."""
        last = _WillPass("nothing")
        for attempt in range(self._api.retries + 1):
            self._pause_until_allowed()
            try:
                document = self._send(http, body)
            except _WillPass as problem:
                last = problem
            except _TooLong:
                return Asked(None)
            else:
                reply = read_reply(document)
                if isinstance(reply, RemoteReply):
                    self._cache.keep(body, document)
                    return Asked(reply)
                last = _WillPass(f"a reply that is none ({reply})")
            if attempt < self._api.retries:
                self._put_off(attempt, last.after)
        raise EndpointError(
            f"{self._address.host} did not answer in {self._api.retries + 1} attempts; the last "
            f"one ended with {last.told}.",
            hint="Try again later: the replies so far are kept. model.api.retries, timeout and "
            "concurrency say how patiently it is asked.",
        )

    def _send(self, http: httpx.Client, body: Body) -> object:
        """One attempt: the document that came."""
        seconds = self._api.timeout
        try:
            with http.stream(
                "POST", f"{self._address.url}/chat/completions", json=body, timeout=seconds
            ) as response:
                content = self._read(response, until=time.monotonic() + seconds)
        except httpx.RequestError as error:
            told = self._address.without_key(str(error)) or "no reason given"
            raise _WillPass(f"{type(error).__name__} ({told})") from None
        status = response.status_code
        if status in _PASSING or status >= 500:
            if _error_code(content) in _SPENT:
                raise self._refused(status, content)
            raise _WillPass(f"status {status}", after=_retry_after(response.headers))
        if status == 400 and _error_code(content) == TOO_LONG:
            raise _TooLong
        if status != 200:
            raise self._refused(status, content)
        kind = response.headers.get("content-type", "").partition(";")[0]
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise _WillPass(f"'{kind[:60]}' instead of JSON") from None

    def _read(self, response: httpx.Response, *, until: float) -> str:
        """The body, however slowly it drips, up to a limit; without the key, if it repeats it."""
        content = bytearray()
        for chunk in response.iter_bytes():
            content += chunk
            if time.monotonic() > until or self._over.is_set():
                raise _WillPass(f"half a reply after {self._api.timeout:g} s")
            if len(content) > LARGEST_REPLY:
                raise _WillPass(f"more than {LARGEST_REPLY} bytes")
        return self._address.without_key(content.decode("utf-8", "replace"))

    def _refused(self, status: int, content: str) -> EndpointError:
        """What no patience mends."""
        variable = self._address.key_variable
        if status in (401, 403):
            given = f"the key in {variable}" if self._address.key else "requests without a key"
            return EndpointError(
                f"{self._address.host} refuses {given} (status {status}).",
                hint=f"export {variable or 'VARIABLE'}=... with a key that may use this model "
                "(model.api.key_variable names the variable).",
            )
        told = " ".join(_error_text(content).split())[:300]
        return EndpointError(
            f"{self._address.host} refuses the request (status {status}): {told}",
            hint="See model.name and model.endpoint (it ends in /v1 as a rule). "
            "model.api.options adds fields of the request, or takes one out with null.",
        )

    def _put_off(self, attempt: int, after: float | None) -> None:
        """Wait; if the server said how long, so do all the others."""
        if after is not None:
            if after > LONGEST_WAIT:
                raise EndpointError(
                    f"{self._address.host} wants {after:.0f} s of rest before the next request.",
                    hint="Try again later: the replies so far are kept.",
                )
            self._not_before = max(self._not_before, time.monotonic() + after)
            return
        pause = min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE)
        self._over.wait(pause * self._random.uniform(0.5, 1))

    def _pause_until_allowed(self) -> None:
        while (left := self._not_before - time.monotonic()) > 0:
            self._over.wait(left + self._random.uniform(0, 0.1 * left))  # not all at once
            if self._over.is_set():
                break
        if self._over.is_set():
            raise EndpointError("Another request has failed.")


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds, from a number of them or a date (RFC 9110, section 10.2.3)."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        return max(float(text), 0)
    except ValueError:
        pass
    try:
        return max(email.utils.parsedate_to_datetime(text).timestamp() - time.time(), 0)
    except (ValueError, OverflowError):
        return None


def _error_code(content: str) -> str | None:
    match _parsed(content):
        case {"error": {"code": str(code)}}:
            return code
        case _:
            return None


def _error_text(content: str) -> str:
    match _parsed(content):
        case {"error": {"message": str(text)}} | {"error": str(text)} | {"message": str(text)}:
            return text
        case _:
            return content


def _parsed(content: str) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
