"""What `feedhandler doctor` looks at: can this host run the configured instance?

Owns one function a check; each returns a verdict, what was found, and what to do about
it. A check changes nothing.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import shm_layout
from feedhandler.config import Config, ConfigError, load_effective
from feedhandler.identity import VERSION
from feedhandler.supervisor import demo_folder, resources
from feedhandler.supervisor.leftovers import (
    find_holder,
    find_holders,
    instance_of,
    is_readers,
)
from feedhandler.supervisor.versions import library_versions
from shm_layout import Capacities
from shm_layout.limits import INSTRUMENTS_MAX
from shm_layout.schema import Plan
from shm_layout.segment import free_bytes, list_segments, role_of

Verdict = Literal["ok", "warn", "fail"]

DESCRIPTORS_MIN: Final = 64  # a feed holds about 20: segment, sockets, pipes, loop
DESCRIPTORS_COMFORTABLE: Final = 256
PROCESS_BYTES: Final = 64 << 20  # resident size of one process, measured about 50 MiB
RUNNER_RING_SLOTS: Final = 4_096
RUNNER_COUNTERS: Final = 4_096
RUNNER_HISTOGRAMS: Final = 80
_SEGMENT_DIRECTORY: Final = "/dev/shm"
_FIRST_SANE_YEAR: Final = 2024
_ADJTIMEX_BYTES: Final = 512  # more than `struct timex` on every platform we run on
_TIME_ERROR: Final = 5  # adjtimex: the clock is not synchronised
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Check:
    """One answer; `advice` is empty when there is nothing to do."""

    name: str
    verdict: Verdict
    text: str
    advice: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the fields for JSON."""
        return asdict(self)


def run_checks(
    config_path: str | None,
    environment: Mapping[str, str],
    instance: str | None,
    read_rest: Callable[[str], Sequence[Mapping[str, Any]]] = lambda instance: (),
) -> list[Check]:
    """Run every check, the configuration first because others depend on it.

    `read_rest` returns what the instance's REST process knows of each venue.
    """
    check, config = _check_config(config_path, environment)
    if instance is not None:
        config = config.with_instance(instance)
    checks = [check, check_versions(), check_native(), check_kernel()]
    for look in _HOST_CHECKS:
        checks.append(look(config))
    checks.append(check_rest(read_rest(config.instance)))
    return checks


def needed_segments(config: Config) -> dict[str, int]:
    """Return the bytes of each segment the configured instance needs, by role."""
    capacities = Capacities(config.shm.instruments, config.shm.ring_slots)
    full_bytes = Plan(capacities).segment_bytes
    small_bytes = Plan(Capacities(instruments=1, ring_slots=8)).segment_bytes
    venues = config.enabled_venues()
    # The runner has a slot for every instrument of every venue, and a ring of moves.
    slots = min(INSTRUMENTS_MAX, config.shm.instruments * max(1, len(venues)))
    runner_bytes = Plan(
        Capacities(slots, RUNNER_RING_SLOTS, RUNNER_COUNTERS, RUNNER_HISTOGRAMS)
    ).segment_bytes
    needed = {f"feed:{venue}": full_bytes for venue in venues}
    needed |= {"runner": runner_bytes, "supervisor": small_bytes}
    if config.telemetry.enabled:
        needed["telemetry"] = small_bytes
    # The REST process has a slot for each of these too, and a ring as small.
    return needed | ({"rest": runner_bytes} if config.rest.enabled else {})


def find_leftovers() -> list[str]:
    """Return the names of our segments, of any instance, that nobody needs.

    What a dead process left in an instance that runs is none: its next start takes it
    over, with its counters, and readers stay attached until then.
    """
    names = list_segments()
    running = {name for name in set(map(instance_of, names)) if find_holders(name)}
    return [
        name
        for name in names
        if find_holder(instance_of(name), role_of(name)) is None
        and (instance_of(name) not in running or is_readers(role_of(name)))
    ]


def _check_config(
    path: str | None, environment: Mapping[str, str]
) -> tuple[Check, Config]:
    try:
        effective = load_effective(path, environment)
    except ConfigError as error:
        text = "; ".join(error.problems)
        return Check("configuration", "fail", text, "correct it"), Config()
    venues = ", ".join(effective.config.enabled_venues()) or "none"
    text = f"{path or 'no file, defaults only'}; venues: {venues}"
    if effective.warnings:
        return (
            Check("configuration", "warn", text, "; ".join(effective.warnings)),
            effective.config,
        )
    return Check("configuration", "ok", text), effective.config


def check_versions() -> Check:
    """Name the versions, and fail when a library is missing."""
    versions = library_versions()
    missing = [name for name, version in versions if version == "missing"]
    text = f"feedhandler {VERSION}, " + ", ".join(
        f"{name} {version}" for name, version in versions
    )
    if missing:
        advice = f"install {', '.join(missing)}: pip install feedhandler"
        return Check("versions", "fail", text, advice)
    return Check("versions", "ok", text)


def check_native() -> Check:
    """Say which of the two shared-memory modules is in use."""
    if shm_layout.IMPLEMENTATION == "native":
        return Check("native_module", "ok", "compiled module in use")
    return Check(
        "native_module",
        "warn",
        "Python twin in use: same results, several times slower",
        "install a C compiler and install feedhandler again",
    )


def check_kernel() -> Check:
    """Check platform and the system calls that watching processes needs."""
    text = f"{platform.system()} {platform.release()} {platform.machine()}"
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        return Check("platform", "fail", text, "use Linux on x86-64 or aarch64")
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        advice = "use Linux 5.3 or newer, and allow pidfd_open in the sandbox"
        return Check("platform", "fail", f"{text}; pidfd: {error.strerror}", advice)
    return Check("platform", "ok", text)


def check_shared_memory(config: Config) -> Check:
    """Compare what the instance still needs with what is free."""
    name = "shared_memory"
    needed_bytes = _missing_bytes(config)
    try:
        status = os.statvfs(_SEGMENT_DIRECTORY)
    except OSError as error:
        text = f"{_SEGMENT_DIRECTORY}: {error.strerror}"
        return Check(name, "fail", text, f"mount a tmpfs on {_SEGMENT_DIRECTORY}")
    free = free_bytes()
    total_bytes = status.f_blocks * status.f_frsize
    text = (
        f"needed {_mib(needed_bytes)}, free {_mib(free)} of {_mib(total_bytes)} "
        f"in {_SEGMENT_DIRECTORY}"
    )
    if needed_bytes > free:
        advice = "enlarge it (containers: --shm-size=256m) or lower [shm] ring_slots"
        return Check(name, "fail", text, advice)
    if needed_bytes > free // 2:
        return Check(name, "warn", text, "leave room: enlarge it for another instance")
    return Check(name, "ok", text)


def check_memory(config: Config) -> Check:
    """Compare what the processes need with the control group's limit and the host."""
    memory = resources.memory()
    shared_bytes = _missing_bytes(config)
    processes = len(needed_segments(config))
    needed_bytes = shared_bytes + processes * PROCESS_BYTES
    free = memory.available_bytes
    bound = "host"
    if memory.limit_bytes is not None:
        in_group = max(0, memory.limit_bytes - memory.used_bytes)
        if in_group < free:
            free, bound = in_group, f"control group, limit {_mib(memory.limit_bytes)}"
    text = f"needed about {_mib(needed_bytes)}, available {_mib(free)} ({bound})"
    # Beyond a group's limit the kernel kills; it does not refuse.
    advice = "raise the memory limit, run fewer venues or lower [shm] ring_slots"
    if shared_bytes + PROCESS_BYTES > free:
        return Check("memory", "fail", text, advice)
    if needed_bytes > free:
        return Check("memory", "warn", text, advice)
    return Check("memory", "ok", text)


def check_leftovers(config: Config) -> Check:
    """List segments whose writer is dead, and what dead demos left on disk."""
    names = find_leftovers()
    names += [str(demo_folder.path_of(name)) for name in demo_folder.dead_instances()]
    if not names:
        return Check("leftovers", "ok", "no segment without a live writer")
    return Check(
        "leftovers",
        "warn",
        f"{len(names)} without a live writer: {', '.join(names)}",
        "their next start takes them over; `feedhandler doctor --clean` removes them",
    )


def check_clock(config: Config) -> Check:
    """Check that the clocks move, and whether the wall clock is synchronised."""
    first_ns = time.monotonic_ns()
    year = time.gmtime().tm_year
    if time.monotonic_ns() < first_ns:
        return Check("clock", "fail", "the monotonic clock goes backwards", "reboot")
    if year < _FIRST_SANE_YEAR:
        return Check("clock", "fail", f"the year is {year}", "set the clock")
    state = _clock_state()
    if state is None:
        return Check("clock", "ok", "wall clock sane; synchronisation not known")
    if state == _TIME_ERROR:
        return Check(
            "clock",
            "warn",
            "the wall clock is not synchronised: event ages are off, health is not",
            "run chrony or systemd-timesyncd (in a container: on its host)",
        )
    return Check("clock", "ok", "wall clock synchronised")


def check_descriptors(config: Config) -> Check:
    """Check the limit on open descriptors."""
    limit = resources.descriptor_limit()
    text = f"RLIMIT_NOFILE {limit}"
    advice = "raise it: ulimit -n 1024"
    if limit < DESCRIPTORS_MIN:
        return Check("descriptors", "fail", text, advice)
    if limit < DESCRIPTORS_COMFORTABLE:
        return Check("descriptors", "warn", text, advice)
    return Check("descriptors", "ok", text)


def check_state_directory(config: Config) -> Check:
    """Check that what outlives a process can be written."""
    path = config.state_path()
    place = path
    while not place.exists() and place != place.parent:
        place = place.parent
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        return Check("state_directory", "ok", str(path))
    text = f"{path}: {place} is not a directory we may write to"
    return Check("state_directory", "fail", text, "set state_dir, or its rights")


def check_user(config: Config) -> Check:
    """Warn when everything would run as root."""
    user_id = os.geteuid()
    if user_id == 0:
        advice = "use an account of its own; market data needs no privilege"
        return Check("user", "warn", "running as root", advice)
    return Check("user", "ok", f"uid {user_id}")


def check_rest(rows: Sequence[Mapping[str, Any]]) -> Check:
    """Tell how the start-up check of each venue's REST endpoint came out."""
    name = "rest_endpoints"
    if not rows:
        return Check(name, "ok", "not checked: no REST process has run")
    text = ", ".join(f"{row['venue']} {row['self_check']}" for row in rows)
    if all(row["self_check"] in ("ok", "pending") for row in rows):
        return Check(name, "ok", text)
    advice = "see the log of `rest`: fallback does not work for these venues"
    return Check(name, "warn", text, advice)


_HOST_CHECKS: Final[tuple[Callable[[Config], Check], ...]] = (
    check_shared_memory,
    check_memory,
    check_leftovers,
    check_clock,
    check_descriptors,
    check_state_directory,
    check_user,
)


def _missing_bytes(config: Config) -> int:
    """Return what the instance needs beyond the segments it already has."""
    present = {
        role_of(name): (Path(_SEGMENT_DIRECTORY) / name.lstrip("/")).stat().st_size
        for name in list_segments(config.instance)
    }
    return sum(
        max(0, needed_bytes - present.get(role, 0))
        for role, needed_bytes in needed_segments(config).items()
    )


def _clock_state() -> int | None:
    """Return adjtimex's verdict on the clock, None when we may not ask."""
    libc = ctypes.CDLL(None, use_errno=True)
    # All zero asks without changing anything.
    state: int = libc.adjtimex(ctypes.create_string_buffer(_ADJTIMEX_BYTES))
    return None if state < 0 else state


def _mib(count_bytes: int) -> str:
    return f"{count_bytes / _MIB:,.0f} MiB"
