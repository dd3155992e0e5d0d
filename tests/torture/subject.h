/* SPDX-License-Identifier: MIT */
/*
 * Connections that are checked in everything they do. A company is an engine with sessions
 * (parties), connections (subjects) and the wild peer that the connections talk to. A program makes
 * calls by the functions below, which keep in the subject what the library now owes; each event is
 * checked against that when it comes, and company_close checks the rest, with what the peer saw:
 *
 *   - events obey the grammar; reason and cause of the end are right; flushed comes only when owed
 *   - what is delivered is what the peer has sent, in order, nothing missing, nothing twice
 *   - what the peer has received is what send has taken, in order; all of it when the stream ended
 *     with FIN, and when the connection ended well and the peer has read to the end
 *   - what send has taken was sent or is queued, to the byte
 *   - nothing comes after disconnected, and the id is stale
 *   - each task is run or dropped, once; each beat comes in step, until the beat is dropped
 *   - the tally of a session has each end of its connections, once
 */
#ifndef TESTS_TORTURE_SUBJECT_H
#define TESTS_TORTURE_SUBJECT_H

#include "wild.h"

enum event {
    EVENT_NONE,
    EVENT_INITIALIZE,
    EVENT_SUCCESS,
    EVENT_SECURE,
    EVENT_INPUT,
    EVENT_FLUSHED,
    EVENT_EOF,
    EVENT_FAILURE,
    EVENT_ERROR,
    EVENT_TIMEOUT,
    EVENT_DISCONNECTED,
    EVENT_TASK, /* a task, room or stopped: belongs to no subject */
};

/* The input filter of a subject. SHORT: lines of at most two bytes; longer lines are an error. */
/* CUT_LAST: one record, at the end of the input. */
enum cut { CUT_STREAM, CUT_LINE, CUT_BLOCK, CUT_LAST, CUT_SHORT, CUTS };

struct party {
    struct tcpm_session *session; /* NULL: the session has stopped */
    struct company *company;
    bool dying;
    bool tells_eof, half_open;
    unsigned ends; /* connections of which disconnected has come */
    int64_t connect_timeout_ms, input_timeout_ms, shutdown_timeout_ms, deadline_ms; /* 0: none */
};

struct subject {
    struct company *company;
    struct party *party;
    struct tcpm_id id;
    uint32_t key; /* the address by which the wild peer knows it; 0: goes elsewhere */
    enum event last;
    bool success;
    bool ended;       /* disconnected has begun */
    bool stopped;     /* the program asked for an end: no input may come */
    bool was_reset;   /* the program asked for a reset, or closed the engine */
    bool flushes_eof; /* the EOF of the peer was being handled when the program asked for an end */
    bool paused;
    bool half_shut;
    bool securing, secured; /* TLS has been begun in the middle of the stream; and stands */
    bool own;               /* has handlers of its own */
    bool tells_eof;         /* has a handler for the event eof */
    bool half_open;
    bool eof_told; /* the event eof has come */
    bool goes_on;  /* the event eof has come and has not ended the connection */
    bool aborted;  /* only disconnected may still come */
    int64_t take;  /* the next record has so many bytes; or TCPM_NONE */
    bool owes_flushed, was_full;
    enum cut in;
    bool lines_out;
    uint64_t delivered; /* bytes of the peer's stream, with the ends of lines */
    char *accepted;     /* all bytes that send has taken, as the filter writes them */
    size_t accepted_length, accepted_capacity;
    unsigned inputs;
    /* When timeout and deadline were set, and how long they last: neither may come early. */
    int64_t timeout_ms, timeout_from_ns, deadline_ms, deadline_from_ns;
    int64_t paused_from_ns, paused_ns; /* during a pause the input timeout stands still */
    int64_t input_timeout_ms, resumes;
    enum tcpm_reason reason;
    int code;
};

enum { PARTIES = 6, SUBJECTS = 64, ERRANDS = 512 };

struct company {
    struct stage stage;
    struct wild *wild;
    struct chance chance;
    uint32_t first_key;
    struct tcpm_filter *filters[CUTS];
    struct party parties[PARTIES];
    unsigned party_count;
    struct subject *subjects[SUBJECTS];
    unsigned subject_count;
    struct errand {
        struct company *company;
        bool waits, over;
        int64_t period_ns, due_ns; /* of a beat; due_ns: of the last one, or of its making */
        unsigned beats;            /* left */
        struct tcpm_alarm alarm;
    } errands[ERRANDS];
    unsigned errand_count;
    bool engine_closed;
    enum { PLAIN, SECURE, SECURE_LATER } safety;
    struct tcpm_tls *tls; /* NULL: there is none yet, or no memory for it */
    bool may_lack_memory; /* calls may answer -ENOMEM and -ENOBUFS */
    bool may_lie;         /* system calls may fail with made-up errors */
    int64_t patience_ms;  /* timeouts of the scenarios */
    bool counts_all;      /* the tally must have every end: memory for it was there */
    bool small_buffers;   /* the kernel's buffers of the sockets are small */
    bool dropping;        /* a task is being dropped */
    unsigned depth;       /* handlers running: at most one */
    uint64_t events;
    /* Called in each event, once it has been checked. */
    void (*act)(struct company *company, struct subject *subject, enum event event);
    void *user;
};

/* Starts the wild peer. The engine is created by company_open_engine. Between the two,
   company_secure lets all connections use TLS: from the beginning, or by subject_starttls, once so
   many bytes have come back in plain text. */
void company_open(struct company *company, uint64_t seed,
                  struct wild_plan (*plan)(uint32_t key, void *user), void *user);
void company_secure(struct company *company, size_t plain);
int company_open_engine(struct company *company, const struct tcpm_engine_options *options);
/* Ends everything, and checks all that can be checked only then. */
void company_close(struct company *company);
/* As company_close; tells of the first subjects whether the peer's link was whole. */
void company_close_and_ask(struct company *company, bool *whole, unsigned count);

/* Creates a session. NULL: there was no memory, which is right in a company that may lack some. */
struct party *company_party(struct company *company, const struct tcpm_session_options *options);
/* Connects to the wild peer, by an address of its own, unless options name another one. */
struct subject *company_connect(struct party *party, const struct tcpm_connect_options *options);

/* Calls of the library whose effects are checked. The results are the library's. */
int subject_send(struct subject *subject, const void *bytes, size_t length);
int subject_shutdown(struct subject *subject);
int subject_shutdown_output(struct subject *subject);
int subject_reset(struct subject *subject);
int subject_fail(struct subject *subject, int code);
int subject_fail_as(struct subject *subject, enum tcpm_op op, int code);
int subject_abort(struct subject *subject);
int subject_take(struct subject *subject, int64_t n);
/* For the event input only: calls tcpm_input_next, whose record counts as another event input. */
int subject_next(struct subject *subject);
int subject_pause(struct subject *subject, bool pause);
int subject_timeout(struct subject *subject, int64_t ms);
int subject_deadline(struct subject *subject, int64_t ms);
int subject_filter(struct subject *subject, enum cut in, bool lines_out);
/* Puts back so many of the bytes that were delivered last (tcpm_unread). */
int subject_unread(struct subject *subject, size_t length);
/* Begins TLS, where all that the peer has sent in plain text was delivered. */
int subject_starttls(struct subject *subject);
int party_die(struct party *party);
void company_close_engine(struct company *company);
/* Outside of handlers, everything has ended when the call returns. Inside, the call is refused. */
void company_close_engine_now(struct company *company);
/* Returns a task to be given to the library; {NULL} if there are too many already. */
struct tcpm_task company_errand(struct company *company);
/* Starts a beat that removes itself after some ticks. */
void company_beat(struct company *company, struct tcpm_session *session);
/* To be called when the library has refused the task of company_errand. */
void company_errand_refused(struct company *company);

/* ---- between subject.c and company.c ---- */
const struct tcpm_events *subject_events(bool with_eof);
const struct tcpm_events *subject_own_events(void); /* of one connection */
void subject_note_input(struct subject *subject, const void *record, size_t length);
/* Whether the connection ended so that the peer was promised every byte. */
bool subject_ended_well(const struct subject *subject);
void company_enter(struct company *company, enum event event);
void company_leave(struct company *company, struct subject *subject, enum event event);

#endif
