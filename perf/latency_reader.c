/* Reads one ring as fast as a program can: polls its head, copies what is new, and
 * writes (latency, number) of each record to its output as pairs of 64-bit integers.
 *
 *     latency_reader /dev/shm/fh.<instance>.<venue> COUNT
 */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "feedhandler_shm.h"

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int main(int count, char **arguments)
{
    if (count != 3)
        return 2;
    int fd = open(arguments[1], O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0)
        return 3;
    uint64_t size_bytes = (uint64_t)status.st_size;
    void *base = mmap(NULL, size_bytes, PROT_READ, MAP_SHARED, fd, 0);
    fh_view view;
    if (base == MAP_FAILED || fh_attach(&view, base, size_bytes) < 0)
        return 4;
    size_t wanted = (size_t)strtoull(arguments[2], NULL, 10);
    int64_t *found = calloc(wanted, 2 * sizeof *found);
    if (found == NULL)
        return 5;
    uint64_t cursor = 0, lost = 0;
    for (size_t i = 0; i < wanted; i++) {
        struct fh_quote quote;
        while (fh_ring_read(&view, &cursor, &quote, 1, &lost) == 0)
            ;
        found[2 * i] = now_ns() - quote.recv_ns;
        found[2 * i + 1] = (int64_t)quote.venue_sequence;
    }
    return fwrite(found, 2 * sizeof *found, wanted, stdout) == wanted ? 0 : 6;
}
