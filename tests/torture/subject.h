/* SPDX-License-Identifier: MIT */
/*
 * Connections that are watched in all they do. A company is an engine with its sessions, its
 * connections (subjects) and the wild peer they talk to; every event of theirs is checked when it
 * comes, and at the end what the peer saw:
 *
 *   - the grammar of events, the reason and the cause of the end, flushed only when it is owed
 *   - what is delivered is what the peer has sent, in order, nothing missing, nothing twice
 *   - what the peer has received is what send has taken, in order; all of it when the stream ended
 *     with FIN, and when the connection ended well and the peer has read to the end
 *   - what send has taken was sent or is queued, to the byte
 *   - nothing comes after disconnected, and the id is stale
 *   - each task is run or dropped, once; each beat comes in step, until it is dropped
 *   - the tally of a session has each of its ends, once
 */
#ifndef TESTS_TORTURE_SUBJECT_H
#define TESTS_TORTURE_SUBJECT_H

#include "wild.h"

enum event {
    EVENT_NONE,
    EVENT_INITIALIZE,
    EVENT_SUCCESS,
    EVENT_INPUT,
    EVENT_FLUSHED,
    EVENT_EOF,
    EVENT_FAILURE,
    EVENT_ERROR,
    EVENT_TIMEOUT,
    EVENT_DISCONNECTED,
    EVENT_TASK, /* a task, room or stopped: not of a subject */
};

/* SHORT: lines of at most two bytes, longer ones are an error. */
enum cut { CUT_STREAM, CUT_LINE, CUT_BLOCK, CUT_SHORT, CUTS };

struct party {
    struct tcpm_session *session; /* NULL: stopped */
    struct company *company;
    bool dying;
    bool tells_eof, half_open;
    unsigned ends; /* disconnected has come */
    int64_t connect_timeout_ms, input_timeout_ms, shutdown_timeout_ms, deadline_ms; /* 0: none */
};

struct subject {
    struct company *company;
    struct party *party;
    struct tcpm_id id;
    uint32_t key; /* 0: not of the wild peer */
    enum event last;
    bool success;
    bool ended;       /* disconnected has begun */
    bool stopped;     /* we asked for an end: no input may come */
    bool was_reset;   /* we asked for that, or closed the engine */
    bool flushes_eof; /* its end had begun, when we asked for that */
    bool paused;
    bool half_shut;
    bool own;       /* has handlers of its own */
    bool tells_eof; /* by the event eof */
    bool half_open;
    bool eof_told, goes_on; /* the event eof has come; it has not ended the connection */
    bool aborted;           /* nothing comes any more but disconnected */
    int64_t take;           /* the next record is so many bytes; or TCPM_NONE */
    bool owes_flushed, was_full;
    enum cut in;
    bool lines_out;
    uint64_t delivered; /* bytes of the peer's stream, with the ends of lines */
    char *accepted;     /* what send has taken, as it goes out */
    size_t accepted_length, accepted_capacity;
    unsigned inputs;
    /* Neither may come early. */
    int64_t timeout_ms, timeout_from_ns, deadline_ms, deadline_from_ns;
    int64_t paused_from_ns, paused_ns; /* in which the timeout of input stands still */
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
    bool may_lack_memory; /* -ENOMEM and -ENOBUFS are answers */
    bool may_lie;         /* errors of system calls are made up */
    int64_t patience_ms;  /* for scenarios */
    bool counts_all;      /* the tally misses no end */
    bool small_buffers;   /* of the kernel */
    bool dropping;        /* a task is being dropped */
    unsigned depth;       /* handlers running: at most one */
    uint64_t events;
    /* Called in each event, once it has been checked. */
    void (*act)(struct company *company, struct subject *subject, enum event event);
    void *user;
};

/* Starts the wild peer; the engine is another matter. */
void company_open(struct company *company, uint64_t seed,
                  struct wild_plan (*plan)(uint32_t key, void *user), void *user);
int company_open_engine(struct company *company, const struct tcpm_engine_options *options);
/* Ends everything, and checks all that can be checked then. */
void company_close(struct company *company);

/* NULL: it could not be made, which is right in a company that may lack memory. */
struct party *company_party(struct company *company, const struct tcpm_session_options *options);
/* Connects to the wild peer, by an address of its own, unless options name another one. */
struct subject *company_connect(struct party *party, const struct tcpm_connect_options *options);

/* The calls whose effects are checked; results are those of the library. */
int subject_send(struct subject *subject, const void *bytes, size_t length);
int subject_shutdown(struct subject *subject);
int subject_shutdown_output(struct subject *subject);
int subject_reset(struct subject *subject);
int subject_fail(struct subject *subject, int code);
int subject_fail_as(struct subject *subject, enum tcpm_op op, int code);
int subject_abort(struct subject *subject);
int subject_take(struct subject *subject, int64_t n);
/* In its event input: what tcpm_input_next gives counts as another one. */
int subject_next(struct subject *subject);
int subject_pause(struct subject *subject, bool pause);
int subject_timeout(struct subject *subject, int64_t ms);
int subject_deadline(struct subject *subject, int64_t ms);
int subject_filter(struct subject *subject, enum cut in, bool lines_out);
/* Puts back the last bytes that were delivered. */
int subject_unread(struct subject *subject, size_t length);
int party_die(struct party *party);
void company_close_engine(struct company *company);
/* From outside of handlers: all is over inside the call. From inside: refused. */
void company_close_engine_now(struct company *company);
/* A task, or {NULL}: there are too many. */
struct tcpm_task company_errand(struct company *company);
/* A beat that removes itself after some. */
void company_beat(struct company *company, struct tcpm_session *session);
/* The task was not taken. */
void company_errand_refused(struct company *company);

/* ---- between subject.c and company.c ---- */
const struct tcpm_events *subject_events(bool with_eof);
const struct tcpm_events *subject_own_events(void); /* of one connection */
void subject_note_input(struct subject *subject, const void *record, size_t length);
bool subject_ended_well(const struct subject *subject); /* the peer was promised everything */
void company_enter(struct company *company, enum event event);
void company_leave(struct company *company, struct subject *subject, enum event event);

#endif
