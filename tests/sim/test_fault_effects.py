"""Every kind of fault, as a client sees it begin and end.

Those of deltas, which Hyperliquid does not have, are tried in `test_book_faults`.
"""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import aiohttp
import pytest
import websockets

from feedhandler.sim import KINDS, Notice, Simulation
from tests.sim.harness import (
    DEADLINE_S,
    FAST,
    HELLO,
    LIVELY,
    Client,
    Scenario,
    connect,
    info,
    post,
    touch,
)
from tests.support import MS, wait_until_async


def play(scenario: Scenario, *kinds: str) -> None:
    """Run a scenario with a lively venue and a client subscribed to BTC."""

    async def run() -> None:
        async with (
            Simulation(rate=LIVELY, cadence=FAST) as simulation,
            connect(simulation) as client,
        ):
            assert await client.frame() == HELLO
            for kind in kinds:
                await client.subscribe(kind, "BTC")
                await client.next("subscriptionResponse")
                await client.next(kind)
            await scenario(simulation, client)

    asyncio.run(run())


def is_crossed(data: object) -> bool:
    assert isinstance(data, dict)
    bid, ask = touch(data)
    return bid is not None and ask is not None and float(bid["px"]) >= float(ask["px"])


def test_mute_stops_data_while_pongs_and_acks_go_on() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("mute")
        await client.ping()  # what was queued before has arrived
        seen = len(client.frames)
        await client.subscribe("bbo", "ETH")
        await client.next("subscriptionResponse")
        total = simulation.truth.total
        moved = simulation.market.next_at_s + 2
        await wait_until_async(
            lambda: simulation.market.next_at_s > moved, DEADLINE_S, "a moving market"
        )
        await client.ping()
        kinds = {json.loads(frame)["channel"] for frame in client.frames[seen:]}
        assert kinds == {"subscriptionResponse", "pong"}
        assert simulation.truth.total == total
        simulation.clear()
        await client.next("bbo")

    play(scenario, "bbo", "activeAssetCtx")


def test_mute_of_one_symbol_leaves_the_others() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("mute(symbol=BTC,channel=bbo)")
        await client.subscribe("bbo", "ETH")
        await client.next("bbo", lambda data: data["coin"] == "ETH")
        seen = len(client.frames)
        for _ in range(20):
            await client.next("bbo")
        await client.next("activeAssetCtx")
        late = [json.loads(frame) for frame in client.frames[seen:]]
        coins = {one["data"]["coin"] for one in late if one["channel"] == "bbo"}
        assert coins == {"ETH"}

    play(scenario, "bbo", "activeAssetCtx")


@pytest.mark.parametrize(
    ("how", "code"), [("rst", None), ("fin", None), ("mid", None), ("close", 4001)]
)
def test_drop_ends_the_stream_in_its_way(how: str, code: int | None) -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject(f"drop(how={how},code=4001)")
        ending = await client.ended()
        assert (ending.rcvd.code if ending.rcvd else None) == code
        reset = isinstance(ending.__cause__, ConnectionResetError)
        assert reset == (how == "rst")
        assert simulation.active_faults == []
        async with connect(simulation) as again:
            await again.ping()

    play(scenario, "bbo")


def test_drop_with_a_duration_cuts_newcomers_too() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("drop(how=fin)+1h")
        await client.ended()
        async with connect(simulation) as again:
            await again.ended()
        simulation.clear()
        async with connect(simulation) as again:
            await again.ping()

    play(scenario, "bbo")


def test_refuse_resets_new_connections_and_keeps_old_ones() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("refuse")
        with pytest.raises((ConnectionError, websockets.InvalidMessage)):
            async with connect(simulation):
                pass
        await client.next("bbo")
        simulation.clear()
        async with connect(simulation) as again:
            await again.ping()

    play(scenario, "bbo")


def test_refuse_by_http_answers_the_status() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("refuse(how=http,status=502)")
        with pytest.raises(websockets.InvalidStatus, match="502"):
            async with connect(simulation):
                pass

    play(scenario)


def test_never_ack_serves_without_acknowledging() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("never_ack")
        await client.subscribe("bbo", "BTC")
        await client.next("bbo")
        await client.ping()
        assert client.of_channel("subscriptionResponse") == []
        assert client.of_channel("error") == []

    play(scenario)


def test_never_ack_without_data_is_deaf() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("never_ack(data=no)")
        await client.subscribe("bbo", "BTC")
        await client.ping()
        assert len(client.frames) == 2
        simulation.clear()
        await client.subscribe("bbo", "BTC")
        await client.next("subscriptionResponse")

    play(scenario)


def test_garbage_is_of_many_kinds_and_never_a_quote() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("garbage")
        await client.ping()
        total, seen = simulation.truth.total, len(client.frames)
        for _ in range(40):
            await client.frame()
        assert simulation.truth.total == total
        frames = client.frames[seen:]
        assert len(set(frames)) > 10
        assert any(isinstance(frame, bytes) for frame in frames)
        assert not any(str(frame).startswith('{"channel":"pong') for frame in frames)
        simulation.clear()
        await client.next("bbo", lambda data: isinstance(data, dict) and "bbo" in data)

    play(scenario, "bbo")


def test_crossed_books_are_marked_in_the_truth_and_heal() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("quiet")
        fault = simulation.inject("crossed")
        await client.next("bbo", is_crossed)
        await client.next("l2Book", is_crossed)
        book = await info(simulation.addresses[0], "l2Book", coin="BTC")
        assert not is_crossed(book)
        simulation.clear()
        assert fault not in simulation.active_faults
        await client.next("bbo", lambda data: not is_crossed(data))
        marks = [entry.top.fault for entry in simulation.truth]
        assert "crossed" in marks
        assert marks[0] == marks[-1] == ""

    play(scenario, "bbo", "l2Book")


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_one_sided_books_have_a_null_side(side: str) -> None:
    missing = 0 if side == "bid" else 1

    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject(f"one_sided(side={side})")
        data = await client.next("bbo", lambda data: data["bbo"][missing] is None)
        assert data["bbo"][1 - missing] is not None
        data = await client.next("l2Book", lambda data: not data["levels"][missing])
        assert data["levels"][1 - missing]
        book = await info(simulation.addresses[0], "l2Book", coin="BTC")
        assert book["levels"][missing] == []
        entry = simulation.truth.entries(channel="bbo")[-1]
        assert entry.prices[2 * missing] is None
        simulation.clear()
        await client.next("bbo", lambda data: None not in data["bbo"])

    play(scenario, "bbo", "l2Book")


def test_duplicate_sends_each_frame_twice() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("duplicate")
        await client.ping()
        seen = len(client.frames)
        for _ in range(20):
            await client.frame()
        frames = client.frames[seen:]
        assert frames[::2] == frames[1::2]
        told = [entry.top for entry in simulation.truth.entries(channel="bbo")]
        assert told[-2] == told[-1] or told[-3] == told[-2]

    play(scenario, "bbo")


def test_reorder_swaps_neighbours() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("reorder")
        await client.ping()
        times_ms = [(await client.next("bbo"))["time"] for _ in range(40)]
        assert times_ms != sorted(times_ms)
        pairs = zip(times_ms[::2], times_ms[1::2], strict=True)
        assert all(first >= second for first, second in pairs)

    play(scenario, "bbo")


def test_delay_holds_data_back_but_not_pongs() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        loop = asyncio.get_running_loop()
        late_s = 400 * MS
        await client.ping()
        start_s = loop.time()
        simulation.inject(f"delay(ms={late_s * 1000:.0f})")
        await client.subscribe("bbo", "ETH")
        await client.next("subscriptionResponse")
        await client.next("bbo", lambda data: data["coin"] == "ETH")
        assert loop.time() - start_s >= late_s

    play(scenario)


def test_quiet_stops_the_market_while_contexts_go_on() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("quiet")
        await client.ping()
        seen = len(client.frames)
        for _ in range(5):
            await client.next("activeAssetCtx")
        kinds = {json.loads(frame)["channel"] for frame in client.frames[seen:]}
        assert kinds == {"activeAssetCtx"}
        simulation.clear()
        await client.next("bbo")

    play(scenario, "bbo", "trades", "activeAssetCtx")


def test_burst_hurries_the_market() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with Simulation(rate=1.0) as simulation:
            simulation.inject("burst(rate=100)")
            start_s = loop.time()
            await wait_until_async(
                lambda: simulation.market.next_at_s > 40,
                DEADLINE_S,
                "40 market seconds",
            )
            assert simulation.market.next_at_s > 3 * (loop.time() - start_s)

    asyncio.run(scenario())


def test_slow_clock_holds_stamps_and_never_turns_them_back() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        before = (await client.next("bbo"))["time"]
        simulation.inject("slow_clock(ms=60000)")
        await client.ping()
        times_ms = [(await client.next("bbo"))["time"] for _ in range(20)]
        assert min(times_ms) >= before
        # Held, but for the millisecond that each top has after the one before it.
        assert times_ms == list(range(times_ms[0], times_ms[0] + 20))
        simulation.clear()
        await client.next("bbo", lambda data: data["time"] > times_ms[-1])

    play(scenario, "bbo")


def test_http_fault_answers_the_status_and_retry_after() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        (address,) = simulation.addresses
        simulation.inject("http(status=429,retry_after=7)")
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{address.rest_url}/info", json={"type": "meta"}) as answer,
        ):
            assert answer.status == 429
            assert answer.headers["Retry-After"] == "7"
        simulation.clear()
        assert (await post(address, {"type": "meta"}))[0] == 200

    play(scenario)


def test_slow_rest_answers_late_and_rightly() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        simulation.inject("slow_rest(ms=300)")
        assert await info(simulation.addresses[0], "perpDexs") == [None]
        assert loop.time() - start_s >= 0.3

    play(scenario)


def test_every_kind_has_its_test() -> None:
    files = Path(__file__).parent.glob("test_*.py")
    text = "".join(file.read_text() for file in files)
    tried = set(re.findall(r'inject\(f?"([a-z_]+)', text))
    assert tried == set(KINDS)


def test_planned_fault_starts_and_ends_by_itself() -> None:
    notices: list[Notice] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        faults = ["hyperliquid:mute@100ms+100ms", "quiet@50ms+10ms"]
        async with Simulation(faults=faults, notify=notices.append) as simulation:
            assert simulation.active_faults == []
            await wait_until_async(
                lambda: len(notices) == 5, DEADLINE_S, "both faults' ends"
            )
            assert loop.time() - start_s >= 0.2

    asyncio.run(scenario())
    faults = [notice for notice in notices if notice.what.startswith("fault")]
    assert [(notice.what, notice.detail.split("@")[0]) for notice in faults] == [
        ("fault started", "quiet"),
        ("fault ended", "quiet"),
        ("fault started", "hyperliquid:mute"),
        ("fault ended", "hyperliquid:mute"),
    ]


def test_clear_ends_all_and_forgets_what_was_planned() -> None:
    async def scenario() -> None:
        async with Simulation(faults=["mute", "crossed@100ms"]) as simulation:
            simulation.inject("burst+1h")
            assert len(simulation.active_faults) == 2
            simulation.clear()
            assert simulation.active_faults == []
            await asyncio.sleep(0.2)
            assert simulation.active_faults == []

    asyncio.run(scenario())
