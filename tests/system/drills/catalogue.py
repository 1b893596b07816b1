"""The faults that this product has to survive, and what shows that it does.

    DRILLS   row ─▶ files here whose drills measure it in a whole running instance
    PROVEN   row ─▶ tests elsewhere that show it where it can be seen more sharply
    SKIPPED  row ─▶ why nothing here can inject it

A row stands in one of them or in the first two. A test holds that each named test is
there, and that each drill of a file is of a row that names that file.
"""

from __future__ import annotations

from typing import Final

FEED, LINK, HOST, REST, NAME, DEFAULT = (
    f"test_{word}_drills.py"
    for word in ("feed", "link", "host", "rest", "name", "default")
)

# What has to be covered, in order.
ROWS: Final = tuple(
    f"F{number:02}"
    for first, last in (
        *((1, 48), (66, 73), (79, 83), (87, 87), (91, 93), (95, 99), (104, 104)),
        *((106, 112), (124, 124), (126, 126)),
    )
    for number in range(first, last + 1)
)

_ROWS_OF: Final = {
    FEED: "F01 F05 F07 F08 F10 F11 F16 F17 F18 F19 F22 F28 F41",
    LINK: "F12 F66 F67 F68 F69 F70 F71 F72 F73 F79 F80 F81 F87 F91 F92 F93"
    " F95 F96 F98 F99 F104",
    HOST: "F33 F34 F35 F37 F38 F44 F47 F48 F124",
    REST: "F71 F106 F107 F108 F109 F111 F112",
    NAME: "F30 F82 F83",
    DEFAULT: "F01 F05 F33 F66 F71",
}
DRILLS: Final[dict[str, tuple[str, ...]]] = {
    row: tuple(file for file, rows in _ROWS_OF.items() if row in rows.split())
    for row in sorted({row for rows in _ROWS_OF.values() for row in rows.split()})
}

_SHM: Final = "tests/shm_layout"
_SUPERVISOR: Final = "tests/supervisor"

PROVEN: Final[dict[str, tuple[str, ...]]] = {
    "F02": (
        "tests/stress/test_deaths.py::test_killed_writer_leaves_every_slot_readable",
    ),
    "F03": (f"{_SHM}/test_abandon.py::test_every_k_leaves_the_last_whole_record",),
    "F04": (f"{_SHM}/test_abandon.py::test_successor_continues_after_every_k",),
    "F06": ("tests/stress/test_latch.py::test_stopped_writer_blocks_no_reader",),
    "F08": (
        "tests/feed/test_process.py::test_stopped_feed_publishes_no_backlog_when_it_goes_on",
    ),
    "F09": (
        "tests/feed/test_process.py::test_second_feed_of_the_venue_is_refused",
        f"{_SHM}/test_ownership.py::test_foreign_epoch_ends_every_write",
    ),
    "F13": (
        f"{_SUPERVISOR}/test_fatal.py::test_fault_in_any_part_ends_the_process_with_70",
    ),
    "F14": (
        f"{_SUPERVISOR}/test_fatal.py::test_fault_in_any_part_ends_the_process_with_70",
    ),
    "F15": (
        "tests/stress/test_deaths.py::test_interrupted_publish_leaves_every_slot_readable",
    ),
    "F24": (
        f"{_SHM}/test_processes.py::test_forked_child_may_not_write_and_takes_nothing_with_it",
    ),
    "F25": (f"{_SHM}/test_processes.py::test_executed_child_inherits_no_descriptor",),
    "F26": (
        f"{_SUPERVISOR}/test_process.py::test_crash_loop_uses_up_the_budget_and_is_disabled",
    ),
    "F27": (
        f"{_SUPERVISOR}/test_process.py::test_disabled_child_is_tried_again_after_its_time",
    ),
    "F29": (
        f"{_SUPERVISOR}/test_process.py::test_of_two_starts_at_once_one_wins_and_the_other_exits_4",
        f"{_SHM}/test_processes.py::test_of_twenty_that_open_at_once_one_wins",
    ),
    "F31": (
        f"{_SUPERVISOR}/test_process.py::test_storm_of_sigterm_is_one_graceful_stop",
    ),
    "F32": (
        f"{_SUPERVISOR}/test_stop.py::test_pid_of_another_start_time_is_never_signalled",
        "tests/runner/test_restart.py::test_a_pid_that_is_somebody_elses_by_now_is_left_alone",
    ),
    "F36": (
        "tests/stress/test_ring_accounting.py::test_received_and_lost_is_what_was_sent",
    ),
    "F39": (f"{_SHM}/test_segment.py::test_attach_before_creation_waits_for_it",),
    "F40": (
        f"{_SHM}/test_refusal.py::test_segment_without_its_ready_word_is_not_ready",
    ),
    "F42": (
        f"{_SHM}/test_segment.py::test_changed_tables_retire_the_old_segment",
        "tests/client/test_client.py::test_a_replaced_segment_is_attached_again",
    ),
    "F43": (
        f"{_SUPERVISOR}/test_faults.py::test_orphan_of_a_killed_supervisor_is_ended_by_the_next_start",
        "tests/ops/test_supervisord.py::test_processes_of_a_killed_supervisord_are_ended_by_the_next_one",
    ),
    "F46": (f"{_SHM}/test_construction.py::test_reader_cannot_write",),
    "F97": ("tests/book/test_continuity.py::test_new_session_forgets_every_number",),
    "F99": (
        "tests/feed/test_session_books.py::test_images_that_stay_crossed_are_asked_for_in_growing_gaps",
        "tests/feed/test_session_books.py::test_book_that_gets_no_new_image_needs_a_new_session",
    ),
    "F109": (
        "tests/rest/test_validate.py::test_answer_older_than_the_stream_is_refused",
    ),
    "F110": (
        "tests/rest/test_validate.py::test_frozen_answer_gives_a_fallback_no_freshness",
    ),
    "F111": (
        "tests/rest/test_process.py::test_answer_that_comes_after_the_stream_is_not_shown",
    ),
    "F112": ("tests/rest/test_due.py::test_flapping_stream_moves_seldom",),
    "F126": (f"{_SUPERVISOR}/test_restarts.py::test_restarts_leave_nothing_behind",),
}

SKIPPED: Final[dict[str, str]] = {
    "F20": "needs two million containers inside a feed, which has no hook for them;"
    " feeds freeze what their start made (gc.freeze)",
    "F21": "needs a leak inside a feed, which has no hook for one; memory as such is"
    " F10, and the figures of 1,000 restarts are F126",
    "F45": "nothing here speaks to that socket: the runner restarts by pidfd, which"
    " tests/ops shows under supervisord",
    "F23": "RLIMIT_NPROC does not bind root, as whom drills run",
}
