/* SPDX-License-Identifier: MIT */
/*
 * The addresses of an attempt: their order, what has become of each, and in the end the one error
 * and the text that stand for all of them. race.c takes address after address, and notes results.
 *
 * What always holds: the tries before attempt->next have begun, or are denied; those behind it wait
 * in the order in which they will be tried, and have no code. There are at most
 * TCPM__MOST_ADDRESSES.
 */
#include "connection/attempt.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include "transport/order.h"

enum { MOST = TCPM__MOST_ADDRESSES };

/* ---- new addresses ---- */

/* Splits addresses into those that may be tried, and those that the option deny leaves out. */
struct split {
    union tcpm__address allowed[MOST];
    union tcpm__address denied[MOST];
    size_t allowed_count;
    size_t denied_count;
};

static void split_addresses(const struct tcpm__connection *connection,
                            const union tcpm__address *addresses, size_t count, struct split *ret)
{
    const struct tcpm__way *way =
        tcpm__passage_may_deny(connection) ? tcpm__way_of(connection) : NULL;

    ret->allowed_count = ret->denied_count = 0;
    for (size_t i = 0; i < count && i < MOST; i++) {
        bool is_denied = tcpm__way_denies(way, &addresses[i]);
        union tcpm__address *to =
            is_denied ? &ret->denied[ret->denied_count++] : &ret->allowed[ret->allowed_count++];

        *to = addresses[i];
        if (tcpm__address_port(to) == 0)
            tcpm__address_set_port(to, tcpm__passage_port(connection));
    }
}

/* The family to begin with: the other one than that of the address tried last. */
static int first_family(const struct tcpm__attempt *attempt)
{
    if (attempt->next == 0)
        return AF_INET6;
    return attempt->tries[attempt->next - 1].address.any.sa_family == AF_INET6 ? AF_INET : AF_INET6;
}

/* Gives the attempt room for so many tries. NULL: no memory, and then the attempt is as it was. */
static struct tcpm__attempt *make_room(struct tcpm__connection *connection, size_t count)
{
    const struct tcpm__memory *memory = &tcpm__engine_of(connection)->memory;
    struct tcpm__attempt *attempt = tcpm__memory_resize(
        memory, connection->rare->attempt, sizeof *attempt + count * sizeof attempt->tries[0]);

    if (attempt != NULL)
        connection->rare->attempt = attempt;
    return attempt;
}

/* Puts the addresses that wait to be tried in order, old and new ones, into list. Gives the number
   of all. */
static size_t join(const struct tcpm__attempt *attempt, const struct split *split, unsigned turn,
                   union tcpm__address list[MOST])
{
    for (size_t i = 0; i < attempt->count; i++)
        list[i] = attempt->tries[i].address;
    return tcpm__order_join(list, attempt->next, attempt->count, split->allowed,
                            split->allowed_count, first_family(attempt), turn);
}

int tcpm__tries_add(struct tcpm__connection *connection, const union tcpm__address *addresses,
                    size_t count, unsigned turn)
{
    struct tcpm__attempt *attempt = connection->rare->attempt;
    union tcpm__address list[MOST];
    struct split split;

    split_addresses(connection, addresses, count, &split);
    connection->session->denied += split.denied_count;
    size_t all = join(attempt, &split, turn, list), from = attempt->next;
    size_t denied = split.denied_count < MOST - all ? split.denied_count : MOST - all;
    uint64_t now_ns = tcpm__engine_of(connection)->network.now_ns;
    attempt = make_room(connection, all + denied);
    if (attempt == NULL)
        return -ENOMEM;
    for (size_t i = from; i < all; i++)
        attempt->tries[i + denied] = (struct tcpm__try){.address = list[i], .known_ns = now_ns};
    for (size_t i = 0; i < denied; i++)
        attempt->tries[from + i] = (struct tcpm__try){
            .address = split.denied[i], .code = TCPM_EPOLICY, .op = TCPM_OP_RESOLVE};
    attempt->next = (uint16_t) (from + denied);
    attempt->count = (uint16_t) (all + denied);
    if (tcpm__times_are_kept(connection))
        tcpm__times_set_first(connection, TCPM__RESOLVED);
    return 0;
}

/* ---- the verdict ---- */

/* How much an error tells about the target: 0: nothing was tried; 1: about this host and its
   routes; 2: about the target. */
static int weight_of(int code)
{
    switch (code) {
    case TCPM_EPOLICY:
        return 0;
    case -ENETUNREACH:
    case -EHOSTUNREACH:
    case -EADDRNOTAVAIL:
    case -EAFNOSUPPORT:
        return 1;
    default:
        return 2;
    }
}

const struct tcpm__try *tcpm__tries_verdict(const struct tcpm__attempt *attempt)
{
    const struct tcpm__try *verdict = NULL;

    for (size_t i = 0; i < attempt->next; i++) {
        const struct tcpm__try *try = &attempt->tries[i];

        if (verdict == NULL || weight_of(try->code) >= weight_of(verdict->code))
            verdict = try;
    }
    return verdict;
}

/* ---- the text ---- */

struct text {
    char *bytes;
    size_t size, length;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    size_t room = text->size - text->length;
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(text->bytes + text->length, room, format, arguments);
    va_end(arguments);
    if (length > 0)
        text->length += (size_t) length < room ? (size_t) length : room - 1;
}

static bool lacks_port(const struct tcpm__try *try)
{
    return try->op == TCPM_OP_CONNECT && try->code == -EADDRNOTAVAIL;
}

static bool is_unbound(const struct tcpm__try *try)
{
    return try->op == TCPM_OP_BIND && try->source.any.sa_family != AF_UNSPEC;
}

/* Whether one text stands for both. */
static bool is_alike(const struct tcpm__try *a, const struct tcpm__try *b)
{
    return a->code == b->code && a->op == b->op && a->to_itself == b->to_itself;
}

/* Adds what has become of a try, without its address. */
static void add_error(struct text *text, const struct tcpm__connection *connection,
                      const struct tcpm__try *try)
{
    const struct tcpm__way *way = tcpm__way_of(connection);
    char address[TCPM__ADDRESS_TEXT];

    if (try->to_itself) {
        add(text, "%s", TCPM__TO_ITSELF);
    } else if (lacks_port(try) && way != NULL && way->sources != NULL) {
        tcpm__address_print(&try->address, address);
        add(text, "no port left from %.100s to %s:%u", way->sources_text, address,
            tcpm__address_port(&try->address));
    } else if (is_unbound(try)) {
        tcpm__address_print(&try->source, address);
        add(text, "local address %s: %s", address, tcpm_error_text(try->code));
    } else {
        add(text, "%s", tcpm_error_text(try->code));
    }
}

/* Adds the addresses of all tries from here on that are like the first of them. */
static void add_addresses(struct text *text, const struct tcpm__attempt *attempt, size_t from)
{
    const char *before = " (";
    char address[TCPM__ADDRESS_TEXT];

    for (size_t i = from; i < attempt->next; i++) {
        if (!is_alike(&attempt->tries[from], &attempt->tries[i]))
            continue;
        tcpm__address_print(&attempt->tries[i].address, address);
        add(text, "%s%s", before, address);
        before = ", ";
    }
    add(text, ")");
}

/* Whether a try before this one is like it, and has brought both into the text. */
static bool is_told(const struct tcpm__attempt *attempt, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (is_alike(&attempt->tries[i], &attempt->tries[index]))
            return true;
    return false;
}

void tcpm__tries_explain(const struct tcpm__connection *connection, char *ret, size_t size)
{
    const struct tcpm__attempt *attempt = connection->rare->attempt;
    struct text text = {.bytes = ret, .size = size};

    ret[0] = '\0';
    for (size_t i = 0; i < attempt->next; i++) {
        if (is_told(attempt, i))
            continue;
        add(&text, "%s", text.length > 0 ? "; " : "");
        add_error(&text, connection, &attempt->tries[i]);
        add_addresses(&text, attempt, i);
    }
}

bool tcpm__tried_get(const struct tcpm__connection *connection, unsigned index,
                     union tcpm__address *address, int *code)
{
    const struct tcpm__attempt *attempt = tcpm__attempt_of(connection);

    if (attempt == NULL || index >= attempt->next)
        return false;
    *address = attempt->tries[index].address;
    *code = attempt->tries[index].code;
    return true;
}
