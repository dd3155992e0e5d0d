/* SPDX-License-Identifier: MIT */
/*
 * See bed.h. The program is linked with --wrap=tcpm__names_answered, so that the answers come here.
 */
#include "bed.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>

#include "base/list.h"
#include "transport/dispatch.h"

static const uint64_t second_ns = 1000000000, patience_ns = UINT64_C(20000000000);

void __wrap_tcpm__names_answered(struct tcpm__names *names, struct tcpm__query *query,
                                 const struct tcpm__result *result, uint64_t now_ns);

void __wrap_tcpm__names_answered(struct tcpm__names *names, struct tcpm__query *query,
                                 const struct tcpm__result *result, uint64_t now_ns)
{
    struct asked *asked = TCPM__CONTAINER(query, struct asked, query);

    ((struct bed *) (void *) names)->answers++;
    assert_true(result->count <= TCPM__MOST_ADDRESSES);
    assert_int_equal(result->code == 0, result->count > 0);
    asked->over++;
    asked->code = result->code;
    asked->message = result->message;
    asked->ttl_s = result->ttl_s;
    asked->lost = result->lost;
    asked->count = result->count;
    if (result->count > 0)
        memcpy(asked->addresses, result->addresses, result->count * sizeof *result->addresses);
    asked->took_ms = (now_ns - asked->began_ns) / 1000000;
}

/* ---- the network ---- */

static struct tcpm__socket *on_find(struct tcpm__network *network, uint64_t tag)
{
    (void) network;
    (void) tag;
    return NULL;
}

static void on_served(struct tcpm__network *network)
{
    struct bed *bed = TCPM__CONTAINER(network, struct bed, network);

    tcpm__ares_validate(bed->ares);
}

static void on_other(struct tcpm__network *network, uint64_t tag, uint32_t bits)
{
    struct bed *bed = TCPM__CONTAINER(network, struct bed, network);

    tcpm__ares_event(bed->ares, tag, bits);
}

unsigned bed_count_descriptors(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");

    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

/* ---- opening and closing ---- */

void bed_start(struct bed *bed, unsigned server, int no_tcp)
{
    char reason[128] = "";
    unsigned port = tcpm__address_port(&bed->addresses[server]);
    struct nameserver_options options = {
        .port = port == 0 ? NAMESERVER_ANY_PORT : port,
        .number = server + 1,
        .no_tcp = no_tcp,
        .message = reason,
        .message_size = sizeof reason,
    };
    struct in_addr loopback = {.s_addr = htonl(INADDR_LOOPBACK)};

    bed->servers[server] = nameserver_start(&options);
    if (bed->servers[server] == NULL)
        fail_msg("%s", reason);
    tcpm__address_make_quad(loopback, nameserver_port(bed->servers[server]),
                            &bed->addresses[server]);
}

void bed_stop(struct bed *bed, unsigned server)
{
    nameserver_stop(bed->servers[server]);
    bed->servers[server] = NULL;
}

static struct tcpm__ares_config config_of(const struct bed *bed, unsigned from, unsigned count,
                                          unsigned timeout_ms)
{
    return (struct tcpm__ares_config){
        .servers = &bed->addresses[from],
        .count = count,
        .unusable = count == 0,
        .timeout_ms = timeout_ms,
        .tries = BED_TRIES,
    };
}

void bed_configure(struct bed *bed, unsigned from, unsigned count, unsigned timeout_ms)
{
    struct tcpm__ares_config config = config_of(bed, from, count, timeout_ms);

    tcpm__ares_configure(bed->ares, &config);
}

void bed_open(struct bed *bed, unsigned servers, const struct tcpm__memory *memory)
{
    static const struct tcpm__socket_events events = {
        .find = on_find, .served = on_served, .other = on_other};

    memset(bed, 0, sizeof *bed);
    assert_int_equal(uv_loop_init(&bed->loop), 0); /* the first loop leaves two descriptors */
    assert_int_equal(uv_loop_close(&bed->loop), 0);
    bed->descriptors = bed_count_descriptors();
    for (unsigned i = 0; i < servers; i++)
        bed_start(bed, i, 0);
    assert_int_equal(uv_loop_init(&bed->loop), 0);
    assert_int_equal(tcpm__network_open(&bed->network, &bed->loop,
                                        memory == NULL ? &tcpm__memory_default : memory, &events,
                                        1024),
                     0);
    uv_ref((uv_handle_t *) &bed->network.poll);
    tcpm__dispatch_start(&bed->network);
    struct tcpm__ares_config config = config_of(bed, 0, servers, BED_TIMEOUT_MS);
    assert_int_equal(tcpm__ares_open(&bed->network, (void *) bed, &config, &bed->ares), 0);
}

void bed_close(struct bed *bed)
{
    tcpm__ares_close(bed->ares);
    tcpm__network_close(&bed->network);
    uv_run(&bed->loop, UV_RUN_DEFAULT);
    tcpm__network_free(&bed->network);
    assert_int_equal(uv_loop_close(&bed->loop), 0);
    for (unsigned i = 0; i < BED_SERVERS; i++)
        bed_stop(bed, i);
    assert_int_equal(bed_count_descriptors(), bed->descriptors);
}

/* ---- asking ---- */

int bed_ask(struct bed *bed, const char *name, int family, struct asked *ret)
{
    const struct tcpm__backend *backend = (const struct tcpm__backend *) bed->ares;

    memset(ret, 0, sizeof *ret);
    ret->query.name = name;
    ret->query.families = family == AF_INET ? TCPM__INET : TCPM__INET6;
    ret->began_ns = tcpm__network_read_clock_ns(&bed->network);
    int result = backend->kind->ask((struct tcpm__backend *) bed->ares, &ret->query);
    assert_int_equal(ret->over, 0);
    return result;
}

/* A turn as an engine's: what is due is done, then the loop waits for the set, or a second. */
void bed_turn(struct bed *bed)
{
    uint64_t now_ns = tcpm__network_read_clock_ns(&bed->network);
    unsigned before = bed->answers;

    tcpm__network_begin_turn(&bed->network);
    tcpm__ares_tick(bed->ares, now_ns);
    tcpm__ares_validate(bed->ares);
    uint64_t due_ns = tcpm__ares_due_ns(bed->ares);
    tcpm__network_wake_at(&bed->network, due_ns < now_ns + second_ns ? due_ns : now_ns + second_ns);
    uv_run(&bed->loop, bed->answers > before ? UV_RUN_NOWAIT : UV_RUN_ONCE);
    bed->turns++;
}

void bed_wait(struct bed *bed, const struct asked *asked, size_t count)
{
    uint64_t until_ns = tcpm__clock_ns() + patience_ns;

    for (size_t i = 0; i < count; i++) {
        while (asked[i].over == 0) {
            if (tcpm__clock_ns() > until_ns)
                fail_msg("no answer for %s", asked[i].query.name);
            bed_turn(bed);
        }
        assert_int_equal(asked[i].over, 1);
    }
}

void bed_look_up(struct bed *bed, const char *name, int family, struct asked *ret)
{
    assert_int_equal(bed_ask(bed, name, family, ret), 0);
    bed_wait(bed, ret, 1);
}
