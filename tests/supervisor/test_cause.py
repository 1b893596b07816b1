"""An end is told in one word, with what it means."""

from __future__ import annotations

import signal

import pytest

from feedhandler.supervisor.cause import cause_of, not_started


@pytest.mark.parametrize(
    ("code", "word", "hopeless"),
    [
        (0, "exit_0", False),
        (1, "exit_1", False),
        (2, "exit_2", True),
        (3, "exit_3", False),
        (4, "exit_4", False),
        (5, "exit_5", True),
        (70, "exit_70", False),
        (-signal.SIGKILL, "SIGKILL", False),
        (-signal.SIGSEGV, "SIGSEGV", False),
        (-63, "signal_63", False),
    ],
)
def test_code_or_signal_has_a_word(code: int, word: str, hopeless: bool) -> None:
    cause = cause_of(code)
    assert cause.word == word
    assert cause.is_hopeless == hopeless


def test_kill_while_the_group_lost_a_process_for_memory_is_oom() -> None:
    assert cause_of(-signal.SIGKILL, oom_killed=True).word == "oom"
    assert cause_of(-signal.SIGTERM, oom_killed=True).word == "SIGTERM"
    assert cause_of(1, oom_killed=True).word == "exit_1"


def test_process_that_never_was_says_why() -> None:
    cause = not_started(OSError(11, "Resource temporarily unavailable"))
    assert cause.word == "not_started"
    assert "temporarily" in cause.text
