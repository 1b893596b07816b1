"""How far a soak is: time, venues that are good, flaps, the worst age, ends.

    00:12:30 of 01:30:00  5/5 venues good  flaps 3  worst age 1.21 s (paradex:BTC-PERP)

Owns the thread that looks, once a second, at shared memory as any reader would, brings
the manifest up to date, so that even a killed run says how far it came, and ends the
run at its time. That counts from when every simulated venue has a client, so that a
slow start takes nothing from a scenario.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Final

from feedhandler import log
from feedhandler.config import Config
from feedhandler.errors import ResourcesMissing
from feedhandler.report.manifest import FULL_TIME
from feedhandler.soak.console import SoakConsole
from feedhandler.soak.manifest import Manifest
from feedhandler.supervisor.process import Supervisor
from feedhandler.telemetry.records import Sample
from feedhandler.telemetry.sample import Sampler
from feedhandler.telemetry.sources import Sources

GOOD: Final = ("LIVE", "QUIET")
LOOK_S: Final = 1.0
LINE_S: Final = 10.0  # where there is no terminal
BEGIN_MAX_S: Final = 60.0  # that a start may take before the time counts anyway
BEAT_S: Final = 10.0  # of the manifest

_JOIN_S: Final = 2.0


class Progress:
    """The view of a soak; it keeps the supervisor for who asks how it ended."""

    def __init__(
        self,
        config: Config,
        venues: Sequence[str],
        total_s: float,
        is_demo: bool,
        console: SoakConsole,
        manifest: Manifest,
    ) -> None:
        self.supervisor: Supervisor | None = None
        self.flaps = 0
        self.worst_ns = 0
        self.worst_name = ""
        self._venues = tuple(venues)
        self._total_s = total_s
        self._is_demo = is_demo
        self._console = console
        self._manifest = manifest
        self._sources = Sources(config.instance)
        self._sampler = Sampler(config, venues, self._sources)
        self._number = 0
        self._started_s = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def open(self, supervisor: Supervisor) -> None:
        """Begin to look."""
        self.supervisor = supervisor
        self._started_s = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        line_s = beat_s = self._started_s
        try:
            while not self._stop.wait(LOOK_S):
                now_s = time.monotonic()
                sample = self.look()
                if now_s >= beat_s:
                    beat_s = now_s + BEAT_S
                    self._beat()
                is_due = now_s >= line_s
                if is_due:
                    line_s = now_s + LINE_S
                elapsed_s = self.elapsed_s(now_s)
                self._console.progress(self.text(sample, elapsed_s), is_due=is_due)
                if elapsed_s >= self._total_s:
                    self._end()
        except Exception as error:  # noqa: BLE001  a blind view stops no run
            log.event("progress_failed", error=error)
        finally:
            self._sources.close()

    def look(self) -> Sample:
        """Look once, and remember flaps and the worst age."""
        now_ns = time.monotonic_ns()
        self._sources.look(now_ns)
        offset_ns = time.time_ns() - now_ns
        sample = self._sampler.sample(self._number, time.monotonic_ns, offset_ns)
        self._number += 1
        for move in self._sampler.moves(offset_ns):
            self.flaps += move.previous in GOOD and move.state not in GOOD
        ages = zip(sample.apply_age_ns, sample.gap_max_ns, strict=True)
        for name, pair in zip(sample.instruments, ages, strict=True):
            if max(pair) > self.worst_ns:
                self.worst_ns, self.worst_name = max(pair), name
        return sample

    def elapsed_s(self, now_s: float) -> float:
        """Return how much of the run is over."""
        if not self._is_demo:
            return now_s - self._started_s
        begun_s = self._started_s + BEGIN_MAX_S
        if self._console.begun_ns:
            begun_s = min(begun_s, self._console.begun_ns / 1e9)
        return max(0.0, now_s - begun_s)

    def _end(self) -> None:
        if self._loop is not None and self.supervisor is not None:
            self._loop.call_soon_threadsafe(self.supervisor.ask_stop, FULL_TIME)
        self._stop.set()

    def text(self, sample: Sample, elapsed_s: float) -> str:
        """Return the line."""
        states = dict(zip(sample.venues, sample.venue_state, strict=True))
        bad = [venue for venue in self._venues if states.get(venue) not in GOOD]
        good = f"{len(self._venues) - len(bad)}/{len(self._venues)} venues good"
        if bad:
            words = [f"{venue} {states.get(venue, 'ABSENT')}" for venue in bad]
            good += f" ({', '.join(words)})"
        ends = sum(sum(labels.values()) for labels in sample.reconnects)
        worst = f"{self.worst_ns / 1e9:.2f} s"
        if self.worst_name:
            worst += f" ({self.worst_name})"
        restarts = 0
        if self.supervisor is not None:
            restarts = sum(child.restarts_count for child in self.supervisor.children)
        return (
            f"{clock(elapsed_s)} of {clock(self._total_s)}  {good}  flaps {self.flaps}"
            f"  worst age {worst}  session ends {ends}  restarts {restarts}"
        )

    def _beat(self) -> None:
        try:
            self._manifest.beat()
        except ResourcesMissing as error:
            log.event("manifest_not_written", error=error)


def clock(seconds: float) -> str:
    """Return hours, minutes and seconds."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02d}:{minute:02d}:{second:02d}"
