"""Why a session ended and why an instrument was resynced: every word, once.

    session end    one label each, counted as `reconnects.<label>`
    resync         inside a session that goes on, counted as `resyncs.<reason>`

The two are never mixed: a resync is not a reconnect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Label -> who decides it.
SESSION_ENDS: Final[dict[str, str]] = {
    "connect_timeout": "transport: no open connection before the deadline",
    "connect_error": "transport: refused, unreachable, or no such host",
    "tls_error": "transport: certificate, host name or handshake",
    "http_status": "transport: the upgrade was answered with another status",
    "subscribe_error": "session: requests refused, or not acknowledged after retries",
    "first_data_timeout": "session: no book data before the deadline",
    "stale_watchdog": "session: neither book data nor a tick of the liveness channel",
    "read_timeout": "session: no byte at all",
    "ping_send_fail": "session: a ping could not be written",
    "decode_fail_loop": "session: too large a share of the frames was refused",
    "seq_gap": "session: a gap that only a new connection heals",
    "session_timeout": "session: as long as one may last",
    "ws_closed": "transport: a close frame, theirs or ours for a protocol error",
    "stream_end": "transport: the stream ended or was reset without a close frame",
    "enforcer": "process: ordered by the runner",
    "shutdown": "process: asked to stop",
}

RESYNCS: Final[dict[str, str]] = {
    "seq_gap": "a sequence number is missing",
    "nonce_gap": "a change does not continue the one before",
    "checksum": "the venue's checksum differs from ours",
    "crossed": "bid above ask, too often or for too long",
    "stale_instrument": "the instrument is silent while others are not",
}

# An end that weighs more than one failure lets the back-off start further up: it will
# not be better in a second.
WEIGHTS: Final[dict[str, int]] = {"tls_error": 2, "subscribe_error": 2}
WEIGHT_FORBIDDEN: Final = 10  # 401, 403: nothing but a person can mend it
WEIGHT_OVERLOADED: Final = 2  # close codes 1012 (restart) and 1013 (try again later)


@dataclass(frozen=True, slots=True)
class Ending:
    """Why one session ended, and what the next attempt should know."""

    label: str
    detail: str = ""
    weight: int = 1
    retry_after_ns: int = 0

    def __post_init__(self) -> None:
        assert self.label in SESSION_ENDS, self.label


def ending(label: str, detail: str = "", retry_after_ns: int = 0) -> Ending:
    """Return the ending of that label with the weight it has by itself."""
    return Ending(label, detail, WEIGHTS.get(label, 1), retry_after_ns)
