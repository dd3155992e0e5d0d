/* SPDX-License-Identifier: MIT */
/*
 * Tries: one try asks one server once, in a lane. Called by the resolver and, through the backend's
 * kind, by names.
 *
 * What always holds: on_answer, which c-ares calls, calls nothing of lane.h and of names, as c-ares
 * forbids the one and names could ask again at once. What is to be done is noted in the question,
 * and tcpm__ares_tick does it.
 */
#include "transport/ares.h"

#include <errno.h>

#include "transport/question.h"

/* ---- asking ---- */

static void on_answer(void *owner, int status, int timeouts, unsigned char *bytes, int length)
{
    struct tcpm__try *try = owner;
    struct tcpm__question *question = try->question;
    struct tcpm__ares *ares = try->ares;
    struct tcpm__reply reply;

    (void) timeouts;
    try->lane->out--;
    if (bytes != NULL)
        try->lane->heard_ns = ares->network->now_ns;
    if (question != NULL) {
        tcpm__try_leave(try);
        tcpm__reply_read(tcpm__question_family(question), try->lane->tcp, status, bytes, length,
                         &reply);
        tcpm__question_note(ares, question, try->lane, &reply);
    }
    tcpm__memory_free(ares->network->memory, try);
}

static bool is_lack(int code)
{
    return code == -EMFILE || code == -ENFILE || code == -ENOMEM || code == -ENOBUFS;
}

static struct tcpm__try *make_try(struct tcpm__ares *ares, struct tcpm__question *question,
                                  struct tcpm__lane *lane)
{
    struct tcpm__try *try = tcpm__memory_zeroed(ares->network->memory, sizeof *try);

    if (try == NULL)
        return NULL;
    *try = (struct tcpm__try){
        .ares = ares, .question = question, .lane = lane, .began_ns = ares->network->now_ns};
    tcpm__list_append(&question->tries, &try->node);
    question->last = try;
    lane->awaited++;
    return try;
}

/* Asks the server of the place that was passed last. 0; or negative: nothing was asked, and
   descriptors or memory are lacking. */
static int begin_try(struct tcpm__ares *ares, struct tcpm__question *question)
{
    unsigned server = (question->first + question->passed - 1) % ares->lanes.count;
    struct tcpm__lane *lane;
    int result = tcpm__lanes_choose(&ares->lanes, server, question->tcp, &lane);

    if (result < 0)
        return result;

    struct tcpm__try *try = make_try(ares, question, lane);

    if (try == NULL)
        return -ENOMEM;
    tcpm__question_schedule(ares, question, TCPM__TURN_LATE,
                            (uint64_t) ares->timeout_ms << tcpm__question_round(ares, question));
    lane->trouble = 0;
    tcpm__lane_ask(lane, question->query->name, tcpm__question_family(question), on_answer, try);
    return is_lack(lane->trouble) ? lane->trouble : 0;
}

/* Asks the next server. 1: no place is left in any round; or as begin_try. */
static int begin_next(struct tcpm__ares *ares, struct tcpm__question *question)
{
    unsigned place = tcpm__question_next(ares, question);

    if (place >= ares->lanes.count * ares->tries)
        return 1;
    question->passed = place + 1;
    return begin_try(ares, question);
}

static void go_on(struct tcpm__ares *ares, struct tcpm__question *question)
{
    if (question->turn == TCPM__TURN_LATE) {
        TCPM__ASSERT(question->last != NULL);
        question->result.lost = true;
        tcpm__lanes_note_silence(&ares->lanes, question->last->lane, question->last->began_ns);
    }

    bool again = question->turn == TCPM__TURN_BY_TCP && question->passed > 0;
    int result = again ? begin_try(ares, question) : begin_next(ares, question);

    if (result > 0)
        tcpm__question_finish(ares, question, -ETIMEDOUT, question->result.message);
    else if (result < 0)
        tcpm__question_finish(ares, question, result, NULL);
}

static int on_ask(struct tcpm__backend *backend, struct tcpm__query *query)
{
    struct tcpm__ares *ares = TCPM__CONTAINER(backend, struct tcpm__ares, backend);

    if (tcpm__network_is_forked(ares->network))
        return -ESHUTDOWN;

    struct tcpm__question *question = tcpm__question_make(ares, query);

    if (question == NULL)
        return -ENOMEM;
    if (ares->lanes.count == 0) {
        tcpm__question_finish(ares, question, -EADDRNOTAVAIL,
                              ares->unusable > 0 ? "no usable name server" : "no name server");
        return 0;
    }

    int result = begin_next(ares, question);

    if (result < 0)
        tcpm__question_free(ares, question);
    return result;
}

/* ---- time ---- */

uint64_t tcpm__ares_due_ns(const struct tcpm__ares *ares)
{
    return tcpm__list_empty(&ares->answered) ? ares->due.next_ns : 0;
}

/* Answers begin queries, and with a fast server those are answered meanwhile: these answers are for
   the next tick, so that a turn ends. */
static void deliver_answers(struct tcpm__ares *ares, uint64_t now_ns)
{
    struct tcpm__list list;

    tcpm__list_take(&ares->answered, &list);
    while (!tcpm__list_empty(&list)) {
        struct tcpm__question *question = TCPM__CONTAINER(list.next, struct tcpm__question, node);

        tcpm__list_remove(&question->node);
        tcpm__names_answered(ares->names, question->query, &question->result, now_ns);
        tcpm__question_free(ares, question);
    }
}

void tcpm__ares_tick(struct tcpm__ares *ares, uint64_t now_ns)
{
    struct tcpm__heap_item *item = tcpm__heap_expire(&ares->due, now_ns);

    while (item != NULL) {
        go_on(ares, TCPM__CONTAINER(item, struct tcpm__question, due));
        item = tcpm__heap_expire(&ares->due, now_ns);
    }
    deliver_answers(ares, now_ns);
    tcpm__lanes_sweep(&ares->lanes);
}

void tcpm__ares_event(struct tcpm__ares *ares, uint64_t tag, uint32_t bits)
{
    struct tcpm__lane *lane = tcpm__lanes_find(&ares->lanes, tag);

    if (lane != NULL)
        tcpm__lane_event(lane, tag, bits);
    tcpm__ares_tick(ares, ares->network->now_ns);
}

/* ---- what always holds ---- */

static uint32_t validate_question(const struct tcpm__question *question)
{
    uint32_t count = 0;

    for (const struct tcpm__list *node = question->tries.next; node != &question->tries;
         node = node->next) {
        const struct tcpm__try *try = TCPM__CONTAINER(node, struct tcpm__try, node);

        TCPM__ASSERT(try->question == question && try->lane->out >= try->lane->awaited);
        count++;
    }
    return count;
}

void tcpm__ares_validate(const struct tcpm__ares *ares)
{
    const struct tcpm__list *node;
    uint32_t asked = 0, answered = 0, tries = 0, awaited = 0;

    for (node = ares->asked.next; node != &ares->asked; node = node->next) {
        const struct tcpm__question *question = TCPM__CONTAINER(node, struct tcpm__question, node);

        TCPM__ASSERT(question->due.index != 0);
        tries += validate_question(question);
        asked++;
    }
    for (node = ares->answered.next; node != &ares->answered; node = node->next)
        answered++;
    for (node = ares->lanes.open.next; node != &ares->lanes.open; node = node->next)
        awaited += TCPM__CONTAINER(node, struct tcpm__lane, node)->awaited;
    TCPM__ASSERT(ares->due.count == asked && ares->due.members == asked + answered);
    TCPM__ASSERT(tries == awaited);
}

/* ---- opening and closing ---- */

void tcpm__ares_configure(struct tcpm__ares *ares, const struct tcpm__ares_config *config)
{
    struct tcpm__list *node = ares->asked.next;

    ares->unusable = config->unusable;
    ares->timeout_ms = config->timeout_ms;
    ares->tries = config->tries;
    if (!tcpm__lanes_set_servers(&ares->lanes, config->servers, config->count))
        return;
    for (; node != &ares->asked; node = node->next)
        tcpm__question_begin_again(TCPM__CONTAINER(node, struct tcpm__question, node));
}

int tcpm__ares_open(struct tcpm__network *network, struct tcpm__names *names,
                    const struct tcpm__ares_config *config, struct tcpm__ares **ret)
{
    static const struct tcpm__backend_kind kind = {.name = "c-ares", .ask = on_ask};
    struct tcpm__ares *ares = tcpm__memory_zeroed(network->memory, sizeof *ares);

    if (ares == NULL)
        return -ENOMEM;
    ares->backend.kind = &kind;
    ares->network = network;
    ares->names = names;
    tcpm__lanes_init(&ares->lanes, network);
    tcpm__list_init(&ares->asked);
    tcpm__list_init(&ares->answered);
    tcpm__heap_init(&ares->due, network->memory);
    tcpm__ares_configure(ares, config);
    *ret = ares;
    return 0;
}

static void free_questions(struct tcpm__ares *ares, struct tcpm__list *list)
{
    while (!tcpm__list_empty(list))
        tcpm__question_free(ares, TCPM__CONTAINER(list->next, struct tcpm__question, node));
}

void tcpm__ares_abandon(struct tcpm__ares *ares)
{
    free_questions(ares, &ares->asked);
    free_questions(ares, &ares->answered);
    tcpm__lanes_close_all(&ares->lanes);
}

void tcpm__ares_close(struct tcpm__ares *ares)
{
    if (ares == NULL)
        return;
    tcpm__ares_abandon(ares);
    tcpm__heap_free(&ares->due);
    tcpm__memory_free(ares->network->memory, ares);
}
