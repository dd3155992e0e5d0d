/* SPDX-License-Identifier: MIT */
/*
 * The pieces that an attempt to connect is made of: its addresses, its sockets, its times. Beside
 * the lowest level of this layer (record.h): race.c and attempt.c put them together.
 */
#ifndef TCPM_CONNECTION_ATTEMPT_H
#define TCPM_CONNECTION_ATTEMPT_H

#include "connection/record.h"

/* ---- tries.c: the addresses of an attempt ---- */
/* Adds the addresses of an answer, in order, to those that wait to be tried. Those that the option
   deny leaves out become tries that have failed. An address without a port gets the connection's.
   turn: how often this answer was given before. There must be an attempt, which may move. 0, or
   -ENOMEM. */
int tcpm__tries_add(struct tcpm__connection *connection, const union tcpm__address *addresses,
                    size_t count, unsigned turn);
/* The try whose error stands for all: the last one that tells of the target, not of the way there.
   NULL: there was no try. */
const struct tcpm__try *tcpm__tries_verdict(const struct tcpm__attempt *attempt);
/* Writes what has become of each address. There must be an attempt. */
void tcpm__tries_explain(const struct tcpm__connection *connection, char *ret, size_t size);
/* Tells of the address that was tried as number index, from 0 on; code: 0: it is under way. False:
   there is no such try. */
bool tcpm__tried_get(const struct tcpm__connection *connection, unsigned index,
                     union tcpm__address *address, int *code);

/* ---- addresses.c: how many sockets a session has to one address ---- */
/* Whether the sockets of the connection's attempt need claims on their addresses. */
static inline bool tcpm__addresses_need_claims(const struct tcpm__connection *connection)
{
    const struct tcpm__way *way = tcpm__way_of(connection);

    return connection->session->options.max_per_address != 0 && (way == NULL || way->route == NULL);
}
/* Makes a claim on the first untried address that has one left, and makes that address the next
   try. 1; 0: no address has a claim left; -ENOMEM, and then the next try is the address in
   question. */
int tcpm__addresses_claim_next(struct tcpm__connection *connection);
/* Gives a claim back, and makes it NULL, which is none. */
void tcpm__addresses_give(struct tcpm_session *session, struct tcpm__address_entry **claim);
/* Gives the claims back that a connection has beside those of its racers. There must be a struct
   tcpm__rare. */
void tcpm__addresses_give_all(struct tcpm__connection *connection);
/* Lets the connection wait at the next try's address, on which all claims are taken. */
void tcpm__addresses_wait(struct tcpm__connection *connection);
/* Takes a connection that is about to end away from the address that it waits at. */
void tcpm__addresses_leave(struct tcpm__connection *connection);
/* Lets the times of an attempt go on that has waited at an address. False: it has not. */
bool tcpm__addresses_resume(struct tcpm__connection *connection);

/* ---- places.c, timers.c: for connections that wait at an address ---- */
/* Lets a connection whose attempt has begun wait, without its place, as if the attempt had not been
   made. */
void tcpm__places_step_back(struct tcpm__connection *connection);
/* Lets a connection that has stepped back, and now has a claim on an address, wait for a place. */
void tcpm__places_return(struct tcpm__connection *connection);
/* Lets the timeout of the attempt go on, which has stood still for so many ms until now. */
void tcpm__timers_put_off_timeout(struct tcpm__connection *connection, uint64_t ms);

/* ---- validate_addresses.c: debug and sanitize builds only ---- */
/* Asserts that the connection has the claims that its sockets need. Gives their number. */
uint64_t tcpm__addresses_validate_claims(const struct tcpm__connection *connection);
/* Asserts that the session's table of addresses has so many claims, and so many connects wait. */
void tcpm__addresses_validate(const struct tcpm_session *session, uint64_t claims,
                              uint64_t waiting);

/* ---- racers.c: further sockets of an attempt ---- */
/* Number of open sockets: that of the connection, and its racers. */
size_t tcpm__racers_live(const struct tcpm__connection *connection);
/* A new racer, whose socket is closed; NULL: no memory. */
struct tcpm__racer *tcpm__racers_add(struct tcpm__connection *connection);
/* Frees the racer, whose socket is closed or has been moved, and gives its lease and its claim
   back. */
void tcpm__racers_remove(struct tcpm__racer *racer);
/* The tag of the racer's socket. */
static inline uint64_t tcpm__racer_tag(const struct tcpm__racer *racer)
{
    return racer->owner->id | (uint64_t) racer->number << TCPM__TAG_BITS;
}
/* The socket of the racer with this tag; NULL: there is none. Any tag may be given. */
struct tcpm__socket *tcpm__racers_find(const struct tcpm_engine *engine, uint64_t tag);
/* The racer that has this socket, which must be racing. */
struct tcpm__racer *tcpm__racer_with(struct tcpm__socket *socket);
/* Whether the kernel has news of a racer that the loop has not handed out yet. */
bool tcpm__racers_have_news(const struct tcpm__connection *connection);
/* Closes and frees all racers, with their places and leases. */
void tcpm__racers_drop(struct tcpm__connection *connection);
/* As tcpm__racers_drop, in a forked process. */
void tcpm__racers_abandon(struct tcpm__connection *connection);

/* ---- times.c: when the steps of a connection were done ---- */
/* Makes the object for the times, which begin now. 0, or -ENOMEM. */
int tcpm__times_make(struct tcpm__connection *connection);
/* Note that steps are done, unless done before; that the socket is connected; that the connection
   has success; that input was read. The clock has just been read. The flag TIMED must be set. */
void tcpm__times_set_first(struct tcpm__connection *connection, enum tcpm__milestone milestone);
void tcpm__times_set_connected(struct tcpm__connection *connection);
void tcpm__times_set_success(struct tcpm__connection *connection);
void tcpm__times_set_input(struct tcpm__connection *connection);
/* Makes the steps that are done later by a time that belongs to none of them: the wait before the
   attempt has become longer. */
void tcpm__times_put_off(struct tcpm__connection *connection, uint64_t ns);
/* Tells the times that are known, and leaves the others at 0. */
void tcpm__times_get(const struct tcpm__connection *connection, struct tcpm_times *ret);
/* Whether the times of the connection are kept. */
static inline bool tcpm__times_are_kept(const struct tcpm__connection *connection)
{
    return tcpm__has(connection, TCPM__TIMED);
}

/* ---- dial.c: a socket to one address ---- */
struct tcpm__dial {
    struct tcpm__socket *socket; /* closed; open where dialling has succeeded */
    uint64_t tag;                /* tag of the socket's events */
    enum tcpm_op op;             /* result: the operation that was tried last */
    union tcpm__address source;  /* result: local address; AF_UNSPEC: the kernel chooses */
    uint32_t lease;              /* result: of the local address; 0: none */
};
/* Lets the socket of a connection without way and attempt connect to the address. 0, or negative,
   and then op is the operation that has failed. */
int tcpm__dial_plain(struct tcpm__connection *connection, const union tcpm__address *address,
                     enum tcpm_op *op);
/* Lets a socket connect to the address. 0, or negative. */
int tcpm__dial(const struct tcpm__connection *connection, const union tcpm__address *address,
               struct tcpm__dial *dial);

/* ---- passage.c: through proxies ---- */
/* The passage that is under way; NULL: none. */
static inline struct tcpm__passage *tcpm__passage_of(const struct tcpm__connection *connection)
{
    return tcpm__has(connection, TCPM__PASSING) ? connection->rare->attempt->passage : NULL;
}
/* Makes the passage of the attempt, if there is none. There must be an attempt. 0, or -ENOMEM. */
int tcpm__passage_make(struct tcpm__connection *connection);
/* The proxies between; NULL: none. */
static inline struct tcpm__route *tcpm__passage_route(const struct tcpm__connection *connection)
{
    const struct tcpm__way *way = tcpm__way_of(connection);

    return way == NULL ? NULL : way->route;
}
/* Whether an address was found that the hop in hand may be told: of its look-up nothing better is
   to come. */
bool tcpm__passage_has_found(const struct tcpm__connection *connection);
/* The port of the addresses that are looked up, or that sockets connect to. */
unsigned tcpm__passage_port(const struct tcpm__connection *connection);
/* Whether the host of the target is sought, not that of a proxy. */
static inline bool tcpm__passage_is_at_target(const struct tcpm__passage *passage)
{
    return passage->sought == passage->count;
}
/* Makes a message that says whose host has failed, that of a hop or the target, and goes on with
   this message or else that of the code; the caller frees it. NULL: no proxies are between, or
   there is no memory. */
char *tcpm__passage_explain(const struct tcpm__connection *connection, int code,
                            const char *message);
/* Whether the option deny counts for those addresses. */
bool tcpm__passage_may_deny(const struct tcpm__connection *connection);
/* Bytes that wait in the passage: for the kernel, or for the success. There may be none. */
size_t tcpm__passage_kept(const struct tcpm__connection *connection);
/* passage: NULL is allowed. */
void tcpm__passage_free(const struct tcpm__memory *memory, struct tcpm__passage *passage);

/* ---- handshakes.c: whose handshake may go on ---- */
/* The handshake of TLS that is to be done, or under way; NULL: none. */
static inline struct tcpm__handshake *tcpm__handshake_of(const struct tcpm__connection *connection)
{
    return tcpm__has(connection, TCPM__QUAD) ? NULL : connection->address.target->handshake;
}
/* Lets the connection wait for its turn to shake hands. 0, or -ENOMEM. */
int tcpm__handshake_open(struct tcpm__connection *connection);
/* The handshake is over, or given up. There may be none. */
void tcpm__handshake_close(struct tcpm__connection *connection);
/* There is something to do: the peer was heard, or the socket takes bytes again. */
void tcpm__handshake_wake(struct tcpm__connection *connection);
/* Gives free places to those that wait, and those of silent peers. */
void tcpm__handshakes_admit(struct tcpm_engine *engine);
/* The connection whose handshake has a step to do now; NULL: none has. Until it is woken again it
   counts as silent. */
struct tcpm__connection *tcpm__handshakes_next(struct tcpm_engine *engine);
/* Whether a handshake has a step to do. */
static inline bool tcpm__handshakes_have_work(const struct tcpm_engine *engine)
{
    return !tcpm__list_empty(&engine->handshakes.ready) ||
           (!tcpm__list_empty(&engine->handshakes.waiting) &&
            engine->handshakes.places < engine->handshakes.max);
}

#endif
