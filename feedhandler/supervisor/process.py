"""The supervisor: starts an instance's processes, watches, restarts and stops them.

Owns a small segment of role `supervisor`, whose lock makes it the only one of its
instance and whose counters say how often each child was restarted. It owns no data and
is in nobody's way: its loop writes a heartbeat, and nothing in it waits.

    start ─▶ [simulated venues ─▶] feeds and runner ─▶ watch … ─▶ stop, in order
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from feedhandler import log
from feedhandler.config import Config
from feedhandler.errors import (
    EXIT_BUG,
    EXIT_BUSY,
    EXIT_DONE,
    EXIT_OWNERSHIP_LOST,
    EXIT_RESOURCES,
    EXIT_USAGE,
    EXIT_VERDICT,
)
from feedhandler.supervisor import demo_folder
from feedhandler.supervisor.child import (
    DISABLED,
    ENDED,
    STOPPING,
    Child,
    ChildSpec,
    Ending,
)
from feedhandler.supervisor.console import Console
from feedhandler.supervisor.hung import HungWatch
from feedhandler.supervisor.leftovers import end_orphans, remove_segments
from feedhandler.supervisor.own_segment import ROLE, OwnSegment
from feedhandler.supervisor.policy import RestartPolicy
from feedhandler.supervisor.resources import OomWatch
from feedhandler.supervisor.service import ServiceManager
from feedhandler.supervisor.simulation import SIMULATION_ROLE, Simulation
from feedhandler.supervisor.stages import STAGE_WORDS, StageWatch

BEAT_S: Final = 0.1
STOP_POLL_S: Final = 0.02
REAP_TIMEOUT_S: Final = 0.3  # after SIGKILL, which nothing can refuse
SIMULATION_TIMEOUT_S: Final = 20.0
TELEMETRY_ROLE: Final = "telemetry"

# A feed that lived this long had its configuration and its resources.
_LIVED_NS: Final = 5_000_000_000
_NS_PER_MS: Final = 1_000_000
_NS_PER_S: Final = 1_000_000_000
_HOPELESS_CODES: Final = (EXIT_USAGE, EXIT_BUSY, EXIT_RESOURCES)


class View(Protocol):
    """What shows a running instance on a terminal, from a thread of its own."""

    def open(self, supervisor: Supervisor) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for beyond the configuration."""

    children: Sequence[ChildSpec]
    simulation: Simulation | None = None
    for_seconds: float = 0.0  # 0 means until stopped
    view: View | None = None
    console: Console = field(
        default_factory=lambda: Console(with_table=False, stderr_is_terminal=False)
    )


def run(config: Config, options: Options) -> int:
    """Run the instance in the foreground until it is stopped; return the exit code."""
    log.configure(ROLE, sink=options.console)
    segment = OwnSegment(config.instance)
    try:
        end_orphans(config.instance, config.supervisor.stop_timeout_ms / 1_000)
        demo_folder.remove(config.instance)  # what a killed demo left
        if options.simulation is not None:
            options.simulation.open(config.instance)
        return asyncio.run(Supervisor(config, options, segment).run())
    finally:
        segment.close()


class Supervisor:
    """One running instance. Everything happens in its event loop."""

    def __init__(self, config: Config, options: Options, segment: OwnSegment) -> None:
        self.config = config
        self.options = options
        self.started_ns = time.monotonic_ns()
        self.children: list[Child] = []
        self._segment = segment
        self._console = options.console
        self._random = random.Random()
        self._oom = OomWatch()
        self._hung = HungWatch(config, self.started_ns)
        self._service = ServiceManager(os.environ)

        # Start-up.
        self._simulation_child: Child | None = None
        self._stages: dict[str, StageWatch] = {}
        self._has_lived = False

        # The end.
        self._wake = asyncio.Event()
        self._stop_reason = ""
        self._exit_code = EXIT_DONE
        self._interrupts_count = 0
        self._handled_count = 0

    @property
    def stop_reason(self) -> str:
        """Why it ends or ended; empty while nothing asked for it."""
        return self._stop_reason

    async def run(self) -> int:
        """Start everything, watch it until something asks to stop, and stop it."""
        self._install_signals()
        if self.options.view is not None:
            self.options.view.open(self)
        try:
            self._start_first()
            while not self._stop_reason:
                self._tick()
                await self._pause(BEAT_S)
            self._service.stopping(self._stop_reason)
            await self._close_view()
            await self._stop_children()
        finally:
            for child in self.children:
                child.stop(signal.SIGKILL)
            self._hung.close()
            self._service.close()
            simulation = self.options.simulation
            # Another supervisor has the directory too, by now.
            is_lost = self._exit_code == EXIT_OWNERSHIP_LOST
            if simulation is not None and not is_lost:
                simulation.close()
        return self._exit_code

    def ask_stop(self, reason: str, exit_code: int = EXIT_DONE) -> None:
        """Begin the end; the first reason and code stand."""
        if not self._stop_reason:
            self._stop_reason = reason
            self._exit_code = exit_code
            self._wake.set()

    # --- What children tell ------------------------------------------------------

    def child_started(self, child: Child) -> None:
        """Note a new process, and follow its stages if it is a feed."""
        self._handled_count += 1
        self._segment.gauge(f"disabled.{child.role}", 0)
        log.event("process_started", process=child.role, pid=child.pid)
        venue = _venue_of(child.role)
        if venue:
            self._stages[venue] = StageWatch(
                self.config.instance, venue, child.pid, child.started_ns
            )
        if child.role != SIMULATION_ROLE:  # which is in nobody's shared memory
            self._hung.expect(child.role, child.pid, child.started_ns)

    def child_ended(self, child: Child, ending: Ending) -> None:
        """Log the end with its cause, count it, and judge what it means to the rest."""
        self._handled_count += 1
        self._stages.pop(_venue_of(child.role), None)
        self._hung.forget(child.role)
        if child is self._simulation_child and self.options.simulation is not None:
            child.spec = self.options.simulation.spec()
        if child.state == ENDED:
            log.event(
                "process_stopped",
                process=child.role,
                pid=ending.pid,
                cause=ending.cause.word,
            )
            self._wake.set()
            return
        assert ending.restart is not None
        self._segment.count(f"restarts.{child.role}")
        self._has_lived |= ending.lifetime_ns >= _LIVED_NS and child.role != ROLE
        wait_ns = max(0, ending.restart.at_ns - time.monotonic_ns())
        log.event(
            "process_disabled" if ending.restart.is_disabled else "process_ended",
            process=child.role,
            pid=ending.pid,
            cause=ending.cause.word,
            lifetime_ms=ending.lifetime_ns // _NS_PER_MS,
            restart_in_ms=wait_ns // _NS_PER_MS,
            text=ending.cause.text,
        )
        if ending.restart.is_disabled:
            self._segment.gauge(f"disabled.{child.role}", 1)
            self._give_up_if_hopeless(child)

    def child_line(self, child: Child, line: bytes) -> None:
        """Pass on what a child printed, or take the addresses the simulation prints."""
        simulation = self.options.simulation
        if child is not self._simulation_child or simulation is None:
            self._console.write_child(child.role, line)
            return
        shown = simulation.take_line(line)
        if shown is not None:
            self._console.write_child(child.role, shown.encode())
        elif simulation.is_ready:
            self._direct_children(simulation)

    def child_suppressed(self, child: Child, count: int) -> None:
        """Say how many lines of a flood were not passed on."""
        log.event("lines_suppressed", process=child.role, count=count)

    # --- Start ---------------------------------------------------------------------

    async def _close_view(self) -> None:
        if self.options.view is not None:
            # Beside the loop, which goes on beating until the picture is finished.
            await asyncio.to_thread(self.options.view.close)
            self._console.leave_table()

    def _start_first(self) -> None:
        loop = asyncio.get_running_loop()
        if self.options.for_seconds > 0:
            loop.call_later(self.options.for_seconds, self.ask_stop, "time is up")
        simulation = self.options.simulation
        if simulation is None:
            self._start_children()
            return
        self._simulation_child = self._add(simulation.spec())
        self._simulation_child.start()
        loop.call_later(SIMULATION_TIMEOUT_S, self._check_simulation)

    def _check_simulation(self) -> None:
        assert self.options.simulation is not None
        if not self.options.simulation.is_ready:
            log.event("simulation_not_ready", after_s=SIMULATION_TIMEOUT_S)
            self.ask_stop("the simulated venues did not start", EXIT_VERDICT)

    def _direct_children(self, simulation: Simulation) -> None:
        """Start the children at the simulated addresses, or move them to new ones."""
        if len(self.children) == 1:
            self._start_children()
            return
        for child in self.children:
            directed = simulation.direct(child.spec)
            asks_venues = _venue_of(child.role) or child.role == "rest"
            if asks_venues and directed != child.spec:
                child.spec = directed
                child.renew()

    def _start_children(self) -> None:
        simulation = self.options.simulation
        for spec in self.options.children:
            self._add(spec if simulation is None else simulation.direct(spec))
        for child in self.children:
            if child is not self._simulation_child:
                child.start()
        self._service.ready()

    def _add(self, spec: ChildSpec) -> Child:
        policy = RestartPolicy(self.config.supervisor, self._random)
        child = Child(spec, policy, self, self._oom)
        self.children.append(child)
        # Registered at once, so that no series is missing before the first event.
        self._segment.enter(f"restarts.{child.role}")
        self._segment.enter(f"disabled.{child.role}")
        return child

    # --- Watch ---------------------------------------------------------------------

    def _tick(self) -> None:
        now_ns = time.monotonic_ns()
        self._segment.beat(now_ns, self._handled_count)
        self._service.alive(now_ns)
        self._oom.sample(now_ns)
        self._hung.look(now_ns)
        if not self._segment.renew(now_ns):
            self.ask_stop("another supervisor runs", EXIT_OWNERSHIP_LOST)
        for watch in self._stages.values():
            if watch.is_complete:
                continue
            for reached in watch.poll():
                word = STAGE_WORDS[reached.stage]
                elapsed_s = reached.elapsed_ns / _NS_PER_S
                self._console.say(f"{reached.venue:<14} {word:<12} {elapsed_s:7.3f} s")
        log.flush()

    async def _pause(self, limit_s: float) -> None:
        try:
            async with asyncio.timeout(limit_s):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    def _give_up_if_hopeless(self, child: Child) -> None:
        """End the supervisor when no feed could even begin: waiting mends nothing."""
        feeds = [other for other in self.children if _venue_of(other.role)]
        if child is self._simulation_child and len(self.children) == 1:
            feeds = [child]
        codes = [
            other.last_cause.code
            for other in feeds
            if other.state == DISABLED and other.last_cause is not None
        ]
        first = codes[0] if codes else None
        if len(codes) == len(feeds) and not self._has_lived and first is not None:
            if all(code in _HOPELESS_CODES for code in codes):
                self.ask_stop("no feed can start", first)

    # --- Stop ----------------------------------------------------------------------

    def _install_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.ask_stop, number.name)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        loop.set_exception_handler(self._fail)

    def _fail(
        self, loop: asyncio.AbstractEventLoop, context: dict[str, object]
    ) -> None:
        """End with everything stopped when a callback of ours has a bug."""
        loop.default_exception_handler(context)
        self.ask_stop(f"a bug: {context.get('message')}", EXIT_BUG)

    def _interrupt(self) -> None:
        """Stop at the first Ctrl-C; the second one does not wait for anybody."""
        self._interrupts_count += 1
        self.ask_stop("Ctrl-C")
        if self._interrupts_count > 1:
            for child in self.children:
                child.stop(signal.SIGKILL)

    async def _stop_children(self) -> None:
        """Stop everything in order, the simulation last; kill what does not end."""
        begun_ns = time.monotonic_ns()
        self._console.say(f"stopping: {self._stop_reason}")
        timeout_s = self.config.supervisor.stop_timeout_ms / 1_000
        for share, belongs in self._stop_order():
            group = [child for child in self.children if belongs(child)]
            for child in group:
                child.stop()
            await self._await_ended(group, begun_ns, timeout_s * share)
        for child in self.children:
            if child.state == STOPPING:
                log.event("process_killed", process=child.role, pid=child.pid)
                child.stop(signal.SIGKILL)
        await self._await_ended(self.children, time.monotonic_ns(), REAP_TIMEOUT_S)
        for name in remove_segments(self.config.instance):
            if not name.endswith(f".{ROLE}"):  # ours goes last, in `run`
                log.event(
                    "segment_left", segment=name, text="another process writes it"
                )
        elapsed_s = (time.monotonic_ns() - begun_ns) / _NS_PER_S
        self._console.say(f"stopped in {elapsed_s:.2f} s")

    def _stop_order(self) -> Sequence[tuple[float, Callable[[Child], bool]]]:
        """Return groups, and the share of the time-out that ends with each.

        Telemetry goes first, so that an end in order is no outage in its files.
        """
        return (
            (0.25, lambda child: child.role == TELEMETRY_ROLE),
            (0.65, lambda child: bool(_venue_of(child.role))),
            (0.85, lambda child: child.role != SIMULATION_ROLE),
            (1.0, lambda child: True),
        )

    async def _await_ended(
        self, group: Sequence[Child], begun_ns: int, timeout_s: float
    ) -> None:
        deadline_ns = begun_ns + int(timeout_s * _NS_PER_S)
        while any(child.is_alive for child in group):
            now_ns = time.monotonic_ns()
            if now_ns >= deadline_ns:
                return
            self._segment.beat(now_ns, self._handled_count)
            await self._pause(STOP_POLL_S)


def _venue_of(role: str) -> str:
    """Return the venue of a feed's role, nothing for any other role."""
    return role.removeprefix("feed:") if role.startswith("feed:") else ""
