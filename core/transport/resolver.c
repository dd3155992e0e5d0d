/* SPDX-License-Identifier: MIT */
/*
 * See resolver.h. The order of the answers: a name that cannot be one is refused; /etc/hosts; the
 * names of this host itself (localhost); then the cache and the name servers. The system's resolver
 * reads /etc/hosts by itself, in the order of nsswitch.conf.
 *
 * What always holds: the lanes of c-ares and the search list are those of the last resolv.conf, or
 * of the servers that were configured.
 */
#include "transport/resolver.h"

#include <errno.h>
#include <string.h>

#include "transport/ares.h"
#include "transport/families.h"
#include "transport/host_name.h"
#include "transport/hosts.h"
#include "transport/order.h"
#include "transport/resolv_conf.h"
#include "transport/system.h"
#include "transport/text_file.h"

enum {
    CACHE = 65536,     /* answers that are kept */
    TIMEOUT_MS = 2000, /* for a server's first answer; doubled with each round */
    TRIES = 3,         /* rounds over all servers */
};

struct tcpm__resolver {
    struct tcpm__network *network;
    struct tcpm__names *names;
    struct tcpm__ares *ares;     /* NULL: nothing was asked through it yet */
    struct tcpm__system *system; /* likewise */
    struct tcpm__hosts *hosts;   /* NULL: there is no file */
    struct tcpm__families families;
    struct tcpm__text_file hosts_file, conf_file;
    struct tcpm__resolv_conf conf; /* contents of conf_file */
    struct tcpm__resolv_conf own;  /* the servers that were configured; none: those of conf count */
    unsigned timeout_ms, tries;    /* a server is given so long, and asked so often */
    union tcpm__address found[TCPM__MOST_ADDRESSES]; /* the last answer that hosts gave */
};

/* ---- the system's files ---- */

/* Without memory the table before stays in use. */
static int refresh_hosts(struct tcpm__resolver *resolver)
{
    const struct tcpm__memory *memory = resolver->network->memory;
    struct tcpm__hosts *hosts = NULL;
    size_t length;
    char *text;
    int result = tcpm__text_file_read(&resolver->hosts_file, memory, resolver->network->now_ms,
                                      &text, &length);

    if (result <= 0)
        return result;
    result = text == NULL ? 0 : tcpm__hosts_parse(memory, text, length, &hosts);
    tcpm__memory_free(memory, text);
    if (result < 0)
        return result;
    tcpm__hosts_free(resolver->hosts);
    resolver->hosts = hosts;
    return 0;
}

static struct tcpm__ares_config ares_config(const struct tcpm__resolver *resolver)
{
    const struct tcpm__resolv_conf *conf =
        resolver->own.server_count > 0 ? &resolver->own : &resolver->conf;

    return (struct tcpm__ares_config){
        .servers = conf->servers,
        .count = conf->server_count,
        .unusable = conf->unusable,
        .timeout_ms = resolver->timeout_ms,
        .tries = resolver->tries,
    };
}

/* Makes the servers and times of the configuration those of later questions. */
static void renew_lanes(struct tcpm__resolver *resolver)
{
    struct tcpm__ares_config config = ares_config(resolver);

    if (resolver->ares != NULL)
        tcpm__ares_configure(resolver->ares, &config);
}

static int refresh_conf(struct tcpm__resolver *resolver)
{
    const struct tcpm__memory *memory = resolver->network->memory;
    size_t length;
    char *text;
    int result = tcpm__text_file_read(&resolver->conf_file, memory, resolver->network->now_ms,
                                      &text, &length);

    if (result <= 0)
        return result;
    tcpm__resolv_conf_parse(text, length, &resolver->conf);
    tcpm__memory_free(memory, text);
    tcpm__names_set_search(resolver->names, &resolver->conf);
    renew_lanes(resolver);
    return 0;
}

/* ---- the backends ---- */

static int open_ares(struct tcpm__resolver *resolver)
{
    struct tcpm__ares_config config = ares_config(resolver);

    return tcpm__ares_open(resolver->network, resolver->names, &config, &resolver->ares);
}

/* Gives the way to ask, opened where it was not. 0, or negative. */
static int find_backend(struct tcpm__resolver *resolver, int dns, struct tcpm__backend **ret)
{
    bool ares = dns == TCPM_DNS_ARES || (dns != TCPM_DNS_SYSTEM && TCPM__HAS_ARES != 0);
    int result = ares ? refresh_conf(resolver) : 0;

    if (result == 0 && ares && resolver->ares == NULL)
        result = open_ares(resolver);
    if (result == 0 && !ares && resolver->system == NULL)
        result = tcpm__system_open(resolver->network, resolver->names, &resolver->system);
    if (result == 0)
        *ret = ares ? (struct tcpm__backend *) resolver->ares
                    : (struct tcpm__backend *) resolver->system;
    return result;
}

/* ---- answers that nobody has to be asked for ---- */

static struct tcpm__answer make_answer(unsigned family, const union tcpm__address *addresses,
                                       size_t count)
{
    return (struct tcpm__answer){
        .families = family,
        .code = count > 0 ? 0 : -ENODATA,
        .addresses = addresses,
        .count = count,
    };
}

/* The number of answers from /etc/hosts, one for each family; 0: the name does not stand there. */
static int answer_from_hosts(struct tcpm__resolver *resolver, const char *name, unsigned families,
                             struct tcpm__answer known[2])
{
    static const unsigned order[] = {TCPM__INET6, TCPM__INET};
    size_t used = 0;
    int answers = 0;
    bool is_known = false;

    for (size_t i = 0; i < 2; i++) {
        union tcpm__address *free = resolver->found + used;
        size_t most = i == 0 ? TCPM__MOST_ADDRESSES / 2 : TCPM__MOST_ADDRESSES - used;

        if ((families & order[i]) == 0)
            continue;
        size_t count = tcpm__hosts_find(resolver->hosts, name, order[i], free, most, &is_known);
        known[answers++] = make_answer(order[i], free, count);
        used += count;
    }
    return is_known ? answers : 0;
}

/* RFC 6761, section 6.3: never a question to a name server. */
static int answer_localhost(struct tcpm__resolver *resolver, unsigned families,
                            struct tcpm__answer known[2])
{
    union tcpm__address *found = resolver->found;
    int answers = 0;

    found[0] =
        (union tcpm__address){.in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}};
    tcpm__address_make_quad((struct in_addr){htonl(INADDR_LOOPBACK)}, 0, &found[1]);
    if ((families & TCPM__INET6) != 0)
        known[answers++] = make_answer(TCPM__INET6, &found[0], 1);
    if ((families & TCPM__INET) != 0)
        known[answers++] = make_answer(TCPM__INET, &found[1], 1);
    return answers;
}

/* The number of answers that this host knows by itself; 0: none. */
static int answer_here(struct tcpm__resolver *resolver, const char *name, unsigned families,
                       struct tcpm__answer known[2])
{
    int result = refresh_hosts(resolver);

    if (result == 0 && resolver->hosts != NULL)
        result = answer_from_hosts(resolver, name, families, known);
    if (result == 0 && tcpm__host_name_is_localhost(name))
        result = answer_localhost(resolver, families, known);
    return result;
}

/* ---- asking ---- */

/* A host whose only IPv6 address is that of loopback asks for IPv4 alone, unless it was told to ask
   for IPv6. */
static unsigned families_to_ask(struct tcpm__resolver *resolver, unsigned families)
{
    if (families == TCPM__ANY_FAMILY &&
        !tcpm__families_have_inet6(&resolver->families, resolver->network->now_ms))
        return TCPM__INET;
    return families;
}

int tcpm__resolver_ask(struct tcpm__resolver *resolver, const struct tcpm__resolver_ask *ask,
                       struct tcpm__answer known[2], struct tcpm__asker **ret, const char **why)
{
    char name[TCPM__HOST_NAME_SIZE];
    struct tcpm__ask inner = {
        .name = name,
        .families = ask->families,
        .done = ask->done,
        .begun = ask->begun,
        .owner = ask->owner,
    };

    *ret = NULL;
    *why = NULL;
    int result = tcpm__host_name_make(ask->text, name, &inner.absolute, why);
    if (result == 0)
        result = find_backend(resolver, ask->dns, &inner.backend);
    if (result == 0 && !inner.backend->kind->both_families) {
        result = answer_here(resolver, name, ask->families, known);
        inner.families = families_to_ask(resolver, ask->families);
    }
    if (result != 0)
        return result;
    return tcpm__names_ask(resolver->names, &inner, resolver->network->now_ns, known, ret);
}

void tcpm__resolver_forget(struct tcpm__resolver *resolver, struct tcpm__asker *asker)
{
    tcpm__names_forget(resolver->names, asker);
}

/* ---- from the loop ---- */

void tcpm__resolver_event(struct tcpm__resolver *resolver, uint64_t tag, uint32_t bits)
{
    if ((tag & TCPM__SYSTEM_TAG) == TCPM__SYSTEM_TAG)
        tcpm__system_event(resolver->system);
    else if (resolver->ares != NULL)
        tcpm__ares_event(resolver->ares, tag, bits);
}

uint64_t tcpm__resolver_due_ns(const struct tcpm__resolver *resolver)
{
    uint64_t names_ns = tcpm__names_due_ns(resolver->names);
    uint64_t ares_ns = resolver->ares == NULL ? UINT64_MAX : tcpm__ares_due_ns(resolver->ares);

    return names_ns < ares_ns ? names_ns : ares_ns;
}

void tcpm__resolver_tick(struct tcpm__resolver *resolver)
{
    if (resolver->ares != NULL)
        tcpm__ares_tick(resolver->ares, resolver->network->now_ns);
    tcpm__names_tick(resolver->names, resolver->network->now_ns);
}

/* ---- opening, changing, closing ---- */

int tcpm__resolver_open(struct tcpm__network *network, struct tcpm__resolver **ret)
{
    struct tcpm__resolver *resolver = tcpm__memory_zeroed(network->memory, sizeof *resolver);

    if (resolver == NULL)
        return -ENOMEM;
    resolver->network = network;
    resolver->hosts_file = tcpm__text_file("/etc/hosts");
    resolver->conf_file = tcpm__text_file("/etc/resolv.conf");
    resolver->timeout_ms = TIMEOUT_MS;
    resolver->tries = TRIES;
    if (tcpm__names_create(network->memory, &resolver->names) < 0) {
        tcpm__memory_free(network->memory, resolver);
        return -ENOMEM;
    }
    *ret = resolver;
    return 0;
}

static struct tcpm__names_config names_config(const struct tcpm_names_options *options)
{
    return (struct tcpm__names_config){
        .concurrency = (unsigned) options->concurrency,
        .cache = options->cache == 0 ? CACHE : (size_t) options->cache,
        .ttl_s = options->ttl_s,
        .search = options->no_search == 0,
    };
}

int tcpm__resolver_configure(struct tcpm__resolver *resolver,
                             const struct tcpm_names_options *options)
{
    struct tcpm__resolv_conf own = {.server_count = 0};
    struct tcpm__names_config config = names_config(options);

    if (options->servers != NULL && tcpm__resolv_conf_parse_servers(options->servers, &own) < 0)
        return -EINVAL;
    resolver->own = own;
    resolver->timeout_ms = options->timeout_ms == 0 ? TIMEOUT_MS : (unsigned) options->timeout_ms;
    resolver->tries = options->tries == 0 ? TRIES : (unsigned) options->tries;
    tcpm__names_configure(resolver->names, &config);
    renew_lanes(resolver);
    return 0;
}

void tcpm__resolver_stats(const struct tcpm__resolver *resolver, struct tcpm_names_stats *ret)
{
    struct tcpm__names_counts counts;

    tcpm__names_stats(resolver->names, &counts);
    *ret = (struct tcpm_names_stats){
        .hits = counts.hits,
        .misses = counts.misses,
        .queries = counts.queries,
        .waiting = counts.waiting,
        .window = counts.window,
        .refused = counts.refused,
        .lost = counts.lost,
    };
}

void tcpm__resolver_abandon(struct tcpm__resolver *resolver)
{
    if (resolver->ares != NULL)
        tcpm__ares_abandon(resolver->ares);
    if (resolver->system != NULL)
        tcpm__system_abandon(resolver->system);
}

void tcpm__resolver_close(struct tcpm__resolver *resolver)
{
    if (resolver == NULL)
        return;
    tcpm__ares_close(resolver->ares);
    tcpm__system_close(resolver->system);
    tcpm__names_free(resolver->names);
    tcpm__hosts_free(resolver->hosts);
    tcpm__memory_free(resolver->network->memory, resolver);
}

#ifdef TCPM__ASSERTIONS
void tcpm__resolver_validate(const struct tcpm__resolver *resolver)
{
    tcpm__names_validate(resolver->names);
    if (resolver->ares != NULL)
        tcpm__ares_validate(resolver->ares);
    if (resolver->system != NULL)
        tcpm__system_validate(resolver->system);
}
#endif
