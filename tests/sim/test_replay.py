"""A recording is served frame by frame, in order, with its own timing."""

from __future__ import annotations

import asyncio
import json
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest

from feedhandler.sim import ReplayError, Simulation
from feedhandler.sim.replay import Recorded, Recording
from tests.sim.harness import (
    HELLO,
    RECORDING,
    Client,
    connect,
    info,
    play,
    recorded_messages,
    touch,
)

SPEED = 40.0
COUNT = 55
NEGATIVE_SIZE = (
    '{"recv_ns":1,"msg":{"channel":"l2Book","data":{"coin":"BTC","time":1,'
    '"levels":[[{"px":"1.5","sz":"-1","n":1}],[]]}}}'
)


async def receive(client: Client, count: int, *kinds: str) -> list[Any]:
    """Subscribe to kinds of BTC and return the first frames of data."""
    for kind in kinds:
        await client.subscribe(kind, "BTC")
    found: list[Any] = []
    while len(found) < count:
        message = await client.message()
        if message["channel"] in kinds:
            found.append(message)
    return found


def test_recording_in_the_repository_is_whole() -> None:
    messages = recorded_messages()
    channels = [message["channel"] for message in messages]
    assert len(messages) == COUNT
    assert (channels.count("l2Book"), channels.count("trades")) == (46, 9)


def test_replay_yields_exactly_the_recorded_frames_in_order() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        found = await receive(client, COUNT, "l2Book", "trades")
        assert found == recorded_messages()
        await client.ping()
        assert client.of_channel("bbo") == []

    play(scenario, replay=RECORDING, replay_speed=SPEED)


def test_replay_keeps_the_recorded_timing() -> None:
    schedule = list(Recording.load(RECORDING).schedule(SPEED, loop=False))

    async def scenario() -> tuple[list[float], float]:
        async with (
            Simulation(replay=RECORDING, replay_speed=SPEED) as simulation,
            connect(simulation) as client,
        ):
            await receive(client, COUNT, "l2Book", "trades")
        frames = [json.loads(frame) for frame in client.frames if frame != HELLO]
        times_s = [
            time_s
            for time_s, frame in zip(client.times_s[1:], frames, strict=True)
            if frame["channel"] in ("l2Book", "trades")
        ]
        return times_s, times_s[0]

    times_s, first_s = asyncio.run(scenario())
    # A frame may be late on a busy machine; it is never early by more than the
    # lateness of the first.
    lateness_s = [
        time_s - first_s - due.at_s
        for time_s, due in zip(times_s, schedule, strict=True)
    ]
    assert min(lateness_s) > -0.1
    assert times_s[-1] - times_s[0] > 0.8 * schedule[-1].at_s


def test_schedule_follows_the_stamps_and_the_speed() -> None:
    rows = [json.loads(line) for line in RECORDING.read_text().splitlines()]
    plain = list(Recording.load(RECORDING).schedule(1.0, loop=False))
    fast = list(Recording.load(RECORDING).schedule(4.0, loop=False))
    for row, one, other in zip(rows, plain, fast, strict=True):
        offset_s = (row["recv_ns"] - rows[0]["recv_ns"]) / 1e9
        assert one.at_s == pytest.approx(offset_s)
        assert other.at_s == pytest.approx(offset_s / 4)
        assert one.message == row["msg"]
        assert one.shift_ms == 0


def test_loop_goes_on_and_moves_the_times_by_whole_rounds() -> None:
    recording = Recording.load(RECORDING)
    due = list(islice(recording.schedule(1.0, loop=True), 3 * COUNT))
    assert [one.message for one in due] == recorded_messages() * 3
    assert all(before.at_s <= after.at_s for before, after in pairwise(due))
    shifts_ms = sorted({one.shift_ms for one in due})
    length_ms = round(recording.length_s * 1000)
    assert shifts_ms == pytest.approx([0, length_ms, 2 * length_ms], abs=1)
    last, first = due[COUNT - 1], due[COUNT]
    gap_s = recording.length_s - recording.frames[-1].offset_s
    assert first.at_s - last.at_s == pytest.approx(gap_s)


def test_looped_frames_differ_in_their_times_only() -> None:
    async def scenario() -> list[Any]:
        async with (
            Simulation(
                replay=RECORDING, replay_speed=200.0, replay_loop=True
            ) as simulation,
            connect(simulation) as client,
        ):
            return await receive(client, 2 * COUNT, "l2Book", "trades")

    found = asyncio.run(scenario())
    first, second = found[:COUNT], found[COUNT:]
    assert first == recorded_messages()
    assert without_times(second) == without_times(first)
    times_ms = [one["data"]["time"] for one in found if one["channel"] == "l2Book"]
    assert times_ms == sorted(times_ms)


def without_times(messages: list[Any]) -> list[Any]:
    def strip(row: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in row.items() if key != "time"}

    return [
        {**message, "data": [strip(row) for row in message["data"]]}
        if isinstance(message["data"], list)
        else {**message, "data": strip(message["data"])}
        for message in messages
    ]


def test_replay_waits_for_its_first_subscriber_and_truth_matches() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        await client.subscribe("bbo", "ETH")
        await client.next("bbo")
        assert simulation.truth.entries(symbol="BTC") == []
        found = await receive(client, 46, "l2Book")
        entries = simulation.truth.entries(symbol="BTC", channel="l2Book")
        for message, entry in zip(found, entries, strict=True):
            bid, ask = touch(message["data"])
            told = (bid["px"], bid["sz"], ask["px"], ask["sz"])
            assert entry.top[:4] == told
            assert entry.top.event_ms == message["data"]["time"]

    play(scenario, replay=RECORDING, replay_speed=SPEED)


def test_quotes_and_rest_tell_the_recorded_prices() -> None:
    messages = [one for one in recorded_messages() if one["channel"] == "l2Book"]
    touches = [touch(message["data"]) for message in messages]

    async def scenario(simulation: Simulation, client: Client) -> None:
        (address,) = simulation.addresses
        book = await info(address, "l2Book", coin="BTC")
        assert book["levels"] == [[], []]
        await client.subscribe("bbo", "BTC")
        while not client.of_channel("bbo") or (
            touch(client.of_channel("bbo")[-1]) != touches[-1]
        ):
            data = await client.next("bbo")
            assert touch(data) in touches
        book = await info(address, "l2Book", coin="BTC")
        recorded = messages[-1]["data"]
        assert book["levels"] == recorded["levels"]
        assert book["time"] <= recorded["time"]
        mids = await info(address, "allMids")
        assert mids["BTC"].startswith("105")
        await client.subscribe("activeAssetCtx", "BTC")
        context = await client.next("activeAssetCtx")
        assert context["ctx"]["markPx"].startswith("105")

    play(scenario, replay=RECORDING, replay_speed=SPEED)


def test_late_subscriber_gets_the_latest_recorded_image_at_once() -> None:
    async def scenario() -> None:
        async with (
            Simulation(replay=RECORDING, replay_speed=SPEED) as simulation,
            connect(simulation) as first,
            connect(simulation) as late,
        ):
            found = await receive(first, COUNT, "l2Book", "trades")
            (image,) = await receive(late, 1, "l2Book")
            assert image == [one for one in found if one["channel"] == "l2Book"][-1]

    asyncio.run(scenario())


def test_faults_apply_to_recorded_frames() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("mute(channel=trades)")
        await receive(client, 46, "l2Book", "trades")
        assert client.of_channel("trades") == []

    play(scenario, replay=RECORDING, replay_speed=SPEED)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no frames"),
        ("\n\n", "no frames"),
        ("{", "line=1"),
        ('{"recv_ns":1}', "line=1"),
        ('{"recv_ns":"x","msg":{}}', "line=1"),
        ('{"recv_ns":1,"msg":[]}', "msg is not an object"),
        ('{"recv_ns":1,"msg":{"channel":"bbo"}}', "only l2Book and trades"),
        ('{"recv_ns":1,"msg":{"channel":"trades","data":[]}}', "no coin"),
        (
            '{"recv_ns":1,"msg":{"channel":"trades","data":[{"coin":"BTC"}]}}',
            "malformed",
        ),
        (
            '{"recv_ns":1,"msg":{"channel":"l2Book","data":{"coin":"XYZ"}}}',
            "not listed",
        ),
        (
            '{"recv_ns":1,"msg":{"channel":"l2Book","data":{"coin":"BTC"}}}',
            "malformed",
        ),
        (
            NEGATIVE_SIZE,
            "not on the grid",
        ),
    ],
)
def test_wrong_recording_is_refused_with_its_reason(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "recording.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        Simulation(replay=path)


def test_missing_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match="cannot read"):
        Simulation(replay=tmp_path / "none.jsonl")


def test_recording_of_one_instant_does_not_spin() -> None:
    recording = Recording([Recorded(0.0, {})])
    assert len(list(islice(recording.schedule(1.0, loop=True), 5))) == 1
