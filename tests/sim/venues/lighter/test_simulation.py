"""The simulated Lighter as a client of its sockets sees it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import pytest

from feedhandler.sim import Limits, Simulation
from feedhandler.sim.venues.lighter.venue import Lighter
from tests.sim.harness import DEADLINE_S, LIVELY, Client, open_stream
from tests.sim.venues.lighter.desk import Json, NaiveClient
from tests.support import MS, wait_until_async

CHANNELS = ("order_book/1", "ticker/1", "trade/1", "market_stats/all", "height")

Scenario = Callable[[Simulation, "Stream"], Awaitable[None]]


class Stream:
    """A client that speaks Lighter."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def next(self, kind: str, channel: str = "") -> Json:
        """The next frame of a type, and of a channel if one is given."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                message = await self.client.message()
                if message.get("type") == kind:
                    if channel in ("", message.get("channel")):
                        return message

    async def say(self, kind: str, channel: str = "") -> None:
        place = {"channel": channel} if channel else {}
        await self.client.send({"type": kind, **place})

    async def subscribe(self, channel: str) -> Json:
        await self.say("subscribe", channel)
        kind = channel.partition("/")[0]
        return await self.next(f"subscribed/{kind}", channel.replace("/", ":"))

    async def ping(self) -> None:
        """Ping: when the pong is there, all that was queued before it has arrived."""
        await self.say("ping")
        await self.next("pong")

    def messages(self, since: int = 0) -> list[Json]:
        found: list[Any] = []
        for frame in self.client.frames[since:]:
            with contextlib.suppress(ValueError, RecursionError):
                found.append(json.loads(frame))
        return [message for message in found if isinstance(message, dict)]


@contextlib.asynccontextmanager
async def connect(simulation: Simulation, query: str = "") -> AsyncIterator[Stream]:
    async with open_stream(simulation.addresses[0].ws_url + query) as client:
        yield Stream(client)


def play(
    scenario: Scenario,
    *channels: str,
    limits: Limits | None = None,
    cadence: Mapping[str, float] | None = None,
) -> None:
    """Run a scenario with a lively venue and a client subscribed to these channels."""

    async def run() -> None:
        async with (
            Simulation(
                ["lighter"], rate=LIVELY, limits=limits, cadence=cadence
            ) as simulation,
            connect(simulation) as stream,
        ):
            assert (await stream.client.message())["type"] == "connected"
            for channel in channels:
                await stream.subscribe(channel)
            await scenario(simulation, stream)

    asyncio.run(run())


async def get(
    simulation: Simulation, path: str, **query: object
) -> tuple[int, Mapping[str, str], Json]:
    url = f"{simulation.addresses[0].rest_url}/api/v1/{path}"
    texts = {name: str(value) for name, value in query.items()}
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, params=texts) as answer,
    ):
        return answer.status, answer.headers, await answer.json()


def test_address_is_one_loopback_port() -> None:
    async def scenario(simulation: Simulation, stream: Stream) -> None:
        (address,) = simulation.addresses
        assert address.venue == "lighter"
        assert address.ws_url.startswith("ws://127.0.0.1:")
        assert address.ws_url.endswith("/stream")
        assert address.rest_url == address.ws_url.replace("ws", "http", 1)[:-7]

    play(scenario)


def test_every_channel_flows() -> None:
    async def scenario(simulation: Simulation, stream: Stream) -> None:
        for channel in CHANNELS:
            kind = channel.partition("/")[0]
            for _ in range(3):
                await stream.next(f"update/{kind}", channel.replace("/", ":"))

    play(scenario, *CHANNELS, cadence={"market_stats": 0.05})


def test_readonly_streams_are_streams() -> None:
    async def scenario(simulation: Simulation, stream: Stream) -> None:
        async with connect(simulation, "?readonly=true") as readonly:
            await readonly.subscribe("ticker/1")
            await readonly.next("update/ticker")

    play(scenario)


def test_pings_go_to_every_client_at_their_cadence() -> None:
    async def scenario(simulation: Simulation, stream: Stream) -> None:
        async with connect(simulation) as other:
            for _ in range(3):
                for one in (stream, other):
                    await one.next("ping")
                    await one.say("pong")

    play(scenario, cadence={"ping": 50 * MS})


def test_silent_client_falls_silent_and_is_closed() -> None:
    async def scenario(simulation: Simulation, stream: Stream) -> None:
        venue = simulation.hosts[0].venue
        assert isinstance(venue, Lighter)
        venue.client_silence_s = 100 * MS
        ending = await stream.client.ended()
        assert ending.rcvd is not None
        assert ending.rcvd.code == 1000

    play(scenario, "ticker/1", limits=Limits(silence_s=100 * MS))


def test_truth_is_what_the_client_built() -> None:
    async def scenario(simulation: Simulation, stream: Stream) -> None:
        for _ in range(30):
            await stream.next("update/order_book")
        simulation.inject("quiet")
        await stream.ping()
        client = NaiveClient()
        tops: list[tuple[object, ...]] = []
        tickers: list[tuple[object, ...]] = []
        for message in stream.messages():
            if "order_book" in message:
                client.take(message)
                tops.append((*client.touch(), message["last_updated_at"] // 1000))
            if "ticker" in message:
                bid, ask = message["ticker"]["b"], message["ticker"]["a"]
                sides = (bid["price"], bid["size"], ask["price"], ask["size"])
                tickers.append((*sides, message["last_updated_at"] // 1000))
        assert client.gaps == 0
        for channel, seen in (("order_book", tops), ("ticker", tickers)):
            entries = simulation.truth.entries("lighter", "BTC", channel)
            assert [(*one.top[:4], one.top.event_ms) for one in entries] == seen
            assert {one.top.fault for one in entries} == {""}
            assert len(seen) > 30

    play(scenario, "order_book/1", "ticker/1")


def test_resync_gets_a_snapshot_that_joins() -> None:
    async def scenario(simulation: Simulation, stream: Stream) -> None:
        client = NaiveClient()
        client.take(stream.messages()[-1])
        simulation.inject("gap")
        while client.gaps == 0:
            message = await stream.next("update/order_book")
            client.gaps += message["order_book"]["begin_nonce"] != client.nonce
            client.nonce = message["order_book"]["nonce"]
        await stream.say("unsubscribe", "order_book/1")
        await stream.next("unsubscribed", "order_book:1")
        fresh = NaiveClient()
        fresh.take(await stream.subscribe("order_book/1"))
        for _ in range(20):
            fresh.take(await stream.next("update/order_book"))
        assert fresh.gaps == 0

    play(scenario, "order_book/1")


def test_mute_stops_data_while_pongs_go_on() -> None:
    async def scenario(simulation: Simulation, stream: Stream) -> None:
        simulation.inject("mute")
        await stream.ping()
        seen = len(stream.client.frames)
        moved = simulation.market.next_at_s + 2
        await wait_until_async(
            lambda: simulation.market.next_at_s > moved, DEADLINE_S, "a moving market"
        )
        await stream.ping()
        kinds = {message["type"] for message in stream.messages(seen)}
        assert kinds == {"pong"}
        simulation.clear()
        # Deltas were lost meanwhile, and the chain tells it.
        message = await stream.next("update/order_book")
        told = [one for one in stream.messages()[:-1] if "order_book" in one]
        assert message["order_book"]["begin_nonce"] > told[-1]["order_book"]["nonce"]

    play(scenario, "order_book/1", "ticker/1")


def test_never_ack_keeps_the_snapshot_back_and_serves_updates() -> None:
    async def scenario(simulation: Simulation, stream: Stream) -> None:
        simulation.inject("never_ack")
        await stream.say("subscribe", "order_book/1")
        await stream.next("update/order_book")
        kinds = {message["type"] for message in stream.messages()}
        assert "subscribed/order_book" not in kinds
        simulation.clear()
        simulation.inject("never_ack(data=no)")
        await stream.say("subscribe", "ticker/1")
        await stream.ping()
        await stream.ping()
        assert not any("ticker" in message for message in stream.messages())

    play(scenario)


def test_duplicate_and_reorder_break_the_chain_and_nothing_else() -> None:
    async def scenario(simulation: Simulation, stream: Stream) -> None:
        fault = simulation.inject("duplicate")
        await stream.ping()
        seen = len(stream.client.frames)
        for _ in range(20):
            await stream.next("update/order_book")
        frames = stream.client.frames[seen:]
        assert frames[::2] == frames[1::2]
        simulation.clear()
        assert fault not in simulation.active_faults
        simulation.inject("reorder")
        await stream.ping()
        seen = len(stream.client.frames)
        for _ in range(21):
            await stream.next("update/order_book")
        nonces = [one["order_book"]["nonce"] for one in stream.messages(seen)]
        assert nonces != sorted(nonces)

    play(scenario, "order_book/1")


@pytest.mark.parametrize("how", ["rst", "fin", "mid", "close"])
def test_drop_ends_the_stream_and_a_new_one_gets_a_snapshot(how: str) -> None:
    async def scenario(simulation: Simulation, stream: Stream) -> None:
        simulation.inject(f"drop(how={how})")
        await stream.client.ended()
        async with connect(simulation) as again:
            message = await again.subscribe("order_book/1")
            assert message["order_book"]["begin_nonce"] == 0

    play(scenario, "order_book/1")


def test_refused_and_garbled_streams_heal() -> None:
    async def scenario(simulation: Simulation, stream: Stream) -> None:
        simulation.inject("refuse(how=http)")
        with pytest.raises(Exception, match="HTTP 503"):
            async with connect(simulation):
                pass
        simulation.clear()
        simulation.inject("garbage")
        await stream.ping()
        total = simulation.truth.total
        for _ in range(20):
            await stream.client.frame()
        assert simulation.truth.total == total
        simulation.clear()
        await stream.next("update/ticker")

    play(scenario, "ticker/1")


def test_books_crossed_and_one_sided_are_seen() -> None:
    async def scenario(simulation: Simulation, stream: Stream) -> None:
        simulation.inject("crossed")
        while True:
            ticker = (await stream.next("update/ticker"))["ticker"]
            if float(ticker["b"]["price"]) > float(ticker["a"]["price"]):
                break
        assert "crossed" in {entry.top.fault for entry in simulation.truth}
        simulation.clear()
        simulation.inject("one_sided(side=bid)")
        while (await stream.next("update/ticker"))["ticker"]["b"]["price"] != "":
            pass

    play(scenario, "ticker/1")


def test_data_is_delayed_and_its_acknowledgement_is_not() -> None:
    async def scenario(simulation: Simulation, stream: Stream) -> None:
        loop = asyncio.get_running_loop()
        late_s = 1000 * MS
        simulation.inject(f"delay(ms={late_s * 1000:.0f})")
        start_s = loop.time()
        await stream.subscribe("ticker/0")
        assert loop.time() - start_s < late_s
        await stream.next("update/ticker", "ticker:0")
        assert loop.time() - start_s >= late_s

    play(scenario)


def test_rest_faults_are_those_of_every_venue() -> None:
    async def scenario(simulation: Simulation, stream: Stream) -> None:
        simulation.inject("http(status=429,retry_after=7)")
        status, headers, _ = await get(simulation, "orderBooks")
        assert (status, headers["Retry-After"]) == (429, "7")
        simulation.clear()
        simulation.inject("http(status=502)")
        assert (await get(simulation, "orderBooks"))[0] == 502
        simulation.clear()
        loop = asyncio.get_running_loop()
        simulation.inject("slow_rest(ms=200)")
        start_s = loop.time()
        status, _, body = await get(simulation, "orderBooks", market_id=1)
        assert loop.time() - start_s >= 0.2
        assert (status, body["order_books"][0]["symbol"]) == (200, "BTC")

    play(scenario)


def test_quiet_market_tells_heights_and_no_prices() -> None:
    async def scenario(simulation: Simulation, stream: Stream) -> None:
        simulation.inject("quiet")
        await stream.ping()
        await stream.next("update/height")  # the batch after the last change is out
        seen = len(stream.client.frames)
        for _ in range(5):
            await stream.next("update/height")
        kinds = {message["type"] for message in stream.messages(seen)}
        assert kinds == {"update/height"}

    play(scenario, "order_book/1", "ticker/1", "trade/1", "height")


def test_venues_show_one_market() -> None:
    async def run() -> None:
        venues = ["lighter", "hyperliquid"]
        async with Simulation(venues, rate=LIVELY) as simulation:
            simulation.inject("quiet")
            other = next(
                one for one in simulation.addresses if one.venue == "hyperliquid"
            )
            async with (
                connect(simulation) as stream,
                open_stream(other.ws_url) as hyper,
            ):
                ticker = (await stream.subscribe("ticker/1"))["ticker"]
                await hyper.subscribe("bbo", "BTC")
                bid, ask = (await hyper.next("bbo"))["bbo"]
            spread = float(ask["px"]) - float(bid["px"]) + 1.0
            assert abs(float(ticker["b"]["price"]) - float(bid["px"])) <= spread
            assert abs(float(ticker["a"]["price"]) - float(ask["px"])) <= spread

    asyncio.run(run())
