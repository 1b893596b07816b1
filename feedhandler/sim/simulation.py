"""A running simulation: one market, the venues that show it, faults at their time.

    async with Simulation(venues=["hyperliquid"], seed=7) as simulation:
        simulation.addresses[0].ws_url
        simulation.inject("mute+2s")
        simulation.truth.entries(symbol="BTC")

Owns the tasks that drive the market, the venues' timers and the replay, and their end.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from feedhandler.sim.clock import Clock
from feedhandler.sim.faults import Fault, FaultError, parse
from feedhandler.sim.host import Address, Host, Notice
from feedhandler.sim.limits import MARKET_STEP_MAX_S, TRUTH_ENTRIES_MAX, Limits
from feedhandler.sim.market import Market
from feedhandler.sim.replay import Recording
from feedhandler.sim.truth import Truth
from feedhandler.sim.venues import load

CONTEXT_S = 1.0  # how often oracle, mark and funding move
EVENTS_AT_ONCE = 32  # before the senders get their turn
PORT_MAX = 65_535
CLIENTS_WAIT_S = 60.0  # by a fault of some kinds a venue never gets a client
PLAN_BEGINS = "clock of the faults starts"
REPLAY_LEAD_S = 0.1  # from the first subscription, so that its siblings miss nothing


class Simulation:
    """Simulated venues on loopback; an asynchronous context manager.

    With a port, venues take that one and those after it, with several each its own,
    without, free ones. With a recording, the (single) venue shows it instead of the
    market, for what it holds. A fault without a time begins at once. The others count
    theirs from the start or, with `await_clients`, from when every venue that does not
    refuse has a client, or from the end of `CLIENTS_WAIT_S`.
    """

    def __init__(
        self,
        venues: Iterable[str] = ("hyperliquid",),
        seed: int = 7,
        rate: float = 1.0,
        faults: Iterable[Fault | str] = (),
        port: int | Sequence[int] = 0,
        *,
        truth_path: str | Path | None = None,
        truth_entries_max: int = TRUTH_ENTRIES_MAX,
        replay: str | Path | None = None,
        replay_speed: float = 1.0,
        replay_loop: bool = False,
        await_clients: bool = False,
        limits: Limits | None = None,
        cadence: Mapping[str, float] | None = None,
        clock: Clock | None = None,
        notify: Callable[[Notice], None] | None = None,
    ) -> None:
        clock = clock or Clock()
        self.market = Market(seed)
        self.counters: Counter[str] = Counter()
        self._rate = rate
        self._clock = clock
        self._notify = notify or _ignore
        self._venues = [
            load(name)(self.market, clock, limits, cadence)
            for name in dict.fromkeys(venues)
        ]
        self._ports = _ports(port, len(self._venues))
        self._planned = [self._checked(fault) for fault in faults]
        self._await_clients = await_clients
        self._recording = None if replay is None else Recording.load(replay)
        self._replay_speed = replay_speed
        self._replay_loop = replay_loop
        if self._recording is not None:
            if len(self._venues) != 1:
                raise ValueError("a recording is replayed by exactly one venue")
            messages = [frame.message for frame in self._recording.frames]
            self._venues[0].begin_replay(messages)
        self.truth = Truth(truth_path, truth_entries_max)
        # Set by start.
        self.hosts: list[Host] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._timers: list[asyncio.TimerHandle] = []  # of faults
        self._failure: asyncio.Future[None] | None = None
        # Where the market is, in its own seconds, and how fast it goes.
        self._position_s = self._advanced_s = 0.0
        self._pace = rate
        self._pace_changed = asyncio.Event()

    @property
    def addresses(self) -> list[Address]:
        return [host.address for host in self.hosts]

    @property
    def active_faults(self) -> list[Fault]:
        """What is active at any venue, each fault once."""
        found = (fault for host in self.hosts for fault in host.board.active())
        return list({id(fault): fault for fault in found}.values())

    async def start(self) -> None:
        """Listen and begin; raises OSError if a port is taken."""
        loop = asyncio.get_running_loop()
        self._failure = loop.create_future()
        numbers = itertools.count(1)
        try:
            for venue, port in zip(self._venues, self._ports, strict=True):
                host = Host(
                    venue, self.truth, self.counters, self._notify, self._fail, numbers
                )
                await host.start(port)
                self.hosts.append(host)
                _, ws_url, rest_url = host.address
                self._notify(Notice(venue.name, "listening", f"{ws_url} {rest_url}"))
        except BaseException:
            await self.stop()
            raise
        self._advanced_s = self._clock.monotonic_s()
        self._run(self._run_market())
        self._run(self._run_contexts())
        for host in self.hosts:
            self._run(self._run_timers(host))
        if self._recording is not None:
            self._run(self._run_replay(self.hosts[0], self._recording))
        for fault in self._planned:
            if fault.start_s == 0:
                self._start_fault(fault)
        if self._await_clients:
            self._run(self._run_plan())
        else:
            self._start_plan()

    async def stop(self) -> None:
        """End everything; may be called twice."""
        self._cancel_timers()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await asyncio.gather(*(host.stop() for host in self.hosts))
        self.truth.close()

    async def wait_failed(self) -> None:
        """Wait for ever; raises if a part of the simulation broke."""
        assert self._failure is not None
        await asyncio.shield(self._failure)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()
        if self._failure is not None and self._failure.done() and error is None:
            self._failure.result()

    # Faults.

    def inject(self, fault: Fault | str) -> Fault:
        """Start a fault now, for its duration or until `clear`."""
        fault = self._checked(fault)
        self._start_fault(fault)
        return fault

    def clear(self) -> None:
        """End every fault and forget those that have not begun."""
        self._cancel_timers()
        for host in self.hosts:
            for fault in host.board.active():
                host.end_fault(fault)
        self._set_pace()

    def _checked(self, fault: Fault | str) -> Fault:
        fault = parse(fault) if isinstance(fault, str) else fault
        names = [venue.name for venue in self._venues]
        if fault.venue and fault.venue not in names:
            raise FaultError(
                f"fault for a venue that is not simulated: venue={fault.venue} "
                f"simulated={','.join(names)}"
            )
        return fault

    async def _run_plan(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLIENTS_WAIT_S):
                for host in self.hosts:
                    while not self._has_begun(host):
                        host.talked.clear()
                        await host.talked.wait()
        self._notify(Notice("", PLAN_BEGINS, ""))
        self._start_plan()

    def _has_begun(self, host: Host) -> bool:
        """Say whether a venue has a client, or cannot get one."""
        is_refused = host.board.find("refuse") is not None
        return is_refused or host.venue.subscription_count() > 0

    def _start_plan(self) -> None:
        """Start the clock of the faults that have a time."""
        for fault in self._planned:
            if fault.start_s > 0:
                self._later(fault.start_s, self._start_fault, fault)

    def _start_fault(self, fault: Fault) -> None:
        for host in self._hosts_of(fault):
            host.start_fault(fault)
        self._set_pace()
        if fault.duration_s is not None:
            self._later(fault.duration_s, self._end_fault, fault)

    def _end_fault(self, fault: Fault) -> None:
        for host in self._hosts_of(fault):
            host.end_fault(fault)
        self._set_pace()

    def _hosts_of(self, fault: Fault) -> list[Host]:
        return [host for host in self.hosts if fault.venue in ("", host.venue.name)]

    def _later(
        self, delay_s: float, act: Callable[[Fault], None], fault: Fault
    ) -> None:
        loop = asyncio.get_running_loop()
        self._timers = [timer for timer in self._timers if timer.when() > loop.time()]
        self._timers.append(loop.call_later(delay_s, act, fault))

    def _cancel_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    # The market's time.

    def _set_pace(self) -> None:
        """Stand still if every venue is quiet; a burst anywhere hurries the market."""
        self._advance()
        bursts = [host.board.find("burst") for host in self.hosts]
        factors = [fault.number("rate") for fault in bursts if fault is not None]
        self._pace = self._rate * max(factors, default=1.0)
        if self.hosts and all(host.is_quiet for host in self.hosts):
            self._pace = 0.0
        self._pace_changed.set()

    def _advance(self) -> None:
        now_s = self._clock.monotonic_s()
        passed_s = min(now_s - self._advanced_s, MARKET_STEP_MAX_S)
        self._position_s += passed_s * self._pace
        self._advanced_s = now_s

    async def _run_market(self) -> None:
        while True:
            self._advance()
            done = 0
            while self.market.next_at_s <= self._position_s:
                event = self.market.step()
                for host in self.hosts:
                    host.on_event(event)
                done += 1
                if done % EVENTS_AT_ONCE == 0:
                    await asyncio.sleep(0)
            self._pace_changed.clear()
            wait_s = None
            if self._pace > 0:
                wait_s = (self.market.next_at_s - self._position_s) / self._pace
            await _wait(self._pace_changed, wait_s)

    async def _run_contexts(self) -> None:
        while True:
            await asyncio.sleep(CONTEXT_S)
            self.market.advance_contexts()
            self.truth.flush()

    async def _run_timers(self, host: Host) -> None:
        while True:
            due_s = host.venue.next_tick_s()
            await asyncio.sleep(max(0.0, due_s - self._clock.monotonic_s()))
            host.deliver(host.venue.on_tick())
            host.close_ended()

    async def _run_replay(self, host: Host, recording: Recording) -> None:
        while not any(map(host.venue.wants_replay, host.venue.sessions)):
            host.talked.clear()
            await host.talked.wait()
        start_s = self._clock.monotonic_s() + REPLAY_LEAD_S
        for due in recording.schedule(self._replay_speed, self._replay_loop):
            wait_s = start_s + due.at_s - self._clock.monotonic_s()
            await asyncio.sleep(max(0.0, wait_s))
            host.deliver(host.venue.replay(due.message, due.shift_ms))
        self._notify(Notice(host.venue.name, "replay ended", ""))

    # Tasks.

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._on_done)
        self._tasks.append(task)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            error = task.exception()
            if error is not None:
                self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self._failure is not None and not self._failure.done():
            self._failure.set_exception(error)


def _ports(port: int | Sequence[int], count: int) -> list[int]:
    """The port of each venue, 0 for a free one."""
    if isinstance(port, int):
        ports = [port + index if port else 0 for index in range(count)]
    else:
        ports = list(port)
    if len(ports) != count:
        raise ValueError(f"one port a venue is needed: {count}, not {len(ports)}")
    if max(ports, default=0) > PORT_MAX:
        raise ValueError(
            f"no port for every venue: port={port}, the last is {PORT_MAX}"
        )
    return ports


async def _wait(event: asyncio.Event, timeout_s: float | None) -> None:
    """Wait for the event or the time, whichever is first."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()


def _ignore(notice: Notice) -> None:
    """Nobody wants to see notices."""
