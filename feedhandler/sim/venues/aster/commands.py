"""What clients say on a stream: commands, and the errors of the documented table."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from feedhandler.sim.venues.aster.listings import Json

METHODS = (
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "LIST_SUBSCRIPTIONS",
    "SET_PROPERTY",
    "GET_PROPERTY",
)

_PROPERTY_PARAMS = {"SET_PROPERTY": 2, "GET_PROPERTY": 1}

UNKNOWN_PROPERTY = {"code": 0, "msg": "Unknown property"}
NOT_BOOLEAN = {"code": 1, "msg": "Invalid value type: expected Boolean"}
INVALID_JSON = {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}


class Command(NamedTuple):
    """A command that is well formed; `params` holds what the method needs."""

    method: str
    request_id: int | None
    params: list[Any]


def parse(said: str | bytes) -> Command | Json:
    """Read a client's frame: a command, or the error that answers it."""
    try:
        text = said if isinstance(said, str) else said.decode()
        request = json.loads(text)
    except (ValueError, RecursionError):
        return INVALID_JSON
    if not isinstance(request, dict) or "method" not in request:
        return invalid(f"missing field`method` at line 1 column {len(text)}")
    method, request_id = request["method"], request.get("id")
    if method not in METHODS:
        return invalid(
            f"unknown variant {method}, expected one of"
            f"{', '.join(f'`{known}`' for known in METHODS)}"
            f" at line 1 column {_end_of(text, method)}"
        )
    # A well-known client sends none at all and is served.
    is_given = "id" in request
    if is_given and (type(request_id) is not int or request_id < 0):
        return invalid("request ID must be an unsigned integer")
    params = request.get("params", [])
    problem = _problem(method, params)
    return problem or Command(method, request_id, params)


def invalid(what: str) -> Json:
    return {"code": 2, "msg": f"Invalid request: {what}"}


def _problem(method: str, params: Any) -> Json | None:
    """What is wrong with the parameters of a known method.

    The texts for parameters of a wrong type are ours: only their code is documented.
    """
    if not isinstance(params, list):
        return invalid("invalid type: params must be an array")
    if method in ("SUBSCRIBE", "UNSUBSCRIBE"):
        if not all(isinstance(name, str) for name in params):
            return invalid("invalid type: stream name must be a string")
        return None
    wanted = _PROPERTY_PARAMS.get(method, 0)
    if len(params) > wanted:
        return invalid("too many parameters")
    if not wanted:
        return None
    if not params or not isinstance(params[0], str):
        return invalid("property name must be a string")
    if params[0] != "combined":
        return UNKNOWN_PROPERTY
    if wanted == 2 and (len(params) < 2 or type(params[1]) is not bool):
        return NOT_BOOLEAN
    return None


def _end_of(text: str, method: object) -> int:
    """The column after the method's value, as the venue's parser tells it."""
    value = json.dumps(method)
    found = text.find(value, text.find('"method"') + len('"method"'))
    return found + len(value) if found >= 0 else len(text)
