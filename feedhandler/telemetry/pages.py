"""The pages of the endpoint: `/metrics`, `/health` and `/ready`."""

from __future__ import annotations

import json
import time
from http import HTTPStatus
from types import ModuleType
from typing import Any

from feedhandler import log
from feedhandler.telemetry.http import Answer
from feedhandler.telemetry.snapshot import Board

_TEXT = "text/plain; charset=utf-8"
_INDEX = b"/metrics  for Prometheus\n/health   this process\n/ready    the quotes\n"
_MISSING = "prometheus-client is not installed: pip install 'feedhandler[metrics]'"


class Endpoint:
    """Answers by path. Called from the server's thread."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._prometheus = _load_prometheus()
        if self._prometheus is None:
            log.event("metrics_off", error=_MISSING)

    def __call__(self, path: str, accept: str) -> Answer:
        """Return the page at `path`."""
        if path == "/metrics":
            return self._metrics(accept)
        if path == "/health":
            return _verdict(*self._board.health(time.monotonic_ns()))
        if path == "/ready":
            return _verdict(*self._board.ready(time.monotonic_ns()))
        if path == "/":
            return Answer(HTTPStatus.OK, _TEXT, _INDEX)
        return Answer(HTTPStatus.NOT_FOUND, _TEXT, b"404 Not Found\n")

    def _metrics(self, accept: str) -> Answer:
        if self._prometheus is None:
            text = _MISSING.encode() + b"\n"
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, text)
        content_type, body = self._prometheus.render(self._board, accept)
        return Answer(HTTPStatus.OK, content_type, body)


def _load_prometheus() -> ModuleType | None:
    """Return the module behind the door, None without its library."""
    try:
        from feedhandler.telemetry import prometheus
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "prometheus_client":
            raise
        return None
    return prometheus


def _verdict(is_good: bool, document: dict[str, Any]) -> Answer:
    status = HTTPStatus.OK if is_good else HTTPStatus.SERVICE_UNAVAILABLE
    body = json.dumps(document, allow_nan=False).encode() + b"\n"
    return Answer(status, "application/json", body)
