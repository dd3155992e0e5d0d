/* SPDX-License-Identifier: MIT */
/*
 * What the benchmark clients in C share: the job they are given on the command line, the figures
 * they take, and the line of JSON they print. A client in another language does the same by hand;
 * tests/bench/README.md says what is expected of one.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define BENCH_LINE_LENGTH    64          /* a line of ping-pong and storm, its CR LF included */
#define BENCH_RECEIPT_LENGTH 20          /* digits: the bytes that the server got in an upload */
#define BENCH_SERVER_NAME    "peer.test" /* whom the certificate of the server is for */

/* What http sends, and what comes back before the line. */
#define BENCH_REQUEST     "GET / HTTP/1.1\r\nHost: peer.test\r\n\r\n"
#define BENCH_ANSWER_HEAD "HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n"

enum {
    BENCH_SETTLE_MS = 500, /* idle with TLS: for what the server sends after the handshake */
    BENCH_BATCH = 262144   /* upload: bytes that are sent at a time */
};

enum bench_work {
    BENCH_STORM = 1,
    BENCH_PINGPONG,
    BENCH_IDLE,
    BENCH_BULK,
    BENCH_LINES,
    BENCH_MIXED,
    BENCH_UPLOAD,
    BENCH_HTTP
};

struct bench_job {
    enum bench_work work;
    unsigned port;
    unsigned connections; /* open at a time */
    uint64_t operations;  /* storm: connections in all; ping-pong: messages in all */
    unsigned window;      /* mixed: lines under way at a time, the connections in turn */
    unsigned timeouts;    /* 0: none; 1: 30 s to connect, 300 s without input */
    const char *tls;      /* file of the root to trust: TLS to BENCH_SERVER_NAME; NULL: none */
    unsigned resume;      /* 1: sessions of TLS are resumed */
};

struct bench_figures {
    uint64_t operations; /* done and checked: connections, messages or lines */
    uint64_t bytes;      /* received; upload: received by the server, as it says */
    uint64_t errors;     /* whatever went otherwise than expected */
    uint64_t resumed;    /* handshakes of TLS that have resumed a session */
    double cpu_user_s, cpu_system_s, wall_s;
    uint64_t memory_bytes;         /* idle: what the connections added */
    struct bench_latency *latency; /* mixed, else NULL: without the blaster, and beside it */
    uint64_t blast_bytes;          /* mixed: received by the blaster */
    double late_ms;                /* mixed: how late an alarm was at most; -1 without alarms */
};

/* How long echoes took. Printed as percentiles. */
enum { BENCH_LATENCY_UNIT_NS = 10000, BENCH_LATENCY_COUNTS = 200000 };
struct bench_latency {
    uint32_t counts[BENCH_LATENCY_COUNTS]; /* by units; the last takes all that is longer */
};

uint64_t bench_now_ns(void);

static inline void bench_latency_add(struct bench_latency *latency, uint64_t ns)
{
    uint64_t units = ns / BENCH_LATENCY_UNIT_NS;

    latency->counts[units < BENCH_LATENCY_COUNTS ? units : BENCH_LATENCY_COUNTS - 1]++;
}

/* A key that the command line of a client may have, and the variable that its value goes to: one of
   the pointers is set. */
struct bench_argument {
    const char *key;
    const char **text;
    unsigned *number;
    uint64_t *large;
};

/* Reads "key=value" arguments; ends the program with a message when a key is not in the table.
   Raises the soft limit of open files. */
void bench_arguments_read(int argc, char **argv, const struct bench_argument *known, size_t count);

/* Reads the arguments of a job; ends the program with a message when they make none. */
void bench_job_read(int argc, char **argv, struct bench_job *job);

/* The 64 bytes of each line. */
const char *bench_line(void);

/* BENCH_BATCH bytes of text for an upload. */
char *bench_source(void);

/* Each line of BENCH_LINES begins with eight digits that differ from those of the line before.
   `last` holds the latter; 0, or -1 when they are the same. */
static inline int bench_check_line(uint64_t *last, const char *line)
{
    uint64_t digits;

    memcpy(&digits, line, sizeof digits);
    if (digits == *last)
        return -1;
    *last = digits;
    return 0;
}

/* Where connection number `index` goes: one of 127.0.0.1-32. */
void bench_address(const struct bench_job *job, uint64_t index, struct sockaddr_in *addr);

/* Between the two lies the measured phase. */
void bench_begin(struct bench_figures *figures);
void bench_end(struct bench_figures *figures);

/* Anonymous memory of this process in bytes, as the page tables have it. */
uint64_t bench_memory(void);
/* The same without what malloc keeps although it is free: handshakes leave much of that. */
uint64_t bench_settled_memory(void);

/* Prints the figures; the value is the exit status of the client. */
int bench_report(const struct bench_figures *figures);

void bench_fail(const char *what, int error) __attribute__((noreturn));

#endif
