/* SPDX-License-Identifier: MIT */
/*
 * Ways: options of sessions and connects, read into an object that connections share. The API makes
 * them; attempts and sockets use them.
 *
 * What always holds: a way is not changed after it was made, but for the counts in its sources. A
 * part is owned by the way that has it and whose base does not have the same.
 */
#include "connection/way.h"

#include <errno.h>

/* Whether an option asks for a part: neither left open nor taken away. */
static bool asks(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static int make_overrides(struct tcpm__way *way, const char *text)
{
    struct tcpm__part bad;

    if (text == NULL && way->base != NULL)
        way->overrides = way->base->overrides;
    return asks(text) ? tcpm__overrides_parse(way->memory, text, &way->overrides, &bad) : 0;
}

static int make_deny(struct tcpm__way *way, const char *text)
{
    struct tcpm__part bad;

    if (text == NULL && way->base != NULL)
        way->deny = way->base->deny;
    return asks(text) ? tcpm__deny_parse(way->memory, text, &way->deny, &bad) : 0;
}

static int make_sources(struct tcpm__way *way, const char *text)
{
    struct tcpm__part bad;

    if (text == NULL && way->base != NULL) {
        way->sources = way->base->sources;
        way->sources_text = way->base->sources_text;
    }
    if (!asks(text))
        return 0;
    way->sources_text = way->made_of.bind_address;
    return tcpm__sources_parse(way->memory, text, &way->sources, &bad);
}

static int make_device(struct tcpm__way *way, const char *text)
{
    if (text == NULL && way->base != NULL)
        memcpy(way->device, way->base->device, sizeof way->device);
    if (!asks(text))
        return 0;
    if (strlen(text) >= sizeof way->device)
        return -EINVAL;
    memcpy(way->device, text, strlen(text) + 1);
    return 0;
}

static size_t size_of(const char *text)
{
    return text == NULL ? 0 : strlen(text) + 1;
}

/* Copies a text into a block, and moves *at behind the copy. */
static const char *put_text(char **at, const char *text)
{
    size_t size = size_of(text);
    char *copy = *at;

    if (text == NULL)
        return NULL;
    *at += size;
    return memcpy(copy, text, size);
}

/* Keeps the options as given. 0, or -ENOMEM. */
static int keep_options(struct tcpm__way *way, const struct tcpm__way_options *options)
{
    size_t size = size_of(options->resolve) + size_of(options->deny) +
                  size_of(options->bind_address) + size_of(options->bind_device) +
                  size_of(options->proxy);

    way->made_of = *options;
    if (size == 0)
        return 0;
    way->texts = tcpm__memory_resize(way->memory, NULL, size);
    if (way->texts == NULL)
        return -ENOMEM;
    char *at = way->texts;
    way->made_of.resolve = put_text(&at, options->resolve);
    way->made_of.deny = put_text(&at, options->deny);
    way->made_of.bind_address = put_text(&at, options->bind_address);
    way->made_of.bind_device = put_text(&at, options->bind_device);
    way->made_of.proxy = put_text(&at, options->proxy);
    return 0;
}

/* The specification of TLS, held; NULL: plain text. */
static struct tcpm_tls *find_tls(const struct tcpm__way *base,
                                 const struct tcpm__way_options *options)
{
    struct tcpm_tls *tls = options->tls;

    if (tls == NULL && base != NULL && options->plain == 0)
        tls = base->tls;
    return tls == NULL ? NULL : tcpm__tls_spec_hold(tls);
}

/* The proxy that is last looks the target up, if it takes names: nobody could deny an address. */
static bool is_out_of_reach(const struct tcpm__way *way)
{
    return way->deny != NULL && way->route != NULL &&
           tcpm__hop_takes_names(tcpm__route_hop(way->route, tcpm__route_count(way->route) - 1));
}

static int make_route(struct tcpm__way *way, const struct tcpm__way_options *options)
{
    char why[TCPM__ROUTE_WHY];
    int result = 0;

    if (asks(options->proxy))
        result = tcpm__route_parse(way->memory, options->proxy, &way->route, why);
    else if (options->proxy == NULL && options->direct == 0 && way->base != NULL &&
             way->base->route != NULL)
        way->route = tcpm__route_hold(way->base->route);
    return result == 0 && is_out_of_reach(way) ? -EINVAL : result;
}

static void make_numbers(struct tcpm__way *way, const struct tcpm__way_options *options)
{
    const struct tcpm__way *base = way->base;

    way->dns = (int) options->dns;
    way->attempt_delay_ms = (uint32_t) options->attempt_delay_ms;
    way->resolution_delay_ms = (uint32_t) options->resolution_delay_ms;
    way->tls = find_tls(base, options);
    way->send_proxy = options->send_proxy == TCPM_NONE ? 0 : (int) options->send_proxy;
    if (base == NULL)
        return;
    if (way->dns == 0)
        way->dns = base->dns;
    if (way->attempt_delay_ms == 0)
        way->attempt_delay_ms = base->attempt_delay_ms;
    if (way->resolution_delay_ms == 0)
        way->resolution_delay_ms = base->resolution_delay_ms;
    if (options->send_proxy == 0)
        way->send_proxy = base->send_proxy;
}

int tcpm__way_make(const struct tcpm__memory *memory, struct tcpm__way *base,
                   const struct tcpm__way_options *options, struct tcpm__way **ret)
{
    struct tcpm__way *way = tcpm__memory_zeroed(memory, sizeof *way);

    if (way == NULL)
        return -ENOMEM;
    way->memory = memory;
    way->holders = 1;
    way->base = tcpm__way_keep(base);
    make_numbers(way, options);
    int result = keep_options(way, options);
    if (result == 0)
        result = make_device(way, options->bind_device);
    if (result == 0)
        result = make_overrides(way, options->resolve);
    if (result == 0)
        result = make_deny(way, options->deny);
    if (result == 0)
        result = make_sources(way, options->bind_address);
    if (result == 0)
        result = make_route(way, options);
    if (result < 0) {
        tcpm__way_drop(way);
        return result;
    }
    *ret = way;
    return 0;
}

static bool is_same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool tcpm__way_is_made_of(const struct tcpm__way *way, const struct tcpm__way_options *options)
{
    const struct tcpm__way_options *given = way == NULL ? NULL : &way->made_of;

    return given != NULL && given->dns == options->dns &&
           given->attempt_delay_ms == options->attempt_delay_ms &&
           given->resolution_delay_ms == options->resolution_delay_ms &&
           given->tls == options->tls && given->plain == options->plain &&
           given->direct == options->direct && given->send_proxy == options->send_proxy &&
           is_same(given->proxy, options->proxy) && is_same(given->resolve, options->resolve) &&
           is_same(given->deny, options->deny) &&
           is_same(given->bind_address, options->bind_address) &&
           is_same(given->bind_device, options->bind_device);
}

struct tcpm__way *tcpm__way_keep(struct tcpm__way *way)
{
    if (way != NULL)
        way->holders++;
    return way;
}

static void free_parts(const struct tcpm__way *way)
{
    static const struct tcpm__way none = {.holders = 0};
    const struct tcpm__way *base = way->base != NULL ? way->base : &none;

    if (way->overrides != base->overrides)
        tcpm__overrides_free(way->memory, way->overrides);
    if (way->deny != base->deny)
        tcpm__deny_free(way->memory, way->deny);
    if (way->sources != base->sources)
        tcpm__sources_drop(way->sources);
    tcpm__tls_spec_drop(way->tls);
    tcpm__route_drop(way->route);
    tcpm__memory_free(way->memory, way->texts);
}

/* A way's base is held by the way, and is freed with it unless others hold it too. */
void tcpm__way_drop(struct tcpm__way *way)
{
    while (way != NULL && --way->holders == 0) {
        struct tcpm__way *base = way->base;

        free_parts(way);
        tcpm__memory_free(way->memory, way);
        way = base;
    }
}

void tcpm__way_return(const struct tcpm__way *way, uint32_t *lease)
{
    if (*lease != 0)
        tcpm__sources_give(way->sources, *lease);
    *lease = 0;
}
