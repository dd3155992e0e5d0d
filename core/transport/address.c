/* SPDX-License-Identifier: MIT */
/*
 * Addresses as text and in the kernel's form. Pure but for /etc/services and the names of network
 * interfaces.
 */
#include "transport/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/refusal.h"

enum {
    NAME_LENGTH = 253,    /* bytes of the longest host name, RFC 1035 less its length bytes */
    BAD_SCOPE = -1,       /* IPv6 with a scope that is no network interface */
    SERVICE_BYTES = 2048, /* room for one entry of /etc/services */
};

bool tcpm__address_is_acceptable(const char *text)
{
    const char *at = text;

    while ((unsigned char) *at > ' ' && *at != 0x7f)
        at++;
    return *at == '\0' && at > text && at - text <= NAME_LENGTH;
}

/* 0 to 9; more: the character is no digit. */
static unsigned digit_of(char character)
{
    return (unsigned) character - '0';
}

/* Reads 0 to 255 without a leading zero, which some programs read as octal, and moves *text behind
   the number. More than 255: there is no such number. */
static inline unsigned parse_octet(const char **text)
{
    const char *at = *text;
    uint32_t value = digit_of(*at++);

    if (value > 9)
        return UINT_MAX;
    if (digit_of(*at) <= 9) {
        if (value == 0)
            return UINT_MAX;
        value = value * 10 + digit_of(*at++);
        if (digit_of(*at) <= 9)
            value = value * 10 + digit_of(*at++);
    }
    *text = at;
    return value;
}

bool tcpm__address_parse_quad(const char *text, struct in_addr *ret)
{
    uint32_t bytes = 0;

    for (int i = 0; i < 4; i++) {
        unsigned value = parse_octet(&text);

        if (value > 255 || *text++ != (i < 3 ? '.' : '\0'))
            return false;
        bytes = bytes << 8 | value;
    }
    ret->s_addr = htonl(bytes);
    return true;
}

/* Writes a number up to 255, and gives the place behind it. */
static inline char *print_octet(unsigned value, char *ret)
{
    if (value >= 10) {
        if (value >= 100) {
            *ret++ = (char) ('0' + value / 100);
            value %= 100;
        }
        *ret++ = (char) ('0' + value / 10);
        value %= 10;
    }
    *ret++ = (char) ('0' + value);
    return ret;
}

void tcpm__address_print_quad(struct in_addr quad, char ret[TCPM__ADDRESS_TEXT])
{
    unsigned char octets[4];

    memcpy(octets, &quad, sizeof octets);
    for (int i = 0; i < 4; i++) {
        ret = print_octet(octets[i], ret);
        *ret++ = '.';
    }
    ret[-1] = '\0';
}

void tcpm__address_make_quad(struct in_addr quad, unsigned port, union tcpm__address *ret)
{
    *ret = (union tcpm__address){.in = {.sin_family = AF_INET, .sin_addr = quad}};
    tcpm__address_set_port(ret, port);
}

/* Reads the scope of a link-local address: an interface by name or number. 0, or -EINVAL. */
static int parse_scope(const char *scope, uint32_t *ret)
{
    unsigned long number = if_nametoindex(scope);

    if (number == 0 && isdigit((unsigned char) *scope)) {
        char *end;

        number = strtoul(scope, &end, 10);
        if (*end != '\0' || number > UINT32_MAX)
            return -EINVAL;
    }
    *ret = (uint32_t) number;
    return number == 0 ? -EINVAL : 0;
}

/* Copies the text without its brackets. False: too long for an address. */
static bool copy_bare(const char *text, char ret[TCPM__ADDRESS_TEXT])
{
    size_t length = strlen(text);

    if (text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    }
    if (length >= TCPM__ADDRESS_TEXT)
        return false;
    memcpy(ret, text, length);
    ret[length] = '\0';
    return true;
}

/* 1: ret is filled in; 0: no IPv6 address; BAD_SCOPE: an IPv6 address but for its scope. */
static int parse_inet6(const char *text, unsigned port, union tcpm__address *ret)
{
    char copy[TCPM__ADDRESS_TEXT];

    if (!copy_bare(text, copy))
        return 0;

    char *scope = strchr(copy, '%');

    if (scope != NULL)
        *scope++ = '\0';
    *ret = (union tcpm__address){.in6 = {.sin6_family = AF_INET6}};
    ret->in6.sin6_port = htons((uint16_t) port);
    if (inet_pton(AF_INET6, copy, &ret->in6.sin6_addr) != 1)
        return 0;
    if (scope != NULL && parse_scope(scope, &ret->in6.sin6_scope_id) < 0)
        return BAD_SCOPE;
    return 1;
}

int tcpm__address_parse(const char *text, unsigned port, union tcpm__address *ret, const char **why)
{
    struct in_addr quad;
    int form = 0;

    if (tcpm__address_parse_quad(text, &quad)) {
        tcpm__address_make_quad(quad, port, ret);
        return 1;
    }
    if (strchr(text, ':') != NULL || text[0] == '[')
        form = parse_inet6(text, port, ret);
    return form == 1 ? form : tcpm__refusal_explain(text, form == BAD_SCOPE, why);
}

static void print_inet6(const struct sockaddr_in6 *in6, char ret[TCPM__ADDRESS_TEXT])
{
    inet_ntop(AF_INET6, &in6->sin6_addr, ret, TCPM__ADDRESS_TEXT);
    if (in6->sin6_scope_id == 0)
        return;

    size_t length = strlen(ret);

    snprintf(ret + length, TCPM__ADDRESS_TEXT - length, "%%%u", (unsigned) in6->sin6_scope_id);
}

void tcpm__address_print(const union tcpm__address *address, char ret[TCPM__ADDRESS_TEXT])
{
    ret[0] = '\0';
    if (address->any.sa_family == AF_INET)
        tcpm__address_print_quad(address->in.sin_addr, ret);
    else if (address->any.sa_family == AF_INET6)
        print_inet6(&address->in6, ret);
}

void tcpm__address_print_bare(const union tcpm__address *address, char ret[TCPM__ADDRESS_TEXT])
{
    union tcpm__address bare = *address;

    if (bare.any.sa_family == AF_INET6)
        bare.in6.sin6_scope_id = 0;
    tcpm__address_print(&bare, ret);
}

/* Both families keep the port at the same place. */
_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port),
               "the port of an address is read without a look at its family");

unsigned tcpm__address_port(const union tcpm__address *address)
{
    return ntohs(address->in.sin_port);
}

void tcpm__address_set_port(union tcpm__address *address, unsigned port)
{
    address->in.sin_port = htons((uint16_t) port);
}

socklen_t tcpm__address_size(const union tcpm__address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof address->in6 : sizeof address->in;
}

unsigned tcpm__address_family_bit(const union tcpm__address *address)
{
    return address->any.sa_family == AF_INET6 ? TCPM__INET6 : TCPM__INET;
}

bool tcpm__address_is_any(const union tcpm__address *address)
{
    const struct in6_addr *in6 = &address->in6.sin6_addr;

    if (address->any.sa_family == AF_INET6)
        return IN6_IS_ADDR_UNSPECIFIED(in6) ||
               (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr32[3] == INADDR_ANY);
    return address->in.sin_addr.s_addr == INADDR_ANY;
}

bool tcpm__address_equal(const union tcpm__address *a, const union tcpm__address *b)
{
    if (a->any.sa_family != b->any.sa_family || a->in.sin_port != b->in.sin_port)
        return false;
    if (a->any.sa_family == AF_INET6)
        return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof a->in6.sin6_addr) == 0;
    return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
}

/* getservbyname_r of Linux and FreeBSD, which needs no lock. Elsewhere getaddrinfo without a host
   gives the port of a service as well. 0: there is no such service. */
static int find_named_service(const char *name)
{
    struct servent entry, *found = NULL;
    char scratch[SERVICE_BYTES];

    if (getservbyname_r(name, "tcp", &entry, scratch, sizeof scratch, &found) != 0)
        return 0;
    return found == NULL ? 0 : ntohs((uint16_t) found->s_port);
}

static int parse_port(const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);

    return *end == '\0' && number >= 1 && number <= UINT16_MAX ? (int) number : -EINVAL;
}

int tcpm__address_find_service(const char *service)
{
    if (isdigit((unsigned char) *service))
        return parse_port(service);

    int port = find_named_service(service);

    return port == 0 ? -EINVAL : port;
}
