/* SPDX-License-Identifier: MIT */
/* The option deny: an address is denied exactly if one word of the list has it, read one by one. */
#include "fuzz.h"

#include "transport/deny.h"
#include "transport/prefix.h"

enum { MOST_SIZE = 2048, FORMS = 4 };

/* ---- the classes, as conditions ---- */

static bool inet_class_has(const char *class, uint32_t address)
{
    uint32_t top = address >> 24, half = address >> 16, three = address >> 8;

    if (strcmp(class, "private") == 0)
        return top == 10 || (half >= 0xac10 && half <= 0xac1f) || half == 0xc0a8 ||
               (half >= 0x6440 && half <= 0x647f);
    if (strcmp(class, "loopback") == 0)
        return top == 127;
    if (strcmp(class, "linklocal") == 0)
        return half == 0xa9fe;
    if (strcmp(class, "multicast") == 0)
        return top >= 224 && top < 240;
    if (strcmp(class, "unspecified") == 0)
        return address == 0;
    return top == 0 || three == 0xc00000 || three == 0xc00002 || three == 0xc05863 ||
           half == 0xc612 || half == 0xc613 || three == 0xc63364 || three == 0xcb0071 || top >= 240;
}

static bool has_bytes(const unsigned char *address, const char *bytes, size_t count)
{
    return memcmp(address, bytes, count) == 0;
}

static bool inet6_class_has(const char *class, const unsigned char *address)
{
    static const char zeros[15];
    unsigned top = (unsigned) address[0] << 8 | address[1];

    if (strcmp(class, "private") == 0)
        return top >> 9 == 0x7e || top >> 6 == 0x3fb || has_bytes(address, "\0\x64\xff\x9b\0\1", 6);
    if (strcmp(class, "loopback") == 0)
        return has_bytes(address, zeros, 15) && address[15] == 1;
    if (strcmp(class, "linklocal") == 0)
        return top >> 6 == 0x3fa;
    if (strcmp(class, "multicast") == 0)
        return top >> 8 == 0xff;
    if (strcmp(class, "unspecified") == 0)
        return has_bytes(address, zeros, 15) && address[15] == 0;
    return has_bytes(address, "\1\0\0\0\0\0\0\0", 8) || (top == 0x2001 && address[2] < 2) ||
           has_bytes(address, "\x20\x01\x0d\xb8", 4) || (top == 0x3fff && address[2] < 0x10) ||
           top == 0x5f00;
}

static bool is_class(const char *word)
{
    static const char *const names[] = {"private",   "loopback",    "linklocal",
                                        "multicast", "unspecified", "reserved"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(word, names[i]) == 0)
            return true;
    return false;
}

/* ---- words ---- */

static bool has_prefix(const unsigned char *address, const unsigned char *prefix, unsigned bits)
{
    for (unsigned bit = 0; bit < bits; bit++)
        if (((address[bit / 8] ^ prefix[bit / 8]) & 0x80 >> bit % 8) != 0)
            return false;
    return true;
}

static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

/* Whether the prefix has an address of so many bytes. One that begins with ::ffff: is a prefix of
   IPv4 addresses. */
static bool prefix_has(const struct tcpm__prefix *prefix, const unsigned char *address,
                       size_t count)
{
    size_t prefix_count;
    const unsigned char *bytes = tcpm__address_bytes(&prefix->first, &prefix_count);

    if (prefix_count == count)
        return has_prefix(address, bytes, prefix->bits);
    return count == 4 && prefix->bits >= 96 && memcmp(bytes, mapped, sizeof mapped) == 0 &&
           has_prefix(address, bytes + 12, prefix->bits - 96);
}

static bool word_has(struct tcpm__part word, const unsigned char *address, size_t count)
{
    struct tcpm__prefix prefix;
    char text[80];

    FUZZ_CHECK(tcpm__words_copy(word, text, sizeof text));
    if (is_class(text))
        return count == 4 ? inet_class_has(text, (uint32_t) address[0] << 24 |
                                                     (uint32_t) address[1] << 16 |
                                                     (uint32_t) address[2] << 8 | address[3])
                          : inet6_class_has(text, address);
    FUZZ_CHECK(tcpm__prefix_parse(word, &prefix) == 0);
    return prefix_has(&prefix, address, count);
}

static bool any_word_has(const char *text, const unsigned char *address, size_t count)
{
    struct tcpm__part list = tcpm__part_of(text, strlen(text)), word;

    while (tcpm__words_next_item(&list, &word))
        if (word_has(word, address, count))
            return true;
    return false;
}

/* Whether one of the words has an IPv6 address, or the IPv4 address inside of it. */
static bool is_expected(const char *text, const unsigned char address[16])
{
    bool is_expected = any_word_has(text, address, 16);

    if (memcmp(address, mapped, 12) == 0 ||
        memcmp(address, "\0\0\0\0\0\0\0\0\xff\xff\0\0", 12) == 0 ||
        memcmp(address, "\0\x64\xff\x9b\0\0\0\0\0\0\0\0", 12) == 0)
        is_expected |= any_word_has(text, address + 12, 4);
    if (address[0] == 0x20 && address[1] == 0x02)
        is_expected |= any_word_has(text, address + 2, 4);
    return is_expected;
}

/* ---- questions ---- */

static void ask_inet6(const struct tcpm__deny *deny, const char *text,
                      const unsigned char bytes[16])
{
    union tcpm__address address = {.in6 = {.sin6_family = AF_INET6}};

    memcpy(&address.in6.sin6_addr, bytes, 16);
    FUZZ_CHECK(tcpm__deny_has(deny, &address) == is_expected(text, bytes));
}

static void ask_inet(const struct tcpm__deny *deny, const char *text, const unsigned char bytes[4])
{
    static const unsigned char forms[FORMS][16] = {{[10] = 0xff, [11] = 0xff},
                                                   {[8] = 0xff, [9] = 0xff},
                                                   {[1] = 0x64, [2] = 0xff, [3] = 0x9b},
                                                   {0x20, 0x02}};
    union tcpm__address address = {.in = {.sin_family = AF_INET}};

    memcpy(&address.in.sin_addr, bytes, 4);
    FUZZ_CHECK(tcpm__deny_has(deny, &address) == any_word_has(text, bytes, 4));
    for (int form = 0; form < FORMS; form++) {
        unsigned char inner[16];

        memcpy(inner, forms[form], 16);
        memcpy(inner + (form == 3 ? 2 : 12), bytes, 4);
        ask_inet6(deny, text, inner);
    }
}

static void ask(const struct tcpm__deny *deny, const char *text, const unsigned char *bytes,
                size_t count)
{
    if (count == 4)
        ask_inet(deny, text, bytes);
    else
        ask_inet6(deny, text, bytes);
}

/* Asks for both ends of a prefix and their neighbours outside. */
static void ask_edges(const struct tcpm__deny *deny, const char *text,
                      const struct tcpm__prefix *prefix)
{
    unsigned char low[16], high[16];
    size_t count;
    const unsigned char *bytes = tcpm__address_bytes(&prefix->first, &count);

    memcpy(low, bytes, count);
    memcpy(high, bytes, count);
    for (unsigned bit = prefix->bits; bit < count * 8; bit++)
        high[bit / 8] |= (unsigned char) (0x80 >> bit % 8);
    ask(deny, text, low, count);
    ask(deny, text, high, count);
    for (size_t i = count; i-- > 0 && low[i]-- == 0;)
        continue;
    for (size_t i = count; i-- > 0 && ++high[i] == 0;)
        continue;
    ask(deny, text, low, count);
    ask(deny, text, high, count);
}

static void check_list(const struct tcpm__deny *deny, const char *text)
{
    static const unsigned char usual[][16] = {
        {10, 0, 0, 1}, {127, 0, 0, 1}, {[15] = 1}, {8, 8, 8, 8}, {0xfe, 0x80}};
    struct tcpm__part list = tcpm__part_of(text, strlen(text)), word;
    struct tcpm__prefix prefix;

    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
        ask(deny, text, usual[i], 4);
        ask(deny, text, usual[i], 16);
    }
    while (tcpm__words_next_item(&list, &word))
        if (tcpm__prefix_parse(word, &prefix) == 0)
            ask_edges(deny, text, &prefix);
}

static int try_list(const char *text, struct tcpm__part *bad)
{
    struct tcpm__deny *deny;
    int result = tcpm__deny_parse(&tcpm__memory_default, text, &deny, bad);

    if (result == 0) {
        check_list(deny, text);
        tcpm__deny_free(&tcpm__memory_default, deny);
    }
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_option(data, size, MOST_SIZE, try_list);
}
