"""On the wire: the handshake, a naive client against the truth log, faults, limits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import websockets

from feedhandler.sim import Entry, Limits, Simulation
from tests.sim.harness import DEADLINE_S, LIVELY, Client, Scenario, open_stream
from tests.sim.venues.paradex.desk import BTC, ETH, Book, read, touch_of
from tests.support import MS, wait_until_async

DELTAS, BBO = f"order_book.{BTC}.deltas", f"bbo.{BTC}"


@contextlib.asynccontextmanager
async def connected(
    simulation: Simulation, schema: str = "sbeSchemaId=1&sbeSchemaVersion=1"
) -> AsyncIterator[Client]:
    url = f"{simulation.addresses[0].ws_url}?{schema}"
    async with open_stream(url) as client:
        yield client


def play(scenario: Scenario, *channels: str, **options: Any) -> None:
    """Run a scenario with a lively venue and a client subscribed to channels."""

    async def run() -> None:
        async with (
            Simulation(venues=["paradex"], **{"rate": LIVELY, **options}) as simulation,
            connected(simulation) as client,
        ):
            for channel in channels:
                await ask(client, "subscribe", channel)
            await scenario(simulation, client)

    asyncio.run(run())


async def ask(client: Client, method: str, channel: str) -> dict[str, Any]:
    """Send a request and return its answer; what was queued before has arrived."""
    params = {"channel": channel}
    request = {"jsonrpc": "2.0", "method": method, "params": params, "id": 9}
    await client.send(request)
    while True:
        answer = await client.message()
        if answer.get("id") == 9:
            return answer


async def sync(client: Client) -> None:
    """Wait until all that was queued has arrived."""
    assert (await ask(client, "nonsense", ""))["error"]["code"] == -32601


async def event(client: Client, kind: str = "") -> SimpleNamespace:
    """The next binary frame of a kind."""
    while True:
        frame = await client.frame()
        if isinstance(frame, bytes):
            found = read(frame)
            if kind in ("", found.kind):
                return found


def received(client: Client) -> list[SimpleNamespace]:
    return [read(frame) for frame in client.frames if isinstance(frame, bytes)]


@pytest.mark.parametrize(
    "schema",
    ["", "sbeSchemaId=1", "sbeSchemaId=1&sbeSchemaVersion=9", "sbeSchemaId=7"],
)
def test_stream_without_a_served_schema_is_400(schema: str) -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        with pytest.raises(websockets.InvalidStatus, match="400"):
            async with connected(simulation, schema):
                pass

    play(scenario)


def test_naive_client_sees_the_truth_log_frame_by_frame() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        while len(client.frames) < 400:
            await client.frame()

        def sent(channel: str) -> list[Entry]:
            return simulation.truth.entries("paradex", BTC, channel)

        book, tops, touches = Book(), [], []
        for one in received(client):
            if one.kind == "book":
                assert book.apply(one)
                tops.append(book.touch)
            else:
                touches.append(one.touch)
        told = [touch_of(entry.top) for entry in sent("order_book.deltas")]
        assert tops == told[: len(tops)]
        told = [touch_of(entry.top) for entry in sent("bbo")]
        assert touches == told[: len(touches)]
        assert min(len(tops), len(touches)) > 50

    play(scenario, DELTAS, BBO)


def test_client_that_joins_late_and_resubscribes_has_the_same_book() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        book = Book()
        for _ in range(3):
            await ask(client, "subscribe", DELTAS)
            for _ in range(40):
                assert book.apply(await event(client, "book"))
            await ask(client, "unsubscribe", DELTAS)
            seen = len(client.frames)
            await sync(client)
            assert len(client.frames) == seen + 1

    play(scenario)


def test_two_versions_are_served_side_by_side() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        async with connected(simulation, "sbeSchemaId=1&sbeSchemaVersion=2") as other:
            for one in (client, other):
                await ask(one, "subscribe", "trades.ALL")
            assert (await event(client, "trade")).trade_id is None
            assert (await event(other, "trade")).trade_id is not None

    play(scenario)


def test_heartbeats_keep_an_idle_stream_alive() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        for _ in range(3):
            assert (await event(client)).kind == "heartbeat"

    play(scenario, cadence={"heartbeat": 50 * MS})


def test_mute_stops_data_while_acknowledgements_go_on() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("mute")
        await sync(client)
        seen, total = len(client.frames), simulation.truth.total
        await ask(client, "subscribe", f"bbo.{ETH}")
        moved = simulation.market.next_at_s + 2
        await wait_until_async(
            lambda: simulation.market.next_at_s > moved, DEADLINE_S, "a moving market"
        )
        await sync(client)
        assert not any(isinstance(frame, bytes) for frame in client.frames[seen:])
        assert simulation.truth.total == total
        simulation.clear()
        await event(client, "bbo")

    play(scenario, BBO, DELTAS)


def test_mute_of_one_channel_leaves_the_others() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("mute(channel=bbo)")
        await sync(client)
        seen = len(received(client))
        for _ in range(50):
            await event(client, "book")
        assert {one.kind for one in received(client)[seen:]} == {"book"}

    play(scenario, BBO, DELTAS)


def test_duplicate_and_reorder_break_the_numbers_of_deltas() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        await event(client, "book")
        fault = simulation.inject("duplicate")
        await sync(client)
        seen = len(received(client))
        while len(received(client)) < seen + 40:
            await client.frame()
        numbers = [one.seq for one in received(client)[seen:]][:40]
        assert numbers[::2] == numbers[1::2]
        simulation.clear()
        assert fault not in simulation.active_faults
        simulation.inject("reorder")
        await sync(client)
        numbers = [(await event(client, "book")).seq for _ in range(40)]
        assert numbers != sorted(numbers)
        assert all(numbers[at] == numbers[at + 1] + 1 for at in range(0, 40, 2))

    play(scenario, DELTAS)


def test_garbage_is_never_a_quote() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("garbage")
        await sync(client)
        total, seen = simulation.truth.total, len(client.frames)
        while len(client.frames) < seen + 40:
            await client.frame()
        assert simulation.truth.total == total
        assert len(set(client.frames[seen:])) > 10

    play(scenario, DELTAS)


@pytest.mark.parametrize(
    ("how", "code"), [("rst", None), ("fin", None), ("mid", None), ("close", 1011)]
)
def test_drop_ends_the_stream_and_the_next_opens_with_a_snapshot(
    how: str, code: int | None
) -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject(f"drop(how={how},code=1011)")
        ending = await client.ended()
        assert (ending.rcvd.code if ending.rcvd else None) == code
        async with connected(simulation) as again:
            await ask(again, "subscribe", DELTAS)
            assert (await event(again)).package == "SNAPSHOT"

    play(scenario, DELTAS)


def test_never_ack_serves_without_acknowledging() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("never_ack")
        params = {"channel": DELTAS}
        await client.send({"method": "subscribe", "params": params, "id": 1})
        assert (await event(client)).package == "SNAPSHOT"
        await sync(client)
        texts = [frame for frame in client.frames if isinstance(frame, str)]
        assert len(texts) == 1

    play(scenario)


def test_crossed_and_one_sided_books_are_marked_and_heal() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        await event(client, "book")
        simulation.inject("quiet")
        await sync(client)
        simulation.inject("crossed")
        bid, _, ask_price, _ = (await event(client, "bbo")).touch
        assert bid >= ask_price
        assert simulation.truth.entries(channel="bbo")[-1].top.fault == "crossed"
        simulation.clear()
        simulation.inject("quiet")
        simulation.inject("one_sided(side=ask)")
        while None not in (await event(client, "bbo")).touch:
            pass
        simulation.clear()
        while None in (await event(client, "bbo")).touch:
            pass

    play(scenario, BBO, DELTAS)


def test_slow_clock_holds_the_stamps() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        before = (await event(client, "book")).ts_us
        simulation.inject("slow_clock(ms=60000)")
        await sync(client)
        times = [(await event(client, "book")).ts_us for _ in range(20)]
        assert len(set(times)) == 1
        assert times[0] >= before

    play(scenario, DELTAS)


def test_rest_answers_with_its_headers_and_limits() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        url = f"{simulation.addresses[0].rest_url}/system/time"
        async with aiohttp.ClientSession() as session:
            for status, remaining in ((200, "1"), (200, "0"), (429, "0")):
                async with session.get(url) as answer:
                    assert answer.status == status
                    assert answer.headers["X-RateLimit-Remaining"] == remaining
                    assert answer.content_type == "application/json"
                    body = await answer.json()
            assert answer.headers["Retry-After"] == "30"
            assert set(body) == {"error", "message", "data"}

    play(scenario, limits=Limits(rest_weight_per_minute=2))


def test_http_faults_reach_rest() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        url = f"{simulation.addresses[0].rest_url}/bbo/{BTC}"
        loop = asyncio.get_running_loop()
        simulation.inject("http(status=429,retry_after=7)")
        async with aiohttp.ClientSession() as session:
            async with session.get(url) as answer:
                assert answer.status == 429
                assert answer.headers["Retry-After"] == "7"
            simulation.clear()
            simulation.inject("slow_rest(ms=200)")
            start_s = loop.time()
            async with session.get(url) as answer:
                assert (await answer.json())["market"] == BTC
            assert loop.time() - start_s >= 0.2

    play(scenario)


def test_client_that_falls_behind_is_cut() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            await ask(client, "subscribe", "bbo.ALL")
        await wait_until_async(
            lambda: simulation.counters["overflows"] == 1, DEADLINE_S, "the cut"
        )

    play(scenario, limits=Limits(queue_frames_max=2), rate=1000.0)
