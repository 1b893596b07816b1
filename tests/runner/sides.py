"""Both sides of a runner under test: feed and REST process played by the test.

Real segments, written by the twin, and one clock that the test moves: it stands behind
every stamp, those of publishing too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from feedhandler.client.quotes import Quotes
from feedhandler.config import (
    Config,
    LadderConfig,
    RunnerConfig,
    ShmConfig,
    VenueConfig,
)
from feedhandler.runner.clocks import Clocks
from feedhandler.runner.process import Runner
from shm_layout import (
    LINK_UP,
    SOURCE_REST,
    Capacities,
    Instrument,
    Reader,
    Writer,
    _twin,
    _twin_reader,
    codes,
    core,
    schema,
    segment,
    writer,
)

VENUE = "hyperliquid"
MS = 1_000_000
S = 1_000 * MS
FRESH_MS = 1_000
TICK_MS = 50
RUNNER = RunnerConfig(pass_ms=5, tick_ms=TICK_MS)
VENUE_CONFIG = VenueConfig(connect_timeout_ms=1_000, first_data_ms=1_000)


class Time:
    """The host's clocks."""

    def __init__(self) -> None:
        self.now_ns = 1_000 * S
        self.asleep_ns = 0
        self.wall_offset_ns = 1_700_000_000 * S
        self.clocks = Clocks(
            monotonic_ns=lambda: self.now_ns,
            wall_ns=lambda: self.now_ns + self.asleep_ns + self.wall_offset_ns,
            boot_ns=lambda: self.now_ns + self.asleep_ns,
        )


class FeedSide:
    """What a feed process would write."""

    def __init__(
        self,
        instance: str,
        time: Time,
        names: tuple[str, ...] = ("BTC-PERP",),
        ring_slots: int = 64,
        fresh_ms: int = FRESH_MS,
    ) -> None:
        self.time = time
        self.writer = Writer.open(
            instance, f"feed:{VENUE}", Capacities(instruments=8, ring_slots=ring_slots)
        )
        for name in names:
            symbol = name.partition("-")[0]
            self.writer.add_instrument(
                Instrument(VENUE, name, symbol, fresh_ms=fresh_ms, tick=0.5)
            )
        self.session = self.writer.session
        self.open_session()
        self.beat()

    def beat(self) -> None:
        self.writer.beat(self.time.now_ns, 0)

    def open_session(self) -> None:
        self.session += 1
        self.writer.set_link(LINK_UP, self.session)

    def set_link(self, link: int) -> None:
        self.writer.set_link(link, self.session)

    def live(self, index: int = 0) -> None:
        self.writer.stamp_liveness(index, self.time.now_ns)

    def quote(
        self,
        index: int = 0,
        *,
        age_ns: int = 0,
        flags: int = 0,
        bid: float = 100.0,
        ask: float = 101.0,
        event_ns: int = codes.TIME_NONE,
    ) -> None:
        self.writer.publish_quote(
            index,
            flags,
            self.session,
            event_ns,
            self.time.now_ns - age_ns,
            0,
            bid,
            1.0,
            ask,
            1.0,
        )


class RestSide:
    """What the REST process would write."""

    def __init__(self, instance: str, time: Time, names: tuple[str, ...]) -> None:
        self.time = time
        self.writer = Writer.open(
            instance,
            "rest",
            Capacities(instruments=8, ring_slots=64),
            source=SOURCE_REST,
        )
        for name in names:
            self.writer.add_instrument(Instrument(VENUE, name, name))

    def answer(
        self,
        index: int = 0,
        bid: float = 100.0,
        ask: float = 101.0,
        took_ms: int = 100,
    ) -> None:
        """Publish the answer to a request that began `took_ms` ago."""
        start_ns = self.time.now_ns - took_ms * MS
        self.writer.publish_quote(
            index, 0, 1, codes.TIME_NONE, start_ns, 0, bid, 1.0, ask, 1.0
        )


class Bench:
    """A runner, its feed, the REST process and the time they live in."""

    def __init__(
        self,
        instance: str,
        state_dir: Path,
        time: Time,
        *,
        names: tuple[str, ...] = ("BTC-PERP",),
        runner: RunnerConfig = RUNNER,
        ladder: LadderConfig | None = None,
        ring_slots: int = 64,
        fresh_ms: int = FRESH_MS,
    ) -> None:
        self.instance = instance
        self.time = time
        self.config = Config(
            instance=instance,
            state_dir=str(state_dir),
            venue={VENUE: VENUE_CONFIG},
            runner=runner,
            ladder=ladder or LadderConfig(),
            shm=ShmConfig(instruments=8, ring_slots=64),
        )
        self.feed = FeedSide(instance, self.time, names, ring_slots, fresh_ms)
        self.rest = RestSide(instance, self.time, names)
        self.runner = Runner(self.config, self.time.clocks)
        self.reader = Reader.attach(instance, "runner")

    def step(self, advance_ms: int = TICK_MS, *, beats: bool = True) -> None:
        """Let time pass, the feed beat, and the runner do one pass and one tick."""
        self.time.now_ns += advance_ms * MS
        if beats:
            self.feed.beat()
        self.runner.step(self.time.now_ns)

    def run(self, advance_ms: int, *, quotes: bool = False, live: bool = False) -> None:
        """Let time pass tick by tick, with what the feed would publish meanwhile."""
        for _ in range(advance_ms // TICK_MS):
            self.time.now_ns += TICK_MS * MS
            for index in range(len(self.feed.writer.instruments())):
                if live:
                    self.feed.live(index)
                if quotes:
                    self.feed.quote(index)
            self.step(0)

    def restart_runner(self) -> None:
        """Kill the runner and start the next one."""
        self.runner.close()
        self.runner = Runner(self.config, self.time.clocks)

    def verdict(self, index: int = 0) -> dict[str, int]:
        record = self.reader.read_slot(index)
        assert record is not None
        names = (field.name for field in schema.STATUS.fields)
        return dict(zip(names, schema.STATUS.struct.unpack(record), strict=True))

    def state(self, index: int = 0) -> tuple[str, str]:
        verdict = self.verdict(index)
        return (
            codes.STATE_NAMES[verdict["state"]],
            codes.REASON_NAMES[verdict["reason"]],
        )

    def counter(self, name: str) -> int:
        return self.reader.counters()[f"{name}.{VENUE}"]

    def close(self) -> None:
        self.reader.close()
        self.runner.close()
        self.feed.writer.close(unlink=True)
        self.rest.writer.close(unlink=True)
        for name in segment.list_segments(self.instance):
            segment.remove_leftover(name)


def fall_quiet(one: Bench) -> None:
    one.run(FRESH_MS + 200, live=True)
    assert one.state() == ("QUIET", "quiet_unconfirmed")


def confirm(one: Bench, **answer: float) -> None:
    one.run(200, live=True)
    one.rest.answer(**answer)  # type: ignore[arg-type]
    one.run(200, live=True)


def shown(one: Bench) -> tuple[str, str, bool]:
    """Return what a reader sees of the first instrument."""
    table = Quotes(
        {VENUE: one.feed.writer},
        one.config.runner.heartbeat_limit_ms * MS,
        one.config.runner.quiet_confirm_ms * MS,
        one.time.clocks.monotonic_ns,
    )
    row = table.read(one.reader, one.time.now_ns, 0)[0]
    return str(row["state"]), str(row["reason"]), bool(row["tradable"])


@contextmanager
def bench(
    instance: str,
    state_dir: Path,
    *,
    names: tuple[str, ...] = ("BTC-PERP",),
    runner: RunnerConfig = RUNNER,
    ladder: LadderConfig | None = None,
    ring_slots: int = 64,
    fresh_ms: int = FRESH_MS,
) -> Iterator[Bench]:
    """Yield a bench whose segments are stamped by its own clock."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core, "_module", core.load_implementation("twin"))
        time = Time()
        stamps = SimpleNamespace(monotonic_ns=lambda: time.now_ns)
        for module in (_twin, _twin_reader, writer):
            patch.setattr(module, "time", stamps)
        made = Bench(
            instance,
            state_dir,
            time,
            names=names,
            runner=runner,
            ladder=ladder,
            ring_slots=ring_slots,
            fresh_ms=fresh_ms,
        )
        try:
            yield made
        finally:
            made.close()
