/* SPDX-License-Identifier: MIT */
/*
 * The options of sessions and connects that say how a target is reached: names, races, local
 * addresses, proxies. Their ranges are checked here; the texts are read below.
 */
#include "api/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "transport/resolver.h"

enum { SHORTEST_DELAY_MS = 10 };

static bool is_delay(int64_t ms)
{
    return ms == 0 || (ms >= SHORTEST_DELAY_MS && tcpm__check_is_delay(ms));
}

static bool is_device(const char *name)
{
    return name == NULL || (strlen(name) < IFNAMSIZ && strpbrk(name, "/ \t\r\n") == NULL);
}

static int check_options(const struct tcpm__way_options *options)
{
    if (options->dns < 0 || options->dns > TCPM_DNS_SYSTEM)
        return -EINVAL;
    if (!is_delay(options->attempt_delay_ms) || !is_delay(options->resolution_delay_ms) ||
        !is_device(options->bind_device))
        return -EINVAL;
    if (options->bind_address != NULL && options->bind_address[0] == '\0')
        return -EINVAL;
    if (options->plain < 0 || options->plain > 1 || (options->plain == 1 && options->tls != NULL))
        return -EINVAL;
    if (options->send_proxy < TCPM_NONE || options->send_proxy > 2 || options->direct < 0 ||
        options->direct > 1 || (options->direct == 1 && options->proxy != NULL))
        return -EINVAL;
    return options->dns == TCPM_DNS_ARES && !TCPM__HAS_ARES ? -EOPNOTSUPP : 0;
}

int tcpm_proxy_check(struct tcpm_engine *engine, const char *proxy, char *message, size_t size)
{
    char why[TCPM__ROUTE_WHY];
    struct tcpm__route *route;

    if (engine == NULL || proxy == NULL || message == NULL)
        return -EINVAL;
    int result = tcpm__route_parse(&engine->memory, proxy, &route, why);
    if (size > 0)
        snprintf(message, size, "%s", result < 0 ? why : "");
    if (result < 0)
        return result;
    result = tcpm__hop_takes_names(tcpm__route_hop(route, tcpm__route_count(route) - 1));
    tcpm__route_drop(route);
    return result;
}

int tcpm__check_way(const struct tcpm_engine *engine, struct tcpm__way *base,
                    const struct tcpm__way_options *options, struct tcpm__way **ret)
{
    int result = check_options(options);

    return result < 0 ? result : tcpm__way_make(&engine->memory, base, options, ret);
}
