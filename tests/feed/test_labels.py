"""The words for ends and resyncs, each in its one table."""

from __future__ import annotations

import pytest

from feedhandler.feed.counters import NAMES
from feedhandler.feed.labels import RESYNCS, SESSION_ENDS, Ending, ending

LABELS = [
    "connect_timeout",
    "connect_error",
    "tls_error",
    "http_status",
    "subscribe_error",
    "first_data_timeout",
    "stale_watchdog",
    "read_timeout",
    "ping_send_fail",
    "decode_fail_loop",
    "seq_gap",
    "session_timeout",
    "ws_closed",
    "stream_end",
    "enforcer",
    "shutdown",
]


def test_labels_are_exactly_those_of_the_design() -> None:
    assert list(SESSION_ENDS) == LABELS
    assert list(RESYNCS) == [
        "seq_gap",
        "nonce_gap",
        "checksum",
        "crossed",
        "stale_instrument",
    ]


def test_every_label_and_reason_has_a_counter_from_the_start() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert {f"reconnects.{label}" for label in SESSION_ENDS} <= set(NAMES)
    assert {f"resyncs.{reason}" for reason in RESYNCS} <= set(NAMES)


def test_unlisted_label_is_our_own_bug() -> None:
    with pytest.raises(AssertionError):
        Ending("because")


def test_ending_weighs_what_its_label_weighs() -> None:
    assert ending("tls_error").weight == 2
    assert ending("ws_closed").weight == 1
