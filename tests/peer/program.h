/* SPDX-License-Identifier: MIT */
/*
 * The text that tells a scripted peer what to do, as a list of steps. One verb per line, or several
 * separated by ";"; "#" begins a comment. "next" separates the programs of successive connections;
 * the last program serves all later ones too. The verbs are listed in peer.h.
 */
#ifndef PEER_PROGRAM_H
#define PEER_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

/* verb, its name, its arguments: s "bytes", h hex bytes, n number, w word, r number|line|all */
#define PEER_VERBS(X)                   \
    X(SEND, "send", "s")                \
    X(SENDHEX, "sendhex", "h")          \
    X(SENDN, "sendn", "ns")             \
    X(PRNG, "prng", "nn")               \
    X(MORE, "more", "s")                \
    X(OOB, "oob", "s")                  \
    X(DRIBBLE, "dribble", "sn")         \
    X(RECV, "recv", "r")                \
    X(RECVUNTIL, "recvuntil", "s")      \
    X(EXPECT, "expect", "s")            \
    X(ECHO, "echo", "")                 \
    X(DISCARD, "discard", "")           \
    X(COUNT, "count", "")               \
    X(BLAST, "blast", "n")              \
    X(SLEEP, "sleep", "n")              \
    X(SHUTWR, "shutwr", "")             \
    X(SHUTRD, "shutrd", "")             \
    X(CLOSE, "close", "")               \
    X(CLOSE_UNREAD, "close_unread", "") \
    X(RST, "rst", "")                   \
    X(FREEZE, "freeze", "")             \
    X(LOOP, "loop", "n")                \
    X(END, "end", "")                   \
    X(WAIT, "wait", "w")                \
    X(MARK, "mark", "w")                \
    X(STARTTLS, "starttls", "")         \
    X(PLAIN, "plain", "")               \
    X(RAW, "raw", "s")                  \
    X(RAWHEX, "rawhex", "h")            \
    X(GARBAGE, "garbage", "n")          \
    X(CLOSE_NOTIFY, "close_notify", "") \
    X(FIN, "fin", "")                   \
    X(TRUNCATE, "truncate", "")         \
    X(ALERT, "alert", "w")              \
    X(KEYUPDATE, "keyupdate", "n")      \
    X(TICKETS, "tickets", "n")          \
    X(EMPTY, "empty_records", "n")      \
    X(RENEGOTIATE, "renegotiate", "")   \
    X(ONEBYTE, "onebyte", "")           \
    X(NEXT, "next", "")

#define PEER_VERB(id, name, arguments) VERB_##id,
enum peer_verb { PEER_VERBS(PEER_VERB) VERB_TOTAL };
#undef PEER_VERB

enum peer_amount { AMOUNT_NUMBER, AMOUNT_LINE, AMOUNT_ALL }; /* of recv */

struct peer_step {
    enum peer_verb verb;
    enum peer_amount amount;
    int64_t numbers[2];
    char *bytes; /* of a string, or the word, ended by a NUL that does not count */
    size_t length;
    size_t partner; /* loop: its end; end: its loop */
};

struct peer_program {
    struct peer_step *steps;
    size_t count;
};

struct peer_script {
    struct peer_program *programs;
    size_t count;
};

const char *peer_verb_name(enum peer_verb verb);
/* 0, or -1 with what is wrong in message. The script can be freed in both cases. */
int peer_script_parse(const char *text, struct peer_script *script, char *message, size_t size);
void peer_script_free(struct peer_script *script);

#endif
