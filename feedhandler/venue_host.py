"""A venue's REST host, as any process of ours asks it.

Owns one process's connections to it and the account of what all processes of this host
spend there. What is asked, and what an answer means, is the caller's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from feedhandler.transport import rest
from feedhandler.transport.budget import WEIGHT, Budget, Count, budget_key
from feedhandler.transport.rest import Answer
from feedhandler.venues._base import Limits, RestRequest


def weight_budget(limits: Limits, rest_url: str, path: Path, count: Count) -> Budget:
    """Return the account of a venue's REST weight, shared over this host."""
    weight = limits.rest_weight_per_minute
    return Budget(path, budget_key(rest_url, WEIGHT), weight, weight // 2, count)


class VenueHost:
    """One venue's REST host. Used in one event loop, and closed in it."""

    def __init__(
        self,
        rest_url: str,
        headers: Mapping[str, str],
        budget: Budget,
        *,
        is_insecure_allowed: bool,
    ) -> None:
        self._rest_url = rest_url
        self._budget = budget
        self._client = rest.RestClient(
            headers=headers, is_insecure_allowed=is_insecure_allowed
        )

    async def fetch(self, request: RestRequest, timeout_s: float) -> Answer:
        """Return the host's answer; raise `TransportError`."""
        await asyncio.to_thread(rest.prepare)  # the first time, a second of imports
        return await self._client.fetch(
            request.method,
            self._rest_url + request.path,
            request.body,
            budget=self._budget,
            weight=request.weight,
            content_type=request.content_type,
            timeout_s=timeout_s,
        )

    async def close(self) -> None:
        """Let go of every connection."""
        await self._client.close()
