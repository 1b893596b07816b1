"""A stale, unknown or dead-writer quote never reads tradable, whatever happened.

Random histories of feed, runner, REST process and clocks, over real segments. After
each step both ways of reading are held against what the test knows to be true.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedhandler.client import feed as client_feed
from feedhandler.client.feed import Feed
from feedhandler.config import LadderConfig, RunnerConfig
from shm_layout import (
    FLAG_DISPUTED,
    FLAG_ONE_SIDED,
    FLAG_OUTLIER,
    FLAG_RESTARTED,
    FLAG_SYNCING,
    LINK_CONNECTING,
    LINK_DOWN,
    LINK_UP,
    Capacities,
    Writer,
)
from shm_layout.limits import OUTLIER_HOLD_NS
from tests.runner.sides import FRESH_MS, MS, TICK_MS, VENUE, Bench, bench
from tests.support import new_instance

NAME = "BTC-PERP"
CONFIG = RunnerConfig(
    pass_ms=5, tick_ms=TICK_MS, liveness_ms=2_000, quiet_confirm_ms=1_500
)
LADDER = LadderConfig(
    poll_ms=50, resubscribe_ms=200, reconnect_ms=400, restart_ms=1_000, hung_ms=1_000
)
BEAT_MS = CONFIG.heartbeat_limit_ms
DOUBTS = FLAG_RESTARTED | FLAG_SYNCING | FLAG_ONE_SIDED | FLAG_DISPUTED
NAN = float("nan")

LINKS = (LINK_DOWN, LINK_CONNECTING, LINK_UP)
FLAGS = (0, 0, 0, FLAG_SYNCING, FLAG_ONE_SIDED, FLAG_DISPUTED, FLAG_OUTLIER)
# Weighted towards what a sound feed does, so that much of a history is tradable.
STEPS = st.one_of(
    st.tuples(st.just("pass"), st.sampled_from([5, 50, 50, 50, 100, 300])),
    st.tuples(st.just("pass"), st.sampled_from([50, 50, 600])),
    st.tuples(st.just("wait"), st.sampled_from([100, 490, 510, 1_100, 3_000])),
    st.tuples(st.just("quote"), st.sampled_from(FLAGS)),
    st.tuples(st.just("late"), st.sampled_from([500, 999, 1_001, 5_000, -100])),
    st.tuples(st.just("live"), st.just(0)),
    st.tuples(st.just("rest"), st.sampled_from([0, 0, 0, 50])),
    st.tuples(st.just("calm"), st.sampled_from([500, 1_000, 1_200, 2_500])),
    st.tuples(st.just("calm"), st.sampled_from([1_000, 1_200])),
    st.tuples(st.just("link"), st.sampled_from(LINKS)),
    st.tuples(st.just("session"), st.just(0)),
    st.tuples(st.just("feed"), st.just(0)),
    st.tuples(st.just("runner"), st.just(0)),
    st.tuples(st.just("sleep"), st.sampled_from([100, 60_000])),
    st.tuples(st.just("clock"), st.sampled_from([-3_600_000, 40, 3_600_000])),
)

# Whatever happens to a feed that REST contradicts.
REFUTED_STEPS = st.one_of(
    st.tuples(st.just("refute"), st.sampled_from([1, 2, 3])),
    st.tuples(st.just("pass"), st.sampled_from([50, 300])),
    st.tuples(st.just("quote"), st.sampled_from(FLAGS)),
    st.tuples(st.just("rest"), st.sampled_from([0, 50])),
    st.tuples(st.just("link"), st.sampled_from(LINKS)),
    *(
        st.tuples(st.just(kind), st.just(0))
        for kind in ("session", "feed", "runner", "live")
    ),
)


@dataclass
class Truth:
    """What the test knows; times are those of the clock of the bench."""

    recv_ns: int = 0
    bid: float = NAN
    flags: int = FLAG_RESTARTED
    quote_session: int = -1
    link: int = LINK_UP
    feed_beat_ns: int = 0
    runner_ns: int = 0
    tick_ns: int = 0
    woke_ns: int = 0


class World:
    """A bench, the steps of a history, and the truth they make."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.truth = Truth(feed_beat_ns=bench.time.now_ns)
        self.agreed: list[tuple[int, float]] = []  # start and bid of REST's answers
        self.checks = (0, 0)  # that agreed, that disagreed
        self.misses = 0  # in a row, at least
        self.price = 100.0
        self.tradable = {"LIVE": 0, "QUIET": 0}
        self.feed = Feed(
            bench.instance,
            heartbeat_limit_ms=BEAT_MS,
            quiet_confirm_ms=CONFIG.quiet_confirm_ms,
        )

    def take(self, kind: str, value: int) -> None:
        getattr(self, f"do_{kind}")(value)
        self.check()

    # --- What happens ---------------------------------------------------------------

    def do_pass(self, advance_ms: int) -> None:
        self.bench.step(advance_ms)
        self.truth.feed_beat_ns = self.truth.runner_ns = self.bench.time.now_ns

    def do_wait(self, advance_ms: int) -> None:
        """Time passes, and nobody does anything."""
        self.bench.time.now_ns += advance_ms * MS

    def do_quote(self, flags: int, age_ms: int = 0) -> None:
        self.price += 1
        bid = NAN if flags & FLAG_ONE_SIDED else self.price
        age_ns = age_ms * MS
        self.bench.feed.quote(flags=flags, bid=bid, ask=self.price + 1, age_ns=age_ns)
        truth = self.truth
        truth.recv_ns = self.bench.time.now_ns - age_ns
        truth.bid, truth.flags = bid, flags
        truth.quote_session = self.bench.feed.session

    def do_late(self, age_ms: int) -> None:
        self.do_quote(0, age_ms)

    def do_live(self, _: int) -> None:
        self.bench.feed.live()
        self.truth.tick_ns = self.bench.time.now_ns

    def do_rest(self, off_by: int) -> None:
        start_ns = self.bench.time.now_ns - 20 * MS
        if not off_by:
            self.agreed.append((start_ns, self.price))
        bid = self.price + off_by
        self.bench.rest.answer(bid=bid, ask=bid + 1, took_ms=20)

    def do_calm(self, lasting_ms: int) -> None:
        """A market that is quiet on a link that lives, and is asked by REST once."""
        for elapsed_ms in range(0, lasting_ms, TICK_MS):
            self.do_live(0)
            if elapsed_ms == lasting_ms // 2 // TICK_MS * TICK_MS:
                self.do_rest(0)
            self.do_pass(TICK_MS)
            self.check()

    def do_refute(self, times: int) -> None:
        """A stream that goes on, and that REST contradicts."""
        for number in range(8 * times):
            self.do_quote(0)
            if number % 8 == 4:
                self.do_rest(50)
            self.do_pass(TICK_MS)
            self.check()

    def do_link(self, link: int) -> None:
        self.bench.feed.set_link(link)
        self.truth.link = link

    def do_session(self, _: int) -> None:
        self.bench.feed.open_session()
        self.truth.link = LINK_UP

    def do_feed(self, _: int) -> None:
        """The feed is killed; the next one adopts its segment."""
        feed = self.bench.feed
        feed.writer.close()
        capacities = Capacities(instruments=8, ring_slots=64)
        feed.writer = Writer.open(self.bench.instance, f"feed:{VENUE}", capacities)
        feed.writer.mark_all(FLAG_RESTARTED)
        self.truth.flags |= FLAG_RESTARTED
        self.truth.link, self.truth.feed_beat_ns = LINK_DOWN, 0

    def do_runner(self, _: int) -> None:
        self.bench.restart_runner()
        self.truth.runner_ns = 0
        if self.bench.state() != ("SUSPECT", "audit"):
            self.misses = 0  # nothing was left to tell the next one

    def do_sleep(self, asleep_ms: int) -> None:
        """The machine sleeps; the first who runs again is the runner."""
        self.bench.time.asleep_ns += asleep_ms * MS
        self.do_pass(1)
        self.truth.woke_ns = self.bench.time.now_ns

    def do_clock(self, step_ms: int) -> None:
        self.bench.time.wall_offset_ns += step_ms * MS

    # --- What must hold -------------------------------------------------------------

    def count_misses(self) -> None:
        count = self.bench.counter
        checks = (count("audit.agreed"), count("audit.disagreed"))
        if checks[0] > self.checks[0]:
            self.misses = 0
        else:
            self.misses += checks[1] - self.checks[1]
        self.checks = checks

    def check(self) -> None:
        self.count_misses()
        quote = self.feed.quote(VENUE, NAME)
        row = self.feed.quotes()[0]
        if quote is None:
            assert not row["tradable"]
            return
        seen = (quote.state, quote.reason, quote.tradable)
        assert seen == (str(row["state"]), str(row["reason"]), bool(row["tradable"]))
        if not quote.tradable:
            return
        self.tradable[quote.state] += 1
        truth, now_ns = self.truth, self.bench.time.now_ns
        assert now_ns - truth.feed_beat_ns <= BEAT_MS * MS, "of a dead writer"
        assert now_ns - truth.runner_ns <= BEAT_MS * MS, "judged by nobody"
        assert truth.link == LINK_UP
        assert truth.quote_session == self.bench.feed.session
        assert not truth.flags & DOUBTS
        assert self.misses < CONFIG.audit_misses, "refuted, and by no check agreed with"
        if truth.flags & FLAG_OUTLIER:
            assert now_ns - truth.recv_ns >= OUTLIER_HOLD_NS, "has not stood yet"
        assert truth.recv_ns >= truth.woke_ns, "from before a sleep"
        assert (quote.bid, quote.ask) == (truth.bid, truth.bid + 1)
        assert truth.recv_ns <= now_ns
        if now_ns - truth.recv_ns > FRESH_MS * MS:
            assert quote.state == "QUIET"
            limit_ns = (CONFIG.liveness_ms + BEAT_MS) * MS
            assert now_ns - truth.tick_ns <= limit_ns, "broken, not quiet"
            assert any(
                start_ns >= truth.recv_ns
                and now_ns - start_ns <= CONFIG.quiet_confirm_ms * MS
                and bid == truth.bid
                and truth.tick_ns >= start_ns
                for start_ns, bid in self.agreed
            ), "confirmed by no young check"


def play(tmp_path: Path, history: list[tuple[str, int]]) -> World:
    with (
        bench(new_instance(), tmp_path, runner=CONFIG, ladder=LADDER) as made,
        pytest.MonkeyPatch.context() as patch,
    ):
        clock = made.time.clocks.monotonic_ns
        time = SimpleNamespace(monotonic_ns=clock, time_ns=lambda: 0)
        patch.setattr(client_feed, "time", time)
        world = World(made)
        try:
            for kind, value in history:
                world.take(kind, value)
        finally:
            world.feed.close()
    return world


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(history=st.lists(STEPS, min_size=5, max_size=60))
def test_nothing_stale_unknown_or_dead_ever_reads_tradable(
    tmp_path: Path, history: list[tuple[str, int]]
) -> None:
    play(tmp_path, [("pass", 50), ("quote", 0), ("pass", 50), *history])


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(history=st.lists(REFUTED_STEPS, min_size=5, max_size=30))
def test_nothing_refuted_ever_reads_tradable_before_a_check_agrees(
    tmp_path: Path, history: list[tuple[str, int]]
) -> None:
    play(tmp_path, [("pass", 50), ("quote", 0), ("pass", 50), ("refute", 3), *history])


def test_the_histories_do_reach_what_is_tradable(tmp_path: Path) -> None:
    world = play(
        tmp_path,
        [("pass", 50), ("quote", 0), ("pass", 50), ("live", 0), ("calm", 2_500)],
    )
    assert world.tradable["LIVE"] > 0
    assert world.tradable["QUIET"] > 0


def test_the_histories_do_reach_what_rest_refuted(tmp_path: Path) -> None:
    world = play(
        tmp_path,
        [("pass", 50), ("quote", 0), ("pass", 50), ("refute", 3), ("session", 0)],
    )
    assert world.misses == CONFIG.audit_misses
