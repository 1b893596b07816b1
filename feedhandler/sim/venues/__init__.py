"""The simulated venues: every module here without a leading underscore is one."""

from feedhandler.sim.venues._base import VENUE_NAMES, load

__all__ = ["VENUE_NAMES", "load"]
