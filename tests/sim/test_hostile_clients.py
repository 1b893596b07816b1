"""Clients that read slowly, talk nonsense or vanish disturb nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket

import pytest
import websockets
from aiohttp import web

from feedhandler.sim import Limits, Simulation
from feedhandler.sim.connection import reset
from tests.sim.harness import (
    DEADLINE_S,
    Client,
    connect,
    deaf_socket,
    open_stream,
    play,
    post,
)
from tests.support import MS, wait_until_async

SMALL = Limits(queue_frames_max=100, queue_bytes_max=100_000, socket_bytes=8192)


async def serves(simulation: Simulation) -> None:
    """Fail unless a new client is served, and nothing of the simulation broke."""
    async with connect(simulation) as client:
        await client.subscribe("bbo", "BTC")
        await client.next("bbo")
        await client.ping()
    failed = asyncio.ensure_future(simulation.wait_failed())
    await asyncio.sleep(0)
    assert not failed.done()
    failed.cancel()


def test_client_that_never_reads_is_cut_while_others_go_on() -> None:
    async def scenario(simulation: Simulation, healthy: Client) -> None:
        (address,) = simulation.addresses
        await healthy.subscribe("bbo", "BTC")
        (first,) = simulation.hosts[0].connections
        raw = deaf_socket(address)
        async with open_stream(address.ws_url, sock=raw, max_queue=1) as deaf:
            # Once subscribed it is not read from any more.
            for coin in ("BTC", "ETH", "SOL", "HYPE"):
                for kind in ("bbo", "trades", "l2Book"):
                    await deaf.subscribe(kind, coin)
            simulation.inject("burst(rate=20)")
            connections = simulation.hosts[0].connections
            longest = 0
            async with asyncio.timeout(DEADLINE_S):
                while simulation.counters["overflows"] == 0:
                    await healthy.next("bbo")
                    longest = max([longest, *(one.queue_frames for one in connections)])
            await wait_until_async(
                lambda: connections == {first}, DEADLINE_S, "the slow one's end"
            )
            assert longest <= SMALL.queue_frames_max
            simulation.clear()
            for _ in range(20):
                await healthy.next("bbo")
        assert simulation.counters["overflows"] == 1

    play(scenario, rate=20.0, limits=SMALL)


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "{",
        "[" * 100_000,
        '{"a":' * 40_000,
        '{"method":"subscribe","subscription":' + "[" * 50_000,
        "9" * 100_000,
        '{"method":"ping"' + " " * 100_000 + "}",
        "\x00\ud7ff\uffff",
        json.dumps({"method": "subscribe", "subscription": {"type": "x" * 90_000}}),
        b"\xff\xfe\xfd",
        os.urandom(5000),
    ],
    ids=range(11),
)
def test_nonsense_is_answered_and_survived(nonsense: str | bytes) -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        await client.frame()
        await client.stream.send(nonsense)
        answer = await client.message()
        assert answer["channel"] in ("error", "pong")
        await client.ping()
        await serves(simulation)

    play(scenario)


def test_huge_frame_ends_its_own_stream_only() -> None:
    async def scenario() -> None:
        limits = Limits(inbound_bytes_max=10_000)
        async with (
            Simulation(limits=limits) as simulation,
            connect(simulation) as witness,
            connect(simulation) as client,
        ):
            with contextlib.suppress(websockets.ConnectionClosed):
                await client.stream.send("x" * 2_000_000)
            ending = await client.ended()
            assert ending.rcvd is None or ending.rcvd.code == 1009
            await witness.ping()
            await serves(simulation)

    asyncio.run(scenario())


def test_huge_body_is_refused() -> None:
    async def scenario() -> None:
        async with Simulation(limits=Limits(inbound_bytes_max=10_000)) as simulation:
            status, _, _ = await post(simulation.addresses[0], b"x" * 50_000)
            assert status == 413
            for body in (b"[" * 9_000, b"\xff" * 100, b"9" * 9_000):
                assert (await post(simulation.addresses[0], body))[0] == 422
            await serves(simulation)

    asyncio.run(scenario())


def test_flood_of_requests_is_limited_and_survived() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        for _ in range(200):
            await client.send({"method": "ping"})
        text = "Cannot send more than 2000 messages per minute."
        await client.next("error", lambda data: data == text)
        assert len(client.of_channel("pong")) == 50

    play(scenario, limits=Limits(requests_per_minute=50))


def test_raw_bytes_instead_of_http_are_survived() -> None:
    async def scenario() -> None:
        async with Simulation() as simulation:
            port = int(simulation.addresses[0].ws_url.split(":")[2].split("/")[0])
            for rubbish in (b"\x16\x03\x01", b"GET", b"\r\n\r\n", os.urandom(2000)):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(rubbish)
                await writer.drain()
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()
            await serves(simulation)

    asyncio.run(scenario())


def test_clients_that_vanish_leave_nothing() -> None:
    async def scenario() -> None:
        async with Simulation(rate=50.0) as simulation:
            for _ in range(8):
                async with connect(simulation) as client:
                    for coin in ("BTC", "ETH"):
                        await client.subscribe("bbo", coin)
                    await client.next("bbo")
                    vanish(client)
            await wait_until_async(
                lambda: not simulation.hosts[0].connections, DEADLINE_S, "no client"
            )
            assert simulation.hosts[0].venue.sessions == set()
            assert simulation.hosts[0].venue.subscription_count() == 0
            await serves(simulation)

    asyncio.run(scenario())


def vanish(client: Client) -> None:
    """End the connection with a reset, in the middle of everything."""
    raw: socket.socket = client.stream.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.stream.transport.abort()


def test_client_that_leaves_while_it_is_accepted_is_no_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    prepare = web.WebSocketResponse.prepare

    async def leave(stream: web.WebSocketResponse, request: web.BaseRequest) -> object:
        assert request.transport is not None
        reset(request.transport)
        return await prepare(stream, request)

    async def scenario() -> None:
        async with Simulation() as simulation:
            with monkeypatch.context() as patch:
                patch.setattr(web.WebSocketResponse, "prepare", leave)
                with pytest.raises((ConnectionError, websockets.InvalidMessage)):
                    await websockets.connect(simulation.addresses[0].ws_url)
            await serves(simulation)
            assert not simulation.hosts[0].connections

    asyncio.run(scenario())
    assert not caplog.records


def test_client_that_leaves_within_its_request_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        async with Simulation() as simulation:
            port = int(simulation.addresses[0].rest_url.rsplit(":", 1)[1].split("/")[0])
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                b"POST /info HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n["
            )
            await serves(simulation)
            writer.close()
            await writer.wait_closed()
            await serves(simulation)

    asyncio.run(scenario())
    assert not caplog.records


def test_frames_behind_a_delay_are_bounded_too() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("delay(ms=60000)")
        simulation.inject("burst(rate=20)")
        for coin in ("BTC", "ETH", "SOL"):
            await client.subscribe("bbo", coin)
        await client.ended()
        assert simulation.counters["overflows"] == 1

    play(scenario, rate=50.0, limits=SMALL)


def test_slow_stop_of_a_deaf_client_is_bounded() -> None:
    async def scenario() -> None:
        simulation = Simulation(rate=20.0, limits=SMALL)
        await simulation.start()
        raw = deaf_socket(simulation.addresses[0])
        async with open_stream(simulation.addresses[0].ws_url, sock=raw) as deaf:
            await deaf.subscribe("l2Book", "BTC")
            await wait_until_async(
                lambda: simulation.counters["frames"] >= 2, DEADLINE_S, "frames"
            )
            async with asyncio.timeout(2000 * MS):
                await simulation.stop()

    asyncio.run(scenario())
