"""Tiny children and a supervisor around them, as programs to start.

The children are real processes: what is tested is what the kernel does with them. They
import little, because each start costs what it imports.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from shm_layout import Reader, SegmentError
from tests.support import WATCHDOG_S, Program, Programs

# Lives until SIGTERM, as a feed does, with a segment and its heartbeat.
FEED = """
import signal, sys, time
from shm_layout import Capacities, Writer
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
writer = Writer.open(sys.argv[1], sys.argv[2], Capacities(instruments=1, ring_slots=8))
for stage in ("configured", "segment", "connected", "subscribed", "first_quote"):
    writer.stamp_stage(stage, time.monotonic_ns())
while True:
    writer.beat(time.monotonic_ns(), 1)
    time.sleep(0.01)
"""

WAITER = """
import signal, sys
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
while True:
    signal.pause()
"""

DEAF = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
while True:
    signal.pause()
"""

FLOOD = """
import sys
while True:
    sys.stderr.write("x" * 4000 + "\\n")
"""

_SUPERVISE = """
import json, sys
from feedhandler.config import Config, SupervisorConfig
from feedhandler.errors import exit_code
from feedhandler.supervisor.child import ChildSpec
from feedhandler.supervisor.console import Console
from feedhandler.supervisor.process import Options, run
plan = json.loads(sys.argv[1])
config = Config(
    instance=plan["instance"], supervisor=SupervisorConfig(**plan["settings"])
)
children = [
    ChildSpec(role, tuple(command)) for role, command in plan["children"].items()
]
console = Console(with_table=False, stderr_is_terminal=False)
try:
    code = run(config, Options(children=children, console=console, **plan["options"]))
except Exception as error:
    print(error, file=sys.stderr)
    code = exit_code(error)
sys.exit(code)
"""


def python(source: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a source text."""
    return (sys.executable, "-c", source, *arguments)


def fake_feed(instance: str, venue: str = "hyperliquid") -> dict[str, Any]:
    """Return the children of an instance with one healthy feed."""
    role = f"feed:{venue}"
    return {role: python(FEED, instance, role)}


def supervise(
    programs: Programs,
    instance: str,
    children: Mapping[str, tuple[str, ...]],
    options: Mapping[str, Any] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    limit_s: float = WATCHDOG_S,
    **settings: int,
) -> Program:
    """Start a supervisor over these children; settings are its configuration's."""
    plan = {
        "instance": instance,
        "children": children,
        "options": options or {},
        "settings": {"backoff_first_ms": 20, "backoff_max_ms": 50, **settings},
    }
    return programs.python(
        "-c", _SUPERVISE, json.dumps(plan), environment=environment, limit_s=limit_s
    )


def owner_pid(instance: str, role: str) -> int:
    """Return the pid in a segment, 0 while there is none."""
    try:
        with Reader.attach(instance, role) as reader:
            return reader.owner().pid
    except SegmentError:
        return 0


def heartbeat_ns(instance: str, role: str) -> int:
    """Return the heartbeat stamp of a segment, 0 while there is none."""
    try:
        with Reader.attach(instance, role) as reader:
            return reader.heartbeat_ns()
    except SegmentError:
        return 0


def counters(instance: str) -> dict[str, int]:
    """Return the supervisor's counters, none while it does not run."""
    try:
        with Reader.attach(instance, "supervisor") as reader:
            return reader.counters()
    except SegmentError:
        return {}
