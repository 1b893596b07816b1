/* checker.c - a reader at full speed: every record is checked for a mix of two.
 *
 *     checker latest PATH MILLISECONDS INSTRUMENTS
 *     checker funding PATH MILLISECONDS INSTRUMENTS
 *     checker ring PATH
 *     checker word PATH MILLISECONDS
 *
 * `latest`, `funding` and `ring` read records whose every field is one number
 * (linked.py), `funding` from the slots of the newest funding. `word` watches the first
 * word of a file that should only ever be one of two values. Each prints one JSON object.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "feedhandler_shm.h"

static const uint64_t ONE = UINT64_C(0x0101010101010101);
static const uint64_t OTHER = UINT64_C(0xFEFEFEFEFEFEFEFE);

typedef unsigned long long number;

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Readers take the last processor, writers the first, so that they meet. */
static void pin(void)
{
    cpu_set_t all, last;
    CPU_ZERO(&last);
    if (sched_getaffinity(0, sizeof all, &all) != 0)
        return;
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--)
        if (CPU_ISSET(cpu, &all)) {
            CPU_SET(cpu, &last);
            sched_setaffinity(0, sizeof last, &last);
            return;
        }
}

static const uint8_t *map(const char *path, uint64_t *size)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &status) != 0)
        exit(2);
    *size = (uint64_t)status.st_size;
    void *base = mmap(NULL, *size, PROT_READ, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        exit(2);
    return (const uint8_t *)base;
}

static int is_whole(const struct fh_quote *quote)
{
    uint64_t n = quote->venue_sequence;
    return quote->flags == (n & 0x7F) && quote->session == (uint32_t)n &&
        quote->event_ns == (int64_t)n && quote->recv_ns == (int64_t)n &&
        quote->bid == (double)n && quote->bid_size == (double)n &&
        quote->ask == (double)n && quote->ask_size == (double)n;
}

static int latest(const char *path, int64_t milliseconds, uint64_t instruments,
                  int (*read_slot)(const fh_view *, uint64_t, void *))
{
    uint64_t size, newest[64] = {0};
    number read = 0, torn = 0, reversed = 0, distinct = 0, busy = 0;
    const uint8_t *base = map(path, &size);
    fh_view view;
    if (fh_attach(&view, base, size) != 0 || instruments > 64)
        return 3;
    for (int64_t end = now_ms() + milliseconds; now_ms() < end;)
        for (unsigned i = 0; i < 4096; i++) {
            struct fh_quote quote;
            uint64_t instrument = i % instruments;
            int found = read_slot(&view, instrument, &quote);
            busy += found < 0;
            if (found <= 0)
                continue;
            read++;
            torn += !is_whole(&quote) || quote.instrument != instrument;
            reversed += quote.venue_sequence < newest[instrument];
            distinct += quote.venue_sequence != newest[instrument];
            newest[instrument] = quote.venue_sequence;
        }
    printf("{\"read\": %llu, \"torn\": %llu, \"reversed\": %llu, \"distinct\": %llu, "
           "\"busy\": %llu}\n", read, torn, reversed, distinct, busy);
    return 0;
}

static int ring(const char *path)
{
    static struct fh_quote quotes[256];
    uint64_t size, cursor = 0, lost, last = 0;
    number received = 0, lost_total = 0, laps = 0, torn = 0, wrong = 0;
    const uint8_t *base = map(path, &size);
    fh_view view;
    if (fh_attach(&view, base, size) != 0)
        return 3;
    for (;;) {
        uint32_t link = (uint32_t)fh_load_acquire(&fh_owner_of(&view)->link);
        uint64_t before = cursor;
        uint64_t got = fh_ring_read(&view, &cursor, quotes, 256, &lost);
        received += got;
        lost_total += lost;
        laps += lost != 0;
        wrong += cursor - before != got + lost;
        for (uint64_t i = 0; i < got; i++) {
            torn += !is_whole(&quotes[i]) || quotes[i].sequence != quotes[i].stamp;
            wrong += quotes[i].sequence != cursor - got + i + 1;
            wrong += quotes[i].sequence <= last;
            last = quotes[i].sequence;
        }
        if (got == 0 && link == FH_LINK_DOWN)
            break;
    }
    printf("{\"received\": %llu, \"lost\": %llu, \"laps\": %llu, \"cursor\": %llu, "
           "\"torn\": %llu, \"wrong\": %llu}\n", received, lost_total, laps,
           (number)cursor, torn, wrong);
    return 0;
}

static int word(const char *path, int64_t milliseconds)
{
    uint64_t size, last = 0;
    number loads = 0, strange = 0, changes = 0;
    const uint8_t *base = map(path, &size);
    for (int64_t end = now_ms() + milliseconds; now_ms() < end;)
        for (unsigned i = 0; i < 100000; i++) {
            uint64_t value = fh_load_relaxed(base);
            loads++;
            strange += value != ONE && value != OTHER;
            changes += value != last;
            last = value;
        }
    printf("{\"loads\": %llu, \"strange\": %llu, \"changes\": %llu}\n", loads, strange,
           changes);
    return 0;
}

int main(int count, char **arguments)
{
    pin();
    if (count == 5 && strcmp(arguments[1], "latest") == 0)
        return latest(arguments[2], atoll(arguments[3]), (uint64_t)atoll(arguments[4]),
                      fh_latest_read);
    if (count == 5 && strcmp(arguments[1], "funding") == 0)
        return latest(arguments[2], atoll(arguments[3]), (uint64_t)atoll(arguments[4]),
                      fh_funding_read);
    if (count == 3 && strcmp(arguments[1], "ring") == 0)
        return ring(arguments[2]);
    if (count == 4 && strcmp(arguments[1], "word") == 0)
        return word(arguments[2], atoll(arguments[3]));
    return 2;
}
