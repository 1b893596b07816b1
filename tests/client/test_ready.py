"""Waiting for quotes: it ends when all are tradable, or says who is not, and why."""

from __future__ import annotations

import threading
import time

import pytest

from feedhandler.client import NotReady
from shm_layout import FLAG_SYNCING, LINK_DOWN
from tests.client.host import MS, VENUE, attached

BTC, ETH = f"{VENUE}:BTC-PERP", f"{VENUE}:ETH-PERP"


def test_ready_at_once_when_all_are_tradable(instance: str) -> None:
    with attached(instance) as (host, feed):
        host.quote(index=1)
        host.quote()
        feed.wait_ready([BTC, ETH], 0.0)
        feed.wait_ready([], 0.0)


def test_missing_ones_are_named_with_state_and_reason(instance: str) -> None:
    with attached(instance) as (host, feed):
        host.quote()
        names = [BTC, ETH, f"{VENUE}:DOGE-PERP", "nowhere:BTC-PERP"]
        with pytest.raises(NotReady) as caught:
            feed.wait_ready(names, 0.0)
        assert caught.value.missing == {
            ETH: ("SYNCING", "awaiting_quote"),
            f"{VENUE}:DOGE-PERP": ("UNKNOWN", "not_listed"),
            "nowhere:BTC-PERP": ("UNKNOWN", "no_feed"),
        }
        assert f"{ETH} SYNCING awaiting_quote; " in str(caught.value)
        assert "nowhere:BTC-PERP UNKNOWN no_feed" in str(caught.value)
        assert isinstance(caught.value, TimeoutError)


def test_doubted_and_disconnected_quotes_say_so(instance: str) -> None:
    with attached(instance) as (host, feed):
        host.quote(flags=FLAG_SYNCING)
        with pytest.raises(NotReady) as caught:
            feed.wait_ready([BTC], 0.0)
        assert caught.value.missing == {BTC: ("SYNCING", "resync")}
        host.feed.set_link(LINK_DOWN, host.feed.session)
        with pytest.raises(NotReady, match=f"{BTC} DOWN link_down"):
            feed.wait_ready([BTC], 0.0)


def test_wait_ends_when_the_last_one_becomes_tradable(instance: str) -> None:
    with attached(instance) as (host, feed):
        is_over = threading.Event()

        def go_on() -> None:
            begun_s = time.monotonic()
            while not is_over.is_set():
                host.quote()
                if time.monotonic() - begun_s > 0.05:
                    host.quote(index=1)
                is_over.wait(0.005)

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            feed.wait_ready([BTC, ETH], 30.0)
        finally:
            is_over.set()
            thread.join()
        for instrument in ("BTC-PERP", "ETH-PERP"):
            assert feed.quote(VENUE, instrument) is not None


def test_deadline_is_kept(instance: str) -> None:
    with attached(instance) as (_, feed):
        begun_ns = time.monotonic_ns()
        with pytest.raises(NotReady, match=r"after 0\.05 s"):
            feed.wait_ready(["nowhere:BTC-PERP"], 0.05)
        assert 50 * MS <= time.monotonic_ns() - begun_ns < 20_000 * MS


@pytest.mark.parametrize(
    "names", [["BTC-PERP"], [":BTC-PERP"], ["hyperliquid:"], [""], BTC]
)
def test_name_without_venue_and_instrument_is_refused(
    instance: str, names: list[str]
) -> None:
    with attached(instance) as (_, feed), pytest.raises(ValueError, match="expected"):
        feed.wait_ready(names, 0.0)


def test_instrument_may_hold_a_colon_of_its_own(instance: str) -> None:
    with attached(instance) as (_, feed):
        with pytest.raises(NotReady) as caught:
            feed.wait_ready([f"{VENUE}:xyz:TSLA-PERP"], 0.0)
        assert list(caught.value.missing) == [f"{VENUE}:xyz:TSLA-PERP"]
