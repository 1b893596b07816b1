"""`feedhandler rest` on the command line."""

from __future__ import annotations

from tests.support import Programs


def test_unknown_venue_is_refused_with_a_hint(
    instance: str, programs: Programs
) -> None:
    program = programs.feedhandler("rest", "--instance", instance, "--venue", "astre")
    assert program.wait() == 2
    assert "aster" in program.stderr()


def test_process_that_is_configured_away_does_not_run(
    instance: str, programs: Programs
) -> None:
    program = programs.feedhandler(
        "rest",
        "--instance",
        instance,
        environment={"FEEDHANDLER_REST_ENABLED": "false"},
    )
    assert program.wait() == 2
    assert "[rest] enabled" in program.stderr()
