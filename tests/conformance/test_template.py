"""One new file is a venue: the template, copied into a copy of the tree.

Nothing else of the copy is touched, and the kit, the configuration and the feed's
process know it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.sync.server import Server, ServerConnection, serve

from shm_layout import KIND_QUOTE, RECORD_DTYPES, Reader
from shm_layout.segment import remove_leftover, segment_name
from tests.conformance.facts import ask_at, bid_at, facts_of
from tests.support import MS, ROOT, Programs, free_port, wait_until

ROLE = "feed:template"
WAIT_S = 10_000 * MS
PARTS = ("feedhandler", "shm_layout", "tests/conformance", "tests/venues/template")
FILES = ("pyproject.toml", "tests/conftest.py", "tests/support.py")
CLAIMS = ("test_frames.py", "test_sessions.py", "test_declarations.py")
MAIN = "import sys; from feedhandler.cli import main; sys.exit(main())"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree with one venue more."""
    copy = tmp_path_factory.mktemp("tree")
    ignored = shutil.ignore_patterns("__pycache__")
    for part in PARTS:
        shutil.copytree(ROOT / part, copy / part, ignore=ignored)
    for file in FILES:
        shutil.copy(ROOT / file, copy / file)
    template = copy / "tests/conformance/template_venue.py"
    shutil.copy(template, copy / "feedhandler/venues/template.py")
    return copy


def run(tree: Path, *arguments: str) -> str:
    """Run this Python over the copy and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-P", *arguments],
        cwd=tree,
        env={**Programs(tree).environment(), "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
    return done.stdout


def test_kit_finds_the_venue_and_its_claims_hold(tree: Path) -> None:
    files = [f"tests/conformance/{name}" for name in CLAIMS]
    options = ("-q", "-n", "0", "-p", "no:cacheprovider", "-k", "template")
    told = run(tree, "-m", "pytest", *options, *files)
    passed = int(told.rpartition(" passed")[0].rpartition("\n")[2].strip())
    assert passed > 80, told
    assert "failed" not in told


def test_configuration_knows_the_venue(tree: Path) -> None:
    path = tree / "feedhandler.toml"
    path.write_text("[venue.template]\nstale_ms = 8000\n")
    told = run(tree, "-c", MAIN, "config", "--config", str(path), "--effective")
    assert "[venue.template]" in told
    assert "stale_ms = 8000" in told


def talk(connection: ServerConnection) -> None:
    """Answer each request; to the first send the quote of step 1."""
    facts = facts_of("template")
    is_first = True
    for request in connection:
        assert isinstance(request, str)
        for frame in facts.accept(request):
            connection.send(frame.decode())
        if is_first:
            quote: dict[str, Any] = json.loads(facts.quote("BTC", 1))
            connection.send(json.dumps({**quote, "time": time.time_ns() // 10**6}))
            is_first = False


@pytest.fixture
def venue() -> Iterator[str]:
    """The address of a server that speaks as the template's facts say."""
    port = free_port()
    server: Server = serve(talk, "127.0.0.1", port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"ws://127.0.0.1:{port}/v1"
    server.shutdown()
    thread.join(WAIT_S)


def test_feed_of_the_venue_publishes_its_quote(
    tree: Path, venue: str, instance: str, programs: Programs
) -> None:
    program = programs.start(
        sys.executable,
        "-P",
        "-c",
        MAIN,
        "feed",
        "template",
        "--instance",
        instance,
        environment={
            "PYTHONPATH": str(tree),
            "FEEDHANDLER_TEMPLATE_WS_URL": venue,
            "FEEDHANDLER_TEMPLATE_REST_URL": f"http://127.0.0.1:{free_port()}",
            "FEEDHANDLER_TEMPLATE_INSTRUMENTS": "BTC-PERP",
        },
    )
    try:
        reader = Reader.attach(instance, ROLE, WAIT_S)
        try:
            record = wait_until(lambda: reader.read_slot(0), WAIT_S, "a quote")
            names = [row.instrument for row in reader.instruments()]
        finally:
            reader.close()
    finally:
        code = program.stop()
        remove_leftover(segment_name(instance, ROLE))
    assert record is not None
    quote = np.frombuffer(record, RECORD_DTYPES[KIND_QUOTE])[0]
    assert (quote["bid"], quote["ask"]) == (float(bid_at(1)), float(ask_at(1)))
    assert names == ["BTC-PERP"]
    assert code == 0, program.stderr()
