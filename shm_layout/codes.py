"""Named codes and sentinels of the shared memory, each with what it means.

A code once given keeps its meaning; a reader shows an unknown code as unknown.
"""

from __future__ import annotations

TIME_NONE = -(1 << 63)  # an absent time; an absent price or size is NaN

KIND_QUOTE = 1
KIND_TRADE = 2
KIND_FUNDING = 3
KIND_STATUS = 4
KIND_NAMES = {
    KIND_QUOTE: "quote",
    KIND_TRADE: "trade",
    KIND_FUNDING: "funding",
    KIND_STATUS: "status",
}

SOURCE_STREAM = 1
SOURCE_REST = 2
SOURCE_RUNNER = 3  # only on STATUS records
SOURCE_NAMES = {SOURCE_STREAM: "STREAM", SOURCE_REST: "REST", SOURCE_RUNNER: "RUNNER"}

SIDE_NONE = 0
SIDE_BID = 1  # the aggressor bought
SIDE_ASK = 2  # the aggressor sold

FLAG_UNCHANGED = 1 << 0  # confirms the top of book without moving it
FLAG_ONE_SIDED = 1 << 1  # at least one side is absent (NaN)
FLAG_SNAPSHOT = 1 << 2  # from a full image, not from a change
FLAG_RESTARTED = 1 << 3  # carried over by a new writer, not confirmed since
FLAG_SYNCING = 1 << 4  # known to be in doubt: a resync is under way
FLAG_LOCKED = 1 << 5  # bid equals ask
FLAG_REPLAYED = 1 << 6  # history sent after a subscribe, not live
FLAG_DISPUTED = 1 << 7  # the venue's other channel shows another top
FLAG_OUTLIER = 1 << 8  # far from the price before it: in doubt while it is young
FLAG_NAMES = {
    FLAG_UNCHANGED: "UNCHANGED",
    FLAG_ONE_SIDED: "ONE_SIDED",
    FLAG_SNAPSHOT: "SNAPSHOT",
    FLAG_RESTARTED: "RESTARTED",
    FLAG_SYNCING: "SYNCING",
    FLAG_LOCKED: "LOCKED",
    FLAG_REPLAYED: "REPLAYED",
    FLAG_DISPUTED: "DISPUTED",
    FLAG_OUTLIER: "OUTLIER",
}

LINK_DOWN = 0
LINK_CONNECTING = 1
LINK_UP = 2
LINK_NAMES = {LINK_DOWN: "DOWN", LINK_CONNECTING: "CONNECTING", LINK_UP: "UP"}

STATE_UNKNOWN = 0
STATE_SYNCING = 1
STATE_LIVE = 2
STATE_QUIET = 3
STATE_STALE = 4
STATE_SUSPECT = 5
STATE_DOWN = 6
STATE_QUARANTINED = 7
STATE_NAMES = {
    STATE_UNKNOWN: "UNKNOWN",
    STATE_SYNCING: "SYNCING",
    STATE_LIVE: "LIVE",
    STATE_QUIET: "QUIET",
    STATE_STALE: "STALE",
    STATE_SUSPECT: "SUSPECT",
    STATE_DOWN: "DOWN",
    STATE_QUARANTINED: "QUARANTINED",
}

REASON_NONE = 0
REASON_NEVER_SPOKEN = 1  # no quote yet, from nobody
REASON_AWAITING_QUOTE = 2  # the session is up, its first quote is not here
REASON_RESYNC = 3  # the feed itself doubts the book
REASON_ONE_SIDED = 4
REASON_AGE = 5  # no confirmation within the limit
REASON_LINK_DOWN = 6
REASON_WRITER_DEAD = 7  # the feed's heartbeat is old
REASON_RUNNER_DEAD = 8  # nobody judges: known to readers only
REASON_NO_VERDICT = 9  # the runner has not judged this record's session yet
REASON_RUNNER_PAUSED = 10  # the runner itself was stopped: it judges again soon
REASON_DISPUTED = 11  # the venue's other channel shows another top
REASON_QUIET_UNCONFIRMED = 12  # silent on a live link; no REST check has agreed yet
REASON_QUIET_CONFIRMED = 13  # silent on a live link; a recent REST check agrees
REASON_LIVENESS = 14  # the liveness channel is silent too: broken, not quiet
REASON_AUDIT = 15  # the venue's REST snapshot shows another top
REASON_OUTLIER = 16  # a price far from the one before it, which has not stood yet
REASON_LADDER = 17  # every step of the ladder was tried: taken out for a while
REASON_HYSTERESIS = 18  # good again, but not for long enough yet
REASON_NAMES = {
    REASON_NONE: "",
    REASON_NEVER_SPOKEN: "never_spoken",
    REASON_AWAITING_QUOTE: "awaiting_quote",
    REASON_RESYNC: "resync",
    REASON_ONE_SIDED: "one_sided",
    REASON_AGE: "age",
    REASON_LINK_DOWN: "link_down",
    REASON_WRITER_DEAD: "writer_dead",
    REASON_RUNNER_DEAD: "runner_dead",
    REASON_NO_VERDICT: "no_verdict",
    REASON_RUNNER_PAUSED: "runner_paused",
    REASON_DISPUTED: "disputed",
    REASON_QUIET_UNCONFIRMED: "quiet_unconfirmed",
    REASON_QUIET_CONFIRMED: "quiet_confirmed",
    REASON_LIVENESS: "liveness",
    REASON_AUDIT: "audit",
    REASON_OUTLIER: "outlier",
    REASON_LADDER: "ladder",
    REASON_HYSTERESIS: "hysteresis",
}

FEED_KIND_BBO = 1
FEED_KIND_DEPTH = 2
FEED_KIND_BOTH = 3  # shows bbo, and compares it with depth
FEED_KIND_NAMES = {
    FEED_KIND_BBO: "bbo",
    FEED_KIND_DEPTH: "depth",
    FEED_KIND_BOTH: "both",
}

INSTRUMENT_ALL = (1 << 32) - 1  # of a command: every instrument of the venue

COMMAND_NONE = 0
COMMAND_RESUBSCRIBE = 1  # cancel and ask again for an instrument's channels
COMMAND_RECONNECT = 2  # end the session and open the next one
COMMAND_NAMES = {
    COMMAND_NONE: "none",
    COMMAND_RESUBSCRIBE: "resubscribe",
    COMMAND_RECONNECT: "reconnect",
}

RESULT_NONE = 0  # not acknowledged yet
RESULT_DONE = 1  # carried out, or begun: the session shows how it ends
RESULT_BUSY = 2  # the same is under way already
RESULT_LATE = 3  # issued before this feed or its session began: not carried out
RESULT_LIMITED = 4  # the venue's own limits forbid it for now: not carried out
RESULT_UNKNOWN = 5  # no such verb or instrument here: not carried out
RESULT_NAMES = {
    RESULT_NONE: "none",
    RESULT_DONE: "done",
    RESULT_BUSY: "busy",
    RESULT_LATE: "late",
    RESULT_LIMITED: "limited",
    RESULT_UNKNOWN: "unknown",
}
