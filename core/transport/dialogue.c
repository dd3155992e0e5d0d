/* SPDX-License-Identifier: MIT */
/*
 * One object for the dialogues of all schemes, in one block with all that it will send.
 *
 * What always holds: a reason begins with the hop as tcpm__route_print_hop writes it, and has no
 * byte of a user or a password.
 */
#include "transport/dialogue.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "tcpmulti.h"
#include "transport/http_connect.h"
#include "transport/socks5.h"

enum {
    MOST_NAME = 253, /* bytes of a name of a host */
    MOST_REASON = TCPM__HTTP_CONNECT_WHY,
    MOST_BYTES = TCPM__HTTP_CONNECT_BYTES,
};

_Static_assert((int) MOST_REASON >= (int) TCPM__SOCKS5_WHY, "the reasons of both fit in");
_Static_assert((int) MOST_BYTES >= (int) TCPM__SOCKS5_BYTES, "what both send fits in");
_Static_assert((int) TCPM__DIALOGUE_WHY >= (int) TCPM__ROUTE_HOP_TEXT + (int) MOST_REASON + 2,
               "a hop and a reason fit in");

struct tcpm__dialogue {
    const struct tcpm__memory *memory;
    struct tcpm__route *route;
    unsigned index; /* index of the hop */
    bool has_begun; /* the first step was made */
    bool is_http;
    union {
        struct tcpm__socks5 socks5;
        struct tcpm__http_connect http;
    };
    size_t length; /* number of bytes below */
    char bytes[];  /* all that is to be sent */
};

/* ---- opening ---- */

/* A name goes into a request as it is, so a byte with a meaning there must not be in it. */
static bool is_name(const char *name)
{
    const char *at = name;

    while (*at > ' ' && *at < 0x7f && strchr(":/?#@[]\\", *at) == NULL)
        at++;
    return *at == '\0' && at > name && at - name <= MOST_NAME;
}

/* Begins the dialogue, and writes all that it will send. */
static size_t begin(struct tcpm__dialogue *dialogue, const struct tcpm__proxy_target *target,
                    char ret[MOST_BYTES])
{
    const struct tcpm__hop *hop = tcpm__route_hop(dialogue->route, dialogue->index);

    dialogue->is_http = hop->scheme == TCPM__SCHEME_HTTP;
    if (dialogue->is_http)
        return tcpm__http_connect_begin(&dialogue->http, hop, target, ret);
    return tcpm__socks5_begin(&dialogue->socks5, hop, target, (unsigned char *) ret);
}

int tcpm__dialogue_open(const struct tcpm__memory *memory, struct tcpm__route *route,
                        unsigned index, const struct tcpm__proxy_target *target,
                        struct tcpm__dialogue **ret)
{
    struct tcpm__dialogue dialogue = {.memory = memory, .route = route, .index = index};
    struct tcpm__proxy_target given = *target;
    char bytes[MOST_BYTES];

    if (!tcpm__hop_takes_names(tcpm__route_hop(route, index)))
        given.name = NULL;
    TCPM__ASSERT(given.name != NULL || given.address != NULL);
    if (given.name != NULL && !is_name(given.name))
        return TCPM_EBADNAME;
    dialogue.length = begin(&dialogue, &given, bytes);

    struct tcpm__dialogue *made =
        tcpm__memory_resize(memory, NULL, sizeof dialogue + dialogue.length);

    if (made == NULL)
        return -ENOMEM;
    *made = dialogue;
    memcpy(made->bytes, bytes, dialogue.length);
    tcpm__route_hold(route);
    *ret = made;
    return 0;
}

void tcpm__dialogue_close(struct tcpm__dialogue *dialogue)
{
    if (dialogue == NULL)
        return;
    tcpm__route_drop(dialogue->route);
    tcpm__memory_free(dialogue->memory, dialogue);
}

/* ---- going on ---- */

static void explain(const struct tcpm__dialogue *dialogue, const char *what,
                    char why[TCPM__DIALOGUE_WHY])
{
    char hop[TCPM__ROUTE_HOP_TEXT];

    tcpm__route_print_hop(dialogue->route, dialogue->index, hop);
    snprintf(why, TCPM__DIALOGUE_WHY, "%s: %s", hop, what);
}

static struct tcpm__part output(const struct tcpm__dialogue *dialogue)
{
    return dialogue->is_http ? tcpm__part_of(dialogue->bytes, dialogue->length)
                             : tcpm__socks5_output(&dialogue->socks5, dialogue->bytes);
}

/* In each step something else is to be sent. */
static unsigned step_of(const struct tcpm__dialogue *dialogue)
{
    return dialogue->is_http ? 0 : dialogue->socks5.step;
}

static int take(struct tcpm__dialogue *dialogue, const char *in, size_t length, size_t *used,
                char why[MOST_REASON])
{
    return dialogue->is_http ? tcpm__http_connect_take(&dialogue->http, in, length, used, why)
                             : tcpm__socks5_take(&dialogue->socks5, in, length, used, why);
}

int tcpm__dialogue_step(struct tcpm__dialogue *dialogue, const char *in, size_t length,
                        size_t *used, struct tcpm__part *out, char why[TCPM__DIALOGUE_WHY])
{
    unsigned step = step_of(dialogue);
    char reason[MOST_REASON];

    TCPM__ASSERT(dialogue->has_begun || length == 0);
    int result = take(dialogue, in, length, used, reason);

    *out = tcpm__part_of(NULL, 0);
    if (result < 0)
        explain(dialogue, reason, why);
    if (result == 0 && (!dialogue->has_begun || step_of(dialogue) != step))
        *out = output(dialogue);
    dialogue->has_begun = true;
    return result;
}

void tcpm__dialogue_explain(const struct tcpm__dialogue *dialogue, int code,
                            char why[TCPM__DIALOGUE_WHY])
{
    char what[MOST_REASON];
    const char *step = dialogue->is_http ? "CONNECT" : tcpm__socks5_waits_for(&dialogue->socks5);

    snprintf(what, sizeof what, "%s, before its reply to %s", tcpm_error_text(code), step);
    explain(dialogue, what, why);
}
