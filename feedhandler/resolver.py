"""The threads of an event loop, in which names are resolved and may hang for long.

Owns them from the loop's begin to the process's end, which waits for none of them.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

THREADS: Final = 2
_PREFIX: Final = "resolver"
_LINGER_S: Final = 0.05


class Resolver:
    """The default executor of a loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # A loop that is not asyncio's resolves names in threads of its own, and its
        # `close` waits for them, with the interpreter's lock held.
        self._has_own_threads = not isinstance(loop, asyncio.BaseEventLoop)
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix=_PREFIX)
        loop.set_default_executor(self._executor)

    def close(self) -> None:
        """Begin no more work; what hangs goes on hanging."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        if not self._has_own_threads:
            self._loop.close()

    def end_process(self, code: int, clean_up: Callable[[], None]) -> int:
        """Return the code, or exit with it at once when a thread may still hang.

        The interpreter would wait for that thread. `clean_up` is called before.
        """
        hangs = any(thread.name.startswith(_PREFIX) for thread in _lingering())
        if hangs or self._has_own_threads:
            clean_up()
            os._exit(code)
        return code


def _lingering() -> list[threading.Thread]:
    """Return the threads, other than this one, that have not ended by now."""
    deadline_s = time.monotonic() + _LINGER_S
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, deadline_s - time.monotonic()))
    sys.stderr.flush()
    return [thread for thread in threading.enumerate() if not thread.daemon]
