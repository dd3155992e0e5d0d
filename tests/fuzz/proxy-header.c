/* SPDX-License-Identifier: MIT */
/* The PROXY header (REACH P45): what a server reads of it is what was written. */
#include "fuzz.h"

#include "transport/proxy_header.h"

#include <arpa/inet.h>

static const char signature[] = {'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

enum { BEHIND_SIGNATURE = sizeof signature, BEGINNING = sizeof signature + 4 };

/* An address of the family that a byte chooses, or of none. */
static union tcpm__address draw_address(struct fuzz_input *input, unsigned family)
{
    union tcpm__address address = {.any = {.sa_family = AF_UNSPEC}};
    unsigned char *bytes = address.in6.sin6_addr.s6_addr;
    size_t length = sizeof address.in6.sin6_addr;

    if (family % 3 == 1)
        address.any.sa_family = AF_INET6;
    if (family % 3 == 2) {
        address.any.sa_family = AF_INET;
        bytes = (unsigned char *) &address.in.sin_addr;
        length = sizeof address.in.sin_addr;
    }
    for (size_t i = 0; i < length; i++)
        bytes[i] = (unsigned char) fuzz_byte(input);
    if (address.any.sa_family == AF_INET6)
        address.in6.sin6_scope_id = fuzz_byte(input);
    tcpm__address_set_port(&address, fuzz_byte(input) << 8 | fuzz_byte(input));
    return address;
}

static const void *bytes_of(const union tcpm__address *address)
{
    return address->any.sa_family == AF_INET ? (const void *) &address->in.sin_addr
                                             : (const void *) &address->in6.sin6_addr;
}

static size_t size_of(int family)
{
    return family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
}

static void check_text(const char *text, const char *port, const union tcpm__address *expected)
{
    struct in6_addr address;
    int family = expected->any.sa_family;

    FUZZ_CHECK(inet_pton(family, text, &address) == 1);
    FUZZ_CHECK(memcmp(&address, bytes_of(expected), size_of(family)) == 0);
    FUZZ_CHECK(strtoul(port, NULL, 10) == tcpm__address_port(expected));
    FUZZ_CHECK(port[0] != '0' || port[1] == '\0');
}

/* Cuts the next word off, which ends in just this byte. */
static char *cut_word(char **line, char end)
{
    char *word = *line, *stop = strchr(word, end);

    FUZZ_CHECK(stop != NULL);
    *stop = '\0';
    *line = stop + 1;
    return word;
}

static void check_line(char *header, size_t length, const union tcpm__address *source,
                       const union tcpm__address *destination)
{
    char line[TCPM__PROXY_HEADER_SIZE], *rest = line;

    FUZZ_CHECK(length <= 107);
    memcpy(line, header, length);
    line[length] = '\0';
    FUZZ_CHECK(strlen(line) == length);
    FUZZ_CHECK(strcmp(cut_word(&rest, ' '), "PROXY") == 0);
    if (source->any.sa_family != destination->any.sa_family || source->any.sa_family == AF_UNSPEC) {
        FUZZ_CHECK(strcmp(rest, "UNKNOWN\r\n") == 0);
        return;
    }

    const char *family = cut_word(&rest, ' ');
    const char *from = cut_word(&rest, ' '), *to = cut_word(&rest, ' ');
    const char *from_port = cut_word(&rest, ' '), *to_port = cut_word(&rest, '\r');

    FUZZ_CHECK(strcmp(rest, "\n") == 0);
    FUZZ_CHECK(strcmp(family, source->any.sa_family == AF_INET ? "TCP4" : "TCP6") == 0);
    check_text(from, from_port, source);
    check_text(to, to_port, destination);
}

static void check_binary(const char *header, size_t length, const union tcpm__address *source,
                         const union tcpm__address *destination)
{
    const unsigned char *at = (const unsigned char *) header + BEHIND_SIGNATURE;
    int family = source->any.sa_family;
    size_t size = size_of(family);

    FUZZ_CHECK(length >= BEGINNING && memcmp(header, signature, sizeof signature) == 0);
    FUZZ_CHECK((size_t) (at[2] << 8 | at[3]) == length - BEGINNING);
    if (family != destination->any.sa_family || family == AF_UNSPEC) {
        FUZZ_CHECK(length == BEGINNING && at[0] == 0x20 && at[1] == 0);
        return;
    }
    FUZZ_CHECK(at[0] == 0x21 && at[1] == (family == AF_INET ? 0x11 : 0x21));
    at += BEGINNING - BEHIND_SIGNATURE;
    FUZZ_CHECK(length == BEGINNING + 2 * size + 4);
    FUZZ_CHECK(memcmp(at, bytes_of(source), size) == 0);
    FUZZ_CHECK(memcmp(at + size, bytes_of(destination), size) == 0);
    at += 2 * size;
    FUZZ_CHECK((unsigned) (at[0] << 8 | at[1]) == tcpm__address_port(source));
    FUZZ_CHECK((unsigned) (at[2] << 8 | at[3]) == tcpm__address_port(destination));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    char header[TCPM__PROXY_HEADER_SIZE];
    unsigned families = fuzz_byte(&input);
    union tcpm__address source = draw_address(&input, families);
    union tcpm__address destination = draw_address(&input, families / 3);

    check_line(header, tcpm__proxy_header_write(1, &source, &destination, header), &source,
               &destination);
    check_binary(header, tcpm__proxy_header_write(2, &source, &destination, header), &source,
                 &destination);
    return 0;
}
