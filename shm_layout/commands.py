"""What the runner asks a feed to do: one register for each venue, a latch like a slot.

    runner   cell of number n+1 filled ─▶ number stored        (in the runner's segment)
    feed     number, cell, number again ─▶ carried out ─▶ acknowledged      (in its own)

A newer command takes the place of the one before, whether that was acknowledged or not:
one is outstanding for each venue. Numbers grow for as long as the machine is up, also
over a new segment, so that no acknowledgement is taken for that of another command.
"""

from __future__ import annotations

from dataclasses import dataclass

from shm_layout import codes
from shm_layout.core import CoreReader, CoreWriter
from shm_layout.errors import SlotUnreadable
from shm_layout.limits import SLOT_RETRIES_MAX
from shm_layout.schema import COMMAND, REGISTER

_CELL = REGISTER.offsets["cell"]
_WORDS = COMMAND.size_bytes // 8


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `instrument` is an index in the feed's directory, or ALL of them."""

    number: int
    verb: int  # COMMAND_*
    instrument: int
    reason: int  # REASON_*
    issued_ns: int


def read(core: CoreReader, register: int) -> Command | None:
    """Return the newest whole command of a register, None before the first.

    Raises `SlotUnreadable` when the register is damaged, or written faster than read.
    """
    for _ in range(SLOT_RETRIES_MAX):
        # ORDER: pairs with the stores in issue: number, cell, number again. Each load
        # acquires, so none of them moves before the one above it.
        number = core.load(register)
        if number == 0:
            return None
        start = register + _CELL + (number & 1) * COMMAND.size_bytes
        words = [core.load(start + 8 * word) for word in range(_WORDS)]
        if core.load(register) != number:
            continue
        data = b"".join(word.to_bytes(8, "little") for word in words)
        verb, reason, instrument, issued_ns, stamp = COMMAND.struct.unpack(data)
        if stamp == number:
            return Command(number, verb, instrument, reason, issued_ns)
    raise SlotUnreadable(f"register failed its checks: offset={register}")


def issue(
    core: CoreWriter,
    register: int,
    verb: int,
    instrument: int,
    reason: int,
    issued_ns: int,
) -> int:
    """Write a command into a register; return its number.

    Raises `ValueError` for a verb that is none, or a value that does not fit.
    """
    if verb == codes.COMMAND_NONE or verb not in codes.COMMAND_NAMES:
        raise ValueError(f"not a command: verb={verb}")
    if not 0 <= instrument <= codes.INSTRUMENT_ALL or not 0 <= reason <= 0xFF:
        raise ValueError(f"out of range: instrument={instrument} reason={reason}")
    last = core.load(register)
    # No clock reaches the sign: such a number is damage, and is not gone on from.
    number = max(issued_ns, last + 1 if last >> 63 == 0 else 1)
    number += (number & 1) == (last & 1)  # the cell that is not the published one
    data = COMMAND.struct.pack(verb, reason, instrument, issued_ns, number)
    start = register + _CELL + (number & 1) * COMMAND.size_bytes
    # ORDER: pairs with the loads in read: each store releases, so the cell follows the
    # number before it, and its own number follows the cell.
    for offset in range(0, len(data), 8):
        core.store(start + offset, int.from_bytes(data[offset : offset + 8], "little"))
    core.store(register, number)
    return number
