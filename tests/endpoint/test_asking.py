"""Asking an endpoint that misbehaves: what passes is waited out, what does not is told."""

from __future__ import annotations

import email.utils
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.endpoint.scripted import (
    Behaviour,
    drips,
    half,
    hangs_up,
    refuses,
    repeats_the_key,
    replies,
    says,
    scripted,
    silence,
)

from tunelab.endpoint import Address, Asked, Client, ReplyCache
from tunelab.endpoint import asking as module
from tunelab.errors import EndpointError, Interrupted, PriceError
from tunelab.recipe import Api

KEY = "sk-only-in-the-environment-7431"
QUICK = Api(timeout=0.4, retries=3, concurrency=4)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.01)


def bodies(count: int) -> list[dict[str, Any]]:
    return [
        {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": f"Question {n}?"}]}
        for n in range(count)
    ]


def client(url: str, folder: Path, api: Api = QUICK, **more: Any) -> Client:
    stop = more.pop("stop", lambda: False)
    address = Address(url, KEY, "OPENAI_API_KEY")
    return Client(address, api, cache=ReplyCache(url, folder), stop=stop)


def text(asked: Asked) -> str:
    assert asked.reply is not None
    return asked.reply.text


@pytest.mark.parametrize(
    "first",
    [
        silence,
        hangs_up,
        half,
        drips,
        refuses(500),
        refuses(503),
        refuses(429),
        refuses(408),
        says("<html>Bad gateway</html>", kind="text/html"),
        says("nonsense"),
        says("[" * 50_000),
        says("null"),
        says("{}"),
        says('{"choices": []}'),
        says('{"choices": [{"message": {"content": 7}}]}'),
        says('{"choices": [{"text": "of another interface"}]}'),
    ],
)
def test_what_may_pass_is_asked_again(first: Behaviour, tmp_path: Path) -> None:
    with scripted(first) as script:
        [asked] = client(script.url, tmp_path).ask(bodies(1), advance=lambda count: None)
    assert "7 sea" in text(asked)
    assert len(script.bodies) == 2


@pytest.mark.parametrize("date", [False, True])
def test_all_wait_as_long_as_the_server_says(date: bool, tmp_path: Path) -> None:
    # dates have whole seconds: one of two seconds ahead is more than one away
    after = email.utils.formatdate(time.time() + 2, usegmt=True) if date else "0.6"
    with scripted(refuses(429, headers={"Retry-After": after})) as script:
        api = QUICK.model_copy(update={"concurrency": 1})
        client(script.url, tmp_path, api).ask(bodies(3), advance=lambda count: None)
    first, second, *_ = script.times
    assert second - first > 0.55
    assert len(script.bodies) == 4


def test_too_long_a_rest_is_told(tmp_path: Path) -> None:
    with (
        scripted(refuses(429, headers={"Retry-After": "86400"})) as script,
        pytest.raises(EndpointError, match="wants 86400 s of rest"),
    ):
        client(script.url, tmp_path).ask(bodies(1), advance=lambda count: None)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (refuses(401, f"Incorrect key {KEY}"), "refuses the key in OPENAI_API_KEY"),
        (refuses(404, "no such model"), r"\(status 404\): no such model"),
        (refuses(400, f"bad {KEY} field"), r"\(status 400\): bad \[key\] field"),
        (refuses(429, "pay", code="insufficient_quota"), r"\(status 429\): pay"),
        (refuses(301), r"status 301"),
    ],
)
def test_what_will_not_pass_ends_it_at_once(answer: Behaviour, told: str, tmp_path: Path) -> None:
    with scripted(answer) as script, pytest.raises(EndpointError, match=told) as caught:
        client(script.url, tmp_path).ask(bodies(1), advance=lambda count: None)
    assert len(script.bodies) == 1
    assert KEY not in str(caught.value)


def test_patience_ends(tmp_path: Path) -> None:
    with (
        scripted(*[refuses(500)] * 9) as script,
        pytest.raises(EndpointError, match=r"did not answer in 4 attempts; .* status 500"),
    ):
        client(script.url, tmp_path).ask(bodies(1), advance=lambda count: None)


def test_nobody_there(tmp_path: Path) -> None:
    with scripted() as script:
        pass
    with pytest.raises(EndpointError, match="ConnectError"):
        client(script.url, tmp_path).ask(bodies(1), advance=lambda count: None)


def test_a_prompt_that_is_too_long_is_no_error(tmp_path: Path) -> None:
    with scripted(refuses(400, "too long", code="context_length_exceeded")) as script:
        [asked] = client(script.url, tmp_path).ask(bodies(1), advance=lambda count: None)
    assert asked.reply is None


def test_nothing_is_paid_twice(tmp_path: Path) -> None:
    with scripted() as script:
        twice = [*bodies(3), *bodies(3)]
        first = client(script.url, tmp_path)
        found = first.ask(twice, advance=lambda count: None)
        assert len(script.bodies) == 3
        again = client(script.url, tmp_path)
        assert again.ask(twice, advance=lambda count: None) == found
        assert len(script.bodies) == 3
        again.ask([bodies(1)[0] | {"temperature": 1}], advance=lambda count: None)
        assert len(script.bodies) == 4
    prices = Api(input_price=10_000, output_price=100_000)
    assert first.spending.price(prices) == first.spending.paid(prices) == pytest.approx(6)
    assert again.spending.paid(prices) == pytest.approx(2)
    assert again.spending.cached == 6


def test_a_damaged_file_of_the_cache_is_asked_for_anew(tmp_path: Path) -> None:
    with scripted() as script:
        client(script.url, tmp_path).ask(bodies(1), advance=lambda count: None)
        [path] = tmp_path.rglob("*.json")
        path.write_text(path.read_text()[:50])
        client(script.url, tmp_path).ask(bodies(1), advance=lambda count: None)
        assert len(script.bodies) == 2


def test_replies_keep_their_order_and_requests_their_limit(tmp_path: Path) -> None:
    with scripted(*(replies(f"reply {n}", after=0.05) for n in range(12))) as script:
        found = client(script.url, tmp_path).ask(bodies(12), advance=lambda count: None)
        said = {body["messages"][0]["content"] for body in script.bodies}
    assert len(said) == 12
    order = [body["messages"][0]["content"] for body in script.bodies]
    for number, asked in enumerate(found):
        assert text(asked) == f"reply {order.index(f'Question {number}?')}"
    assert 1 < script.most <= 4


def test_a_stop_keeps_what_came(tmp_path: Path) -> None:
    stop = threading.Event()
    with scripted(*[replies("x", after=0.1)] * 40) as script:
        slow = client(script.url, tmp_path, stop=stop.is_set)
        with pytest.raises(Interrupted):
            slow.ask(bodies(40), advance=lambda count: stop.set() if count else None)
        asked = len(script.bodies)
        assert asked < 40
        client(script.url, tmp_path).ask(bodies(40), advance=lambda count: None)
        assert len(script.bodies) <= 44


def test_a_run_that_passes_its_price_ends(tmp_path: Path) -> None:
    api = QUICK.model_copy(update={"input_price": 10_000, "max_price": 2.5, "concurrency": 1})
    with scripted() as script:
        with pytest.raises(PriceError, match=r"was spent, and model.api.max_price is 2.5"):
            client(script.url, tmp_path, api).ask(bodies(20), advance=lambda count: None)
        assert 3 <= len(script.bodies) < 8


def test_the_key_is_sent_and_kept_nowhere(tmp_path: Path) -> None:
    with scripted(repeats_the_key) as script:
        [asked] = client(script.url, tmp_path).ask(bodies(1), advance=lambda count: None)
    assert script.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert "Bearer [key]" in text(asked)
    for path in tmp_path.rglob("*.json"):
        assert KEY not in path.read_text()
    assert KEY not in repr(Address("u", KEY, "V"))
