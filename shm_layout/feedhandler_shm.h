/* feedhandler_shm.h - the shared memory of feedhandler, for readers in C, C++ and Rust.
 *
 * Open "/dev/shm/fh.<instance>.<venue>" read-only with O_NOFOLLOW, check the owner, map
 * it with PROT_READ, and call fh_attach(). Then:
 *
 *     fh_latest_read()   copies the newest whole record of one instrument;
 *     fh_funding_read()  copies its newest funding;
 *     fh_ring_read()     copies the next record, or says how many were overwritten;
 *     fh_liveness_ns()   says when its venue last proved that its data flows;
 *     fh_gather()        copies a quote and what else its verdict follows from;
 *     fh_judge()         says whether it may be traded on.
 *
 * A reader never writes and is unknown to the writer. Every function returns at once.
 * Ages are yours to compute: CLOCK_MONOTONIC now minus recv_ns.
 *
 * Needs C11 or C++11 with the GCC/Clang atomic builtins, little-endian, 64 bits.
 */
#ifndef FEEDHANDLER_SHM_H
#define FEEDHANDLER_SHM_H

#include <stdint.h>
#include <string.h>

/* --- begin generated: python -m shm_layout.picture --write --- */
#define FH_LAYOUT_VERSION 2u
#define FH_LAYOUT_DIGEST UINT64_C(0xf05fdfba6cfe2e78)
#define FH_MAGIC "FEEDHNDL"
#define FH_TIME_NONE INT64_MIN
#define FH_RECORD_BYTES 128
#define FH_RING_SLOTS_MIN 8
#define FH_SLOT_RETRIES_MAX 1024
#define FH_COMMANDS_MAX 32
#define FH_OUTLIER_HOLD_NS 1000000000
#define FH_BUCKETS 608
#define FH_BUCKET_BITS 4
#define FH_BUCKET_EXPONENT_MAX 40

#define FH_KIND_QUOTE 1
#define FH_KIND_TRADE 2
#define FH_KIND_FUNDING 3
#define FH_KIND_STATUS 4
#define FH_SOURCE_STREAM 1
#define FH_SOURCE_REST 2
#define FH_SOURCE_RUNNER 3
#define FH_SIDE_NONE 0
#define FH_SIDE_BID 1
#define FH_SIDE_ASK 2
#define FH_FLAG_UNCHANGED 1
#define FH_FLAG_ONE_SIDED 2
#define FH_FLAG_SNAPSHOT 4
#define FH_FLAG_RESTARTED 8
#define FH_FLAG_SYNCING 16
#define FH_FLAG_LOCKED 32
#define FH_FLAG_REPLAYED 64
#define FH_FLAG_DISPUTED 128
#define FH_FLAG_OUTLIER 256
#define FH_LINK_DOWN 0
#define FH_LINK_CONNECTING 1
#define FH_LINK_UP 2
#define FH_STATE_UNKNOWN 0
#define FH_STATE_SYNCING 1
#define FH_STATE_LIVE 2
#define FH_STATE_QUIET 3
#define FH_STATE_STALE 4
#define FH_STATE_SUSPECT 5
#define FH_STATE_DOWN 6
#define FH_STATE_QUARANTINED 7
#define FH_REASON_NONE 0
#define FH_REASON_NEVER_SPOKEN 1
#define FH_REASON_AWAITING_QUOTE 2
#define FH_REASON_RESYNC 3
#define FH_REASON_ONE_SIDED 4
#define FH_REASON_AGE 5
#define FH_REASON_LINK_DOWN 6
#define FH_REASON_WRITER_DEAD 7
#define FH_REASON_RUNNER_DEAD 8
#define FH_REASON_NO_VERDICT 9
#define FH_REASON_RUNNER_PAUSED 10
#define FH_REASON_DISPUTED 11
#define FH_REASON_QUIET_UNCONFIRMED 12
#define FH_REASON_QUIET_CONFIRMED 13
#define FH_REASON_LIVENESS 14
#define FH_REASON_AUDIT 15
#define FH_REASON_OUTLIER 16
#define FH_REASON_LADDER 17
#define FH_REASON_HYSTERESIS 18
#define FH_INSTRUMENT_ALL 4294967295
#define FH_COMMAND_NONE 0
#define FH_COMMAND_RESUBSCRIBE 1
#define FH_COMMAND_RECONNECT 2
#define FH_RESULT_NONE 0
#define FH_RESULT_DONE 1
#define FH_RESULT_BUSY 2
#define FH_RESULT_LATE 3
#define FH_RESULT_LIMITED 4
#define FH_RESULT_UNKNOWN 5

struct fh_header {
    char magic[8];
    uint32_t layout_version;
    uint32_t header_bytes;
    uint64_t layout_digest;
    uint64_t segment_bytes;
    int64_t created_ns;
    uint64_t time_namespace;
    char boot_id[40];
    char instance[40];
    char role[40];
    uint32_t instruments_max;
    uint32_t ring_slots;
    uint32_t counters_max;
    uint32_t histograms_max;
    uint64_t owner_offset;
    uint64_t counters_offset;
    uint64_t directory_offset;
    uint64_t latest_offset;
    uint64_t ring_offset;
    uint64_t histograms_offset;
    uint64_t funding_offset;
    uint64_t liveness_offset;
    uint64_t commands_offset;
    uint8_t reserved_0[128];
    uint64_t ready;
    uint8_t reserved_1[56];
    uint64_t superseded;
    uint8_t reserved_2[56];
};

struct fh_owner {
    uint64_t pid;
    uint64_t start_ticks;
    uint64_t epoch;
    uint8_t reserved_0[104];
    uint64_t link;
    uint8_t reserved_1[120];
    int64_t heartbeat_ns;
    uint64_t progress;
    int64_t liveness_ns;
    uint64_t command_number;
    uint64_t command_result;
    int64_t command_ns;
    uint8_t reserved_2[80];
    int64_t started_ns;
    int64_t configured_ns;
    int64_t segment_ns;
    int64_t connected_ns;
    int64_t subscribed_ns;
    int64_t first_quote_ns;
    uint8_t reserved_3[80];
};

struct fh_counters {
    uint64_t count;
    uint8_t reserved_0[120];
};

struct fh_counter {
    uint64_t value;
    char name[56];
};

struct fh_directory {
    uint64_t count;
    uint8_t reserved_0[120];
};

struct fh_instrument {
    char venue[32];
    char instrument[32];
    char symbol[32];
    double tick;
    double lot;
    double multiplier;
    int64_t fresh_ns;
    uint64_t active;
    uint8_t feed_kind;
    uint8_t reserved_0[119];
};

struct fh_quote {
    uint64_t sequence;
    uint8_t kind;
    uint8_t source;
    uint16_t flags;
    uint32_t instrument;
    uint32_t epoch;
    uint32_t session;
    int64_t event_ns;
    int64_t recv_ns;
    int64_t publish_ns;
    uint64_t venue_sequence;
    double bid;
    double bid_size;
    double ask;
    double ask_size;
    uint8_t reserved_0[32];
    uint64_t stamp;
};

struct fh_trade {
    uint64_t sequence;
    uint8_t kind;
    uint8_t source;
    uint16_t flags;
    uint32_t instrument;
    uint32_t epoch;
    uint32_t session;
    int64_t event_ns;
    int64_t recv_ns;
    int64_t publish_ns;
    uint64_t venue_sequence;
    double price;
    double size;
    uint64_t trade_id;
    uint8_t aggressor;
    uint8_t reserved_0[39];
    uint64_t stamp;
};

struct fh_funding {
    uint64_t sequence;
    uint8_t kind;
    uint8_t source;
    uint16_t flags;
    uint32_t instrument;
    uint32_t epoch;
    uint32_t session;
    int64_t event_ns;
    int64_t recv_ns;
    int64_t publish_ns;
    uint64_t venue_sequence;
    double rate_per_hour;
    int64_t interval_ns;
    int64_t next_funding_ns;
    double mark_price;
    double oracle_price;
    double mid_price;
    double open_interest;
    uint8_t reserved_0[8];
    uint64_t stamp;
};

struct fh_status {
    uint64_t sequence;
    uint8_t kind;
    uint8_t source;
    uint16_t flags;
    uint32_t instrument;
    uint32_t epoch;
    uint32_t session;
    int64_t event_ns;
    int64_t recv_ns;
    int64_t publish_ns;
    uint64_t venue_sequence;
    int64_t apply_ns;
    int64_t since_ns;
    int64_t confirmed_ns;
    uint64_t applied_sequence;
    uint64_t moves;
    uint32_t applied_epoch;
    uint8_t state;
    uint8_t reason;
    uint8_t previous;
    uint8_t reserved_0[17];
    uint64_t stamp;
};

struct fh_slot {
    uint64_t index;
    uint8_t reserved_0[120];
    uint64_t cell[32];
};

struct fh_liveness {
    int64_t tick_ns;
};

struct fh_commands {
    uint64_t count;
    uint8_t reserved_0[120];
};

struct fh_command {
    uint8_t verb;
    uint8_t reason;
    uint8_t reserved_0[2];
    uint32_t instrument;
    int64_t issued_ns;
    uint8_t reserved_1[8];
    uint64_t stamp;
};

struct fh_register {
    uint64_t number;
    char name[32];
    uint8_t reserved_0[24];
    uint64_t cell[8];
};

struct fh_ring {
    uint64_t intent;
    uint8_t reserved_0[120];
    uint64_t tail;
    uint8_t reserved_1[120];
};

struct fh_histograms {
    uint64_t count;
    uint8_t reserved_0[120];
};

struct fh_histogram {
    char name[64];
    uint64_t count;
    uint64_t sum_ns;
    uint64_t max_ns;
    uint64_t negative;
    uint8_t reserved_0[32];
    uint64_t buckets[608];
};
/* --- end generated --- */

typedef struct fh_view {
    const uint8_t *base;
    uint64_t size_bytes;
    uint64_t owner_offset;
    uint64_t latest_offset;
    uint64_t funding_offset;
    uint64_t liveness_offset;
    uint64_t ring_offset;
    uint64_t instruments_max;
    uint64_t ring_slots;
} fh_view;

static inline uint64_t fh_load_relaxed(const void *address)
{
    return __atomic_load_n((const uint64_t *)address, __ATOMIC_RELAXED);
}

static inline uint64_t fh_load_acquire(const void *address)
{
    return __atomic_load_n((const uint64_t *)address, __ATOMIC_ACQUIRE);
}

/* Copies whole words. A plain memcpy from the shared side would be a data race in the
 * language's terms. On our own side it is memcpy, so that `to` may be any struct: a store
 * through a uint64_t pointer may be moved behind the load of a double. */
static inline void fh_copy_words(void *to, const void *from, uint64_t count)
{
    const uint64_t *in = (const uint64_t *)from;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t word = __atomic_load_n(in + i, __ATOMIC_RELAXED);
        memcpy((uint8_t *)to + i * sizeof word, &word, sizeof word);
    }
}

/* Says whether a section lies inside the mapping, on a word's boundary. */
static inline int fh_is_inside(uint64_t offset, uint64_t bytes, uint64_t size_bytes)
{
    return offset % 8 == 0 && bytes <= size_bytes && offset <= size_bytes - bytes;
}

/* Fills a view. Returns 0, or -1 when the mapping is not a ready segment of this layout.
 * size_bytes is what fstat says, never what the header says. */
static inline int fh_attach(fh_view *view, const void *base, uint64_t size_bytes)
{
    const struct fh_header *header = (const struct fh_header *)base;
    if (size_bytes < sizeof *header)
        return -1;
    /* ORDER: pairs with the ready word, which the writer stores last. */
    if (fh_load_acquire(&header->ready) != 1)
        return -1;
    if (memcmp(header->magic, FH_MAGIC, sizeof header->magic) != 0 ||
        header->layout_version != FH_LAYOUT_VERSION ||
        header->layout_digest != FH_LAYOUT_DIGEST || header->segment_bytes != size_bytes)
        return -1;
    uint64_t slots = header->ring_slots;
    uint64_t instruments = header->instruments_max;
    uint64_t slots_bytes = instruments * sizeof(struct fh_slot);
    uint64_t liveness_bytes = instruments * sizeof(struct fh_liveness);
    uint64_t ring_bytes = sizeof(struct fh_ring) + slots * FH_RECORD_BYTES;
    if (slots < FH_RING_SLOTS_MIN || (slots & (slots - 1)) != 0 ||
        !fh_is_inside(header->owner_offset, sizeof(struct fh_owner), size_bytes) ||
        !fh_is_inside(header->latest_offset, slots_bytes, size_bytes) ||
        !fh_is_inside(header->funding_offset, slots_bytes, size_bytes) ||
        !fh_is_inside(header->liveness_offset, liveness_bytes, size_bytes) ||
        !fh_is_inside(header->ring_offset, ring_bytes, size_bytes))
        return -1;
    view->base = (const uint8_t *)base;
    view->size_bytes = size_bytes;
    view->owner_offset = header->owner_offset;
    view->latest_offset = header->latest_offset;
    view->funding_offset = header->funding_offset;
    view->liveness_offset = header->liveness_offset;
    view->ring_offset = header->ring_offset;
    view->instruments_max = instruments;
    view->ring_slots = slots;
    return 0;
}

static inline const struct fh_owner *fh_owner_of(const fh_view *view)
{
    return (const struct fh_owner *)(view->base + view->owner_offset);
}

/* Reads one slot of the section at that offset; see fh_latest_read. */
static inline int fh_slot_read(const fh_view *view, uint64_t section_offset,
                               uint64_t instrument, void *out)
{
    uint64_t stamp;
    if (instrument >= view->instruments_max)
        return -1;
    const struct fh_slot *slot = (const struct fh_slot *)(view->base + section_offset)
        + instrument;
    for (int tries = 0; tries < FH_SLOT_RETRIES_MAX; tries++) {
        /* ORDER: pairs with the release store of index in slot_write. */
        uint64_t index = fh_load_acquire(&slot->index);
        if (index == 0)
            return 0;
        fh_copy_words(out, &slot->cell[(index & 1) * (FH_RECORD_BYTES / 8)],
                      FH_RECORD_BYTES / 8);
        /* ORDER: pairs with the release fence in slot_write: if a word of a newer record
         * was copied, the newer index is seen here. */
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        memcpy(&stamp, (const uint8_t *)out + FH_RECORD_BYTES - sizeof stamp, sizeof stamp);
        if (fh_load_relaxed(&slot->index) == index && stamp == index)
            return 1;
    }
    return -1;
}

/* Copies the newest whole record of an instrument into out (128 bytes). Returns 1, 0
 * when there is none yet, -1 when the slot is damaged. Never waits for the writer: a
 * retry means that a whole newer record was published meanwhile. */
static inline int fh_latest_read(const fh_view *view, uint64_t instrument, void *out)
{
    return fh_slot_read(view, view->latest_offset, instrument, out);
}

/* The same for the newest funding of an instrument: a struct fh_funding. */
static inline int fh_funding_read(const fh_view *view, uint64_t instrument, void *out)
{
    return fh_slot_read(view, view->funding_offset, instrument, out);
}

/* Returns when the liveness channel of an instrument last ticked, monotonic; 0 never. */
static inline int64_t fh_liveness_ns(const fh_view *view, uint64_t instrument)
{
    const struct fh_liveness *liveness =
        (const struct fh_liveness *)(view->base + view->liveness_offset);
    if (instrument >= view->instruments_max)
        return 0;
    return (int64_t)fh_load_acquire(&liveness[instrument].tick_ns);
}

/* Returns how many records were ever published: a new reader's cursor. */
static inline uint64_t fh_ring_head(const fh_view *view)
{
    const struct fh_ring *ring = (const struct fh_ring *)(view->base + view->ring_offset);
    return fh_load_acquire(&ring->tail);
}

/* Copies up to max records from *cursor on into out, and moves *cursor behind them.
 * Returns how many; *lost is what was overwritten before it could be read. After a lap
 * the reader resumes half a ring behind the head, because the oldest record is about to
 * be overwritten too. */
static inline uint64_t fh_ring_read(const fh_view *view, uint64_t *cursor, void *out,
                                    uint64_t max, uint64_t *lost)
{
    const struct fh_ring *ring = (const struct fh_ring *)(view->base + view->ring_offset);
    const uint8_t *records = (const uint8_t *)(ring + 1);
    uint64_t slots = view->ring_slots;
    *lost = 0;
    if (max > slots / 4)
        max = slots / 4; /* a longer copy would be lapped while it runs */
    for (int tries = 0; tries < FH_SLOT_RETRIES_MAX; tries++) {
        /* ORDER: pairs with the release store of tail in ring_write. */
        uint64_t tail = fh_load_acquire(&ring->tail);
        uint64_t available = tail - *cursor; /* modulo 2^64: a wrap is harmless */
        if ((int64_t)available <= 0) {
            *cursor = tail; /* a cursor from elsewhere, ahead of this ring */
            return 0;
        }
        if (available <= slots) {
            uint64_t count = available < max ? available : max;
            for (uint64_t i = 0; i < count; i++)
                fh_copy_words((uint8_t *)out + i * FH_RECORD_BYTES,
                              records + ((*cursor + i) & (slots - 1)) * FH_RECORD_BYTES,
                              FH_RECORD_BYTES / 8);
            /* ORDER: pairs with the release fence after intent in ring_write: if a word
             * of a newer record was copied, its intent is seen here. */
            __atomic_thread_fence(__ATOMIC_ACQUIRE);
            if (fh_load_relaxed(&ring->intent) - *cursor <= slots) {
                *cursor += count;
                return count;
            }
        }
        uint64_t resume = fh_load_acquire(&ring->tail) - slots / 2;
        if ((int64_t)(resume - *cursor) <= 0)
            continue; /* the tail that belongs to that intent is not visible yet */
        *lost += resume - *cursor;
        *cursor = resume;
    }
    return 0;
}

/* --- may it be traded on? ------------------------------------------------------------ */

#define FH_PLACE_NONE UINT64_MAX /* the runner's directory does not list it */

/* What a verdict follows from, in the order in which it is loaded. */
struct fh_evidence {
    struct fh_quote quote;
    int64_t heartbeat_ns;        /* of the feed */
    uint64_t link;               /* of the feed: session << 32 | FH_LINK_* */
    struct fh_status said;       /* by the runner; kind 0: nothing */
    int64_t runner_heartbeat_ns; /* 0: there is no runner */
};

/* How old things may be, in nanoseconds. */
struct fh_limits {
    int64_t fresh_ns;     /* the quote: fresh_ns of its instrument in the directory */
    int64_t heartbeat_ns; /* both heartbeats; 500 ms unless configured */
    int64_t confirm_ns;   /* the REST check of a quiet quote; 15 s unless configured */
};

struct fh_verdict {
    int64_t apply_ns; /* when the runner applied a two-sided record; FH_TIME_NONE unknown */
    uint8_t state;    /* FH_STATE_* */
    uint8_t reason;   /* FH_REASON_* */
    uint8_t tradable; /* 1: state, reason and source allow it */
};

/* Loads the evidence: of an instrument of that feed, and of its place in the runner's
 * directory; runner may be NULL. Returns 1, 0 when there is no quote yet, -1 when its slot
 * is damaged, -2 when the runner's is. */
static inline int fh_gather(const fh_view *feed, uint64_t instrument, const fh_view *runner,
                            uint64_t place, struct fh_evidence *out)
{
    int found = fh_latest_read(feed, instrument, &out->quote);
    if (found <= 0)
        return found;
    /* Only after the quote: whoever died since it was copied is seen dead. */
    out->heartbeat_ns = (int64_t)fh_load_acquire(&fh_owner_of(feed)->heartbeat_ns);
    out->link = fh_load_acquire(&fh_owner_of(feed)->link);
    out->said.kind = 0;
    out->runner_heartbeat_ns = 0;
    if (runner == NULL)
        return found;
    if (place != FH_PLACE_NONE && fh_latest_read(runner, place, &out->said) < 0)
        return -2;
    out->runner_heartbeat_ns =
        (int64_t)fh_load_acquire(&fh_owner_of(runner)->heartbeat_ns);
    return found;
}

/* Says whether a stamp is not of the future and its age within the limit. */
static inline int fh_is_young(int64_t stamp_ns, int64_t now_ns, int64_t limit_ns)
{
    return stamp_ns <= now_ns && limit_ns >= 0 &&
        (uint64_t)now_ns - (uint64_t)stamp_ns <= (uint64_t)limit_ns;
}

/* Says whether a side is absent: NaN, told by its bits, which -ffast-math lets stand. */
static inline int fh_is_absent(double price)
{
    uint64_t bits;
    memcpy(&bits, &price, sizeof bits);
    return bits << 1 > UINT64_C(0x7ff) << 53;
}

static inline struct fh_verdict fh_verdict_of(uint8_t state, uint8_t reason)
{
    struct fh_verdict verdict = {FH_TIME_NONE, state, reason, 0};
    return verdict;
}

/* Returns what the feed alone shows of its quote; LIVE: nothing speaks against it. */
static inline struct fh_verdict fh_assess(const struct fh_evidence *seen,
                                          const struct fh_limits *limits, int64_t now_ns)
{
    const struct fh_quote *quote = &seen->quote;
    if (!fh_is_young(seen->heartbeat_ns, now_ns, limits->heartbeat_ns))
        return fh_verdict_of(FH_STATE_DOWN, FH_REASON_WRITER_DEAD);
    if ((uint32_t)seen->link != FH_LINK_UP)
        return fh_verdict_of(FH_STATE_DOWN, FH_REASON_LINK_DOWN);
    if (quote->session != seen->link >> 32 || quote->flags & FH_FLAG_RESTARTED)
        return fh_verdict_of(FH_STATE_SYNCING, FH_REASON_AWAITING_QUOTE);
    if (quote->flags & FH_FLAG_SYNCING)
        return fh_verdict_of(FH_STATE_SYNCING, FH_REASON_RESYNC);
    if (quote->flags & FH_FLAG_DISPUTED)
        return fh_verdict_of(FH_STATE_SUSPECT, FH_REASON_DISPUTED);
    if (quote->flags & FH_FLAG_ONE_SIDED || fh_is_absent(quote->bid) ||
        fh_is_absent(quote->ask))
        return fh_verdict_of(FH_STATE_SUSPECT, FH_REASON_ONE_SIDED);
    if (quote->flags & FH_FLAG_OUTLIER && quote->recv_ns > now_ns - FH_OUTLIER_HOLD_NS)
        return fh_verdict_of(FH_STATE_SUSPECT, FH_REASON_OUTLIER);
    if (!fh_is_young(quote->recv_ns, now_ns, limits->fresh_ns))
        return fh_verdict_of(FH_STATE_STALE, FH_REASON_AGE);
    return fh_verdict_of(FH_STATE_LIVE, FH_REASON_NONE);
}

/* Returns what the feed's evidence and a verdict that counts come to. QUIET excuses the
 * age of no other record than the one that the runner said it of. */
static inline struct fh_verdict fh_overlay(struct fh_verdict shown,
                                           const struct fh_evidence *seen,
                                           const struct fh_limits *limits, int64_t now_ns)
{
    const struct fh_quote *quote = &seen->quote;
    const struct fh_status *said = &seen->said;
    int is_quiet = said->state == FH_STATE_QUIET;
    int is_excused = is_quiet && shown.state == FH_STATE_STALE &&
        said->applied_sequence == quote->sequence && quote->recv_ns > 0 &&
        quote->recv_ns <= now_ns;
    if (shown.state != FH_STATE_LIVE && !is_excused)
        return shown;
    int is_confirmed = said->reason == FH_REASON_QUIET_CONFIRMED &&
        said->confirmed_ns >= quote->recv_ns &&
        fh_is_young(said->confirmed_ns, now_ns, limits->confirm_ns);
    if (is_quiet && !is_confirmed)
        return fh_verdict_of(FH_STATE_QUIET, FH_REASON_QUIET_UNCONFIRMED);
    return fh_verdict_of(said->state, said->reason);
}

/* Judges a quote from its evidence; now_ns is CLOCK_MONOTONIC, read after fh_gather. */
static inline struct fh_verdict fh_judge(const struct fh_evidence *seen,
                                         const struct fh_limits *limits, int64_t now_ns)
{
    const struct fh_status *said = &seen->said;
    struct fh_verdict verdict = fh_assess(seen, limits, now_ns);
    int runner_beats = fh_is_young(seen->runner_heartbeat_ns, now_ns, limits->heartbeat_ns);
    if (runner_beats && said->kind != 0 && said->session == seen->quote.session &&
        said->applied_epoch == seen->quote.epoch) {
        verdict = fh_overlay(verdict, seen, limits, now_ns);
        verdict.apply_ns = said->apply_ns;
    } else if (verdict.state == FH_STATE_LIVE) {
        verdict = fh_verdict_of(FH_STATE_UNKNOWN, runner_beats ? FH_REASON_NO_VERDICT
                                                               : FH_REASON_RUNNER_DEAD);
    }
    verdict.tradable = seen->quote.source == FH_SOURCE_STREAM &&
        (verdict.state == FH_STATE_LIVE || (verdict.state == FH_STATE_QUIET &&
                                            verdict.reason == FH_REASON_QUIET_CONFIRMED));
    return verdict;
}

#endif
