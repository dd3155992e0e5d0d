/* SPDX-License-Identifier: MIT */
/*
 * The filter netstring (cr.yp.to/proto/netstrings.txt): "5:hello,". A record is the part between
 * the colon and the comma.
 *
 * What always holds: a length has no leading zero, so every record has one form. Input that cannot
 * become a netstring, or only a longer one than max_length, is refused as soon as a byte shows it.
 */
#include "filter/filter.h"

#include <errno.h>
#include <stdio.h>

enum { MAX_LENGTH = 16 * 1024 * 1024 };

struct netstring {
    uint64_t max_length;
    char message[96]; /* message about the last error */
};

static int refuse_byte(struct netstring *netstring, struct tcpm_cut *cut, char found,
                       const char *expected)
{
    snprintf(netstring->message, sizeof netstring->message, "byte 0x%02x where a netstring has %s",
             (unsigned) (unsigned char) found, expected);
    cut->message = netstring->message;
    return TCPM_EFILTER;
}

static int refuse_length(struct netstring *netstring, struct tcpm_cut *cut, uint64_t length)
{
    snprintf(netstring->message, sizeof netstring->message,
             "a netstring of length %llu or more, the limit is %llu", (unsigned long long) length,
             (unsigned long long) netstring->max_length);
    cut->message = netstring->message;
    return TCPM_ETOOLONG;
}

/* Reads "5:" and gives the 5. The number of bytes read; 0: the colon is not there yet; or negative:
   an error. */
static int read_length(struct netstring *netstring, const char *bytes, size_t length,
                       struct tcpm_cut *cut, uint64_t *ret)
{
    uint64_t value = 0;

    for (size_t i = 0; i < length; i++) {
        unsigned digit = (unsigned) (unsigned char) bytes[i] - '0';

        if (bytes[i] == ':' && i > 0) {
            *ret = value;
            return (int) i + 1;
        }
        if (digit > 9)
            return refuse_byte(netstring, cut, bytes[i], i > 0 ? "a digit or a colon" : "a digit");
        if (i > 0 && value == 0)
            return refuse_byte(netstring, cut, bytes[i], "a colon, after the length 0");
        value = value * 10 + digit;
        if (value > netstring->max_length)
            return refuse_length(netstring, cut, value);
    }
    return 0;
}

static int get_netstring(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    struct netstring *netstring = self;
    uint64_t value = 0;
    int header = read_length(netstring, bytes, length, cut, &value);

    if (header <= 0)
        return header;
    size_t end = (size_t) header + (size_t) value;
    if (length <= end) {
        cut->need = end + 1;
        return 0;
    }
    if (bytes[end] != ',')
        return refuse_byte(netstring, cut, bytes[end], "its comma");
    cut->record = bytes + header;
    cut->length = (size_t) value;
    cut->used = end + 1;
    return 1;
}

static int put_netstring(void *self, const void *record, size_t length, struct tcpm_out *out)
{
    char header[32];

    (void) self;
    int bytes = snprintf(header, sizeof header, "%zu:", length);
    int result = tcpm_out_write(out, header, (size_t) bytes);
    if (result == 0)
        result = tcpm_out_write(out, record, length);
    return result < 0 ? result : tcpm_out_write(out, ",", 1);
}

static int init_netstring(void *self, const void *max_length)
{
    struct netstring *netstring = self;
    const int64_t *limit = max_length;

    netstring->max_length = (uint64_t) limit[0];
    return 0;
}

int tcpm_filter_netstring(int64_t max_length, struct tcpm_filter **filter)
{
    static const struct tcpm_filter_kind kind = {.size = sizeof kind,
                                                 .name = "netstring",
                                                 .self_size = sizeof(struct netstring),
                                                 .init = init_netstring,
                                                 .get_one = get_netstring,
                                                 .put = put_netstring};
    int64_t limit = tcpm__filter_limit(max_length, MAX_LENGTH);

    if (filter == NULL || limit < 0)
        return -EINVAL;
    /* Even without a limit another digit and the comma can be added without an overflow. */
    if (limit > INT64_MAX / 16)
        limit = INT64_MAX / 16;
    return tcpm__filter_create(&kind, &limit, true, filter);
}
