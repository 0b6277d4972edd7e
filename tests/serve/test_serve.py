"""The server on a real socket: replies, streams, counts, and all that is refused."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")

from tests.serve.served import served

HELLO = [{"role": "user", "content": "Hello."}]


@pytest.fixture(scope="module")
def server(small_decoder: Path) -> Iterator[httpx.Client]:
    with served(small_decoder) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def chat(server: httpx.Client, **changes: Any) -> httpx.Response:
    body = {"messages": HELLO, "max_tokens": 6, "temperature": 0}
    return server.post("/chat/completions", json=body | changes)


def events(text: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_a_reply_has_text_an_end_and_its_tokens_counted(server: httpx.Client) -> None:
    found = chat(server).json()
    [choice] = found["choices"]
    assert choice["message"]["role"] == "assistant" and choice["message"]["content"]
    assert choice["finish_reason"] == "length"
    assert found["usage"]["completion_tokens"] == 6
    assert found["usage"]["total_tokens"] == found["usage"]["prompt_tokens"] + 6
    assert found["object"] == "chat.completion" and found["model"].startswith("small-decoder")


def test_a_stream_says_the_same_piece_by_piece(server: httpx.Client) -> None:
    whole = chat(server, max_tokens=20).json()
    streamed = chat(server, max_tokens=20, stream=True, stream_options={"include_usage": True})
    assert streamed.headers["content-type"].startswith("text/event-stream")
    first, *pieces, last, usage = events(streamed.text)
    assert first["choices"][0]["delta"]["role"] == "assistant"
    texts = [piece["choices"][0]["delta"]["content"] for piece in pieces]
    assert len(texts) > 3
    assert "".join(texts) == whole["choices"][0]["message"]["content"]
    assert last["choices"][0]["finish_reason"] == "length"
    assert usage["usage"] == whole["usage"] and usage["choices"] == []


def test_a_stop_text_ends_a_reply_and_is_no_part_of_it(server: httpx.Client) -> None:
    text = chat(server, max_tokens=20).json()["choices"][0]["message"]["content"]
    stop = text[len(text) // 2 :][:3]
    cut = text[: text.index(stop)]
    found = chat(server, max_tokens=20, stop=[stop]).json()["choices"][0]
    assert found["message"]["content"] == cut
    assert found["finish_reason"] == "stop"
    streamed = events(chat(server, max_tokens=20, stop=stop, stream=True).text)
    said = "".join(each["choices"][0]["delta"].get("content", "") for each in streamed)
    assert said == cut


def test_log_probabilities_belong_to_the_tokens(server: httpx.Client) -> None:
    [choice] = chat(server, logprobs=True, top_logprobs=3).json()["choices"]
    rows = choice["logprobs"]["content"]
    assert len(rows) == 6
    for row in rows:  # greedy: the likeliest token was said
        assert len(row["top_logprobs"]) == 3
        assert row["logprob"] == row["top_logprobs"][0]["logprob"] < 0


def test_bare_texts_are_continued(server: httpx.Client) -> None:
    body = {"prompt": "The harbour", "max_tokens": 5, "temperature": 0, "logprobs": 2}
    found = server.post("/completions", json=body).json()
    [choice] = found["choices"]
    assert found["object"] == "text_completion" and choice["text"]
    assert len(choice["logprobs"]["token_logprobs"]) == 5
    streamed = events(server.post("/completions", json=body | {"stream": True}).text)
    assert "".join(each["choices"][0]["text"] for each in streamed) == choice["text"]


def test_a_seed_fixes_the_draw(server: httpx.Client) -> None:
    def drawn(seed: int) -> str:
        found = chat(server, temperature=1, seed=seed, max_tokens=12).json()
        return found["choices"][0]["message"]["content"]

    assert drawn(1) == drawn(1) != drawn(2)


def test_the_model_is_listed(server: httpx.Client) -> None:
    [card] = server.get("/models").json()["data"]
    assert card["id"].startswith("small-decoder")
    assert server.get(f"/models/{card['id']}").json() == card
    assert chat(server, model=card["id"]).status_code == 200


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"temprature": 1}, "Did you mean 'temperature'?"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"n": 2}, "'n' does not fit"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 3}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages"),
        ({"top_logprobs": 3}, "logprobs: true"),
        ({"messages": [{"role": "user", "content": "word " * 3000}]}, "reads and writes"),
    ],
)
def test_what_does_not_fit_is_refused(
    server: httpx.Client, changes: dict[str, Any], told: str
) -> None:
    found = chat(server, **changes)
    assert found.status_code == 400
    assert told in found.json()["error"]["message"]
    streamed = chat(server, stream=True, **changes)
    assert streamed.status_code == 400


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"", "application/json", 400),
        (b'{"messages": []}', "text/plain", 415),
        (b"x" * (5 * 2**20), "application/json", 413),
    ],
)
def test_bodies_that_are_none(server: httpx.Client, body: bytes, kind: str, status: int) -> None:
    found = server.post("/chat/completions", content=body, headers={"Content-Type": kind})
    assert found.status_code == status
    assert found.json()["error"]["message"]


def test_other_models_and_places_are_not_there(server: httpx.Client) -> None:
    assert chat(server, model="gpt-4o").json()["error"]["code"] == "model_not_found"
    assert server.get("/nowhere").status_code == 404
    assert server.get("/chat/completions").status_code == 404


def test_control_tokens_in_a_message_are_data(server: httpx.Client) -> None:
    """A spelt-out end of turn is longer than the one token that it would be as a control token."""

    def count(text: str) -> int:
        found = chat(server, messages=[{"role": "user", "content": text}])
        return found.json()["usage"]["prompt_tokens"]

    empty = count("")
    for control in ("</s>", "<|assistant|>", "<s>"):
        assert count(control) > empty + 1


def test_a_client_that_goes_away_ends_its_reply(server: httpx.Client) -> None:
    host, port = server.base_url.host, server.base_url.port
    assert port is not None
    for stream in (True, False):
        body = {"messages": HELLO, "max_tokens": 1500, "temperature": 0, "stream": stream}
        content = json.dumps(body).encode()
        with socket.create_connection((host, port)) as connection:
            connection.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
                b"Content-Type: application/json\r\n"
                + f"Content-Length: {len(content)}\r\n\r\n".encode()
                + content
            )
            if stream:
                connection.recv(200)
        began = time.perf_counter()
        assert chat(server).status_code == 200
        assert time.perf_counter() - began < 20


def test_many_at_once_are_answered_as_each_alone(server: httpx.Client) -> None:
    conversations = [
        [{"role": "user", "content": f"{'The ship left the harbour. ' * 5}Question {number}?"}]
        for number in range(8)
    ]
    alone = [chat(server, messages=each).json()["choices"][0] for each in conversations]
    together: dict[int, Any] = {}

    def ask(number: int) -> None:
        found = chat(server, messages=conversations[number]).json()
        together[number] = found["choices"][0]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[number] for number in range(8)] == alone


def test_openais_own_client_understands_it(server: httpx.Client) -> None:
    openai = pytest.importorskip("openai", reason="the package openai is not installed")
    client = openai.OpenAI(base_url=str(server.base_url), api_key="none", max_retries=0)
    [card] = client.models.list().data
    settings = {"model": card.id, "messages": HELLO, "max_tokens": 8, "temperature": 0}
    whole = client.chat.completions.create(**settings, logprobs=True, top_logprobs=2)
    assert len(whole.choices[0].logprobs.content) == 8
    stream = client.chat.completions.create(**settings, stream=True)
    pieces = [piece.choices[0].delta.content or "" for piece in stream]
    assert "".join(pieces) == whole.choices[0].message.content
    with pytest.raises(openai.BadRequestError, match="max_tokens"):
        client.chat.completions.create(**settings | {"max_tokens": -1})


def test_an_encoder_says_that_it_cannot_talk(small_encoder: Path) -> None:
    with served(small_encoder) as url:
        found = httpx.post(f"{url}/chat/completions", json={"messages": HELLO})
    assert found.status_code == 400
    assert "is an encoder" in found.json()["error"]["message"]
