/* SPDX-License-Identifier: MIT */
/*
 * Version 1 is a line of text, at most 107 bytes (section 2.1). Version 2 is binary: a signature,
 * command, family and length, then both addresses and both ports (section 2.2).
 */
#include "transport/proxy_header.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

enum {
    VERSION_2 = 0x20, /* upper half of a byte; the lower half is the command */
    LOCAL = 0,        /* commands */
    PROXY = 1,
    UNSPECIFIED = 0x00, /* families, with a stream */
    OVER_TCP4 = 0x11,
    OVER_TCP6 = 0x21,
};

static const char signature[] = {'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

static bool is_known(const union tcpm__address *source, const union tcpm__address *destination)
{
    if (source == NULL || destination == NULL)
        return false;

    int family = source->any.sa_family;

    return family == destination->any.sa_family && (family == AF_INET || family == AF_INET6);
}

/* ---- version 1 ---- */

static size_t write_line(const union tcpm__address *source, const union tcpm__address *destination,
                         char ret[TCPM__PROXY_HEADER_SIZE])
{
    char from[TCPM__ADDRESS_TEXT], to[TCPM__ADDRESS_TEXT];

    tcpm__address_print_bare(source, from);
    tcpm__address_print_bare(destination, to);
    int length = snprintf(ret, TCPM__PROXY_HEADER_SIZE, "PROXY %s %s %s %u %u\r\n",
                          source->any.sa_family == AF_INET ? "TCP4" : "TCP6", from, to,
                          tcpm__address_port(source), tcpm__address_port(destination));

    TCPM__ASSERT(length < TCPM__PROXY_HEADER_SIZE);
    return (size_t) length;
}

/* ---- version 2 ---- */

static char *put(char *at, const void *bytes, size_t length)
{
    memcpy(at, bytes, length);
    return at + length;
}

static char *put_address(char *at, const union tcpm__address *address)
{
    return address->any.sa_family == AF_INET
               ? put(at, &address->in.sin_addr, sizeof address->in.sin_addr)
               : put(at, &address->in6.sin6_addr, sizeof address->in6.sin6_addr);
}

/* The signature and the four bytes behind it. */
static char *put_beginning(char *at, int command, int family, size_t length)
{
    at = put(at, signature, sizeof signature);
    *at++ = (char) (VERSION_2 | command);
    *at++ = (char) family;
    *at++ = (char) (length >> 8);
    *at++ = (char) length;
    return at;
}

static size_t write_binary(const union tcpm__address *source,
                           const union tcpm__address *destination,
                           char ret[TCPM__PROXY_HEADER_SIZE])
{
    bool is_inet = source->any.sa_family == AF_INET;
    size_t address = is_inet ? sizeof(struct in_addr) : sizeof(struct in6_addr);
    char *at = put_beginning(ret, PROXY, is_inet ? OVER_TCP4 : OVER_TCP6,
                             2 * (address + sizeof source->in.sin_port));

    at = put_address(put_address(at, source), destination);
    /* Both families keep the port at the same place, in the order of bytes of the network. */
    at = put(at, &source->in.sin_port, sizeof source->in.sin_port);
    at = put(at, &destination->in.sin_port, sizeof destination->in.sin_port);
    return (size_t) (at - ret);
}

size_t tcpm__proxy_header_write(int version, const union tcpm__address *source,
                                const union tcpm__address *destination,
                                char ret[TCPM__PROXY_HEADER_SIZE])
{
    static const char unknown[] = "PROXY UNKNOWN\r\n";

    TCPM__ASSERT(version == 1 || version == 2);
    if (is_known(source, destination))
        return version == 1 ? write_line(source, destination, ret)
                            : write_binary(source, destination, ret);
    if (version == 1)
        return (size_t) (put(ret, unknown, sizeof unknown - 1) - ret);
    return (size_t) (put_beginning(ret, LOCAL, UNSPECIFIED, 0) - ret);
}
