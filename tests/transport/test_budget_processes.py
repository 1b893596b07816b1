"""One account and several real processes, which are stopped and killed."""

from __future__ import annotations

import os
import signal
import time
from itertools import accumulate
from pathlib import Path

from feedhandler.transport.budget import BUSY_NS_MAX, RETRY_NS, Budget
from tests.support import MS, Program, Programs, wait_until

WAIT_S = 20_000 * MS
KEY = "127.0.0.1:8080/messages"
PER_MINUTE = 300_000
BURST = 60
UNITS = 1_500

OPEN = f"""
import sys, time, fcntl, os
from pathlib import Path
from feedhandler.transport.budget import Budget
budget = Budget(Path(sys.argv[1]), {KEY!r}, {PER_MINUTE}, {BURST})
"""

SPEND = f"""{OPEN}
print("ready", flush=True)
while not Path(sys.argv[2]).exists():
    time.sleep(0.001)
times = []
while len(times) < {UNITS}:  # without a pause, so that they meet at the file
    now_ns = time.monotonic_ns()
    if budget.take(1, now_ns) == 0:
        times.append(now_ns)
print(*times, budget.fallback_count, budget.reset_count)
"""

SPEND_FOR_EVER = f"""{OPEN}
print("begun", flush=True)
while True:
    budget.take(1, time.monotonic_ns())
"""

HOLD = f"""{OPEN}
budget.take(1, time.monotonic_ns())
fd = os.open(budget.path, os.O_RDWR)
fcntl.flock(fd, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""

PENALIZE = f"""{OPEN}
now_ns = time.monotonic_ns()
assert budget.penalize(now_ns + 3_000_000_000_000, now_ns)
"""


def budget(folder: Path) -> Budget:
    return Budget(folder, KEY, PER_MINUTE, BURST)


def holder(programs: Programs, folder: Path) -> Program:
    program = programs.python("-c", HOLD, folder)
    wait_until(lambda: "held" in program.stdout(), WAIT_S, "a held lock")
    return program


def test_processes_together_never_exceed_their_budget(
    programs: Programs, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    spenders = [programs.python("-c", SPEND, tmp_path, go) for _ in range(2)]
    for each in spenders:
        wait_until(lambda each=each: "ready" in each.stdout(), WAIT_S, "a spender")  # type: ignore[misc]
    go.touch()
    for each in spenders:
        assert each.wait(WAIT_S) == 0, each.stderr()
    words = [[int(word) for word in each.stdout().split()[1:]] for each in spenders]
    assert [row[-2:] for row in words] == [[0, 0], [0, 0]]
    times = sorted(time_ns for row in words for time_ns in row[:-2])
    assert len(times) == 2 * UNITS
    # Any stretch holds the burst at most, and what its own time paid for.
    pace = budget(tmp_path).pace
    unpaid_ns = [count * pace.step_ns - time_ns for count, time_ns in enumerate(times)]
    before_ns = accumulate(unpaid_ns, min)
    for end_ns, begin_ns in zip(unpaid_ns, before_ns, strict=True):
        assert end_ns + pace.step_ns - begin_ns <= pace.depth_ns


def test_process_killed_at_any_instant_leaves_the_account_whole(
    programs: Programs, tmp_path: Path
) -> None:
    account = budget(tmp_path)
    for _ in range(5):
        spender = programs.python("-c", SPEND_FOR_EVER, tmp_path)
        wait_until(lambda p=spender: "begun" in p.stdout(), WAIT_S, "a spender")  # type: ignore[misc]
        assert spender.kill() == -signal.SIGKILL
        wait_until(lambda: account.take(1, time.monotonic_ns()) == 0, WAIT_S, "a unit")
    assert (account.fallback_count, account.reset_count) == (0, 0)


def test_lock_of_a_killed_process_is_free_at_once(
    programs: Programs, tmp_path: Path
) -> None:
    program = holder(programs, tmp_path)
    account = budget(tmp_path)
    assert account.take(1, time.monotonic_ns()) == RETRY_NS
    program.kill()
    assert account.take(1, time.monotonic_ns()) == 0
    assert account.fallback_count == 0


def test_stopped_process_that_holds_the_lock_delays_nobody_beyond_the_deadline(
    programs: Programs, tmp_path: Path
) -> None:
    program = holder(programs, tmp_path)
    os.kill(program.pid, signal.SIGSTOP)
    try:
        account = budget(tmp_path)
        now_ns = time.monotonic_ns()
        assert account.take(1, now_ns) == RETRY_NS
        assert account.take(1, now_ns + BUSY_NS_MAX) == 0
        assert account.fallback_count == 1
    finally:
        os.kill(program.pid, signal.SIGCONT)
    program.kill()
    assert account.take(1, now_ns + BUSY_NS_MAX) == 0
    assert account.fallback_count == 1


def test_penalty_of_one_process_is_obeyed_by_another(
    programs: Programs, tmp_path: Path
) -> None:
    account = budget(tmp_path)
    assert account.take(1, time.monotonic_ns()) == 0
    program = programs.python("-c", PENALIZE, tmp_path)
    assert program.wait(WAIT_S) == 0, program.stderr()
    wait_ns = account.take(1, time.monotonic_ns())
    assert 0 < wait_ns <= 3_000_000_000_000
    assert wait_ns > 1_000_000_000_000
