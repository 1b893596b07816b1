"""Counters of the REST process, their names, and the words a reader makes of them."""

from __future__ import annotations

import pytest

from feedhandler.codec.frame import REASONS as FRAME_REASONS
from feedhandler.codec.frame import FrameError
from feedhandler.feed.labels import SESSION_ENDS
from feedhandler.rest import validate
from feedhandler.rest.board import (
    KINDS,
    Board,
    counts_of,
    kind_of,
    problem_code,
    venues_of,
)
from feedhandler.rest.report import rest_rows
from feedhandler.transport.errors import TransportError
from shm_layout import LINK_UP, Reader

VENUES = ("aster", "lighter")


def test_every_counter_is_there_before_the_first_request(instance: str) -> None:
    board = Board(instance, VENUES, 8)
    try:
        counters = board.writer.counters()
        assert set(counters.values()) == {0}
        assert sorted(venues_of(counters)) == sorted(VENUES)
        for venue in VENUES:
            for name in ("rest_check", "attempt", "success", "inject"):
                assert f"{name}.{venue}" in counters
            assert all(f"fail.{kind}.{venue}" in counters for kind in KINDS)
            for reason in validate.REASONS:
                assert f"discarded.{reason}.{venue}" in counters
        assert board.writer.link()[0] == LINK_UP
    finally:
        board.writer.close(unlink=True)


def test_as_many_venues_as_there_may_be_have_their_counters(instance: str) -> None:
    venues = [f"venue{number}" for number in range(32)]
    board = Board(instance, venues, 8)
    try:
        assert sorted(venues_of(board.writer.counters())) == sorted(venues)
    finally:
        board.writer.close(unlink=True)


@pytest.mark.parametrize("problem", [*KINDS, *validate.REASONS])
def test_self_check_is_shown_in_the_word_it_failed_with(problem: str) -> None:
    counters = {"self_check.aster": problem_code(problem)}
    assert counts_of(counters, "aster")["self_check"] == problem


def test_self_check_is_pending_then_ok_and_never_guessed() -> None:
    assert counts_of({"self_check.aster": 0}, "aster")["self_check"] == "pending"
    assert counts_of({"self_check.aster": 1}, "aster")["self_check"] == "ok"
    assert counts_of({"self_check.aster": 999}, "aster")["self_check"] == "unknown"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, "http_429"),
        (418, "http_418"),
        (404, "http_4xx"),
        (503, "http_5xx"),
        (302, "http_other"),
        (600, "http_other"),
    ],
)
def test_refusal_of_the_host_is_counted_by_its_status(status: int, kind: str) -> None:
    assert kind_of(TransportError("http_status", "", status)) == kind


@pytest.mark.parametrize("label", [*SESSION_ENDS, "rate_limited"])
def test_every_failure_of_transport_has_a_counter(label: str) -> None:
    assert kind_of(TransportError(label, "")) in KINDS


@pytest.mark.parametrize("reason", FRAME_REASONS)
def test_every_refused_body_has_a_counter(reason: str) -> None:
    kind = kind_of(FrameError(reason))
    assert kind in validate.REASONS if reason == "symbol" else kind in KINDS


def test_dead_process_is_shown_as_down(instance: str) -> None:
    board = Board(instance, VENUES, 8)
    try:
        board.writer.beat(1_000_000_000, 0)
        with Reader.attach(instance, "rest") as reader:
            young, old = 1_400_000_000, 1_600_000_000
            assert {row["state"] for row in rest_rows(reader, young)} == {"idle"}
            assert {row["state"] for row in rest_rows(reader, old)} == {"down"}
        assert rest_rows(None, 0) == []
    finally:
        board.writer.close(unlink=True)
