"""Models behind OpenAI-compatible endpoints: asked politely, cheaply, and once."""

from tunelab.endpoint.address import Address, read_address
from tunelab.endpoint.asking import Asked, Client
from tunelab.endpoint.body import Turn, chat_body
from tunelab.endpoint.cache import ReplyCache
from tunelab.endpoint.price import Spending, estimate
from tunelab.endpoint.reply import RemoteReply, RemoteToken

__all__ = [
    "Address",
    "Asked",
    "Client",
    "RemoteReply",
    "RemoteToken",
    "ReplyCache",
    "Spending",
    "Turn",
    "chat_body",
    "estimate",
    "read_address",
]
