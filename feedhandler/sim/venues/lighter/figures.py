"""The two channels of statistics: each market's own, and all of them together."""

from __future__ import annotations

from collections.abc import Mapping

from feedhandler.sim.venues._base import Frame, Push
from feedhandler.sim.venues.lighter import stats
from feedhandler.sim.venues.lighter.listings import Instrument, Json
from feedhandler.sim.venues.lighter.render import SUBSCRIBED, UPDATE, stats_frame
from feedhandler.sim.venues.lighter.requests import ALL, STATS, Topic


class Figures:
    """Makes the frames of `market_stats` and `spot_market_stats`."""

    def __init__(self, instruments: Mapping[int, Instrument], seed: int) -> None:
        self._instruments = instruments
        self._seed = seed
        self._sent: dict[int, Json] = {}  # rows that subscribers have

    def first(self, topic: Topic, now_ms: int) -> Frame:
        """What a new subscriber gets: every figure, changed or not."""
        rows = self._rows(topic.channel, now_ms)
        if topic.place == ALL:
            named = {str(key): row for key, row in rows.items()}
            return stats_frame(SUBSCRIBED, topic, named, "", now_ms)
        row = rows[int(topic.place)]
        return stats_frame(SUBSCRIBED, topic, row, row["symbol"], now_ms)

    def changes(self, channel: str, now_ms: int) -> list[Push]:
        """Each market whose figures changed, alone and together with the others."""
        pushes: list[Push] = []
        changed: Json = {}
        for key, row in self._rows(channel, now_ms).items():
            if row == self._sent.get(key):
                continue
            self._sent[key] = row
            topic = Topic(channel, str(key))
            changed[topic.place] = row
            frame = stats_frame(UPDATE, topic, row, row["symbol"], now_ms)
            pushes.append(Push(topic, frame))
        if changed:
            topic = Topic(channel, ALL)
            frame = stats_frame(UPDATE, topic, changed, "", now_ms)
            pushes.append(Push(topic, frame))
        return pushes

    def _rows(self, channel: str, now_ms: int) -> dict[int, Json]:
        chosen = [
            one
            for one in self._instruments.values()
            if one.is_perp == (channel == STATS)
        ]
        if channel == STATS:
            return {
                one.market_id: stats.market_row(one, self._seed, now_ms)
                for one in chosen
            }
        return {one.market_id: stats.spot_row(one) for one in chosen}
