"""A running simulation as a client sees it, and the truth it keeps of what it sent."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from feedhandler.sim import Entry, FaultError, Limits, Simulation
from feedhandler.sim.truth import Top, Truth
from tests.sim.harness import (
    FAST,
    HELLO,
    LIVELY,
    Client,
    connect,
    info,
    open_stream,
    play,
    post,
    touch,
)
from tests.support import MS, free_port, wait_until_async


def sent_to(client: Client, channel: str) -> list[tuple[object, ...]]:
    """The tops a client received on a channel, as a truth entry tells them."""
    tops = []
    for data in client.of_channel(channel):
        bid, ask = touch(data)
        texts = [row.get(key) for row in (bid or {}, ask or {}) for key in ("px", "sz")]
        tops.append((*texts, data["time"]))
    return tops


def test_stream_and_rest_share_one_loopback_port() -> None:
    async def scenario() -> None:
        async with Simulation(venues=["hyperliquid"]) as simulation:
            (address,) = simulation.addresses
            assert address.ws_url.startswith("ws://127.0.0.1:")
            assert address.ws_url.endswith("/ws")
            assert address.rest_url.startswith("http://127.0.0.1:")
            ports = {url.split(":")[2].split("/")[0] for url in address[1:]}
            assert len(ports) == 1

    asyncio.run(scenario())


def test_given_port_is_taken_and_a_taken_one_is_an_error() -> None:
    async def scenario() -> None:
        port = free_port()
        async with Simulation(port=port) as simulation:
            assert f":{port}/" in simulation.addresses[0].ws_url
            other = Simulation(port=port)
            with pytest.raises(OSError, match="in use"):
                await other.start()
        async with Simulation(port=port):
            pass

    asyncio.run(scenario())


def test_every_channel_flows() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        assert await client.frame() == HELLO
        for kind in ("bbo", "l2Book", "trades", "activeAssetCtx"):
            await client.subscribe(kind, "BTC")
        await client.subscribe("allMids")
        for channel in ("bbo", "l2Book", "trades", "activeAssetCtx", "allMids"):
            for _ in range(3):
                assert await client.next(channel)

    play(scenario, rate=LIVELY, cadence=FAST)


def test_unsubscribed_channel_falls_silent() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        await client.subscribe("bbo", "BTC")
        await client.subscribe("bbo", "ETH")
        await client.next("bbo", lambda data: data["coin"] == "BTC")
        await client.unsubscribe("bbo", "BTC")
        await client.next(
            "subscriptionResponse", lambda data: data["method"] == "unsubscribe"
        )
        seen = len(client.frames)
        for _ in range(20):
            await client.next("bbo")
        late = client.frames[seen:]
        assert not [frame for frame in late if '"coin":"BTC"' in str(frame)]

    play(scenario, rate=LIVELY)


def test_rest_tells_the_same_book_as_the_stream() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        (address,) = simulation.addresses
        simulation.inject("quiet")
        await client.subscribe("bbo", "SOL")
        data = await client.next("bbo")
        book = await info(address, "l2Book", coin="SOL")
        assert touch(book) == touch(data)
        mids = await info(address, "allMids")
        bid, ask = touch(data)
        middle = (float(bid["px"]) + float(ask["px"])) / 2
        assert float(mids["SOL"]) == pytest.approx(middle)

    play(scenario, rate=1.0)


def test_rest_errors_are_those_of_the_venue() -> None:
    async def scenario() -> None:
        limits = Limits(rest_weight_per_minute=60)
        async with Simulation(limits=limits) as simulation:
            (address,) = simulation.addresses
            assert (await post(address, b"{"))[:2] == (422, "text/plain")
            assert await info(address, "l2Book", coin="NOSUCH") is None
            assert (await post(address, {"type": "meta"}))[0] == 200
            assert (await post(address, {"type": "meta"}))[0] == 200
            answer = await post(address, {"type": "meta"})
            assert answer == (429, "application/json", "null")

    asyncio.run(scenario())


def test_connections_are_limited() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        await client.ping()
        with pytest.raises(Exception, match="HTTP 429"):
            async with connect(simulation):
                pass
        await client.ping()
        assert simulation.counters["refused"] == 1

    play(scenario, limits=Limits(connections_max=1))


def test_new_connections_are_limited_in_any_minute() -> None:
    async def scenario() -> None:
        limits = Limits(connects_per_minute=2)
        async with Simulation(limits=limits) as simulation:
            for _ in range(2):
                async with connect(simulation) as client:
                    await client.ping()
            with pytest.raises(Exception, match="HTTP 429"):
                async with connect(simulation):
                    pass

    asyncio.run(scenario())


def test_socket_that_was_sent_nothing_is_closed() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        ending = await client.ended()
        assert ending.rcvd is not None
        assert ending.rcvd.code == 1000
        assert client.frames == [HELLO]
        assert simulation.counters["closed_silent"] == 1

    play(scenario, limits=Limits(silence_s=200 * MS))


def test_pings_keep_a_quiet_socket_open() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        while loop.time() < start_s + 600 * MS:
            await client.ping()
            await asyncio.sleep(20 * MS)
        assert simulation.counters["closed_silent"] == 0

    play(scenario, limits=Limits(silence_s=200 * MS))


def test_truth_is_what_the_client_received() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        await client.subscribe("bbo", "BTC")
        await client.subscribe("l2Book", "BTC")
        for _ in range(100):
            await client.next("bbo")
        simulation.inject("quiet")
        total = 0
        while simulation.truth.total != total:  # the last image may be due
            total = simulation.truth.total
            await client.ping()
        for channel in ("bbo", "l2Book"):
            entries = simulation.truth.entries("hyperliquid", "BTC", channel)
            told = [(*entry.top[:4], entry.top.event_ms) for entry in entries]
            assert told == sent_to(client, channel)
            assert len(told) > 1
            stamps = [entry.sent_ns for entry in entries]
            assert stamps == sorted(stamps)
            assert {entry.connection for entry in entries} == {1}
            assert {entry.top.fault for entry in entries} == {""}

    play(scenario, rate=LIVELY, cadence=FAST)


def test_truth_file_holds_every_entry(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"

    async def scenario() -> list[Entry]:
        async with (
            Simulation(rate=LIVELY, truth_path=path) as simulation,
            connect(simulation) as client,
        ):
            await client.subscribe("bbo", "BTC")
            for _ in range(20):
                await client.next("bbo")
        return simulation.truth.entries()

    entries = asyncio.run(scenario())
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) == len(entries) >= 20
    for row, entry in zip(rows, entries, strict=True):
        assert row["text"] == list(entry.top[:4])
        prices = (row["bid"], row["bid_size"], row["ask"], row["ask_size"])
        assert prices == entry.prices
        assert row["bid"] == float(row["text"][0])
        assert row["sent_ns"] == entry.sent_ns


def test_truth_in_memory_is_bounded_and_counts_all() -> None:
    truth = Truth(entries_max=3)
    top = Top("1.0", "2.0", None, None, 5)
    for number in range(10):
        truth.add(Entry("v", "S", "bbo", number, number, top))
    assert [entry.connection for entry in truth] == [7, 8, 9]
    assert truth.total == 10
    assert next(iter(truth)).prices == (1.0, 2.0, None, None)


def test_two_clients_get_the_same_prices() -> None:
    async def scenario() -> None:
        async with (
            Simulation(rate=LIVELY) as simulation,
            connect(simulation) as first,
            connect(simulation) as second,
        ):
            for client in (first, second):
                await client.subscribe("bbo", "BTC")
            await second.next("bbo")
            await first.next("bbo")
            simulation.inject("quiet+50ms")
            for client in (first, second):
                for _ in range(30):
                    await client.next("bbo")
            later = sent_to(second, "bbo")
            earlier = sent_to(first, "bbo")
            shared = earlier[earlier.index(later[0]) :]
            length = min(len(shared), len(later))
            assert length > 10
            assert shared[:length] == later[:length]

    asyncio.run(scenario())


def test_stop_ends_streams_politely_and_may_be_called_twice() -> None:
    async def scenario() -> None:
        simulation = Simulation(rate=LIVELY)
        await simulation.start()
        async with open_stream(simulation.addresses[0].ws_url) as client:
            await client.subscribe("bbo", "BTC")
            await client.next("bbo")
            ended = asyncio.ensure_future(client.ended())
            await simulation.stop()
            closing = (await ended).rcvd
            assert closing is not None
            assert closing.code == 1001
        await simulation.stop()
        assert not simulation.hosts[0].connections

    asyncio.run(scenario())


def test_nothing_of_a_stopped_simulation_remains() -> None:
    async def scenario() -> None:
        before = asyncio.all_tasks()
        async with (
            Simulation(faults=["mute@10s", "drop@20s"]) as simulation,
            connect(simulation) as client,
        ):
            await client.ping()
        await wait_until_async(
            lambda: asyncio.all_tasks() == before, 2000 * MS, "no tasks"
        )

    asyncio.run(scenario())


def test_broken_part_is_reported() -> None:
    async def scenario() -> None:
        async with Simulation(rate=LIVELY) as simulation:
            del simulation.market.assets["BTC"]
            await simulation.wait_failed()

    with pytest.raises(KeyError):
        asyncio.run(scenario())


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"venues": ["nowhere"]}, ValueError),
        ({"faults": ["explode"]}, FaultError),
        ({"faults": ["lighter:mute"]}, FaultError),
    ],
)
def test_wrong_options_are_refused_before_anything_starts(
    options: dict[str, list[str]], error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"simulated|kinds"):
        Simulation(**options)  # type: ignore[arg-type]
