/* SPDX-License-Identifier: MIT */
/*
 * Addresses as text and in the kernel's form. Pure but for /etc/services and the names of network
 * interfaces.
 */
#include "transport/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tcpmulti.h"

#define NAME_MAX_BYTES 253 /* of a host name, RFC 1035 less its length bytes */
#define NO_SCOPE       (-1)

bool tcpm__address_acceptable(const char *text)
{
    const char *at = text;

    while ((unsigned char) *at > ' ' && *at != 0x7f)
        at++;
    return *at == '\0' && at > text && at - text <= NAME_MAX_BYTES;
}

/* 0 to 255 without a leading zero, which some read as octal; *text moves behind it. -1: none. */
static int parse_octet(const char **text)
{
    const char *at = *text;
    int first = *at++ - '0', value = first;

    if (first < 0 || first > 9)
        return -1;
    for (int digit = *at - '0'; digit >= 0 && digit <= 9 && value < 100; digit = *at - '0') {
        value = value * 10 + digit;
        at++;
    }
    if (value > 255 || (first == 0 && at - *text > 1))
        return -1;
    *text = at;
    return value;
}

bool tcpm__address_parse_quad(const char *text, struct in_addr *quad)
{
    uint32_t bytes = 0;

    for (int i = 0; i < 4; i++) {
        int value = parse_octet(&text);

        if (value < 0 || *text++ != (i < 3 ? '.' : '\0'))
            return false;
        bytes = bytes << 8 | (uint32_t) value;
    }
    quad->s_addr = htonl(bytes);
    return true;
}

void tcpm__address_print_quad(struct in_addr quad, char text[TCPM__ADDRESS_TEXT])
{
    unsigned char octets[4];

    memcpy(octets, &quad, sizeof(octets));
    for (int i = 0; i < 4; i++) {
        if (octets[i] >= 100)
            *text++ = (char) ('0' + octets[i] / 100);
        if (octets[i] >= 10)
            *text++ = (char) ('0' + octets[i] / 10 % 10);
        *text++ = (char) ('0' + octets[i] % 10);
        *text++ = i < 3 ? '.' : '\0';
    }
}

void tcpm__address_make_quad(struct in_addr quad, unsigned port, union tcpm__address *address)
{
    *address = (union tcpm__address){.in = {.sin_family = AF_INET, .sin_addr = quad}};
    tcpm__address_set_port(address, port);
}

/* The scope of a link-local address: an interface by name or number. */
static int parse_scope(const char *scope, uint32_t *ret)
{
    char *end;
    unsigned long number = if_nametoindex(scope);

    if (number == 0 && isdigit((unsigned char) *scope)) {
        number = strtoul(scope, &end, 10);
        if (*end != '\0' || number > UINT32_MAX)
            return -EINVAL;
    }
    *ret = (uint32_t) number;
    return number == 0 ? -EINVAL : 0;
}

/* 1; 0: none; NO_SCOPE: one with a wrong scope. */
static int parse_inet6(const char *text, unsigned port, union tcpm__address *address)
{
    char copy[TCPM__ADDRESS_TEXT];
    char *scope;
    size_t length = strlen(text);

    if (text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    }
    if (length >= sizeof(copy))
        return 0;
    memcpy(copy, text, length);
    copy[length] = '\0';
    scope = strchr(copy, '%');
    if (scope != NULL)
        *scope++ = '\0';
    *address = (union tcpm__address){.in6 = {.sin6_family = AF_INET6}};
    address->in6.sin6_port = htons((uint16_t) port);
    if (inet_pton(AF_INET6, copy, &address->in6.sin6_addr) != 1)
        return 0;
    if (scope != NULL && parse_scope(scope, &address->in6.sin6_scope_id) < 0)
        return NO_SCOPE;
    return 1;
}

int tcpm__address_parse(const char *text, unsigned port, union tcpm__address *address,
                        const char **why)
{
    struct in_addr quad;
    int form = 0;

    if (tcpm__address_parse_quad(text, &quad)) {
        tcpm__address_make_quad(quad, port, address);
        return 1;
    }
    if (strchr(text, ':') != NULL || text[0] == '[')
        form = parse_inet6(text, port, address);
    return form == 1 ? form : tcpm__address_refuse(text, form == NO_SCOPE, why);
}

void tcpm__address_print(const union tcpm__address *address, char text[TCPM__ADDRESS_TEXT])
{
    size_t length;

    text[0] = '\0';
    if (address->any.sa_family == AF_INET) {
        tcpm__address_print_quad(address->in.sin_addr, text);
    } else if (address->any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address->in6.sin6_addr, text, TCPM__ADDRESS_TEXT);
        if (address->in6.sin6_scope_id != 0) {
            length = strlen(text);
            snprintf(text + length, TCPM__ADDRESS_TEXT - length, "%%%u",
                     (unsigned) address->in6.sin6_scope_id);
        }
    }
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
    return address->any.sa_family == AF_INET6 ? sizeof(address->in6) : sizeof(address->in);
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
        return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr)) == 0;
    return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
}

int tcpm__address_service(const char *service)
{
    struct servent entry, *found = NULL;
    char scratch[2048], *end;
    long number;

    if (isdigit((unsigned char) *service)) {
        number = strtol(service, &end, 10);
        return *end == '\0' && number >= 1 && number <= 65535 ? (int) number : -EINVAL;
    }
    if (getservbyname_r(service, "tcp", &entry, scratch, sizeof(scratch), &found) != 0 ||
        found == NULL)
        return -EINVAL;
    return ntohs((uint16_t) found->s_port);
}
