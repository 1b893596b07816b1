"""Simulated venues on loopback: the real protocols over one seeded market.

A user without network and a test start the same servers, and any client of the venues
can be pointed at them. Imports nothing else of the product, so that one mistake cannot
hide in both ends.
"""

from feedhandler.sim.faults import KINDS, Fault, FaultError, parse
from feedhandler.sim.host import Address, Notice
from feedhandler.sim.limits import Limits
from feedhandler.sim.replay import ReplayError
from feedhandler.sim.simulation import Simulation
from feedhandler.sim.truth import Entry, Top, Truth
from feedhandler.sim.venues import VENUE_NAMES

__all__ = [
    "KINDS",
    "VENUE_NAMES",
    "Address",
    "Entry",
    "Fault",
    "FaultError",
    "Limits",
    "Notice",
    "ReplayError",
    "Simulation",
    "Top",
    "Truth",
    "parse",
]
