"""The headers of our requests: who we are, and what the configuration adds.

The same for REST and for the WebSocket upgrade. A header that could break a request
apart, or that belongs to the protocol, is refused before anything is sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from feedhandler.errors import UsageError
from feedhandler.identity import USER_AGENT

HEADERS_MAX: Final = 16
VALUE_CHARS_MAX: Final = 1_024

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")  # RFC 9110: a token
_VALUE: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")  # printable, no blank around it
_OF_THE_PROTOCOL: Final = frozenset(
    "accept-encoding connection content-encoding content-length content-type expect"
    " host keep-alive te trailer transfer-encoding upgrade".split()
)


def request_headers(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the User-Agent and `extra`, whose own User-Agent would replace ours.

    Raises `UsageError`. A value may be secret, so no error repeats it.
    """
    found = {"User-Agent": USER_AGENT}
    if extra is None:
        return found
    if len(extra) > HEADERS_MAX:
        raise UsageError(f"too many headers: count={len(extra)} max={HEADERS_MAX}")
    seen: set[str] = set()
    for name, value in extra.items():
        folded = name.lower()
        if not _NAME.fullmatch(name):
            raise UsageError(f"not the name of a header: name={name!r}")
        if folded in _OF_THE_PROTOCOL or folded.startswith("sec-websocket-"):
            raise UsageError(f"a header that we set ourselves: name={name}")
        if folded in seen:
            raise UsageError(f"a header that is there twice: name={name}")
        if len(value) > VALUE_CHARS_MAX or not _VALUE.fullmatch(value):
            raise UsageError(
                f"a header's value must be printable ASCII, at most {VALUE_CHARS_MAX}"
                f" characters: name={name} characters={len(value)}"
            )
        seen.add(folded)
        found["User-Agent" if folded == "user-agent" else name] = value
    return found
