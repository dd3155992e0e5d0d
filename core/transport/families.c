/* SPDX-License-Identifier: MIT */
/*
 * The addresses of this host, by what Linux tells in /proc/net/if_inet6: a line for each IPv6
 * address, "address index prefix scope flags interface", all numbers hexadecimal. Elsewhere
 * getifaddrs tells the same.
 */
#include "transport/families.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
    SCOPE_FIELD = 3,     /* index of the scope among the fields of a line */
    MOST_READS = 256,    /* reads of the file: more addresses than a host has */
    UNCHANGED_MS = 1000, /* as long an answer of the system counts */
};

/* Whether the line is that of an address beyond loopback, whose scope is "10". */
static bool counts(const char *line, const char *end)
{
    for (int field = 0; field < SCOPE_FIELD && line != NULL; field++) {
        line = memchr(line, ' ', (size_t) (end - line));
        line = line == NULL ? NULL : line + 1;
    }
    return line != NULL && end - line >= 2 && memcmp(line, "10", 2) != 0;
}

bool tcpm__families_scan(const char *text, size_t length, size_t *used)
{
    const char *end;

    *used = 0;
    while ((end = memchr(text + *used, '\n', length - *used)) != NULL) {
        const char *line = text + *used;

        *used = (size_t) (end - text) + 1;
        if (counts(line, end))
            return true;
    }
    return false;
}

/* Reads lines until one is found that counts. */
static bool scan_file(int fd)
{
    char text[4096];
    size_t kept = 0, used;

    for (int reads = 0; reads < MOST_READS; reads++) {
        ssize_t length = read(fd, text + kept, sizeof text - kept);

        if (length <= 0)
            return false;
        kept += (size_t) length;
        if (tcpm__families_scan(text, kept, &used))
            return true;
        memmove(text, text + used, kept - used);
        kept -= used;
        if (kept == sizeof text)
            return false; /* no line is so long */
    }
    return true;
}

static bool read_system(void)
{
    int fd = open("/proc/net/if_inet6", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return true;

    bool has_inet6 = scan_file(fd);

    close(fd);
    return has_inet6;
}

bool tcpm__families_have_inet6(struct tcpm__families *families, uint64_t now_ms)
{
    if (families->read_ms == 0 || now_ms - families->read_ms >= UNCHANGED_MS)
        *families = (struct tcpm__families){read_system(), now_ms};
    return families->has_inet6;
}
