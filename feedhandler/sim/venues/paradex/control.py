"""What clients say on a stream (JSON-RPC text), and what they are answered.

Seen on the venue: errors repeat the request's id, or 0 where it has none. The texts of
a second subscribe and of an unsubscribe from nothing are ours, the code is the venue's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from feedhandler.sim.venues._base import parse_json
from feedhandler.sim.venues.paradex.channels import INVALID, Channel, parse
from feedhandler.sim.venues.paradex.listings import Json
from feedhandler.sim.venues.paradex.sessions import Client

NAME_CHARS_MAX = 128

PARSE, REQUEST, METHOD, PARAMS = -32700, -32600, -32601, -32602
MALFORMED_TOKEN, INVALID_TOKEN = 40110, 40111


class Answer(NamedTuple):
    """The id and the body of an answer, and the channel that it opened, if any."""

    number: object
    body: Json
    opened: Channel | None = None


def handle(
    client: Client,
    text: str | bytes,
    has_room: bool,
    is_deaf: bool,
    rejects: Callable[[str, str], bool],
) -> Answer:
    """Answer one frame of a client and change what it holds."""
    # A client's frames are text; a binary one is not even looked at.
    request = parse_json(text) if isinstance(text, str) else None
    if request is None:
        return _error(0, PARSE, "parse error")
    if not isinstance(request, dict):
        return _error(0, REQUEST, "invalid request")
    number = request.get("id")
    number = number if type(number) in (int, str) else 0
    method, params = request.get("method"), request.get("params")
    if not isinstance(method, str):
        return _error(number, REQUEST, "invalid request")
    params = params if isinstance(params, dict) else {}
    if method == "auth":
        return _refuse_token(number, params.get("bearer"))
    if method not in ("subscribe", "unsubscribe"):
        return _error(number, METHOD, "method does not exist")
    name = params.get("channel")
    if not isinstance(name, str):
        return _error(number, PARAMS, "Invalid parameters")
    channel = parse(name) if len(name) <= NAME_CHARS_MAX else INVALID
    if not isinstance(channel, Channel):
        return _error(number, REQUEST, f"invalid {method} request", channel)
    if method == "subscribe" and rejects(channel.kind, channel.market):
        return _error(number, REQUEST, f"invalid {method} request", INVALID)
    refusal = _change(client, method, channel, name, has_room, is_deaf)
    if refusal:
        return _error(number, REQUEST, f"invalid {method} request", refusal)
    opened = channel if channel in client.names else None
    return Answer(number, {"result": {"channel": name}}, opened)


def _change(
    client: Client,
    method: str,
    channel: Channel,
    name: str,
    has_room: bool,
    is_deaf: bool,
) -> str:
    """Add or remove a channel; returns why it was refused, or nothing."""
    if method == "unsubscribe":
        if channel not in client.names:
            return "not subscribed"
        client.discard(channel)
        return ""
    refusal = client.refusal(channel, name)
    if refusal or not has_room:
        return refusal or "too many subscriptions"
    if not is_deaf:
        client.add(channel, name)
    return ""


def _refuse_token(number: object, token: object) -> Answer:
    """There are no accounts here, so no token is good."""
    if not isinstance(token, str) or token.count(".") != 2:
        return _error(number, MALFORMED_TOKEN, "Malformed Bearer Token")
    return _error(number, INVALID_TOKEN, "Invalid Bearer Token")


def _error(number: object, code: int, message: str, detail: str = "") -> Answer:
    error: Json = {"code": code, "message": message}
    if detail:
        error["data"] = detail
    return Answer(number, {"error": error})
