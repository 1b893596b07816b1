"""The process against every simulated venue, and against hosts that misbehave."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest

from shm_layout.codes import (
    FLAG_RESTARTED,
    FLAG_SNAPSHOT,
    REASON_OUTLIER,
    REASON_QUIET_CONFIRMED,
    REASON_QUIET_UNCONFIRMED,
    SOURCE_REST,
    STATE_QUIET,
    STATE_SUSPECT,
)
from tests.rest.host import ALL_VENUES, Rest, asking, is_truth
from tests.support import Programs

VENUE = "hyperliquid"
NEVER = 600_000  # ms


def grown(rest: Rest, venue: str, name: str, kind: str, least: int = 1) -> bool:
    count: int = rest.row(venue)[name][kind]
    return count >= least


def test_every_venues_endpoint_is_checked_and_its_price_is_the_truth(
    instance: str, programs: Programs, tmp_path: Path
) -> None:
    with asking(instance, programs, tmp_path, ALL_VENUES, after_ms=NEVER) as rest:
        for venue in ALL_VENUES:
            rest.wait_checked(venue)
            row = rest.latest(venue)
            assert row is not None
            assert (row["source"], row["flags"]) == (SOURCE_REST, FLAG_SNAPSHOT)
            assert row["recv_ns"] < row["publish_ns"] < time.monotonic_ns()
            assert is_truth(rest, venue, row)
            counts = rest.row(venue)
            assert counts["state"] == "idle"
            assert (counts["attempts"], counts["injected"]) == (1, 1)
            assert not any(
                [*counts["failures"].values(), *counts["discarded"].values()]
            )
        assert rest.program.stop() == 0


def test_budget_that_cannot_be_shared_is_counted(
    instance: str, programs: Programs, tmp_path: Path
) -> None:
    with asking(instance, programs, tmp_path, after_ms=1_000) as rest:
        rest.wait_checked(VENUE)
        counters = rest.reader.counters()
        assert counters[f"budget_fallbacks.{VENUE}"] == 0
        (account,) = tmp_path.rglob("*_weight-*")
        account.unlink()
        account.mkdir()
        rest.wait(
            lambda: rest.reader.counters()[f"budget_fallbacks.{VENUE}"] > 0,
            "a request without the account",
        )


def test_silent_streams_of_every_venue_are_stood_in_for(
    instance: str, programs: Programs, tmp_path: Path
) -> None:
    with asking(instance, programs, tmp_path, ALL_VENUES, after_ms=1_000) as rest:
        for venue in ALL_VENUES:
            rest.wait(lambda v=venue: rest.row(v)["injected"] >= 3, f"{venue} shown")
            assert rest.row(venue)["state"] == "fallback"
            assert is_truth(rest, venue, rest.latest(venue))


def test_fallback_is_left_when_the_stream_is_back(
    instance: str, programs: Programs, tmp_path: Path
) -> None:
    with asking(instance, programs, tmp_path, after_ms=1_000) as rest:
        rest.wait(lambda: rest.row(VENUE)["injected"] >= 2, "REST stands in")

        def is_left() -> bool:
            rest.runner.live(VENUE)
            return bool(rest.row(VENUE)["state"] == "idle")

        rest.wait(is_left, "the stream's return")
        counters = rest.reader.counters()
        assert counters[f"entered.{VENUE}"] == counters[f"left.{VENUE}"] == 1
        attempts = rest.row(VENUE)["attempts"]
        shown_ns = int(rest.latest(VENUE)["recv_ns"])
        rest.runner.live(VENUE)
        assert rest.row(VENUE)["attempts"] - attempts <= 1, "one may have been begun"
        assert int(rest.latest(VENUE)["recv_ns"]) >= shown_ns


def test_answer_that_comes_after_the_stream_is_not_shown(
    instance: str, programs: Programs, tmp_path: Path
) -> None:
    with asking(instance, programs, tmp_path, after_ms=1_000, leave_ms=5_000) as rest:
        rest.wait_checked(VENUE)
        rest.venues[VENUE].inject("slow_rest(ms=700)")
        rest.wait(lambda: rest.row(VENUE)["state"] == "fallback", "fallback")

        def is_discarded() -> bool:
            rest.runner.live(VENUE)
            return grown(rest, VENUE, "discarded", "late")

        rest.wait(is_discarded, "a late answer")


def test_quiet_quote_is_confirmed_again_and_again(
    instance: str, programs: Programs, tmp_path: Path
) -> None:
    with asking(instance, programs, tmp_path, after_ms=NEVER, poll_ms=200) as rest:
        rest.wait_checked(VENUE)
        rest.venues[VENUE].inject("quiet")
        first = rest.row(VENUE)["injected"]

        def is_asked() -> bool:
            rest.runner.say(VENUE, state=STATE_QUIET, reason=REASON_QUIET_UNCONFIRMED)
            return bool(rest.row(VENUE)["injected"] >= first + 3)

        rest.wait(is_asked, "confirmations")
        confirmed_ns = int(rest.latest(VENUE)["recv_ns"])
        attempts = rest.row(VENUE)["attempts"]
        for _ in range(20):
            rest.runner.say(
                VENUE,
                state=STATE_QUIET,
                reason=REASON_QUIET_CONFIRMED,
                confirmed_ns=confirmed_ns,
            )
        assert rest.row(VENUE)["attempts"] - attempts <= 1
        assert rest.row(VENUE)["state"] == "idle", "quiet is no fallback"


def test_doubtful_price_is_asked_for_at_once_and_again(
    instance: str, programs: Programs, tmp_path: Path
) -> None:
    with asking(instance, programs, tmp_path, after_ms=NEVER, poll_ms=200) as rest:
        rest.wait_checked(VENUE)
        first = rest.row(VENUE)["injected"]

        def is_asked() -> bool:
            rest.runner.say(VENUE, state=STATE_SUSPECT, reason=REASON_OUTLIER)
            return bool(rest.row(VENUE)["injected"] >= first + 3)

        rest.wait(is_asked, "answers")


# Aster's answer does not say which market's it is.
@pytest.mark.parametrize("venue", [name for name in ALL_VENUES if name != "aster"])
def test_wrong_market_is_never_shown(
    venue: str, instance: str, programs: Programs, tmp_path: Path
) -> None:
    with asking(instance, programs, tmp_path, [venue], after_ms=1_000) as rest:
        rest.wait_checked(venue)
        rest.venues[venue].inject("wrong_symbol")
        rest.wait(lambda: grown(rest, venue, "discarded", "symbol"), "a refusal")
        shown = rest.latest(venue)
        rest.wait(lambda: grown(rest, venue, "discarded", "symbol", 2), "another one")
        assert rest.latest(venue) == shown
        rest.venues[venue].clear()
        count = rest.row(venue)["injected"]
        rest.wait(lambda: rest.row(venue)["injected"] > count, "the right market")


@pytest.mark.parametrize("venue", ["aster", "hyperliquid", "paradex"])
def test_old_answer_is_never_shown(
    venue: str, instance: str, programs: Programs, tmp_path: Path
) -> None:
    with asking(instance, programs, tmp_path, [venue], after_ms=1_000) as rest:
        rest.wait(lambda: rest.row(venue)["injected"] >= 2, "REST stands in")
        rest.venues[venue].inject("old_snapshot")
        rest.wait(
            lambda: (
                grown(rest, venue, "discarded", "older")
                or grown(rest, venue, "discarded", "frozen", 3)
            ),
            "an old answer",
        )
        shown = rest.latest(venue)
        rest.wait(
            lambda: sum(rest.row(venue)["discarded"].values()) >= 6, "more old answers"
        )
        assert int(rest.latest(venue)["event_ns"]) >= int(shown["event_ns"])


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("http(status=429,retry_after=30)", "http_429"),
        ("http(status=418)", "http_418"),
        ("http(status=429)", "http_429"),
    ],
)
def test_host_that_wants_to_be_left_alone_is_left_alone(
    fault: str, kind: str, instance: str, programs: Programs, tmp_path: Path
) -> None:
    with asking(instance, programs, tmp_path, after_ms=1_000) as rest:
        rest.wait_checked(VENUE)
        rest.venues[VENUE].inject(fault)
        rest.wait(lambda: grown(rest, VENUE, "failures", kind), kind)
        requests = rest.venues[VENUE].simulation.counters["rest_requests"]
        assert rest.row(VENUE)["failures"][kind] == 1
        rest.program.kill()
        rest.start()  # the next process knows of it, by the account they share
        begun_ns = time.monotonic_ns()
        rest.wait(lambda: time.monotonic_ns() - begun_ns > 2_000_000_000, "2 s")
        assert rest.venues[VENUE].simulation.counters["rest_requests"] == requests
        assert rest.row(VENUE)["self_check"] == "pending"


def test_failing_host_is_asked_ever_less_often_and_shown_again(
    instance: str, programs: Programs, tmp_path: Path
) -> None:
    with asking(
        instance,
        programs,
        tmp_path,
        after_ms=1_000,
        backoff_first_ms=100,
        backoff_max_ms=400,
    ) as rest:
        rest.wait_checked(VENUE)
        rest.venues[VENUE].inject("http(status=500)")
        rest.wait(lambda: grown(rest, VENUE, "failures", "http_5xx", 5), "failures")
        lines = rest.program.stderr().splitlines()
        assert sum("rest_failed" in line for line in lines) == 1, "logged once"
        rest.venues[VENUE].clear()
        count = rest.row(VENUE)["injected"]
        rest.wait(lambda: rest.row(VENUE)["injected"] > count, "a price again")


def test_slow_venue_delays_no_other(
    instance: str, programs: Programs, tmp_path: Path
) -> None:
    venues = ("extended", VENUE)
    with asking(
        instance, programs, tmp_path, venues, after_ms=1_000, timeout_ms=400
    ) as rest:
        rest.wait_checked("extended")
        rest.venues["extended"].inject("slow_rest(ms=60000)")
        rest.wait(
            lambda: grown(rest, "extended", "failures", "connect_timeout"), "a time-out"
        )
        count = rest.row(VENUE)["injected"]
        failed = rest.row("extended")["failures"]["connect_timeout"]
        rest.wait(lambda: rest.row(VENUE)["injected"] >= count + 10, "ten prices")
        assert rest.row("extended")["failures"]["connect_timeout"] <= failed + 5


def test_endpoint_that_does_not_work_is_named(
    instance: str, programs: Programs, tmp_path: Path
) -> None:
    with asking(instance, programs, tmp_path, after_ms=NEVER) as rest:
        rest.wait_checked(VENUE)
        rest.program.kill()
        rest.venues[VENUE].inject("http(status=404)")
        rest.start()
        rest.wait_checked(VENUE, "http_4xx")
        doctor = programs.feedhandler("doctor", "--instance", instance)
        doctor.wait()
        assert re.search(r"warn +rest_endpoints +hyperliquid http_4xx", doctor.stdout())
        status = programs.feedhandler("status", "--instance", instance)
        status.wait()
        assert re.search(r"hyperliquid +http_4xx +idle", status.stdout())


def test_killed_process_is_followed_by_one_that_adopts(
    instance: str, programs: Programs, tmp_path: Path
) -> None:
    with asking(instance, programs, tmp_path, after_ms=NEVER) as rest:
        rest.wait_checked(VENUE)
        shown = rest.latest(VENUE)
        rest.program.kill()
        rest.venues[VENUE].inject("http(status=500)")
        rest.start()
        rest.wait(lambda: rest.reader.epoch() == 2, "the next epoch")
        rest.wait(
            lambda: int(rest.latest(VENUE)["flags"]) & FLAG_RESTARTED, "a mark of doubt"
        )
        assert int(rest.latest(VENUE)["recv_ns"]) == int(shown["recv_ns"])
        second = programs.feedhandler("rest", "--instance", instance)
        assert second.wait() == 4, "one writer a segment"
        assert rest.program.stop(signal.SIGINT) == 0


@pytest.mark.parametrize("venue", ["aster", "extended", "lighter", "paradex"])
def test_answer_that_never_changes_makes_nothing_younger(
    venue: str, instance: str, programs: Programs, tmp_path: Path
) -> None:
    with asking(instance, programs, tmp_path, [venue], after_ms=1_000) as rest:
        rest.wait(lambda: rest.row(venue)["injected"] >= 2, "REST stands in")
        rest.venues[venue].inject("quiet")
        rest.wait(lambda: grown(rest, venue, "discarded", "frozen", 2), "the same")
        recv_ns = int(rest.latest(venue)["recv_ns"])
        rest.wait(lambda: grown(rest, venue, "discarded", "frozen", 5), "and again")
        assert int(rest.latest(venue)["recv_ns"]) == recv_ns
