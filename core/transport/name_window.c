/* SPDX-License-Identifier: MIT */
/* See name_window.h. */
#include "transport/name_window.h"

#include "base/assert.h"

enum {
    REFUSED_SHARE = 16,   /* one refusal in so many answers says nothing of the server's limit */
    LOST_SHARE = 8,       /* likewise of lost tries: there are names that take long */
    LOST_LEAST = 8,       /* few lost tries say nothing, whatever their share */
    REST_NS = 200000000,  /* from one cut for lost tries to the next */
    INTERVAL_NS = 125000, /* for so much time one query may begin: 8 in a millisecond */
    FULL_NS = TCPM__WINDOW_BURST * INTERVAL_NS,
    SILENCE_NS = 50000000,    /* after which servers that are silent have slow names, not trouble */
    SILENT_SHARE = 8,         /* one of so many queries is earned while servers are silent */
    SAMPLES = 16,             /* answers of which the fastest counts */
    NOISE_NS = 1000000,       /* an answer may take so much longer for other reasons */
    MEASURED_NS = 1000000000, /* after which the least time of answers is measured anew */
    PAUSE_NS = 50000000,      /* the longest pause */
};

void tcpm__window_init(struct tcpm__window *window, unsigned size, unsigned most)
{
    *window = (struct tcpm__window){.size = size, .most = most, .step = 1, .credit_ns = FULL_NS};
}

/* ---- bursts ---- */

static uint64_t least_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The part of the time from earned_ns on in which the servers' silence is a sign of trouble: they
   have answered sooner. Later it is one of slow names. */
struct silence {
    uint64_t from_ns, until_ns;
};

static struct silence silence_of(const struct tcpm__window *window)
{
    if (window->heard_ns == 0)
        return (struct silence){UINT64_MAX, UINT64_MAX};
    uint64_t from_ns = window->heard_ns + window->usual_ns + NOISE_NS;
    uint64_t until_ns = from_ns + SILENCE_NS;

    return (struct silence){
        .from_ns = from_ns > window->earned_ns ? from_ns : window->earned_ns,
        .until_ns = until_ns > window->earned_ns ? until_ns : window->earned_ns,
    };
}

static uint64_t credit_at(const struct tcpm__window *window, uint64_t now_ns)
{
    struct silence silence = silence_of(window);
    uint64_t from_ns = least_of(silence.from_ns, now_ns);
    uint64_t until_ns = least_of(silence.until_ns, now_ns);
    uint64_t earned_ns = now_ns - until_ns;

    if (!window->is_queueing)
        earned_ns += (from_ns - window->earned_ns) + (until_ns - from_ns) / SILENT_SHARE;
    return least_of(window->credit_ns + earned_ns, FULL_NS);
}

static void earn(struct tcpm__window *window, uint64_t now_ns)
{
    window->credit_ns = credit_at(window, now_ns);
    window->earned_ns = now_ns;
}

/* When so much credit has been earned, if only time passes. */
static uint64_t credit_due_ns(const struct tcpm__window *window, uint64_t missing_ns)
{
    struct silence silence = silence_of(window);

    if (window->is_queueing)
        return silence.until_ns + missing_ns;
    uint64_t before_ns = silence.from_ns - window->earned_ns;
    uint64_t meanwhile_ns = (silence.until_ns - silence.from_ns) / SILENT_SHARE;

    if (missing_ns <= before_ns)
        return window->earned_ns + missing_ns;
    missing_ns -= before_ns;
    if (missing_ns <= meanwhile_ns)
        return silence.from_ns + missing_ns * SILENT_SHARE;
    return silence.until_ns + (missing_ns - meanwhile_ns);
}

/* Names differ, so the usual time is measured anew each second. A queue at the server would pass
   for usual then: it gets the time to become empty. */
static void measure(struct tcpm__window *window, uint64_t took_ns, uint64_t now_ns)
{
    if (window->measured_ns != 0 && now_ns - window->measured_ns < MEASURED_NS) {
        if (took_ns < window->usual_ns)
            window->usual_ns = took_ns;
        return;
    }
    if (window->is_queueing)
        window->paused_ns = now_ns + (took_ns < PAUSE_NS ? took_ns : PAUSE_NS);
    window->usual_ns = took_ns;
    window->measured_ns = now_ns;
}

/* The time of an answer shows whether queries queue up at the server. */
static void sample(struct tcpm__window *window, uint64_t took_ns, uint64_t now_ns)
{
    measure(window, took_ns, now_ns);
    if (window->sampled == 0 || took_ns < window->fastest_ns)
        window->fastest_ns = took_ns;
    if (++window->sampled < SAMPLES)
        return;
    window->is_queueing = window->fastest_ns > window->usual_ns / 16 * 17 + NOISE_NS;
    window->sampled = 0;
}

bool tcpm__window_allows(const struct tcpm__window *window, uint64_t now_ns)
{
    if (window->out == 0)
        return true;
    return window->out < window->size && now_ns >= window->paused_ns &&
           credit_at(window, now_ns) >= INTERVAL_NS;
}

uint64_t tcpm__window_due_ns(const struct tcpm__window *window)
{
    bool has_credit = window->credit_ns >= INTERVAL_NS;

    if (window->out == 0)
        return 0;
    if (window->out >= window->size)
        return UINT64_MAX;
    uint64_t credit_ns = has_credit ? 0 : credit_due_ns(window, INTERVAL_NS - window->credit_ns);

    return credit_ns > window->paused_ns ? credit_ns : window->paused_ns;
}

/* ---- size ---- */

static void shrink(struct tcpm__window *window, unsigned size)
{
    unsigned least = TCPM__WINDOW_LEAST;

    if (size < window->size)
        window->size = size > least ? size : least;
    window->step = 1;
    window->credit = 0;
}

static void open(struct tcpm__window *window)
{
    window->credit += window->step;
    if (window->credit < window->size)
        return;
    window->credit -= window->size;
    window->size++;
}

static void count_answer(struct tcpm__window *window, bool wanted)
{
    if (wanted && window->size < window->most)
        open(window);
    if (++window->answered < window->size)
        return;
    if (window->refused == 0 && window->step < window->size)
        window->step *= 2;
    window->answered = 0;
    window->refused /= 2;
}

static void count_refusal(struct tcpm__window *window)
{
    window->refused++;
    if (window->refused * REFUSED_SHARE > window->answered)
        shrink(window, window->out);
}

static void count_loss(struct tcpm__window *window, const struct tcpm__window_ticket *ticket,
                       uint64_t now_ns)
{
    uint32_t lost = window->lost - ticket->lost, ended = window->ended - ticket->ended;

    if (lost <= LOST_LEAST || lost < ended / LOST_SHARE)
        return;
    window->step = 1;
    if (window->cut_ns != 0 && now_ns - window->cut_ns < REST_NS)
        return;
    shrink(window, (window->out < window->size ? window->out : window->size) / 2);
    window->cut_ns = now_ns;
}

/* ---- the way of a query ---- */

void tcpm__window_begin(struct tcpm__window *window, uint64_t now_ns,
                        struct tcpm__window_ticket *ret)
{
    earn(window, now_ns);
    TCPM__ASSERT(window->credit_ns >= INTERVAL_NS);
    window->out++;
    window->credit_ns -= INTERVAL_NS;
    *ret = (struct tcpm__window_ticket){
        .begun_ns = now_ns, .ended = window->ended, .lost = window->lost};
}

void tcpm__window_end(struct tcpm__window *window, const struct tcpm__window_ticket *ticket,
                      enum tcpm__window_end end, bool wanted, uint64_t now_ns)
{
    TCPM__ASSERT(window->out > 0 && now_ns >= ticket->begun_ns);
    bool is_lost = end == TCPM__WINDOW_LATE || end == TCPM__WINDOW_SILENT;

    window->out--;
    earn(window, now_ns);
    window->credit_ns += window->credit_ns < FULL_NS ? INTERVAL_NS : 0;
    window->ended++;
    window->lost += is_lost;
    if (end == TCPM__WINDOW_FAILED)
        return;
    if (end != TCPM__WINDOW_SILENT)
        window->heard_ns = now_ns;
    if (end == TCPM__WINDOW_ANSWERED) {
        sample(window, now_ns - ticket->begun_ns, now_ns);
        count_answer(window, wanted);
    }
    if (end == TCPM__WINDOW_REFUSED)
        count_refusal(window);
    if (is_lost)
        count_loss(window, ticket, now_ns);
}

bool tcpm__window_was_too_large(const struct tcpm__window *window,
                                const struct tcpm__window_ticket *ticket, enum tcpm__window_end end)
{
    if (end == TCPM__WINDOW_REFUSED)
        return window->out >= TCPM__WINDOW_LEAST;
    uint32_t lost = window->lost - ticket->lost, ended = window->ended - ticket->ended;

    return end == TCPM__WINDOW_SILENT && window->heard_ns >= ticket->begun_ns &&
           lost > LOST_LEAST && lost >= ended / (2 * LOST_SHARE);
}
