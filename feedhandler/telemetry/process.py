"""The telemetry process: `feedhandler telemetry`.

Owns the loop, the files and the endpoint. It reads every segment and writes none but a
small one of its own, whose lock makes it the only one of its instance. A full disk or a
slow scraper costs it records, each one counted, and disturbs nobody else. Audit lines
stay where feeds write them, in their logs: each sample has their counts by reason.

    segments ─▶ sample ─┬─▶ telemetry.jsonl, market_rx_stats.log   (a thread each)
                        └─▶ snapshot ─▶ /metrics /health /ready     (a thread)
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final

import msgspec

from feedhandler import log
from feedhandler.config import Config
from feedhandler.errors import EXIT_DONE
from feedhandler.identity import VERSION
from feedhandler.telemetry.http import HttpServer
from feedhandler.telemetry.jsonl import LineWriter, RotatedFile
from feedhandler.telemetry.pages import Endpoint
from feedhandler.telemetry.read import NAME
from feedhandler.telemetry.records import SCHEMA, Record, Start, Stop
from feedhandler.telemetry.rx_stats import RxStats
from feedhandler.telemetry.sample import MS, Sampler
from feedhandler.telemetry.snapshot import Board, Snapshot
from feedhandler.telemetry.sources import Sources
from feedhandler.telemetry.totals import collect
from shm_layout import Capacities, Writer, identity

ROLE: Final = "telemetry"
STATS_NAME: Final = "market_rx_stats.log"

_BEAT_NS: Final = 100 * MS
_SHOWN_NS: Final = 1_000 * MS  # totals are renewed so often for the endpoint
_SERVER_TIMEOUT_S: Final = 0.2  # both within the 1.35 s that a stop leaves us
_CLOSE_TIMEOUT_S: Final = 1.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_encode = msgspec.json.Encoder().encode


def run(
    config: Config, venues: Sequence[str], directory: Path | None, http_port: int
) -> int:
    """Run until SIGTERM or SIGINT; return the exit code.

    `directory` is where the files go, None for no files; port 0 serves nothing. Raises
    what `Writer.open` raises: `SegmentBusy` when the instance has such a process.
    """
    stop = _Stop()
    with Writer.open(
        config.instance, ROLE, Capacities(instruments=1, ring_slots=8, histograms=1)
    ) as writer:
        process = Telemetry(config, venues, directory, http_port, writer)
        log.event(
            "telemetry_started", venues=",".join(venues), directory=directory or None
        )
        try:
            while not stop.reason:
                process.step(time.monotonic_ns(), time.time_ns())
                stop.wait(process.wait_ns(time.monotonic_ns()) / 1e9)
        finally:
            process.close(stop.reason)
    log.event("telemetry_stopped", samples=process.samples, dropped=process.dropped)
    return EXIT_DONE


class _Stop:
    """Waits, and knows which signal asked to stop.

    The signals are blocked, here and in every thread made later, so that one is taken
    between two steps and never inside one.
    """

    def __init__(self) -> None:
        self.reason = ""
        for number in _SIGNALS:
            signal.signal(number, self._note)
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def wait(self, timeout_s: float) -> None:
        """Wait for a signal, at most that long."""
        taken = signal.sigtimedwait(_SIGNALS, timeout_s)
        # Interrupted by SIGCONT, it may return what is no signal at all (CPython).
        if taken is not None and taken.si_signo in _SIGNALS:
            self.reason = signal.Signals(taken.si_signo).name

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.reason = signal.Signals(number).name


class Telemetry:
    """Everything one step needs; `step` does what is due."""

    def __init__(
        self,
        config: Config,
        venues: Sequence[str],
        directory: Path | None,
        http_port: int,
        writer: Writer,
    ) -> None:
        settings = config.telemetry
        self._config = config
        self._venues = list(venues)
        self._writer = writer
        self._sample_ns = settings.sample_ms * MS
        self._totals_ns = settings.totals_ms * MS
        self._stats_ns = settings.stats_ms * MS
        self._heartbeat_limit_ns = config.runner.heartbeat_limit_ms * MS
        self._sources = Sources(config.instance)
        self._sampler = Sampler(config, venues, self._sources)
        self._stats = RxStats()
        self._board = Board(config.instance, venues, settings.sample_ms)
        self.samples = 0

        # The files; both or none.
        self._lines: LineWriter | None = None
        self._stats_lines: LineWriter | None = None
        if directory is not None:
            file_bytes, files_max = settings.file_mb << 20, settings.files_max
            self._lines = LineWriter(
                RotatedFile(directory / NAME, file_bytes, files_max, self._start_line)
            )
            self._stats_lines = LineWriter(
                RotatedFile(directory / STATS_NAME, file_bytes, files_max)
            )

        self._server = self._serve(http_port)
        looks_ns = self._totals_ns if self._server is None else _SHOWN_NS
        self._totals_look_ns = min(looks_ns, self._totals_ns)

        # When what is due next.
        now_ns = time.monotonic_ns()
        self._next_beat_ns = now_ns
        self._next_sample_ns = now_ns
        self._next_look_ns = now_ns  # at totals
        self._next_totals_ns = now_ns  # to write them
        self._next_stats_ns = now_ns + self._stats_ns
        self._late_count = 0

    @property
    def dropped(self) -> int:
        """Records that were not written."""
        writers = (self._lines, self._stats_lines)
        return sum(lines.dropped for lines in writers if lines is not None)

    def wait_ns(self, now_ns: int) -> int:
        """Return how long to wait until something is due."""
        return max(0, min(self._next_beat_ns, self._next_sample_ns) - now_ns)

    def step(self, now_ns: int, wall_ns: int) -> None:
        """Do everything that is due at `now_ns`."""
        if now_ns >= self._next_beat_ns:
            self._next_beat_ns = now_ns + _BEAT_NS
            self._beat(now_ns)
        if now_ns >= self._next_sample_ns:
            # A late sample is not made up for: those between are counted.
            late = (now_ns - self._next_sample_ns) // self._sample_ns
            self._late_count += late
            self._next_sample_ns += (late + 1) * self._sample_ns
            self._sources.look(now_ns)
            self._take(now_ns, wall_ns)

    def close(self, reason: str) -> None:
        """Write what is still to be written, and let go of everything.

        Without a reason a step has failed: then nothing more is sampled.
        """
        now_ns, wall_ns = time.monotonic_ns(), time.time_ns()
        if self._server is not None:
            self._server.stop(_SERVER_TIMEOUT_S)
        self._next_look_ns = self._next_totals_ns = self._next_stats_ns = now_ns
        if reason:
            self._take(now_ns, wall_ns)
        self._put(
            Stop(
                schema=SCHEMA,
                ts_ms=wall_ns // MS,
                ts_mono_ns=now_ns,
                reason=reason or "fault",
                samples=self.samples,
                dropped=self.dropped,
            )
        )
        deadline_s = time.monotonic() + _CLOSE_TIMEOUT_S
        for lines in (self._lines, self._stats_lines):
            if lines is not None:
                lines.close(max(0.0, deadline_s - time.monotonic()))
        self._sources.close()

    def _serve(self, port: int) -> HttpServer | None:
        if not port:
            return None
        pages = Endpoint(self._board)
        server = HttpServer(self._config.telemetry.http_host, port, pages)
        server.start()
        return server

    def _take(self, now_ns: int, wall_ns: int) -> None:
        """Sample, and write what is due with it."""
        wall_minus_mono_ns = wall_ns - now_ns
        sample = self._sampler.sample(
            self.samples, time.monotonic_ns, wall_minus_mono_ns
        )
        self.samples += 1
        for move in self._sampler.moves(wall_minus_mono_ns):
            self._put(move)
        self._put(sample)
        self._stats.take(sample)
        if now_ns >= self._next_stats_ns:
            self._next_stats_ns += self._stats_ns
            if self._next_stats_ns <= now_ns:
                self._next_stats_ns = now_ns + self._stats_ns
            for line in self._stats.lines(sample):
                if self._stats_lines is not None:
                    self._stats_lines.put(line.encode("ascii", "replace") + b"\n")
        newest = self._board.newest
        totals = None if newest is None else newest.totals
        counters = {} if newest is None else newest.counters
        if totals is None or now_ns >= self._next_look_ns:
            self._next_look_ns = now_ns + self._totals_look_ns
            readers = self._sources.readers
            counters = {role: reader.counters() for role, reader in readers.items()}
            totals = collect(
                readers,
                counters,
                self._sampler.cadence,
                now_ns,
                wall_ns,
                self._heartbeat_limit_ns,
            )
            if now_ns >= self._next_totals_ns:
                self._next_totals_ns = now_ns + self._totals_ns
                self._put(totals)
        is_writing = self._lines is not None and not self._lines.is_failing
        self._board.newest = Snapshot(sample, totals, counters, is_writing)

    def _beat(self, now_ns: int) -> None:
        for lines in (self._lines, self._stats_lines):
            if lines is not None and lines.fault is not None:
                raise lines.fault  # never a living process that writes nothing
        if self._server is not None and self._server.fault is not None:
            raise self._server.fault
        self._writer.check_linked()
        for name, value in self._own_counters().items():
            self._writer.set_counter(self._writer.counter(name), value)
        self._writer.beat(now_ns, self.samples)
        log.flush()

    def _own_counters(self) -> dict[str, int]:
        counters = {"samples": self.samples, "samples_late": self._late_count}
        for name, lines in (("jsonl", self._lines), ("stats", self._stats_lines)):
            if lines is None:
                continue
            counters[f"{name}.written"] = lines.written
            counters[f"{name}.dropped"] = lines.dropped
            counters[f"{name}.files"] = lines.file.opened_count
            counters[f"{name}.cut_bytes"] = lines.file.cut_bytes
            # A copy: the writer's thread adds to it.
            for word, count in lines.errors.copy().items():
                counters[f"{name}.errors.{word}"] = count
        if self._server is not None:
            counters["http.requests"] = self._server.requests
            counters["http.refused"] = self._server.refused
            counters["http.failed"] = self._server.failed
        return counters

    def _put(self, record: Record) -> None:
        if self._lines is not None:
            self._lines.put(_encode(record) + b"\n")

    def _start_line(self, file_number: int) -> bytes:
        """Return what opens a file. Called from the writer's thread."""
        start = Start(
            schema=SCHEMA,
            ts_ms=time.time_ns() // MS,
            ts_mono_ns=time.monotonic_ns(),
            instance=self._config.instance,
            pid=os.getpid(),
            version=VERSION,
            boot_id=identity.boot_id(),
            file_number=file_number,
            venues=self._venues,
            sample_ms=self._config.telemetry.sample_ms,
            totals_ms=self._config.telemetry.totals_ms,
            heartbeat_limit_ms=self._config.runner.heartbeat_limit_ms,
            quiet_confirm_ms=self._config.runner.quiet_confirm_ms,
        )
        return _encode(start) + b"\n"
