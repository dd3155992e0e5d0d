/* SPDX-License-Identifier: MIT */
/*
 * Addresses and prefixes in the texts of options. Called when options are read, see deny.c
 * and source.c.
 *
 * What always holds: a prefix that was read has no bits behind its length.
 */
#include "transport/prefix.h"

#include <errno.h>
#include <string.h>

const unsigned char *tcpm__address_bytes(const union tcpm__address *address, size_t *count)
{
    bool is_inet6 = address->any.sa_family == AF_INET6;

    *count = is_inet6 ? sizeof address->in6.sin6_addr : sizeof address->in.sin_addr;
    return is_inet6 ? address->in6.sin6_addr.s6_addr
                    : (const unsigned char *) &address->in.sin_addr;
}

/* Reads a decimal without sign and leading zeros. -EINVAL: there is none, or it is above most. */
static int parse_bits(const char *text, unsigned most, unsigned *ret)
{
    unsigned bits = 0;

    if (*text == '\0' || (text[0] == '0' && text[1] != '\0'))
        return -EINVAL;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return -EINVAL;
        bits = bits * 10 + (unsigned) (*text - '0');
        if (bits > most)
            return -EINVAL;
    }
    *ret = bits;
    return 0;
}

static bool has_bits_behind(const struct tcpm__prefix *prefix)
{
    size_t count;
    const unsigned char *bytes = tcpm__address_bytes(&prefix->first, &count);

    for (unsigned bit = prefix->bits; bit < count * 8; bit++)
        if ((bytes[bit / 8] & 0x80 >> bit % 8) != 0)
            return true;
    return false;
}

/* bits: the text behind the slash; NULL: there is no slash. */
static int parse_parts(const char *address, const char *bits, struct tcpm__prefix *ret)
{
    const char *why;
    size_t count;

    if (tcpm__address_parse(address, 0, &ret->first, &why) != 1)
        return -EINVAL;
    tcpm__address_bytes(&ret->first, &count);
    ret->bits = (unsigned) count * 8;
    if (bits != NULL && parse_bits(bits, ret->bits, &ret->bits) < 0)
        return -EINVAL;
    return has_bits_behind(ret) ? -EINVAL : 0;
}

int tcpm__prefix_parse(struct tcpm__part word, struct tcpm__prefix *ret)
{
    char copy[TCPM__ADDRESS_TEXT + sizeof "/128"];

    if (!tcpm__words_copy(word, copy, sizeof copy))
        return -EINVAL;

    char *slash = strrchr(copy, '/');

    if (slash != NULL)
        *slash++ = '\0';
    return parse_parts(copy, slash, ret);
}
