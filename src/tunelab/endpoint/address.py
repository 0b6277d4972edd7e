"""Where an endpoint is, and the key to it: from the environment, and to nowhere else."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tunelab.errors import RecipeError
from tunelab.recipe import Model

_SECRET = "[key]"


@dataclass(frozen=True, slots=True)
class Address:
    """An endpoint and its key."""

    url: str
    """Without a slash at the end, such as https://api.openai.com/v1."""
    key: str = field(repr=False)
    """Empty: none is sent."""
    key_variable: str
    """Where it came from, for messages."""

    @property
    def host(self) -> str:
        """Name and port, for notes."""
        return urlsplit(self.url).netloc

    def headers(self) -> dict[str, str]:
        """Of every request."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def without_key(self, text: str) -> str:
        """A text of the server's with the key blotted out, should it repeat it."""
        return text.replace(self.key, _SECRET) if self.key else text


def read_address(model: Model) -> Address:
    """The endpoint of a recipe, with its key if the environment has one.

    Raises:
        RecipeError: the address is none, holds a password, or would send the key unencrypted; or
            the model has no name there.
    """
    assert model.endpoint is not None
    parts = urlsplit(model.endpoint)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise RecipeError(
            "model.endpoint holds more than an address: keys and passwords do not belong there.",
            hint="Write https://HOST/v1, and put the key into the environment variable that "
            "model.api.key_variable names.",
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RecipeError(
            f"model.endpoint is '{model.endpoint}', which is no address of a server.",
            hint="Write for example https://api.openai.com/v1 or http://127.0.0.1:8000/v1.",
        )
    if not model.name:
        raise RecipeError(
            "model.endpoint is set, but model.name is not: an endpoint offers several models.",
            hint="Write for example model: {endpoint: https://api.openai.com/v1, name: gpt-4o}.",
        )
    variable = model.api.key_variable
    key = os.environ.get(variable, "").strip() if variable else ""
    if not (key.isascii() and key.isprintable()):
        raise RecipeError(
            f"What {variable} holds is no key: it has characters that no request may have.",
            hint=f"export {variable}=... again.",
        )
    if key and parts.scheme == "http" and not _is_here(parts.hostname):
        raise RecipeError(
            f"The key in {variable} would travel unencrypted to {parts.hostname}.",
            hint='Use https, or set model.api.key_variable="" for a server that needs no key.',
        )
    return Address(model.endpoint.rstrip("/"), key, variable)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
