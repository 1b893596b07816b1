"""Faults of connections, requests and REST at every venue, to a plain client."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest
import websockets

from feedhandler.sim import VENUE_NAMES, Simulation
from tests.sim.harness import DEADLINE_S
from tests.sim.speakers import SPEAKERS, Speaker
from tests.sim.talk import LIVELY, Talk, every_venue, moved, play, refusal, talk
from tests.support import MS, wait_until_async


async def kinds_after(client: Talk) -> set[tuple[str, str]]:
    """What arrives from now on, until every market has moved."""
    await client.settle()
    seen = len(client.client.frames)
    await moved(client.simulation)
    await client.settle()
    return set(client.since(seen)) - {("pong", "")}


@every_venue
def test_mute_silences_what_it_says_and_nothing_else(venue: str) -> None:
    btc, eth = SPEAKERS[venue].btc, SPEAKERS[venue].eth

    async def scenario(client: Talk) -> None:
        simulation = client.simulation
        simulation.inject(f"mute(what=books,symbol={btc})")
        told = await kinds_after(client)
        assert ("book", eth) in told
        assert ("book", btc) not in told
        assert "live" in {kind for kind, _ in told}
        simulation.clear()
        simulation.inject("mute(what=books)")
        kinds = {kind for kind, _ in await kinds_after(client)}
        assert "live" in kinds
        assert "book" not in kinds
        simulation.clear()
        simulation.inject("mute")  # pongs go on, or this would not settle
        assert await kinds_after(client) == set()
        await client.subscribe(eth)  # and so do answers, here that it is held already
        await client.until("ack" if venue in ("aster", "extended") else "error")
        simulation.clear()
        await client.until("book", btc)

    play(venue, scenario)


@every_venue
def test_mute_of_all_lets_not_even_a_pong_out(venue: str) -> None:
    async def scenario(client: Talk) -> None:
        simulation = client.simulation
        await client.settle()
        simulation.inject("mute(what=all)")
        (connection,) = simulation.hosts[0].connections
        await wait_until_async(
            lambda: connection.queue_frames == 0, DEADLINE_S, "what was queued before"
        )
        frames = simulation.counters["frames"]
        pong = asyncio.ensure_future(await client.client.stream.ping())
        await client.client.send(client.speaker.ping())
        await moved(simulation)
        assert not pong.done()
        assert simulation.counters["frames"] <= frames + 1
        simulation.clear()
        await client.until("book")

    play(venue, scenario)


@every_venue
@pytest.mark.parametrize("how", ["rst", "fin", "mid"])
def test_drop_ends_the_stream_without_a_goodbye(venue: str, how: str) -> None:
    async def scenario(client: Talk) -> None:
        client.simulation.inject(f"drop(how={how})")
        ending = await client.client.ended()
        assert ending.rcvd is None
        assert isinstance(ending.__cause__, ConnectionResetError) == (how == "rst")
        async with talk(client.speaker, client.simulation) as again:
            await again.settle()

    play(venue, scenario)


@every_venue
def test_life_ends_streams_in_the_way_of_the_venue(venue: str) -> None:
    async def scenario(client: Talk) -> None:
        simulation = client.simulation
        simulation.inject(f"life(seconds={500 * MS})")
        ending = await client.client.ended()
        code = ending.rcvd.code if ending.rcvd else None
        assert code == client.speaker.old_code
        async with talk(client.speaker, simulation) as again:
            await again.client.ended()
        simulation.clear()
        async with talk(client.speaker, simulation) as again:
            await again.settle()

    play(venue, scenario)


@every_venue
def test_new_streams_are_refused_in_four_ways(venue: str) -> None:
    async def scenario(client: Talk) -> None:
        simulation, speaker = client.simulation, client.speaker
        for spec, wanted in (
            ("refuse", (ConnectionError, websockets.InvalidMessage)),
            ("refuse(how=http,status=502)", websockets.InvalidStatus),
            ("http(on=upgrade,status=429,retry_after=7)", websockets.InvalidStatus),
        ):
            simulation.inject(spec)
            error = await refusal(speaker, simulation)
            assert isinstance(error, wanted), error
            if isinstance(error, websockets.InvalidStatus) and "429" in spec:
                assert error.response.headers["Retry-After"] == "7"
            if "http(" not in spec or "refuse" in spec:
                assert (await client.book_by_rest())[0] == 200
            simulation.clear()
        simulation.inject("refuse(how=closed)")
        await wait_until(client, is_open=False)
        await client.until("book")  # the old stream goes on
        simulation.clear()
        await wait_until(client, is_open=True)
        async with talk(speaker, simulation) as again:
            await again.settle()

    play(venue, scenario)


async def wait_until(client: Talk, is_open: bool) -> None:
    """Wait until somebody listens, or nobody does."""
    port = urlsplit(client.simulation.addresses[0].ws_url).port
    resets = 0
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                if not is_open:
                    return
            except ConnectionResetError:
                resets += 1  # it was on its way in when the door closed
            else:
                writer.close()
                if is_open:
                    return
            await asyncio.sleep(MS)


@every_venue
def test_rest_answers_errors_and_late(venue: str) -> None:
    async def scenario(client: Talk) -> None:
        simulation = client.simulation
        for status in (418, 429, 500, 503):
            simulation.inject(f"http(status={status},retry_after=7)")
            told, headers = await client.book_by_rest()
            assert (told, headers["Retry-After"]) == (status, "7")
            simulation.clear()
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        simulation.inject("slow_rest(ms=100)")
        assert (await client.book_by_rest())[0] == 200
        assert loop.time() - start_s >= 0.1
        entry = simulation.truth.entries(channel="rest")[-1]
        assert (entry.symbol, entry.connection) == (client.speaker.btc, 0)
        assert None not in entry.prices

    play(venue, scenario)


@every_venue
def test_subscriptions_are_not_acknowledged_or_refused(venue: str) -> None:
    speaker = SPEAKERS[venue]

    async def scenario() -> None:
        async with Simulation(
            [venue], rate=LIVELY, cadence=speaker.cadence
        ) as simulation:
            simulation.inject("never_ack")
            async with talk(speaker, simulation) as client:
                await client.subscribe(speaker.btc)
                await client.until("book", speaker.btc)
                kinds = {kind for kind, _ in client.since(0)}
                assert kinds.isdisjoint({"ack", "error"})
            simulation.clear()
            simulation.inject(f"reject(symbol={speaker.btc})")
            async with talk(speaker, simulation) as client:
                await client.subscribe(speaker.btc)
                await client.until("error")
                await client.subscribe(speaker.eth)
                await client.until("ack")
                simulation.clear()
                await client.subscribe(speaker.btc)
                await client.until("book", speaker.btc)

    asyncio.run(scenario())


def test_every_venue_is_spoken_to() -> None:
    assert tuple(SPEAKERS) == VENUE_NAMES
    assert all(isinstance(one, Speaker) for one in SPEAKERS.values())
