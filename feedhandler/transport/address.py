"""Which addresses may be used without encryption: those of this host."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from feedhandler.config import redact_url
from feedhandler.errors import UsageError


def is_loopback(host: str) -> bool:
    """Tell whether a host's name or address can only be this host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_address(url: str, secure: str, *, is_insecure_allowed: bool) -> None:
    """Raise `UsageError` for an address that is neither encrypted nor on this host."""
    parts = urlsplit(url)
    plain = secure.removesuffix("s")
    if parts.scheme not in (secure, plain) or not parts.hostname:
        raise UsageError(f"not an address: expected={secure}://… url={redact_url(url)}")
    if parts.scheme == plain and not is_insecure_allowed:
        if not is_loopback(parts.hostname):
            raise UsageError(
                f"neither encrypted nor verified: host={parts.hostname}; use "
                f"{secure}://, or set `insecure = true`"
            )
