"""The client of a drill: a thread that reads all the time and keeps every read.

Owns the attachment and the history. It asks as strategies do, by `quote` for each
instrument and now and then by `quotes` for all, with REST allowed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Sequence
from typing import Final

import feedhandler
from shm_layout import SegmentMissing
from tests.history import NEVER, History, Span

INSTRUMENTS: Final = ("BTC-PERP", "ETH-PERP")
PAUSE_S: Final = 0.002
TABLE_EVERY: Final = 25  # passes


class Recorder:
    """Reads until it is closed; its answers are copies."""

    def __init__(self, instance: str, venues: Sequence[str], confirm_ms: int) -> None:
        self.confirm_ms = confirm_ms
        self._instance = instance
        self._keys = [(venue, name) for venue in venues for name in INSTRUMENTS]
        self._history = History()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def spans(self, venue: str, instrument: str) -> list[Span]:
        """Return the reads since the last `take`, and the newest one before."""
        self._raise_error()
        with self._lock:
            return list(self._history.spans.get((venue, instrument), ()))

    def take(self) -> History:
        """Return the history and begin a new one with its newest reads."""
        self._raise_error()
        with self._lock:
            taken = History()
            for key, spans in self._history.spans.items():
                taken.spans[key] = [dataclasses.replace(span) for span in spans]
            self._history.cut()
            return taken

    def close(self) -> None:
        """End reading; raises what ended it before."""
        self._stopped.set()
        self._thread.join()
        self._raise_error()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise AssertionError(f"reading failed: {self._error!r}") from self._error

    def _run(self) -> None:
        try:
            self._read_on()
        except Exception as error:  # noqa: BLE001 - told to whoever asks next
            self._error = error

    def _attach(self) -> feedhandler.Feed | None:
        """Attach as soon as there is anything; a reader may be there before it."""
        while not self._stopped.is_set():
            with contextlib.suppress(SegmentMissing):
                return feedhandler.attach(
                    self._instance,
                    timeout_s=0.1,
                    quiet_confirm_ms=self.confirm_ms,
                    rest=True,
                )
        return None

    def _read_on(self) -> None:
        feed = self._attach()
        if feed is None:
            return
        with feed:
            passes = 0
            while not self._stopped.wait(PAUSE_S):
                passes += 1
                for key in self._keys:
                    quote = feed.quote(*key)
                    if quote is not None:
                        with self._lock:
                            self._history.add(quote, quote.read_ns)
                if passes % TABLE_EVERY == 0:
                    self._read_table(feed)

    def _read_table(self, feed: feedhandler.Feed) -> None:
        table = feed.quotes()
        with self._lock:
            for row in table:
                if int(row["recv_ns"]) != NEVER:
                    read_ns = int(row["recv_ns"]) + int(row["recv_age_ns"])
                    self._history.add(row, read_ns)
