"""`status` shows by venue how long records took on their way."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from feedhandler.cli.hops import hop_rows
from feedhandler.cli.status import _print_hops
from shm_layout import Capacities, Reader, Writer

MS = 1_000_000


def test_hops_stand_in_the_order_of_the_way(
    instance: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as stack:
        for role, names in (
            ("feed:aster", ["recv_to_publish", "loop_lag"]),
            ("runner", ["publish_to_apply.aster", "venue_to_recv.aster", "pass_time"]),
        ):
            writer = Writer.open(instance, role, Capacities(1, 8))
            stack.callback(writer.close, unlink=True)
            for name in names:
                histogram = writer.histogram(name)
                if name != "publish_to_apply.aster":
                    for value_ms in range(1, 101):
                        writer.record(histogram, value_ms * MS)
        readers = {
            role: stack.enter_context(Reader.attach(instance, role))
            for role in ("feed:aster", "runner")
        }
        rows = hop_rows(readers)
    assert [(row["venue"], row["hop"], row["count"]) for row in rows] == [
        ("aster", "venue_to_recv", 100),
        ("aster", "recv_to_publish", 100),
        ("aster", "publish_to_apply", 0),
        ("aster", "loop_lag", 100),
        (None, "pass_time", 100),
    ]
    assert rows[0]["p50_ms"] == pytest.approx(50, rel=1 / 16)
    assert rows[0]["p99_ms"] == pytest.approx(99, rel=1 / 16)
    assert rows[0]["max_ms"] == 100
    assert rows[2]["p50_ms"] is rows[2]["max_ms"] is None
    _print_hops(rows)
    shown = capsys.readouterr().out.splitlines()
    assert shown[1].split()[:3] == ["aster", "venue_to_recv", "100"]
    assert shown[3].split() == ["aster", "publish_to_apply", "0", *"----"]
    assert shown[5].split()[:3] == ["runner", "pass_time", "100"]


def test_nothing_measured_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert hop_rows({}) == []
    _print_hops([])
    assert capsys.readouterr().out == ""
