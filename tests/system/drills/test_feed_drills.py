"""The feed's process killed, stopped, starved and cut short, under a whole instance."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import MS, wait_until
from tests.system.drills.drill import Drill
from tests.system.drills.world import HYPERLIQUID, LIGHTER, World, now_ns

pytestmark = [pytest.mark.system, pytest.mark.slow]

FEED = f"feed:{HYPERLIQUID}"
GROUPS = Path("/sys/fs/cgroup")


def wait_ns(world: World, amount_ns: int) -> None:
    """Let that much time pass under the fault."""
    begun_ns = now_ns()
    world.wait(lambda: now_ns() - begun_ns >= amount_ns, "time", amount_ns / 1e9 + 5)


def signals(world: World, number: int, role: str = FEED) -> Callable[[], None]:
    return lambda: os.kill(world.pid(role), number)


@pytest.mark.parametrize(
    ("row", "number", "cause"),
    [
        ("F01", signal.SIGKILL, "SIGKILL"),
        ("F11", signal.SIGSEGV, "SIGSEGV"),
        ("F11", signal.SIGABRT, "SIGABRT"),
    ],
)
def test_dead_feed_is_refused_and_followed_by_another(
    drill: Drill, row: str, number: int, cause: str
) -> None:
    world = drill.world
    epoch, _ = world.session(HYPERLIQUID)
    restarts = world.count("supervisor", f"restarts.{FEED}")
    drill.strike(row, f"{cause} of a feed", signals(world, number))
    assert world.session(HYPERLIQUID)[0] == epoch + 1
    assert world.count("supervisor", f"restarts.{FEED}") == restarts + 1
    wait_until(lambda: cause in world.program.stderr(), 2_000 * MS, "the cause")
    if number != signal.SIGKILL:
        assert "Fatal Python error" in world.program.stdout() + world.program.stderr()


def test_reader_sees_every_epoch_of_a_feed_killed_again_and_again(
    drill: Drill,
) -> None:
    world = drill.world
    epoch, _ = world.session(LIGHTER)
    feed = f"feed:{LIGHTER}"
    for _ in range(5):
        kill = signals(world, signal.SIGKILL, feed)
        drill.strike("F41", "SIGKILL of a feed with a book", kill, venue=LIGHTER)
    assert world.session(LIGHTER)[0] == epoch + 5


def test_stopped_feed_is_killed_by_the_ladder(drill: Drill) -> None:
    world = drill.world
    victim = world.pid(FEED)
    before = world.count("runner", f"ladder.restart.{HYPERLIQUID}")
    stop = signals(world, signal.SIGSTOP)
    drill.strike("F05", "SIGSTOP of a feed for ever", stop, recover_ms=6_000)
    assert world.pid(FEED) != victim
    assert world.count("runner", f"ladder.restart.{HYPERLIQUID}") > before


def test_short_stop_restarts_nothing(drill: Drill) -> None:
    world = drill.world
    victim, stalls = world.pid(FEED), world.count(FEED, "self_stalls")

    def pause() -> None:
        os.kill(victim, signal.SIGSTOP)
        wait_ns(world, 380_000_000)
        os.kill(victim, signal.SIGCONT)

    drill.endure("F07", "SIGSTOP of a feed for 380 ms", pause, "no restart, counted")
    world.wait(lambda: world.count(FEED, "self_stalls") > stalls, "a counted stall")
    assert world.pid(FEED) == victim


def test_backlog_of_a_stopped_feed_is_never_shown_as_fresh(drill: Drill) -> None:
    world = drill.world
    victim = world.pid(FEED)

    def go_on() -> None:
        os.kill(victim, signal.SIGCONT)

    drill.strike(
        "F08",
        "a feed resumes with a full socket",
        signals(world, signal.SIGSTOP),
        meanwhile=lambda: wait_ns(world, 400_000_000),
        heal=go_on,
    )
    assert world.pid(FEED) == victim, "it goes on by itself"


@contextmanager
def calling(pid: int, what: str) -> Iterator[Callable[[], None]]:
    """Give what makes a process call a C function, by a debugger; end that with us."""
    debugger = shutil.which("gdb")
    if debugger is None:
        pytest.skip("no gdb, which calls functions inside a process")
    started: list[subprocess.Popen[bytes]] = []

    def call() -> None:
        command = [debugger, "-p", str(pid), "-batch", "-ex", f"call {what}"]
        null = subprocess.DEVNULL
        started.append(subprocess.Popen(command, stdout=null, stderr=null))

    try:
        yield call
    finally:
        for one in started:
            one.kill()
            one.wait()


def test_blocked_loop_is_a_missed_heartbeat(drill: Drill) -> None:
    """Its other threads live on; the heartbeat does not, since the loop writes it."""
    world = drill.world
    with calling(world.pid(FEED), "(int)sleep(20)") as block:
        # The limit holds from the debugger's own start, which takes longest.
        line = drill.strike("F16", "the loop blocks (gdb)", block, detect_ms=8_000)
        line.notes = "F17 too: no thread beats"


@contextmanager
def group(controller: str, name: str, **limits: int) -> Iterator[Path]:
    """A control group of version 1 with those limits, or a skip that says why."""
    base = GROUPS / controller
    if not (base / "cgroup.procs").exists():
        pytest.skip(f"no control group of version 1: {controller}")
    made = base / name
    try:
        made.mkdir()
        for key, value in limits.items():
            (made / f"{controller}.{key}").write_text(str(value))
    except OSError as error:
        pytest.skip(f"cannot make a control group: {error}")
    try:
        yield made
    finally:
        for pid in (made / "cgroup.procs").read_text().split():
            (base / "cgroup.procs").write_text(pid)
        wait_until(lambda: _removed(made), 5_000 * MS, "the end of the group")


def _removed(made: Path) -> bool:
    try:
        made.rmdir()
    except OSError:
        return False
    return True


def test_starved_feed_is_not_restarted(drill: Drill) -> None:
    world = drill.world
    pid = world.pid(FEED)
    limits = {"cfs_period_us": 100_000, "cfs_quota_us": 30_000}
    with group("cpu", world.instance, **limits) as made:

        def starve() -> None:
            (made / "cgroup.procs").write_text(str(pid))
            wait_ns(world, 2_500_000_000)

        drill.endure("F18", "a feed on 30 % of a core", starve, "no restart")
    assert world.pid(FEED) == pid


def test_feed_killed_for_memory_is_followed_by_another(drill: Drill) -> None:
    world = drill.world
    pid = world.pid(FEED)
    want = "(void*)memset((void*)malloc(64000000), 1, 64000000)"
    limits = {"limit_in_bytes": 16_000_000}
    with group("memory", world.instance, **limits) as made, calling(pid, want) as take:

        def exhaust() -> None:
            (made / "cgroup.procs").write_text(str(pid))
            take()

        # The limit holds from the debugger's own start, which takes longest.
        drill.strike("F10", "a feed out of memory", exhaust, detect_ms=8_000)
    assert world.pid(FEED) != pid
    # The supervisor, in another group, may not see why; it knows of a SIGKILL.
    log = world.program.stderr
    wait_until(
        lambda: "cause=oom" in log() or "cause=SIGKILL" in log(),
        2_000 * MS,
        "the cause in the log",
    )


def test_reader_and_writer_on_one_core_do_not_lock_each_other_out(
    drill: Drill,
) -> None:
    world = drill.world
    cores = os.sched_getaffinity(0)
    pids = [world.pid(FEED), world.pid("runner"), os.getpid()]

    def gather() -> None:
        for pid in pids:
            os.sched_setaffinity(pid, {min(cores)})
        wait_ns(world, 1_500_000_000)

    try:
        drill.endure("F19", "all on one core", gather, "reads stay true")
    finally:
        for pid in pids:
            os.sched_setaffinity(pid, cores)


def test_feed_without_descriptors_lives_and_connects_again(drill: Drill) -> None:
    world = drill.world
    pid = world.pid(FEED)
    usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    errors = world.count(FEED, "reconnects.connect_error")

    def exhaust() -> None:
        used = max(int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir())
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, usual[1]))
        assert used >= 3
        world.cut(f"{HYPERLIQUID}.ws")

    def is_counted() -> bool:
        return world.count(FEED, "reconnects.connect_error") > errors

    drill.strike(
        "F22",
        "a feed out of descriptors",
        exhaust,
        meanwhile=lambda: world.wait(is_counted, "a counted failure"),
        heal=lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, usual),
        recover_ms=4_000,
    )
    assert world.pid(FEED) == pid, "the process and its heartbeat went on"


def test_second_feed_of_the_venue_exits_4(drill: Drill) -> None:
    world = drill.world
    pid = world.pid(FEED)

    def begin() -> None:
        config = ("--config", str(world.config_path))
        second = world.command("feed", HYPERLIQUID, *config)
        assert second.wait() == 4
        assert f"pid={pid}" in second.stderr()

    drill.endure("F28", "a second feed by hand", begin, "exit 4")
    assert world.pid(FEED) == pid
