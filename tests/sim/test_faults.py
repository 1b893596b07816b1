"""The grammar of faults, and the board of active ones."""

from __future__ import annotations

import pytest

from feedhandler.sim.faults import KINDS, Fault, FaultBoard, FaultError, parse


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("mute", Fault("mute")),
        ("hyperliquid:mute@30s+20s", Fault("mute", "hyperliquid", {}, 30.0, 20.0)),
        ("drop(how=rst)@10s", Fault("drop", "", {"how": "rst"}, 10.0)),
        ("never_ack@0s+5s", Fault("never_ack", "", {}, 0.0, 5.0)),
        ("never-ack@0s+5s", Fault("never_ack", "", {}, 0.0, 5.0)),
        ("Never ack + 5s", Fault("never_ack", "", {}, 0.0, 5.0)),
        ("burst(rate=100)@5s+2s", Fault("burst", "", {"rate": 100.0}, 5.0, 2.0)),
        ("mute+500ms", Fault("mute", "", {}, 0.0, 0.5)),
        ("mute@2m+1h", Fault("mute", "", {}, 120.0, 3600.0)),
        ("mute@1.5+2", Fault("mute", "", {}, 1.5, 2.0)),
        ("slow-clock( ms = 50 )", Fault("slow_clock", "", {"ms": 50.0})),
        (
            "http(status=429, retry-after=2)",
            Fault("http", "", {"status": 429.0, "retry_after": 2.0}),
        ),
        (
            "mute(channel=bbo,symbol=kPEPE)",
            Fault("mute", "", {"channel": "bbo", "symbol": "kPEPE"}),
        ),
    ],
)
def test_fault_is_read(text: str, fault: Fault) -> None:
    assert parse(text) == fault


@pytest.mark.parametrize("name", KINDS)
def test_written_fault_reads_back(name: str) -> None:
    fault = Fault(name, "hyperliquid", {}, 1.5, 20.0)
    assert parse(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected [venue:]kind"),
        ("mute@", "start: expected a time"),
        ("mute@3x", "start: expected a time such as 30s"),
        ("mute@-3s", "start: expected a time"),
        ("mute@3s+", "duration: expected a time"),
        ("mute@1s@2s", "cannot read"),
        ("muet", "did you mean mute?"),
        ("explode", "kinds: mute, drop, life"),
        ("drop(how=bang)", "argument how: expected one of rst, fin, mid, close"),
        ("burst(rate=fast)", "argument rate: expected a number"),
        ("burst(rate=nan)", "argument rate: expected 0.01 to 1000"),
        ("burst(rate=1e9)", "argument rate: expected 0.01 to 1000"),
        ("burst(speed=2)", "unknown argument 'speed=2' of burst; arguments: rate="),
        ("quiet(a=1)", "arguments: none"),
        ("burst(rate)", "unknown argument 'rate' of burst"),
        ("burst(rate=1,rate=2)", "given twice"),
        ("mute(", "cannot read"),
        ("Hyper:mute", "cannot read"),
    ],
)
def test_unreadable_fault_says_what_would_be(text: str, words: str) -> None:
    with pytest.raises(FaultError) as caught:
        parse(text)
    assert words in str(caught.value)


def test_defaults_fill_what_was_not_given() -> None:
    assert parse("drop").word("how") == "rst"
    assert parse("delay").number("ms") == 500


def test_board_finds_the_newest_that_touches() -> None:
    board = FaultBoard()
    board.add(parse("mute(symbol=BTC)"))
    board.add(parse("delay(ms=1)"))
    board.add(parse("delay(ms=2)"))
    delay = board.find("delay")
    assert delay is not None
    assert delay.number("ms") == 2
    assert board.find("mute", "bbo", "BTC") is not None
    assert board.find("mute", "bbo", "ETH") is None
    assert board.find("garbage") is None


def test_board_removes_the_very_fault_and_not_its_equal() -> None:
    board = FaultBoard()
    first, second = parse("mute"), parse("mute")
    board.add(first)
    board.add(second)
    assert board.remove(first)
    assert not board.remove(first)
    assert board.active() == (second,)
    assert board.active()[0] is second
