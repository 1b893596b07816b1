/* _native.c - stores and loads that order others, in C11 atomics.
 *
 * Owns the two protocols' write side (slot_write, ring_write) and the Python objects
 * Writer and Reader; the read side is that of feedhandler_shm.h, so that C readers and
 * Python run the same code. _twin.py is the same API in Python; one suite runs both.
 * Stable ABI of Python 3.11.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "feedhandler_shm.h"

#define WORDS (FH_RECORD_BYTES / 8)
#define TO_LATEST 1
#define TO_RING 2
#define TO_FUNDING 4
#define GIL_RECORDS 64 /* so few are copied without giving up the GIL */

static PyObject *slot_unreadable; /* shm_layout.errors.SlotUnreadable */
static PyObject *ownership_lost;  /* shm_layout.errors.OwnershipLost */
static PyObject *reader_type;     /* Reader */

typedef struct geometry {
    uint64_t owner_offset, counters_offset, counters_max, latest_offset, instruments_max,
        ring_offset, ring_slots, histograms_offset, histograms_max, funding_offset;
} geometry;

typedef struct Mapping {
    PyObject_HEAD
    Py_buffer buffer;
    geometry plan;
    fh_view view;
    uint64_t epoch;     /* writers only */
    uint8_t source;     /* writers only */
    int64_t stores_left; /* writers only: tests stop after that many stores; -1 never */
} Mapping;

/* --- words -------------------------------------------------------------------------- */

static inline void store_relaxed(void *address, uint64_t value)
{
    __atomic_store_n((uint64_t *)address, value, __ATOMIC_RELAXED);
}

static inline void store_release(void *address, uint64_t value)
{
    __atomic_store_n((uint64_t *)address, value, __ATOMIC_RELEASE);
}

static int64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Says whether the next store may happen. Off (-1) but in abandon tests. */
static inline bool may_store(Mapping *self)
{
    if (__builtin_expect(self->stores_left < 0, 1))
        return true;
    if (self->stores_left == 0)
        return false;
    self->stores_left--;
    return true;
}

/* A record by its fields and by the words that are stored. */
typedef union words {
    struct fh_quote quote;
    uint64_t word[WORDS];
} words;

_Static_assert(sizeof(words) == FH_RECORD_BYTES, "a record is its words");
_Static_assert(sizeof(long) == 8, "integers are read as long: shorter code than long long");

static bool copy_out(Mapping *self, uint64_t *to, const words *record)
{
    if (__builtin_expect(self->stores_left < 0, 1)) {
#pragma GCC unroll 16
        for (unsigned i = 0; i < WORDS; i++)
            store_relaxed(to + i, record->word[i]);
        return true;
    }
    for (unsigned i = 0; i < WORDS; i++) {
        if (!may_store(self))
            return false;
        store_relaxed(to + i, record->word[i]);
    }
    return true;
}

/* --- the two protocols, write side --------------------------------------------------- */

/* Fills the cell that is not published, then publishes it by its index. */
static bool slot_write(Mapping *self, uint64_t section_offset, uint64_t instrument,
                       words *record)
{
    struct fh_slot *slot =
        (struct fh_slot *)((uint8_t *)self->buffer.buf + section_offset) + instrument;
    uint64_t index = fh_load_relaxed(&slot->index) + 1;
    if (index == 0)
        index = 2; /* 0 means never written; the wrap keeps the cells in turn */
    record->quote.stamp = index;
    /* ORDER: pairs with the acquire fence in fh_slot_read: a reader that copies a word
     * of this record also sees the index stored before it. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    if (!copy_out(self, &slot->cell[(index & 1) * WORDS], record))
        return false;
    if (!may_store(self))
        return false;
    /* ORDER: pairs with the acquire load of index in fh_slot_read. */
    store_release(&slot->index, index);
    return true;
}

/* Announces the record, writes it, then announces that it is whole. */
static bool ring_write(Mapping *self, words *record)
{
    struct fh_ring *ring =
        (struct fh_ring *)((uint8_t *)self->buffer.buf + self->plan.ring_offset);
    uint8_t *records = (uint8_t *)(ring + 1);
    uint64_t tail = fh_load_relaxed(&ring->tail);
    record->quote.stamp = record->quote.sequence;
    if (!may_store(self))
        return false;
    store_relaxed(&ring->intent, tail + 1);
    /* ORDER: pairs with the acquire fence in fh_ring_read: a reader that copies a word of
     * this record also sees its intent. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    if (!copy_out(self,
                  (uint64_t *)(records + (tail & (self->plan.ring_slots - 1))
                                             * FH_RECORD_BYTES),
                  record))
        return false;
    if (!may_store(self))
        return false;
    /* ORDER: pairs with the acquire load of tail in fh_ring_read. */
    store_release(&ring->tail, tail + 1);
    return true;
}

/* Says whether this writer's epoch is still in place; sets OwnershipLost when not. */
static bool is_owner(Mapping *self)
{
    struct fh_owner *owner =
        (struct fh_owner *)((uint8_t *)self->buffer.buf + self->plan.owner_offset);
    uint64_t found = fh_load_relaxed(&owner->epoch);
    if (__builtin_expect(found == self->epoch, 1))
        return true;
    PyErr_Format(ownership_lost, "a foreign epoch is in place: epoch=%llu found=%llu",
                 (unsigned long long)self->epoch, (unsigned long long)found);
    return false;
}

static PyObject *publish(Mapping *self, words *record, int where)
{
    struct fh_quote *quote = &record->quote;
    if (!is_owner(self))
        return NULL;
    quote->epoch = (uint32_t)self->epoch;
    quote->publish_ns = monotonic_ns();
    quote->sequence = where & TO_RING ? fh_ring_head(&self->view) + 1 : 0;
    if (where & TO_LATEST &&
        !slot_write(self, self->plan.latest_offset, quote->instrument, record))
        Py_RETURN_NONE; /* abandoned by a test */
    if (where & TO_FUNDING &&
        !slot_write(self, self->plan.funding_offset, quote->instrument, record))
        Py_RETURN_NONE;
    if (where & TO_RING && !ring_write(self, record))
        Py_RETURN_NONE;
    return PyLong_FromUnsignedLong(quote->sequence);
}

/* --- arguments ----------------------------------------------------------------------- */

static int want(Py_ssize_t given, Py_ssize_t expected, const char *name)
{
    if (given == expected)
        return 0;
    PyErr_Format(PyExc_TypeError, "%s takes %zd arguments, got %zd", name, expected, given);
    return -1;
}

/* Reads an unsigned integer. Whatever has __index__ will do, such as numpy's scalars. */
static int as_unsigned(PyObject *object, uint64_t *out)
{
    *out = PyLong_AsUnsignedLong(object);
    if (*out != (uint64_t)-1 || !PyErr_Occurred())
        return 0;
    if (!PyErr_ExceptionMatches(PyExc_TypeError))
        return -1;
    PyErr_Clear();
    PyObject *number = PyNumber_Index(object);
    if (number == NULL)
        return -1;
    *out = PyLong_AsUnsignedLong(number);
    Py_DECREF(number);
    return *out == (uint64_t)-1 && PyErr_Occurred() ? -1 : 0;
}

static int as_signed(PyObject *object, int64_t *out)
{
    *out = PyLong_AsLong(object);
    return *out == -1 && PyErr_Occurred() ? -1 : 0;
}

static int as_double(PyObject *object, double *out)
{
    *out = PyFloat_AsDouble(object);
    return *out == -1.0 && PyErr_Occurred() ? -1 : 0;
}

static int as_limited(PyObject *object, uint64_t limit, const char *name, uint64_t *out)
{
    uint64_t value;
    if (as_unsigned(object, &value) < 0)
        return -1;
    if (value > limit) {
        PyErr_Format(PyExc_ValueError, "above its limit %llu: %s=%llu",
                     (unsigned long long)limit, name, (unsigned long long)value);
        return -1;
    }
    *out = value;
    return 0;
}

static int as_index(PyObject *object, uint64_t count, const char *name, uint64_t *out)
{
    if (count == 0) {
        PyErr_Format(PyExc_ValueError, "the table is empty: %s", name);
        return -1;
    }
    return as_limited(object, count - 1, name, out);
}

/* Reads flags, session, event_ns, recv_ns and venue_sequence into a record. */
static int as_head(PyObject *const *arguments, struct fh_quote *record)
{
    uint64_t flags, session;
    if (as_limited(arguments[0], UINT16_MAX, "flags", &flags) < 0 ||
        as_limited(arguments[1], UINT32_MAX, "session", &session) < 0 ||
        as_signed(arguments[2], &record->event_ns) < 0 ||
        as_signed(arguments[3], &record->recv_ns) < 0 ||
        as_unsigned(arguments[4], &record->venue_sequence) < 0)
        return -1;
    record->flags = (uint16_t)flags;
    record->session = (uint32_t)session;
    return 0;
}

/* --- Writer -------------------------------------------------------------------------- */

static PyObject *Writer_publish_quote(Mapping *self, PyObject *const *arguments,
                                      Py_ssize_t count)
{
    words record = {.word = {0}};
    struct fh_quote *quote = &record.quote;
    uint64_t instrument;
    if (want(count, 10, "publish_quote") < 0 ||
        as_index(arguments[0], self->plan.instruments_max, "instrument", &instrument) < 0)
        return NULL;
    if (as_head(arguments + 1, quote) < 0 ||
        as_double(arguments[6], &quote->bid) < 0 ||
        as_double(arguments[7], &quote->bid_size) < 0 ||
        as_double(arguments[8], &quote->ask) < 0 ||
        as_double(arguments[9], &quote->ask_size) < 0)
        return NULL;
    quote->kind = FH_KIND_QUOTE;
    quote->source = self->source;
    quote->instrument = (uint32_t)instrument;
    return publish(self, &record, TO_LATEST | TO_RING);
}

static PyObject *Writer_publish(Mapping *self, PyObject *const *arguments,
                                Py_ssize_t count)
{
    words record = {.word = {0}};
    struct fh_quote *quote = &record.quote;
    uint64_t kind, where, instrument, source;
    if (want(count, 10, "publish") < 0 ||
        as_limited(arguments[0], UINT8_MAX, "kind", &kind) < 0 ||
        as_limited(arguments[1], TO_LATEST | TO_RING | TO_FUNDING, "where", &where) < 0 ||
        as_index(arguments[2], self->plan.instruments_max, "instrument", &instrument) < 0)
        return NULL;
    if (as_head(arguments + 3, quote) < 0 ||
        as_limited(arguments[9], UINT8_MAX, "source", &source) < 0)
        return NULL;
    quote->kind = (uint8_t)kind;
    quote->source = source != 0 ? (uint8_t)source : self->source;
    quote->instrument = (uint32_t)instrument;
    char *payload;
    Py_ssize_t payload_bytes;
    if (PyBytes_AsStringAndSize(arguments[8], &payload, &payload_bytes) < 0)
        return NULL;
    if (payload_bytes != offsetof(struct fh_quote, stamp) - offsetof(struct fh_quote, bid)) {
        PyErr_Format(PyExc_ValueError, "wrong payload size: payload_bytes=%zd",
                     payload_bytes);
        return NULL;
    }
    memcpy((uint8_t *)&record + offsetof(struct fh_quote, bid), payload,
           (size_t)payload_bytes);
    return publish(self, &record, (int)where);
}

static PyObject *Writer_count(Mapping *self, PyObject *const *arguments, Py_ssize_t count)
{
    uint64_t index, amount;
    if (want(count, 2, "count") < 0 ||
        as_index(arguments[0], self->plan.counters_max, "counter", &index) < 0 ||
        as_unsigned(arguments[1], &amount) < 0 || !is_owner(self))
        return NULL;
    struct fh_counter *counter =
        (struct fh_counter *)((uint8_t *)self->buffer.buf + self->plan.counters_offset
                              + sizeof(struct fh_counters))
        + index;
    store_relaxed(&counter->value, fh_load_relaxed(&counter->value) + amount);
    Py_RETURN_NONE;
}

static unsigned bucket_of(uint64_t value)
{
    if (value < 1u << FH_BUCKET_BITS)
        return (unsigned)value;
    unsigned exponent = 63u - (unsigned)__builtin_clzll(value);
    if (exponent > FH_BUCKET_EXPONENT_MAX)
        return FH_BUCKETS - 1;
    unsigned below = exponent - FH_BUCKET_BITS;
    return ((below + 1) << FH_BUCKET_BITS)
        + (unsigned)((value >> below) & ((1u << FH_BUCKET_BITS) - 1));
}

static PyObject *Writer_record(Mapping *self, PyObject *const *arguments, Py_ssize_t count)
{
    uint64_t index;
    int64_t value;
    if (want(count, 2, "record") < 0 ||
        as_index(arguments[0], self->plan.histograms_max, "histogram", &index) < 0 ||
        as_signed(arguments[1], &value) < 0 || !is_owner(self))
        return NULL;
    struct fh_histogram *histogram =
        (struct fh_histogram *)((uint8_t *)self->buffer.buf + self->plan.histograms_offset
                                + sizeof(struct fh_histograms))
        + index;
    if (value < 0) {
        store_relaxed(&histogram->negative, fh_load_relaxed(&histogram->negative) + 1);
    } else {
        uint64_t *bucket = &histogram->buckets[bucket_of((uint64_t)value)];
        store_relaxed(bucket, fh_load_relaxed(bucket) + 1);
        store_relaxed(&histogram->sum_ns,
                      fh_load_relaxed(&histogram->sum_ns) + (uint64_t)value);
        if ((uint64_t)value > fh_load_relaxed(&histogram->max_ns))
            store_relaxed(&histogram->max_ns, (uint64_t)value);
    }
    store_relaxed(&histogram->count, fh_load_relaxed(&histogram->count) + 1);
    Py_RETURN_NONE;
}

static PyObject *Writer_beat(Mapping *self, PyObject *const *arguments, Py_ssize_t count)
{
    int64_t now_ns;
    uint64_t progress;
    if (want(count, 2, "beat") < 0 || as_signed(arguments[0], &now_ns) < 0 ||
        as_unsigned(arguments[1], &progress) < 0 || !is_owner(self))
        return NULL;
    struct fh_owner *owner =
        (struct fh_owner *)((uint8_t *)self->buffer.buf + self->plan.owner_offset);
    store_relaxed(&owner->progress, progress);
    store_release(&owner->heartbeat_ns, (uint64_t)now_ns);
    Py_RETURN_NONE;
}

static PyObject *Writer_store(Mapping *self, PyObject *const *arguments, Py_ssize_t count)
{
    uint64_t offset, value;
    if (want(count, 2, "store") < 0 ||
        as_limited(arguments[0], (uint64_t)self->buffer.len - 8, "offset", &offset) < 0 ||
        as_unsigned(arguments[1], &value) < 0)
        return NULL;
    if (offset % 8) {
        PyErr_Format(PyExc_ValueError, "not aligned: offset=%llu",
                     (unsigned long long)offset);
        return NULL;
    }
    if (!is_owner(self))
        return NULL;
    store_release((uint8_t *)self->buffer.buf + offset, value);
    Py_RETURN_NONE;
}

static PyObject *Writer_disown(Mapping *self, PyObject *Py_UNUSED(unused))
{
    self->epoch = UINT64_MAX; /* no segment carries it: every publish raises */
    Py_RETURN_NONE;
}

static PyObject *Writer_abandon_after(Mapping *self, PyObject *stores)
{
    if (as_signed(stores, &self->stores_left) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* --- Reader -------------------------------------------------------------------------- */

static PyObject *Reader_load(Mapping *self, PyObject *argument)
{
    uint64_t offset;
    if (as_limited(argument, (uint64_t)self->buffer.len - 8, "offset", &offset) < 0)
        return NULL;
    if (offset % 8) {
        PyErr_Format(PyExc_ValueError, "not aligned: offset=%llu",
                     (unsigned long long)offset);
        return NULL;
    }
    return PyLong_FromUnsignedLongLong(
        fh_load_acquire((const uint8_t *)self->buffer.buf + offset));
}

static PyObject *Reader_head(Mapping *self, PyObject *Py_UNUSED(unused))
{
    return PyLong_FromUnsignedLongLong(fh_ring_head(&self->view));
}

static PyObject *unreadable(uint64_t instrument)
{
    PyErr_Format(slot_unreadable, "slot failed its checks: instrument=%llu",
                 (unsigned long long)instrument);
    return NULL;
}

/* Makes a tuple of new references, of which any may be NULL: an error. */
static PyObject *as_tuple(PyObject *const *items, Py_ssize_t count)
{
    PyObject *result = PyTuple_New(count);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (result == NULL)
            Py_XDECREF(items[i]);
        else if (items[i] == NULL)
            Py_CLEAR(result);
        else
            PyTuple_SetItem(result, i, items[i]); /* takes the reference over */
    }
    return result;
}

/* Reads one slot of the section at that offset. */
static PyObject *read_slot(Mapping *self, uint64_t section_offset, PyObject *argument)
{
    uint64_t record[WORDS];
    uint64_t instrument;
    if (as_index(argument, self->plan.instruments_max, "instrument", &instrument) < 0)
        return NULL;
    int found = fh_slot_read(&self->view, section_offset, instrument, record);
    if (found > 0)
        return PyBytes_FromStringAndSize((const char *)record, sizeof record);
    if (found == 0)
        Py_RETURN_NONE;
    return unreadable(instrument);
}

static PyObject *Reader_read_slot(Mapping *self, PyObject *argument)
{
    return read_slot(self, self->plan.latest_offset, argument);
}

static PyObject *Reader_read_funding(Mapping *self, PyObject *argument)
{
    return read_slot(self, self->plan.funding_offset, argument);
}

/* Reads the view of another Reader, the runner's; NULL for None. */
static int as_view(PyObject *object, const fh_view **out)
{
    *out = NULL;
    if (object == Py_None)
        return 0;
    if (!PyObject_TypeCheck(object, (PyTypeObject *)reader_type)) {
        PyErr_SetString(PyExc_TypeError, "runner is a Reader or None");
        return -1;
    }
    *out = &((Mapping *)object)->view;
    return 0;
}

/* Reads a place in the runner's segment; None where it has none. */
static int as_place(PyObject *object, const fh_view *runner, uint64_t *out)
{
    *out = FH_PLACE_NONE;
    if (object == Py_None || runner == NULL)
        return 0;
    return as_index(object, runner->instruments_max, "place", out);
}

/* Reads a quote with everything that its verdict follows from, and judges it. */
static PyObject *Reader_read_judged(Mapping *self, PyObject *const *arguments,
                                    Py_ssize_t count)
{
    const fh_view *runner;
    struct fh_limits limits;
    struct fh_evidence seen;
    uint64_t instrument, place;
    if (want(count, 6, "read_judged") < 0 ||
        as_index(arguments[0], self->plan.instruments_max, "instrument", &instrument) < 0 ||
        as_view(arguments[1], &runner) < 0 || as_place(arguments[2], runner, &place) < 0 ||
        as_signed(arguments[3], &limits.fresh_ns) < 0 ||
        as_signed(arguments[4], &limits.heartbeat_ns) < 0 ||
        as_signed(arguments[5], &limits.confirm_ns) < 0)
        return NULL;
    int found = fh_gather(&self->view, instrument, runner, place, &seen);
    if (found == 0)
        Py_RETURN_NONE;
    if (found < 0)
        return unreadable(found == -1 ? instrument : place);
    const struct fh_quote *quote = &seen.quote;
    int64_t read_ns = monotonic_ns();
    struct fh_verdict verdict = fh_judge(&seen, &limits, read_ns);
    PyObject *const fields[] = {
        PyLong_FromUnsignedLong(quote->sequence),
        PyLong_FromLong(quote->source),
        PyLong_FromLong(quote->flags),
        PyLong_FromLong(quote->epoch),
        PyLong_FromLong(quote->session),
        PyLong_FromLong(quote->event_ns),
        PyLong_FromLong(quote->recv_ns),
        PyLong_FromLong(quote->publish_ns),
        PyLong_FromUnsignedLong(quote->venue_sequence),
        PyFloat_FromDouble(quote->bid),
        PyFloat_FromDouble(quote->bid_size),
        PyFloat_FromDouble(quote->ask),
        PyFloat_FromDouble(quote->ask_size),
        PyLong_FromLong(read_ns),
        PyLong_FromLong(verdict.apply_ns),
        PyLong_FromLong(verdict.state),
        PyLong_FromLong(verdict.reason),
        PyBool_FromLong(verdict.tradable),
    };
    return as_tuple(fields, sizeof fields / sizeof *fields);
}

/* Gets a writable buffer of whole items. Its alignment does not matter. */
static int items_of(PyObject *object, Py_ssize_t item_bytes, const char *name,
                    Py_buffer *out, uint64_t *count)
{
    if (PyObject_GetBuffer(object, out, PyBUF_WRITABLE) < 0)
        return -1;
    if (out->len % item_bytes) {
        PyErr_Format(PyExc_ValueError, "not an array of %s: bytes=%zd", name, out->len);
        PyBuffer_Release(out);
        return -1;
    }
    *count = (uint64_t)(out->len / item_bytes);
    return 0;
}

static int records_of(PyObject *object, Py_buffer *out, uint64_t *count)
{
    return items_of(object, FH_RECORD_BYTES, "records", out, count);
}

/* Copies words that order nothing, each of them whole. */
static PyObject *Reader_load_words(Mapping *self, PyObject *const *arguments,
                                   Py_ssize_t count)
{
    Py_buffer words_out;
    uint64_t offset, room;
    uint64_t bytes = (uint64_t)self->buffer.len;
    if (want(count, 2, "load_words") < 0 ||
        as_limited(arguments[0], bytes - 8, "offset", &offset) < 0 ||
        items_of(arguments[1], 8, "words", &words_out, &room) < 0)
        return NULL;
    if (!fh_is_inside(offset, room * 8, bytes)) {
        PyErr_Format(PyExc_ValueError, "not aligned or not inside: offset=%llu words=%llu",
                     (unsigned long long)offset, (unsigned long long)room);
        PyBuffer_Release(&words_out);
        return NULL;
    }
    fh_copy_words(words_out.buf, (const uint8_t *)self->buffer.buf + offset, room);
    PyBuffer_Release(&words_out);
    Py_RETURN_NONE;
}

/* Fills an array with the slots of the section at that offset. */
static PyObject *read_slots(Mapping *self, uint64_t section_offset, PyObject *out)
{
    Py_buffer records;
    uint64_t count, unreadable = 0;
    if (records_of(out, &records, &count) < 0)
        return NULL;
    if (count > self->plan.instruments_max)
        count = self->plan.instruments_max;
    Py_BEGIN_ALLOW_THREADS
    for (uint64_t i = 0; i < count; i++) {
        uint8_t *record = (uint8_t *)records.buf + i * FH_RECORD_BYTES;
        int found = fh_slot_read(&self->view, section_offset, i, record);
        if (found <= 0)
            memset(record, 0, FH_RECORD_BYTES);
        unreadable += found < 0;
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&records);
    return PyLong_FromUnsignedLongLong(unreadable);
}

static PyObject *Reader_read_slots(Mapping *self, PyObject *out)
{
    return read_slots(self, self->plan.latest_offset, out);
}

static PyObject *Reader_read_fundings(Mapping *self, PyObject *out)
{
    return read_slots(self, self->plan.funding_offset, out);
}

/* Drains up to room records; returns how many. */
static uint64_t drain(Mapping *self, uint64_t *cursor, uint8_t *out, uint64_t room,
                      uint64_t *lost_total)
{
    uint64_t drained = 0;
    while (drained < room) {
        uint64_t lost;
        uint64_t got = fh_ring_read(&self->view, cursor, out + drained * FH_RECORD_BYTES,
                                    room - drained, &lost);
        drained += got;
        *lost_total += lost;
        if (got == 0)
            break;
    }
    return drained;
}

static PyObject *Reader_drain(Mapping *self, PyObject *const *arguments, Py_ssize_t count)
{
    Py_buffer records;
    uint64_t cursor, room, drained, lost = 0;
    if (want(count, 2, "drain") < 0 || as_unsigned(arguments[0], &cursor) < 0 ||
        records_of(arguments[1], &records, &room) < 0)
        return NULL;
    /* Giving up the GIL costs more than copying a few records: a reader that polls keeps
     * it, for a microsecond at most. */
    if (fh_ring_head(&self->view) - cursor <= GIL_RECORDS) {
        drained = drain(self, &cursor, records.buf, room < GIL_RECORDS ? room : GIL_RECORDS,
                        &lost);
    } else {
        Py_BEGIN_ALLOW_THREADS
        drained = drain(self, &cursor, records.buf, room, &lost);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&records);
    PyObject *const numbers[] = {
        PyLong_FromUnsignedLong(drained),
        PyLong_FromUnsignedLong(lost),
        PyLong_FromUnsignedLong(cursor),
    };
    return as_tuple(numbers, 3);
}

/* --- construction -------------------------------------------------------------------- */

/* Reads Plan.geometry(). */
static int as_geometry(PyObject *numbers, geometry *plan)
{
    uint64_t *const fields[] = {
        &plan->owner_offset, &plan->counters_offset, &plan->counters_max,
        &plan->latest_offset, &plan->instruments_max, &plan->ring_offset,
        &plan->ring_slots, &plan->histograms_offset, &plan->histograms_max,
        &plan->funding_offset,
    };
    const Py_ssize_t count = sizeof fields / sizeof *fields;
    if (!PyTuple_Check(numbers)) {
        PyErr_SetString(PyExc_TypeError, "geometry is a tuple");
        return -1;
    }
    if (want(PyTuple_Size(numbers), count, "geometry") < 0)
        return -1;
    for (Py_ssize_t i = 0; i < count; i++)
        if (as_unsigned(PyTuple_GetItem(numbers, i), fields[i]) < 0)
            return -1;
    return 0;
}

static int bind(Mapping *self, PyObject *buffer, int flags)
{
    geometry *plan = &self->plan;
    if (PyObject_GetBuffer(buffer, &self->buffer, flags) < 0)
        return -1;
    uint64_t bytes = (uint64_t)self->buffer.len;
    bool is_inside = (uintptr_t)self->buffer.buf % 8 == 0 &&
        plan->ring_slots >= FH_RING_SLOTS_MIN &&
        (plan->ring_slots & (plan->ring_slots - 1)) == 0 &&
        plan->owner_offset % 8 == 0 && plan->counters_offset % 8 == 0 &&
        plan->latest_offset % 8 == 0 && plan->ring_offset % 8 == 0 &&
        plan->histograms_offset % 8 == 0 && plan->funding_offset % 8 == 0 &&
        bytes < UINT64_C(1) << 40 &&
        plan->counters_max < 1 << 20 && plan->instruments_max < 1 << 20 &&
        plan->ring_slots < UINT64_C(1) << 32 && plan->histograms_max < 1 << 20 &&
        plan->owner_offset < bytes && plan->counters_offset < bytes &&
        plan->latest_offset < bytes && plan->ring_offset < bytes &&
        plan->histograms_offset < bytes && plan->funding_offset < bytes &&
        plan->owner_offset + sizeof(struct fh_owner) <= bytes &&
        plan->counters_offset + sizeof(struct fh_counters)
                + plan->counters_max * sizeof(struct fh_counter) <= bytes &&
        plan->latest_offset + plan->instruments_max * sizeof(struct fh_slot) <= bytes &&
        plan->funding_offset + plan->instruments_max * sizeof(struct fh_slot) <= bytes &&
        plan->ring_offset + sizeof(struct fh_ring)
                + plan->ring_slots * FH_RECORD_BYTES <= bytes &&
        plan->histograms_offset + sizeof(struct fh_histograms)
                + plan->histograms_max * sizeof(struct fh_histogram) <= bytes;
    if (!is_inside) {
        PyErr_Format(PyExc_ValueError, "sections do not fit: bytes=%llu",
                     (unsigned long long)bytes);
        return -1;
    }
    self->view.base = self->buffer.buf;
    self->view.size_bytes = bytes;
    self->view.owner_offset = plan->owner_offset;
    self->view.latest_offset = plan->latest_offset;
    self->view.funding_offset = plan->funding_offset;
    self->view.ring_offset = plan->ring_offset;
    self->view.instruments_max = plan->instruments_max;
    self->view.ring_slots = plan->ring_slots;
    return 0;
}

static Mapping *allocate(PyTypeObject *type)
{
    allocfunc allocate_type = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    return (Mapping *)allocate_type(type, 0);
}

static PyObject *Writer_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    (void)keywords;
    Mapping *self = allocate(type);
    if (self == NULL)
        return NULL;
    PyObject *buffer, *numbers, *epoch, *source;
    uint64_t source_code;
    self->stores_left = -1;
    if (!PyArg_ParseTuple(arguments, "OOOO:Writer", &buffer, &numbers, &epoch, &source) ||
        as_geometry(numbers, &self->plan) < 0 || as_unsigned(epoch, &self->epoch) < 0 ||
        as_limited(source, UINT8_MAX, "source", &source_code) < 0 ||
        bind(self, buffer, PyBUF_WRITABLE) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    self->source = (uint8_t)source_code;
    return (PyObject *)self;
}

static PyObject *Reader_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    (void)keywords;
    Mapping *self = allocate(type);
    if (self == NULL)
        return NULL;
    PyObject *buffer, *numbers;
    if (!PyArg_ParseTuple(arguments, "OO:Reader", &buffer, &numbers) ||
        as_geometry(numbers, &self->plan) < 0 || bind(self, buffer, PyBUF_SIMPLE) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void Mapping_dealloc(Mapping *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    if (self->buffer.obj != NULL)
        PyBuffer_Release(&self->buffer);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

#define FAST(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL

#define READ_METHODS                                                                      \
    {"load", (PyCFunction)Reader_load, METH_O, NULL},                                     \
    {"head", (PyCFunction)Reader_head, METH_NOARGS, NULL},                                \
    {"read_slot", (PyCFunction)Reader_read_slot, METH_O, NULL},                           \
    {"read_judged", FAST(Reader_read_judged), NULL},                                      \
    {"read_slots", (PyCFunction)Reader_read_slots, METH_O, NULL},                         \
    {"read_funding", (PyCFunction)Reader_read_funding, METH_O, NULL},                     \
    {"read_fundings", (PyCFunction)Reader_read_fundings, METH_O, NULL},                   \
    {"load_words", FAST(Reader_load_words), NULL},                                        \
    {"drain", FAST(Reader_drain), NULL}

static PyMethodDef writer_methods[] = {
    READ_METHODS,
    {"publish_quote", FAST(Writer_publish_quote), NULL},
    {"publish", FAST(Writer_publish), NULL},
    {"count", FAST(Writer_count), NULL},
    {"record", FAST(Writer_record), NULL},
    {"beat", FAST(Writer_beat), NULL},
    {"store", FAST(Writer_store), NULL},
    {"disown", (PyCFunction)Writer_disown, METH_NOARGS, NULL},
    {"abandon_after", (PyCFunction)Writer_abandon_after, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef reader_methods[] = {
    READ_METHODS,
    {NULL, NULL, 0, NULL},
};

static PyType_Slot writer_slots[] = {
    {Py_tp_new, Writer_new},
    {Py_tp_dealloc, Mapping_dealloc},
    {Py_tp_methods, writer_methods},
    {0, NULL},
};

static PyType_Slot reader_slots[] = {
    {Py_tp_new, Reader_new},
    {Py_tp_dealloc, Mapping_dealloc},
    {Py_tp_methods, reader_methods},
    {0, NULL},
};

static PyType_Spec writer_spec = {
    .name = "shm_layout._native.Writer",
    .basicsize = sizeof(Mapping),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = writer_slots,
};

static PyType_Spec reader_spec = {
    .name = "shm_layout._native.Reader",
    .basicsize = sizeof(Mapping),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = reader_slots,
};

static int add_type(PyObject *module, PyType_Spec *spec, const char *name)
{
    PyObject *type = PyType_FromSpec(spec);
    if (type == NULL)
        return -1;
    int result = PyModule_AddObjectRef(module, name, type);
    Py_DECREF(type);
    return result;
}

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "shm_layout._native",
    .m_doc = "Writer and Reader of one mapped segment, in C11 atomics.",
    .m_size = -1,
};

PyMODINIT_FUNC PyInit__native(void)
{
    PyObject *errors = PyImport_ImportModule("shm_layout.errors");
    if (errors == NULL)
        return NULL;
    slot_unreadable = PyObject_GetAttrString(errors, "SlotUnreadable");
    ownership_lost = PyObject_GetAttrString(errors, "OwnershipLost");
    Py_DECREF(errors);
    if (slot_unreadable == NULL || ownership_lost == NULL)
        return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL)
        return NULL;
    PyObject *digest = PyLong_FromUnsignedLongLong(FH_LAYOUT_DIGEST);
    if (digest == NULL || PyModule_AddObjectRef(module, "LAYOUT_DIGEST", digest) < 0 ||
        add_type(module, &writer_spec, "Writer") < 0 ||
        add_type(module, &reader_spec, "Reader") < 0 ||
        (reader_type = PyObject_GetAttrString(module, "Reader")) == NULL) {
        Py_XDECREF(digest);
        Py_DECREF(module);
        return NULL;
    }
    Py_DECREF(digest);
    return module;
}
