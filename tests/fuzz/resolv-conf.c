/* SPDX-License-Identifier: MIT */
/* resolv.conf, and lists of servers: counts in their limits, domains and servers that can be used,
   and servers that are read back when they are written. */
#include "fuzz.h"

#include "transport/resolv_conf.h"

#include <errno.h>

static void check_domain(const char *domain)
{
    char name[TCPM__HOST_NAME_SIZE];
    bool absolute;
    const char *why;

    FUZZ_CHECK(memchr(domain, '\0', TCPM__HOST_NAME_SIZE) != NULL);
    FUZZ_CHECK(tcpm__host_name_make(domain, name, &absolute, &why) == 0);
    FUZZ_CHECK(strcmp(domain, name) == 0);
}

static void check_server(const union tcpm__address *server)
{
    FUZZ_CHECK(tcpm__address_port(server) > 0);
    FUZZ_CHECK(server->any.sa_family == AF_INET || server->any.sa_family == AF_INET6);
    if (server->any.sa_family == AF_INET6)
        FUZZ_CHECK(server->in6.sin6_scope_id == 0 &&
                   !IN6_IS_ADDR_LINKLOCAL(&server->in6.sin6_addr));
}

static void check(const struct tcpm__resolv_conf *conf)
{
    FUZZ_CHECK(conf->server_count <= TCPM__MOST_SERVERS);
    FUZZ_CHECK(conf->server_count > 0 || conf->unusable > 0);
    FUZZ_CHECK(conf->domain_count <= TCPM__MOST_DOMAINS && conf->ndots <= 15);
    for (unsigned i = 0; i < conf->server_count; i++)
        check_server(&conf->servers[i]);
    for (unsigned i = 0; i < conf->domain_count; i++)
        check_domain(conf->domains[i]);
}

/* Writes the servers as a list, and reads it. */
static void check_list(const struct tcpm__resolv_conf *conf)
{
    char list[TCPM__MOST_SERVERS * (TCPM__ADDRESS_TEXT + 16)] = "";
    struct tcpm__resolv_conf again = {.ndots = 0};
    size_t length = 0;

    for (unsigned i = 0; i < conf->server_count; i++) {
        char one[TCPM__ADDRESS_TEXT];

        tcpm__address_print(&conf->servers[i], one);
        length += (size_t) snprintf(list + length, sizeof list - length, "[%s]:%u,", one,
                                    tcpm__address_port(&conf->servers[i]));
    }
    FUZZ_CHECK(tcpm__resolv_conf_parse_servers(list, &again) == 0);
    FUZZ_CHECK(again.server_count == conf->server_count);
    for (unsigned i = 0; i < conf->server_count; i++)
        FUZZ_CHECK(tcpm__address_equal(&again.servers[i], &conf->servers[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tcpm__resolv_conf conf;
    char *text = fuzz_text(data, size);

    tcpm__resolv_conf_parse((const char *) data, size, &conf);
    check(&conf);
    if (conf.server_count > 0)
        check_list(&conf);

    int result = tcpm__resolv_conf_parse_servers(text, &conf);

    FUZZ_CHECK(result == 0 || result == -EINVAL);
    if (result == 0) {
        check(&conf);
        check_list(&conf);
    }
    free(text);
    return 0;
}
