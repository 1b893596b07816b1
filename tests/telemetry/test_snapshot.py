"""`/health` speaks of the process, `/ready` of the quotes."""

from __future__ import annotations

from feedhandler.telemetry.snapshot import STALLED_NS, Board, Snapshot
from feedhandler.telemetry.totals import collect
from tests.telemetry.segments import VENUE, S, Segments, segments


def snapshot(made: Segments) -> Snapshot:
    sample = made.sample()
    readers = made.sources.readers
    counters = {role: reader.counters() for role, reader in readers.items()}
    cadence = made.sampler.cadence
    totals = collect(readers, counters, cadence, made.now_ns, made.now_ns, S // 2)
    return Snapshot(sample, totals, counters, is_writing=True)


def test_ready_when_every_quote_is_tradable(instance: str) -> None:
    with segments(instance) as made:
        made.live()
        board = Board(instance, [VENUE], 250)
        board.newest = snapshot(made)
        is_ready, document = board.ready(made.now_ns)
    assert is_ready
    assert (document["missing"], document["problem"]) == ([], "")


def test_ready_names_who_is_missing_and_why(instance: str) -> None:
    with segments(instance) as made:
        made.beat()
        board = Board(instance, [VENUE], 250)
        board.newest = snapshot(made)
        is_ready, document = board.ready(made.now_ns)
        assert not is_ready
        assert document["missing"] == [
            {
                "venue": VENUE,
                "instrument": "BTC-PERP",
                "state": "SYNCING",
                "reason": "awaiting_quote",
            }
        ]
        nobody = Board(instance, [], 250)  # a venue that nobody asked for
        nobody.newest = board.newest
        assert nobody.ready(made.now_ns)[0]


def test_old_sample_is_neither_healthy_nor_ready(instance: str) -> None:
    with segments(instance) as made:
        made.live()
        board = Board(instance, [VENUE], 250)
        assert not board.health(made.now_ns)[0]
        board.newest = snapshot(made)
        assert board.health(made.now_ns + STALLED_NS)[0]
        later_ns = made.now_ns + STALLED_NS + 1
        assert not board.health(later_ns)[0]
        is_ready, document = board.ready(later_ns)
    assert not is_ready
    assert document["problem"] == "telemetry is stalled"
