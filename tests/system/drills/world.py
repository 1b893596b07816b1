"""One whole instance under drill: the market, `feedhandler start`, and who reads it.

    market process ◀═ control ═ drill ═ signals ═▶ feedhandler start ─▶ children
           ╚═ ws, rest ═▶ feeds, rest ─▶ shared memory ─▶ recorder: every read is kept

Owns the processes, the configuration, and the answers to: since when may that venue not
be traded on, and since when again? Times are those of the reads themselves.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from feedhandler.soak import shortened
from shm_layout import Reader, SegmentError
from tests.history import Findings, Limits, Span, judge
from tests.support import (
    MS,
    Program,
    Programs,
    child_ids,
    new_instance,
    remove_leftovers,
    wait_until,
)
from tests.system.drills.recorder import Recorder

BTC, ETH = "BTC-PERP", "ETH-PERP"
HYPERLIQUID, LIGHTER = "hyperliquid", "lighter"
START_S: Final = 40_000 * MS
WAIT_S: Final = 20_000 * MS
LIMIT_S: Final = 600.0  # of a world's processes
NS_PER_MS: Final = 1_000_000

# Deadlines at a tenth of what an operator uses, their order kept: those of a soak that
# is shortened as far as it goes, and less where the market of a drill hurries. The
# promise of a dead writer (heartbeat) and the runner's ticks have their true values.
SCALED: Final[dict[str, dict[str, Any]]] = {
    "venue": {
        **{key: floor_ms for key, (floor_ms, _) in shortened.VENUE.items()},
        "fresh_ms": 1_000,
        "stale_ms": 2_500,
        "subscribe_gap_ms": 5,
    },
    "runner": {"liveness_ms": 2_000, "quiet_confirm_ms": 2_000},
    "ladder": {
        **shortened.OTHERS["ladder"],
        "term_ms": 200,
        "resubscribes_max": 20,
        "reconnects_max": 20,
        "restarts_max": 20,
    },
    "rest": dict(shortened.OTHERS["rest"]),
    "supervisor": {
        "backoff_first_ms": 100,
        "backoff_max_ms": 1_000,
        "healthy_ms": 1_000,
        "restarts_max": 100,
        "disabled_retry_ms": 1_000,
        "hung_ms": 3_000,
    },
}
VENUES: Final[dict[str, dict[str, Any]]] = {
    HYPERLIQUID: {"feed_kind": "bbo"},
    LIGHTER: {"feed_kind": "depth"},
}
# Above the ladder's `release_ms`: what one drill left does not climb in the next.
STEADY_NS: Final = 1_500 * NS_PER_MS
RATE: Final = 6.0  # of the market, so that no quote ages without a fault
# The venues' own limits of age where no configuration sets one; see their declarations.
SLACK_NS: Final = 60 * NS_PER_MS  # one verdict's tick, and the read


class World:
    """What a drill sees and does. Made by `running`."""

    def __init__(
        self,
        instance: str,
        programs: Programs,
        folder: Path,
        venues: dict[str, dict[str, Any]],
        scaled: dict[str, dict[str, Any]] | None,
        rate: float,
    ) -> None:
        self.instance = instance
        self.programs = programs
        self.folder = folder
        self.venues = list(venues)
        self.is_scaled = scaled is not None
        self._calm_since_ns: int | None = None
        self.truth_path = folder / "truth.jsonl"
        self.config_path = folder / "feedhandler.toml"
        self.market = self._start_market(rate)
        line = wait_until(self.market.stdout, START_S, "the market's addresses")
        hello = json.loads(line.splitlines()[0])
        self._control = socket.create_connection(("127.0.0.1", hello["control"]))
        self._answers = self._control.makefile("r")
        self._write_config(venues, scaled or {}, hello["addresses"])
        self.program = self.start()
        self.recorder = Recorder(instance, self.venues, self._confirm_ms(scaled))

    # --- Processes ------------------------------------------------------------------

    def start(self, *arguments: str) -> Program:
        """Run `feedhandler start` of this instance."""
        self.program = self.programs.feedhandler(
            *("start", "--no-table", "--instance", self.instance),
            *("--config", str(self.config_path)),
            *arguments,
            limit_s=LIMIT_S,
        )
        return self.program

    def command(self, *arguments: str) -> Program:
        """Run another command of this instance's."""
        where = ("--instance", self.instance)
        return self.programs.feedhandler(*arguments, *where)

    def pid(self, role: str) -> int:
        """Return the pid in a role's segment, 0 while there is none."""
        try:
            with Reader.attach(self.instance, role) as reader:
                return reader.owner().pid
        except SegmentError:
            return 0

    def pids(self) -> dict[str, int]:
        """Return the pids of all, by role."""
        feeds = [f"feed:{venue}" for venue in self.venues]
        return {role: self.pid(role) for role in (*feeds, "runner", "rest")}

    def counters(self, role: str) -> dict[str, int]:
        with Reader.attach(self.instance, role) as reader:
            return reader.counters()

    def count(self, role: str, name: str) -> int:
        """Return a counter; one that nobody has made yet stands at 0."""
        return self.counters(role).get(name, 0)

    def session(self, venue: str) -> tuple[int, int]:
        """Return epoch and session of a venue's feed."""
        with Reader.attach(self.instance, f"feed:{venue}") as reader:
            owner = reader.owner()
            return owner.epoch, owner.session

    # --- The market -----------------------------------------------------------------

    def market_do(self, what: str, **values: Any) -> Any:
        """Have the market's process do one thing; return its answer."""
        command = json.dumps({"do": what, **values})
        self._control.sendall(command.encode() + b"\n")
        return json.loads(self._answers.readline())

    def inject(self, *faults: str) -> None:
        self.market_do("inject", faults=faults)

    def clear(self) -> None:
        self.market_do("clear")

    def weather(self, place: str, *ways: str, **values: Any) -> None:
        self.market_do("weather", place=place, ways=ways, **values)

    def hold(self, place: str, *ways: str) -> None:
        self.market_do("hold", place=place, ways=ways)

    def cut(self, place: str, how: str = "rst") -> None:
        self.market_do("cut", place=place, how=how)

    def refuse(self, place: str) -> None:
        self.market_do("refuse", place=place)

    def swallow(self, place: str) -> None:
        self.market_do("swallow", place=place)

    def connections(self, name: str) -> int:
        counts: dict[str, int] = self.market_do("counts")
        return counts[name]

    # --- What was read --------------------------------------------------------------

    def spans(self, venue: str, instrument: str = BTC) -> list[Span]:
        """Return the reads so far of one instrument."""
        return self.recorder.spans(venue, instrument)

    def refused_ns(self, venue: str, since_ns: int, *only: str) -> int:
        """When the last of a venue's instruments was first refused; 0 not yet."""
        found = [
            next((span.first_ns for span in self.spans(venue, name)
                  if span.first_ns >= since_ns and not span.read.tradable), 0)
            for name in only or (BTC, ETH)
        ]  # fmt: skip
        return max(found) if all(found) else 0

    def traded_ns(self, venue: str, since_ns: int, *only: str) -> int:
        """When all were tradable again, with quotes that came since; 0 not yet."""
        found = [
            next((span.first_ns for span in self.spans(venue, name)
                  if span.first_ns >= since_ns and span.read.tradable
                  and span.read.recv_ns >= since_ns), 0)
            for name in only or (BTC, ETH)
        ]  # fmt: skip
        return max(found) if all(found) else 0

    def last_tradable_ns(self, venue: str, until_ns: int, *only: str) -> int:
        """The last tradable read of any of them that was begun before that."""
        stamps = [
            min(span.last_ns, until_ns)
            for name in only or (BTC, ETH)
            for span in self.spans(venue, name)
            if span.read.tradable and span.first_ns <= until_ns
        ]
        return max(stamps, default=0)

    def is_calm(self) -> bool:
        """Whether everything may be traded on at this moment."""
        return all(
            (spans := self.spans(venue, name)) and spans[-1].read.tradable
            for venue in self.venues
            for name in (BTC, ETH)
        )

    def is_steady(self) -> bool:
        """Whether everything may be traded on for so long that the ladder rests."""
        if not self.is_calm():
            self._calm_since_ns = None
            return False
        if self._calm_since_ns is None:
            self._calm_since_ns = now_ns()
        return now_ns() - self._calm_since_ns >= STEADY_NS

    def wait(
        self, condition: Callable[[], Any], what: str, timeout_s: float = WAIT_S
    ) -> Any:
        """Wait for what has to come; the log tells why it did not."""
        try:
            return wait_until(condition, timeout_s, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.facts()}") from None

    def calm(self) -> None:
        """End every fault and wait until all is well.

        What a fault left for good, such as a subscription that was refused, ends with
        its session.
        """
        self.clear()
        try:
            wait_until(self.is_calm, WAIT_S / 4)
        except AssertionError:
            self.cut("ws")
        self.wait(self.is_calm, "everything tradable again", START_S)

    def judge(self) -> Findings:
        """Hold what was read since the last time to what was sent, and forget it."""
        history = self.recorder.take()
        self.market_do("flush")
        return judge(history, self.truth_path, self._limits())

    def facts(self) -> str:
        latest = [
            f"{venue} {name} {spans[-1].read.state}/{spans[-1].read.reason}"
            for venue in self.venues
            for name in (BTC, ETH)
            if (spans := self.spans(venue, name))
        ]
        return "\n".join([*latest, self.program.stderr()[-5_000:]])

    def close(self) -> None:
        """End the readers, the instance, then the market."""
        self.recorder.close()
        for role, pid in self.pids().items():
            if pid and role:
                _continue(pid)
        self.program.close()
        self._answers.close()
        self._control.close()
        self.market.close()

    # --- How it is made -------------------------------------------------------------

    def _start_market(self, rate: float) -> Program:
        options = {"venues": self.venues, "truth": str(self.truth_path), "rate": rate}
        arguments = ("-m", "tests.system.drills.market", json.dumps(options))
        return self.programs.python(*arguments, limit_s=LIMIT_S)

    def _write_config(
        self,
        venues: dict[str, dict[str, Any]],
        scaled: dict[str, dict[str, Any]],
        addresses: dict[str, dict[str, str]],
    ) -> None:
        sections = {
            f"venue.{venue}": {
                **scaled.get("venue", {}),
                **own,
                **{f"{side}_url": url for side, url in addresses[venue].items()},
            }
            for venue, own in venues.items()
        }
        sections |= {name: keys for name, keys in scaled.items() if name != "venue"}
        lines = [f"state_dir = {json.dumps(str(self.folder / 'state'))}"]
        for name, keys in sections.items():
            lines.append(f"[{name}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
        self.config_path.write_text("\n".join(lines) + "\n")

    def _confirm_ms(self, scaled: dict[str, dict[str, Any]] | None) -> int:
        return int((scaled or {}).get("runner", {}).get("quiet_confirm_ms", 15_000))

    def _limits(self) -> dict[str, Limits]:
        confirm_ns = self.recorder.confirm_ms * NS_PER_MS + SLACK_NS
        found = {}
        for venue in self.venues:
            with Reader.attach(self.instance, f"feed:{venue}") as reader:
                fresh_ms = reader.instruments()[0].fresh_ms
            found[venue] = Limits(fresh_ms * NS_PER_MS + SLACK_NS, confirm_ns)
        return found


@contextmanager
def running(
    folder: Path,
    *,
    venues: dict[str, dict[str, Any]] = VENUES,
    scaled: dict[str, dict[str, Any]] | None = SCALED,
    rate: float = RATE,
) -> Iterator[World]:
    """Run a world until the block ends; fail for what it leaves behind."""
    instance = new_instance()
    children_before = child_ids()
    programs = Programs(folder)
    left: list[str] = []
    try:
        world = World(instance, programs, folder, venues, scaled, rate)
        try:
            world.wait(world.is_calm, "everything tradable", START_S)
            world.judge()  # what was before is no drill's
            yield world
        finally:
            world.close()
    finally:
        programs.close()
        left = remove_leftovers(instance, children_before)
    assert not left, left


def now_ns() -> int:
    return time.monotonic_ns()


def _continue(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return
