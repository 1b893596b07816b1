"""The life of a process that is one event loop: its tasks, its heartbeat, its one end.

    a task ends or raises ───┐
    a callback raises ───────┼─▶ exit code ─▶ tasks are cancelled ─▶ the caller closes
    SIGTERM, SIGINT, stop ───┘

Nothing is fire-and-forget: each task is there for as long as the process, so one that
ends is a fault like one that raises, and takes the process down; whoever watches it
starts it again. The loop itself calls the heartbeat: no thread beats for a dead loop.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from feedhandler import log
from feedhandler.errors import EXIT_BUG, EXIT_DONE, exit_code

MS: Final = 1_000_000
BEAT_NS: Final = 100 * MS
CLOSE_TIMEOUT_S: Final = 0.8  # of the second that a stop may take

Beat = Callable[[int, int], None]


class Lifetime:
    """Runs the tasks of one process until the first of them, or a signal, ends it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._exit: asyncio.Future[int] = loop.create_future()
        self._beat_due_ns = 0
        self._beat_timer: asyncio.TimerHandle | None = None

    async def run(
        self, beat: Beat, work: Mapping[str, Coroutine[Any, Any, None]]
    ) -> int:
        """Run until something ends it; return the exit code.

        `beat(now_ns, late_ns)` is called each 100 ms of the monotonic clock, the first
        time at once; what it raises ends the process. Call it once, in the main thread.
        """
        loop = self._loop
        loop.set_exception_handler(self._on_loop_error)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop, EXIT_DONE)
        self._beat_due_ns = time.monotonic_ns()
        self._call_beat(beat)
        tasks = [loop.create_task(one, name=name) for name, one in work.items()]
        for task in tasks:
            task.add_done_callback(self._on_task_end)
        code = await self._exit
        for task in tasks:
            task.remove_done_callback(self._on_task_end)
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT_S)
        if self._beat_timer is not None:
            self._beat_timer.cancel()
        return code

    def stop(self, code: int) -> None:
        """End the process with that exit code, unless it ends already."""
        if not self._exit.done():
            self._exit.set_result(code)

    def fail(self, error: BaseException) -> None:
        """End the process: an error that only a new process can mend."""
        code = exit_code(error)
        code = EXIT_BUG if code is None else code
        if not self._exit.done():
            log.event("fatal", error=error, code=code)
        self.stop(code)

    def _call_beat(self, beat: Beat) -> None:
        now_ns = time.monotonic_ns()
        beat(now_ns, now_ns - self._beat_due_ns)
        # A late heartbeat is not made up for.
        self._beat_due_ns = max(self._beat_due_ns + BEAT_NS, now_ns)
        delay_s = max(0, self._beat_due_ns - time.monotonic_ns()) / 1e9
        self._beat_timer = self._loop.call_later(delay_s, self._call_beat, beat)

    def _on_task_end(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            self.fail(RuntimeError(f"task was cancelled: {task.get_name()}"))
        else:
            error = task.exception()
            self.fail(error or RuntimeError(f"task ended: {task.get_name()}"))

    def _on_loop_error(
        self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
    ) -> None:
        """A callback raised, the heartbeat perhaps: nobody would know that we live."""
        error = context.get("exception")
        if error is None:
            log.event("loop_warning", text=context.get("message"))
        else:
            self.fail(error)
