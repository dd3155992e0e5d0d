/* SPDX-License-Identifier: MIT */
/*
 * The public functions on look-ups of names, and on what is known of an attempt: its times, and the
 * addresses that were tried. Arguments are checked, and the layers below do the work.
 */
#include "api/check.h"

#include <errno.h>

#include "transport/resolver.h"

enum {
    LONGEST_TRY_MS = 60000,
    MOST_TRIES = 10,
    MOST_QUERIES = 32768,
    LARGEST_CACHE = 16777216,
};

/* ---- names ---- */

/* Whether the number may be given: 0 is the default. */
static bool is_number(int64_t number, int64_t most)
{
    return number >= 0 && number <= most;
}

static bool names_fit(const struct tcpm_names_options *options)
{
    return is_number(options->timeout_ms, LONGEST_TRY_MS) &&
           is_number(options->tries, MOST_TRIES) && is_number(options->no_search, 1) &&
           is_number(options->concurrency, MOST_QUERIES) &&
           is_number(options->cache, LARGEST_CACHE) && options->ttl_s >= TCPM_NONE;
}

int tcpm_names_set(struct tcpm_engine *engine, const struct tcpm_names_options *options_or_null)
{
    struct tcpm_names_options options;
    struct tcpm__resolver *resolver;
    int result = tcpm__options_read(options_or_null, &options, sizeof options);

    if (result < 0)
        return result;
    if (engine == NULL || !names_fit(&options))
        return -EINVAL;
    if (tcpm__network_is_forked(&engine->network))
        return -ECHILD;
    if (engine->end.closing)
        return -ESHUTDOWN;
    if (options.servers != NULL && !TCPM__HAS_ARES)
        return -EOPNOTSUPP;
    result = tcpm__lookup_open(engine, &resolver);
    return result < 0 ? result : tcpm__resolver_configure(resolver, &options);
}

int tcpm_names_stats_get(struct tcpm_engine *engine, struct tcpm_names_stats *stats)
{
    struct tcpm_names_stats known = {.hits = 0};

    if (engine == NULL || stats == NULL)
        return -EINVAL;
    if (engine->lookups.resolver != NULL)
        tcpm__resolver_stats(engine->lookups.resolver, &known);
    return tcpm__options_write(&known, stats, sizeof known);
}

/* ---- an attempt ---- */

int tcpm_times_get(struct tcpm_session *session, struct tcpm_id id, struct tcpm_times *times)
{
    struct tcpm__connection *connection;
    struct tcpm_times known = {.began_ns = 0};
    int result = tcpm__check_known(session, id, &connection);

    if (result < 0)
        return result;
    if (times == NULL)
        return -EINVAL;
    tcpm__times_get(connection, &known);
    return tcpm__options_write(&known, times, sizeof known);
}

int tcpm_tried_get(struct tcpm_session *session, struct tcpm_id id, unsigned index,
                   struct tcpm_tried *tried)
{
    struct tcpm__connection *connection;
    struct tcpm_tried known = {.code = 0};
    union tcpm__address address;
    int result = tcpm__check_known(session, id, &connection);

    if (result < 0)
        return result;
    if (tried == NULL)
        return -EINVAL;
    if (!tcpm__tried_get(connection, index, &address, &known.code))
        return 0;
    tcpm__address_print(&address, known.address);
    known.port = tcpm__address_port(&address);
    result = tcpm__options_write(&known, tried, sizeof known);
    return result < 0 ? result : 1;
}
