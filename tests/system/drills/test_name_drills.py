"""A feed whose venue has a name that nobody resolves, or nobody answers for."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from shm_layout import Reader
from shm_layout.segment import remove_leftover, segment_name
from tests.support import MS, Program, Programs, process_ids, wait_until
from tests.system.drills.drill import PROPERTY, Measured

pytestmark = [pytest.mark.system, pytest.mark.slow]

SERVER = "127.0.53.53"  # of our own on loopback, so that no other resolver is hit
VENUE = "hyperliquid"
CONNECT_MS = 1_000
STOPPED_S = 2.0
NXDOMAIN = bytes.fromhex("8183")


@contextmanager
def name_server(is_mute: bool) -> Iterator[None]:
    """A name server that knows no name, or says nothing at all."""
    try:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((SERVER, 53))
    except OSError as error:
        pytest.skip(f"cannot be a name server: {error}")
    stopped = threading.Event()

    def serve() -> None:
        sock.settimeout(0.1)
        while not stopped.is_set():
            try:
                query, peer = sock.recvfrom(2_048)
            except TimeoutError:
                continue
            if not is_mute:
                head = query[:2] + NXDOMAIN + query[4:6] + bytes(6)
                sock.sendto(head + query[12:], peer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
        sock.close()


@contextmanager
def feed(instance: str, programs: Programs, folder: Path) -> Iterator[Program]:
    """A feed in a mount namespace of its own, where that server is the only one."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("a mount namespace needs root and unshare")
    resolver = folder / "resolv.conf"
    resolver.write_text(f"nameserver {SERVER}\noptions timeout:30 attempts:1\n")
    names = f"mount --bind {resolver} /etc/resolv.conf && exec "
    source = "from feedhandler.cli import main; raise SystemExit(main())"
    prefix = f"FEEDHANDLER_{VENUE.upper()}_"
    program = programs.start(
        *("unshare", "-m", "sh", "-c", names + '"$@"', "sh"),
        *(sys.executable, "-c", source, "feed", VENUE, "--instance", instance),
        environment={
            f"{prefix}WS_URL": "wss://venue.invalid/ws",
            f"{prefix}REST_URL": "https://venue.invalid",
            f"{prefix}CONNECT_TIMEOUT_MS": str(CONNECT_MS),
            f"{prefix}BACKOFF_FIRST_MS": "50",
            f"{prefix}BACKOFF_MAX_MS": "200",
        },
    )
    try:
        yield program
    finally:
        program.close()
        remove_leftover(segment_name(instance, f"feed:{VENUE}"))


@pytest.mark.parametrize(
    ("row", "is_mute", "counter"),
    [
        ("F82", False, "reconnects.connect_error"),
        ("F83", True, "reconnects.connect_timeout"),
    ],
)
def test_name_that_does_not_resolve_blocks_neither_loop_nor_end(
    row: str,
    is_mute: bool,
    counter: str,
    instance: str,
    programs: Programs,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    with name_server(is_mute), feed(instance, programs, tmp_path) as program:
        role = f"feed:{VENUE}"
        with Reader.attach(instance, role, 15_000 * MS) as reader:
            wait_until(
                lambda: reader.counters().get(counter, 0) >= 2,
                20_000 * MS,
                f"{counter}: {program.stderr()}",
            )
            beat_ns = reader.heartbeat_ns()
            wait_until(
                lambda: reader.heartbeat_ns() > beat_ns, 1_000 * MS, "a living loop"
            )
            tasks = Path(f"/proc/{reader.owner().pid}/task")
            threads = len(list(tasks.iterdir()))
            wait_until(
                lambda: reader.counters().get(counter, 0) >= 5,
                20_000 * MS,
                f"more {counter}",
            )
            assert len(list(tasks.iterdir())) <= threads, "one after the other"
        begun_s = time.monotonic()
        assert program.stop(signal.SIGTERM) == 0
        took_s = time.monotonic() - begun_s
        assert took_s < STOPPED_S * max(1.0, 1_000 * MS), "F30"
        assert not process_ids(instance)
    what = "mute name server" if is_mute else "unknown name"
    note = f"{counter.partition('.')[2]}; stopped after {took_s * 1_000:.0f} ms"
    line = Measured(row, what, notes=note)
    request.node.user_properties.append((PROPERTY, asdict(line)))
