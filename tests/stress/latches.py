"""Races of the other latches: newest funding, and the runner's command registers.

    python -m tests.stress.latches COMMAND INSTANCE [NUMBER …]

As in `processes.py`: writers on the first processor, readers on the last, and each
prints its facts.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from shm_layout import SlotUnreadable, Writer, codes, schema
from shm_layout.core import TO_FUNDING, TO_RING
from tests.stress.linked import CAPACITIES, ROLE, quote
from tests.stress.processes import attached, pin, until_terminated, watched
from tests.support import MS, wait_until

Facts = dict[str, Any]

VENUE = "venue"
_PAYLOAD = slice(schema.QUOTE.offsets["bid"], schema.QUOTE.offsets["stamp"])
_NO_HEAD = (0,) * len(schema.RECORD_HEADER.fields)


def fund(instance: str, instruments: int) -> Facts:
    """Publish fundings at full rate until SIGTERM, each field from one number."""
    pin(0)
    writer = Writer.open(instance, ROLE, CAPACITIES)
    publish = writer._writer.publish
    pack = schema.QUOTE.struct.pack
    where = TO_FUNDING | TO_RING
    number = 0
    for _ in until_terminated():
        for _ in range(100):
            number += 1
            head, prices = quote(number)[:5], quote(number)[5:]
            payload = pack(*_NO_HEAD, *prices, 0)[_PAYLOAD]
            index = number % instruments
            publish(codes.KIND_FUNDING, where, index, *head, payload, 0)
    writer.close()
    return {"published": number}


def watch(instance: str, milliseconds: int, instruments: int) -> Facts:
    """Read the newest fundings in turn for that long."""
    return watched(attached(instance).read_funding, milliseconds, instruments)


def issue(instance: str) -> Facts:
    """Issue bursts of commands until SIGTERM, each field from one number.

    The pause between two bursts is shorter than a reader's tries: a register that is
    written without end, which a runner never does, may well starve a slow reader.
    """
    pin(0)
    writer = Writer.open(instance, ROLE, CAPACITIES)
    number = 0
    for _ in until_terminated():
        for _ in range(100):
            number += 1
            verb = codes.COMMAND_RESUBSCRIBE + (number & 1)
            writer.issue_command(VENUE, verb, number, number & 0xFF, now_ns=number)
        resume_ns = time.monotonic_ns() + 200_000
        while time.monotonic_ns() < resume_ns:
            pass
    writer.close()
    return {"published": number}


def obey(instance: str, milliseconds: int) -> Facts:
    """Read a register for that long; no command is a mix, or older than the last."""
    reader = attached(instance)
    wait_until(lambda: reader.command(VENUE), 30_000 * MS, "the first command")
    read = torn = reversed_ = distinct = busy = last = 0
    deadline_ns = time.monotonic_ns() + milliseconds * 1_000_000
    while time.monotonic_ns() < deadline_ns:
        try:
            command = reader.command(VENUE)
        except SlotUnreadable:
            busy += 1
            continue
        assert command is not None
        value = command.issued_ns
        expected = (value, value & 0xFF, codes.COMMAND_RESUBSCRIBE + (value & 1))
        read += 1
        torn += (command.instrument, command.reason, command.verb) != expected
        reversed_ += command.number < last
        distinct += command.number != last
        last = command.number
    return {
        "read": read,
        "torn": torn,
        "reversed": reversed_,
        "distinct": distinct,
        "busy": busy,
    }


COMMANDS: dict[str, Callable[..., Facts]] = {
    command.__name__: command for command in (fund, watch, issue, obey)
}

if __name__ == "__main__":
    print(json.dumps(COMMANDS[sys.argv[1]](sys.argv[2], *map(int, sys.argv[3:]))))
