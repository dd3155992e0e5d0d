/* SPDX-License-Identifier: MIT */
/* /etc/hosts (REACH P45): the table gives what a search through the text, line by line, gives. */
#include "fuzz.h"

#include "transport/hosts.h"

#include <strings.h>

enum { MOST = 8, NAMES = 16, MOST_SIZE = 4096 };

static bool is_blank(char byte)
{
    return (unsigned char) byte <= ' ';
}

/* Gives the next word of a line and its length, or NULL, and moves *at behind it. */
static const char *next_word(const char **at, const char *end, size_t *length)
{
    while (*at < end && is_blank(**at))
        ++*at;

    const char *word = *at;

    while (*at < end && !is_blank(**at))
        ++*at;
    *length = (size_t) (*at - word);
    return *length > 0 ? word : NULL;
}

static bool is_name(const char *word, size_t length, const char *name)
{
    if (word[length - 1] == '.')
        length--;
    return length > 0 && length == strlen(name) && strncasecmp(word, name, length) == 0;
}

/* Whether the line has an address on top. Moves *at behind it. */
static bool read_address(const char **at, const char *end, union tcpm__address *ret)
{
    size_t length;
    const char *word = next_word(at, end, &length), *why;
    char text[TCPM__ADDRESS_TEXT];

    if (word == NULL || *word == '[' || length >= sizeof text)
        return false;
    memcpy(text, word, length);
    text[length] = '\0';
    return tcpm__address_parse(text, 0, ret, &why) == 1;
}

static void add(union tcpm__address *list, size_t *count, const union tcpm__address *address)
{
    for (size_t i = 0; i < *count; i++)
        if (tcpm__address_equal(&list[i], address))
            return;
    if (*count < MOST)
        list[(*count)++] = *address;
}

static size_t search(const char *text, size_t size, const char *name, union tcpm__address *ret,
                     bool *known)
{
    const char *at = text, *stop = text + size;
    size_t count = 0, length;

    *known = false;
    while (at < stop) {
        const char *feed = memchr(at, '\n', (size_t) (stop - at));
        const char *line_end = feed == NULL ? stop : feed;
        const char *mark = memchr(at, '#', (size_t) (line_end - at));
        const char *end = mark == NULL ? line_end : mark, *word;
        union tcpm__address address;

        if (read_address(&at, end, &address)) {
            while ((word = next_word(&at, end, &length)) != NULL) {
                if (!is_name(word, length, name))
                    continue;
                *known = true;
                add(ret, &count, &address);
            }
        }
        at = feed == NULL ? stop : feed + 1;
    }
    return count;
}

static void compare(const struct tcpm__hosts *hosts, const char *text, size_t size,
                    const char *name)
{
    union tcpm__address found[MOST], expected[MOST];
    bool is_known, is_expected;
    size_t expected_count = search(text, size, name, expected, &is_expected);
    size_t count = tcpm__hosts_find(hosts, name, TCPM__ANY_FAMILY, found, MOST, &is_known);

    FUZZ_CHECK(is_known == is_expected && count == expected_count);
    for (size_t i = 0; i < count; i++)
        FUZZ_CHECK(tcpm__address_equal(&found[i], &expected[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *) data, *at = text, *word;
    struct tcpm__hosts *hosts;
    size_t length;
    char name[256];

    if (size > MOST_SIZE)
        return 0;
    FUZZ_CHECK(tcpm__hosts_parse(&tcpm__memory_default, text, size, &hosts) == 0);
    compare(hosts, text, size, "localhost");
    for (int i = 0; i < NAMES && (word = next_word(&at, text + size, &length)) != NULL; i++) {
        size_t kept = length - (word[length - 1] == '.');

        if (kept == 0 || kept >= sizeof name || word[kept - 1] == '.')
            continue; /* two dots at the end are no name */
        memcpy(name, word, kept);
        name[kept] = '\0';
        compare(hosts, text, size, name);
    }
    tcpm__hosts_free(hosts);
    return 0;
}
