/* SPDX-License-Identifier: MIT */
/*
 * See question.h. Called by ares.c, in part from inside of c-ares: so nothing here calls a lane,
 * nor names.
 */
#include "transport/question.h"

#include <errno.h>

enum { PAUSE_MS = 500 /* before the next round, where all is broken; doubled with each round */ };

static const uint64_t ns_per_ms = 1000000;

/* ---- beginning and end ---- */

struct tcpm__question *tcpm__question_make(struct tcpm__ares *ares, struct tcpm__query *query)
{
    struct tcpm__question *question = tcpm__memory_zeroed(ares->network->memory, sizeof *question);

    if (question == NULL || tcpm__heap_join(&ares->due) < 0) {
        tcpm__memory_free(ares->network->memory, question);
        return NULL;
    }
    question->query = query;
    question->first = ares->lanes.first;
    tcpm__list_init(&question->tries);
    tcpm__list_append(&ares->asked, &question->node);
    return question;
}

void tcpm__try_leave(struct tcpm__try *try)
{
    if (try->question->last == try)
        try->question->last = NULL;
    tcpm__list_remove(&try->node);
    try->lane->awaited--;
    try->question = NULL;
}

/* Takes the question out of its list; its tries go on alone. */
static void detach(struct tcpm__ares *ares, struct tcpm__question *question)
{
    while (!tcpm__list_empty(&question->tries))
        tcpm__try_leave(TCPM__CONTAINER(question->tries.next, struct tcpm__try, node));
    tcpm__heap_remove(&ares->due, &question->due);
    tcpm__list_remove(&question->node);
}

void tcpm__question_free(struct tcpm__ares *ares, struct tcpm__question *question)
{
    detach(ares, question);
    tcpm__heap_leave(&ares->due);
    tcpm__memory_free(ares->network->memory, question->addresses);
    tcpm__memory_free(ares->network->memory, question);
}

void tcpm__question_finish(struct tcpm__ares *ares, struct tcpm__question *question, int code,
                           const char *message)
{
    detach(ares, question);
    tcpm__list_append(&ares->answered, &question->node);
    question->result.code = code;
    question->result.message = message;
}

static void finish_with(struct tcpm__ares *ares, struct tcpm__question *question,
                        const struct tcpm__reply *reply)
{
    size_t size = reply->count * sizeof *reply->addresses;
    int code = reply->code;

    if (reply->count > 0) {
        question->addresses = tcpm__memory_resize(ares->network->memory, NULL, size);
        if (question->addresses == NULL)
            code = -ENOMEM;
        else
            memcpy(question->addresses, reply->addresses, size);
    }
    question->result.addresses = question->addresses;
    question->result.count = code == 0 ? reply->count : 0;
    question->result.ttl_s = reply->ttl_s;
    tcpm__question_finish(ares, question, code, NULL);
}

/* ---- what an answer does ---- */

void tcpm__question_schedule(struct tcpm__ares *ares, struct tcpm__question *question,
                             enum tcpm__turn turn, uint64_t delay_ms)
{
    question->turn = turn;
    tcpm__heap_set(&ares->due, &question->due, ares->network->now_ns + delay_ms * ns_per_ms);
}

static bool has_refused(const struct tcpm__ares *ares, const struct tcpm__question *question,
                        unsigned place)
{
    return question->refused >> ((question->first + place) % ares->lanes.count) & 1u;
}

/* The next place in all rounds whose server has not said no. */
unsigned tcpm__question_next(const struct tcpm__ares *ares, const struct tcpm__question *question)
{
    unsigned place = question->passed;

    while (place < ares->lanes.count * ares->tries && has_refused(ares, question, place))
        place++;
    return place;
}

/* The server says no. Of the codes of several servers the highest counts, the most temporary. */
static void note_no(struct tcpm__ares *ares, struct tcpm__question *question,
                    const union tcpm__address *server, int code)
{
    if (question->no == 0 || code > question->no)
        question->no = code;
    for (unsigned i = 0; i < ares->lanes.count; i++)
        if (tcpm__address_equal(&ares->lanes.servers[i], server))
            question->refused |= (uint8_t) (1u << i);
    if (question->refused == (1u << ares->lanes.count) - 1)
        tcpm__question_finish(ares, question, question->no, NULL);
    else if (question->last == NULL)
        tcpm__question_schedule(ares, question, TCPM__TURN_NEXT, 0);
}

static const char *explain_broken(const struct tcpm__lane *lane)
{
    if (lane->trouble != 0 && lane->trouble != -ECONNREFUSED)
        return "the name server cannot be reached";
    return lane->tcp ? "the name server gives no answer by TCP"
                     : "nothing listens at the port of the name server";
}

/* The next server is asked at once. If all have been asked in this round, the next round waits. */
static void note_broken(struct tcpm__ares *ares, struct tcpm__question *question,
                        const struct tcpm__lane *lane)
{
    unsigned next = tcpm__question_next(ares, question);
    unsigned round = ares->lanes.count == 0 ? 0 : tcpm__question_round(ares, question);
    bool waits = next < ares->lanes.count * ares->tries && next / ares->lanes.count > round;

    question->result.lost = true;
    question->result.message = explain_broken(lane);
    if (question->last == NULL)
        tcpm__question_schedule(ares, question, TCPM__TURN_NEXT,
                                waits ? (uint64_t) PAUSE_MS << round : 0);
}

void tcpm__question_note(struct tcpm__ares *ares, struct tcpm__question *question,
                         const struct tcpm__lane *lane, const struct tcpm__reply *reply)
{
    switch (reply->kind) {
    case TCPM__REPLY_FINAL:
        finish_with(ares, question, reply);
        break;
    case TCPM__REPLY_NO:
        note_no(ares, question, &lane->server, reply->code);
        break;
    case TCPM__REPLY_TRUNCATED:
        question->tcp = true;
        tcpm__question_schedule(ares, question, TCPM__TURN_BY_TCP, 0);
        break;
    case TCPM__REPLY_BROKEN:
        note_broken(ares, question, lane);
    }
}

void tcpm__question_begin_again(struct tcpm__question *question)
{
    question->first = question->passed = question->refused = 0;
}
