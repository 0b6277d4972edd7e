"""The hub, where there is a network; cached copies at once where there is none."""

from __future__ import annotations

import socket
from functools import cache
from urllib.parse import urlparse


@cache
def prepare_hub() -> None:
    """Tell the hub's libraries to stay offline if its host has no address here.

    They would find out by themselves, but only after half a minute of retries and warnings.
    """
    import datasets.config
    from huggingface_hub import constants

    try:
        socket.getaddrinfo(urlparse(constants.ENDPOINT).hostname, 443)
    except OSError:
        constants.HF_HUB_OFFLINE = True
        datasets.config.HF_HUB_OFFLINE = True
