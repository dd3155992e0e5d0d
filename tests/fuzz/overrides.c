/* SPDX-License-Identifier: MIT */
/* The option resolve: each line is found as by a search from the last line to the first. */
#include "fuzz.h"

#include "transport/host_name.h"
#include "transport/overrides.h"

#include <strings.h>

enum { MOST_SIZE = 2048, MOST_LINES = 256, TEXT = 300 };

/* A line of a text that the library has read, so that it needs no further check. */
struct line {
    char host[TEXT];
    unsigned port; /* 0: any */
    union tcpm__address address;
};

struct model {
    struct line lines[MOST_LINES];
    size_t count;
};

static union tcpm__address parse_address(const char *text, unsigned port)
{
    union tcpm__address address;
    const char *why;

    FUZZ_CHECK(tcpm__address_parse(text, port, &address, &why) == 1);
    return address;
}

/* Cuts the port off, which stands behind the last colon, but for brackets: 0 for "*" and none. */
static unsigned cut_port(char *text)
{
    char *bracket = strrchr(text, ']'), *colon = strrchr(text, ':');

    if (colon == NULL || (bracket != NULL && colon < bracket))
        return 0;
    *colon = '\0';
    return (unsigned) strtoul(colon + 1, NULL, 10);
}

static void read_line(struct model *model, const char *text, size_t length)
{
    struct line *line = &model->lines[model->count];
    char copy[2 * TEXT];

    while (length > 0 && (unsigned char) text[length - 1] <= ' ')
        length--;
    while (length > 0 && (unsigned char) *text <= ' ') {
        text++;
        length--;
    }
    if (length == 0 || model->count == MOST_LINES)
        return;
    FUZZ_CHECK(length < sizeof copy);
    memcpy(copy, text, length);
    copy[length] = '\0';

    char *value = strchr(copy, '=');

    FUZZ_CHECK(value != NULL && value - copy < TEXT);
    *value++ = '\0';
    line->port = cut_port(copy);
    memcpy(line->host, copy, strlen(copy) + 1);
    unsigned port = cut_port(value);
    line->address = parse_address(value, port);
    model->count++;
}

static void read_lines(struct model *model, const char *text)
{
    model->count = 0;
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");

        read_line(model, text, length);
        text += length + (text[length] == '\n');
    }
}

static size_t bare_length(const char *name)
{
    size_t length = strlen(name);

    return length > 1 && name[length - 1] == '.' ? length - 1 : length;
}

/* The name in ASCII, where it has such a form. */
static void to_ascii(const char *name, char ret[TEXT])
{
    const char *why;
    bool absolute;

    if (tcpm__host_name_is_ascii(name, strlen(name)) ||
        tcpm__host_name_make(name, ret, &absolute, &why) != 0)
        snprintf(ret, TEXT, "%s", name);
}

static bool is_name(const char *a, const char *b)
{
    char one[TEXT], other[TEXT];

    to_ascii(a, one);
    to_ascii(b, other);
    return bare_length(one) == bare_length(other) && strncasecmp(one, other, bare_length(one)) == 0;
}

static bool is_host(const char *a, const char *b)
{
    union tcpm__address one, other;
    const char *why;

    if (tcpm__address_parse(a, 0, &one, &why) == 1 && one.any.sa_family == AF_INET6)
        return tcpm__address_parse(b, 0, &other, &why) == 1 && tcpm__address_equal(&one, &other) &&
               one.in6.sin6_scope_id == other.in6.sin6_scope_id;
    return is_name(a, b);
}

static const struct line *find_line(const struct model *model, const char *host, unsigned port)
{
    for (size_t i = model->count; i-- > 0;)
        if (model->lines[i].port == port && is_host(model->lines[i].host, host))
            return &model->lines[i];
    return NULL;
}

static void ask(const struct tcpm__overrides *overrides, const struct model *model,
                const char *host, unsigned port)
{
    union tcpm__address address;
    const struct line *line = find_line(model, host, port);

    if (line == NULL)
        line = find_line(model, host, 0);
    if (line == NULL)
        line = find_line(model, "*", port);
    bool is_known = tcpm__overrides_find(overrides, host, port, &address);
    FUZZ_CHECK(is_known == (line != NULL));
    if (line == NULL)
        return;

    union tcpm__address expected = line->address;

    if (tcpm__address_port(&expected) == 0)
        tcpm__address_set_port(&expected, port);
    FUZZ_CHECK(tcpm__address_equal(&address, &expected));
}

static void check(const struct tcpm__overrides *overrides, const struct model *model)
{
    for (size_t i = 0; i < model->count; i++) {
        const struct line *line = &model->lines[i];

        ask(overrides, model, line->host, line->port == 0 ? 80 : line->port);
        ask(overrides, model, line->host, 443);
        ask(overrides, model, "other.test", line->port == 0 ? 80 : line->port);
    }
}

static int try_lines(const char *text, struct tcpm__part *bad)
{
    static struct model model;
    struct tcpm__overrides *overrides;
    int result = tcpm__overrides_parse(&tcpm__memory_default, text, &overrides, bad);

    if (result == 0) {
        read_lines(&model, text);
        check(overrides, &model);
        tcpm__overrides_free(&tcpm__memory_default, overrides);
    }
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_option(data, size, MOST_SIZE, try_lines);
}
