/* SPDX-License-Identifier: MIT */
/* See name_search.h. */
#include "transport/name_search.h"

#include <stdio.h>
#include <string.h>

enum { LONGEST_NAME = 253 };

void tcpm__name_search_init(struct tcpm__name_search *search)
{
    search->ndots = 1;
    search->domain_count = 0;
}

void tcpm__name_search_set(struct tcpm__name_search *search, const struct tcpm__resolv_conf *conf)
{
    search->ndots = conf->ndots;
    search->domain_count = conf->domain_count;
    memcpy(search->domains, conf->domains, sizeof search->domains);
}

static unsigned dots_of(const char *name)
{
    unsigned dots = 0;

    for (; *name != '\0'; name++)
        dots += *name == '.';
    return dots;
}

static bool join(const char *name, const char *domain, char room[TCPM__HOST_NAME_SIZE])
{
    int length = snprintf(room, TCPM__HOST_NAME_SIZE, "%s.%s", name, domain);

    return length <= LONGEST_NAME && *domain != '\0';
}

static const char *as_is(struct tcpm__candidates *candidates)
{
    if (candidates->had_as_is)
        return NULL;
    candidates->had_as_is = true;
    return candidates->name;
}

const char *tcpm__name_search_next(const struct tcpm__name_search *search,
                                   struct tcpm__candidates *candidates,
                                   char room[TCPM__HOST_NAME_SIZE])
{
    if (candidates->only_as_is)
        return as_is(candidates);
    if (candidates->next == 0 && !candidates->had_as_is &&
        dots_of(candidates->name) >= search->ndots)
        return as_is(candidates);
    while (candidates->next < search->domain_count)
        if (join(candidates->name, search->domains[candidates->next++], room))
            return room;
    return as_is(candidates);
}
