/* SPDX-License-Identifier: MIT */
/*
 * Answers a question as the labels of its name say: first the noise (datagrams that nobody may
 * take for the answer), then the answer, now or later.
 */
#include "internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* A question with its script, and where the answer goes. */
struct served {
    const struct question *question;
    const struct script *script;
    const struct whither *whither;
};

/* Tells whether it is the first question for this name and type, and writes it down. */
static bool note(struct nameserver *server, const struct question *question,
                 const struct whither *whither)
{
    const struct sockaddr_in *four = (const void *) &whither->address;
    struct nameserver_asked asked = {
        .name = question->name,
        .type = question->type,
        .id = question->id,
        .port = whither->serial == 0 ? ntohs(four->sin_port) : 0,
        .tcp = whither->serial != 0,
        .at_ns = nameserver_now_ns(),
    };

    pthread_mutex_lock(&server->lock);
    bool first = script_counts(question->name) &&
                 log_count(&server->log, question->name, question->type) == 0;
    log_add(&server->log, &asked);
    pthread_mutex_unlock(&server->lock);
    return first;
}

static void send_from(int fd, const struct whither *whither, const unsigned char *bytes,
                      size_t length)
{
    (void) sendto(fd, bytes, length, MSG_NOSIGNAL, (const void *) &whither->address,
                  whither->address_size);
}

static void deliver(struct nameserver *server, const struct whither *whither,
                    const unsigned char *bytes, size_t length)
{
    if (whither->serial != 0)
        client_send(server, whither->serial, bytes, length);
    else
        send_from(server->udp_fd, whither, bytes, length);
}

/* ---- noise ---- */

/* Another id than that of the question. */
static unsigned draw_id(struct nameserver *server, unsigned id)
{
    return (id + 1 + (unsigned) rand_r(&server->seed) % 65535) & 0xffff;
}

static void send_bad_ids(struct nameserver *server, const struct served *served,
                         unsigned char *bytes, size_t length)
{
    unsigned char id[2] = {bytes[0], bytes[1]};

    for (unsigned i = 0; i < served->script->badid; i++) {
        unsigned other = draw_id(server, served->question->id);
        bytes[0] = (unsigned char) (other >> 8);
        bytes[1] = (unsigned char) other;
        send_from(server->udp_fd, served->whither, bytes, length);
    }
    memcpy(bytes, id, sizeof id);
}

/* The first letter of the name becomes another one. */
static void send_bad_names(struct nameserver *server, const struct served *served,
                           unsigned char *bytes, size_t length)
{
    unsigned char *letter = bytes + MESSAGE_HEADER + 1;
    unsigned char before = *letter;

    *letter = before == 'z' ? 'y' : 'z';
    for (unsigned i = 0; i < served->script->badname; i++)
        send_from(server->udp_fd, served->whither, bytes, length);
    *letter = before;
}

static void send_junk(struct nameserver *server, const struct served *served)
{
    unsigned char bytes[64];

    for (unsigned i = 0; i < served->script->junk; i++) {
        for (size_t at = 0; at < sizeof bytes; at++)
            bytes[at] = (unsigned char) rand_r(&server->seed);
        send_from(server->udp_fd, served->whither, bytes, sizeof bytes);
    }
}

static void make_noise(struct nameserver *server, const struct served *served, unsigned char *bytes,
                       size_t length)
{
    const struct script *script = served->script;

    send_bad_ids(server, served, bytes, length);
    send_bad_names(server, served, bytes, length);
    for (unsigned i = 0; i < script->badfrom; i++)
        send_from(server->other_fd, served->whither, bytes, length);
    send_junk(server, served);
    for (unsigned i = 0; i < script->header; i++)
        send_from(server->udp_fd, served->whither, bytes, MESSAGE_HEADER);
    for (unsigned i = 0; i < script->empty; i++)
        send_from(server->udp_fd, served->whither, bytes, 0);
}

/* ---- the answer ---- */

static void answer(struct nameserver *server, const struct served *served,
                   const unsigned char *bytes, size_t length)
{
    const struct script *script = served->script;
    uint64_t delay_ms = script->delay_ms;

    if (script->jitter_ms > 0)
        delay_ms += (unsigned) rand_r(&server->seed) % script->jitter_ms;
    for (unsigned i = 0; i <= (script->twice != 0); i++) {
        if (delay_ms > 0)
            late_add(&server->late, nameserver_now_ns() + delay_ms * 1000000, served->whither,
                     bytes, length);
        else
            deliver(server, served->whither, bytes, length);
    }
}

void serve_question(struct nameserver *server, const unsigned char *bytes, size_t length,
                    const struct whither *whither)
{
    unsigned char buffer[MESSAGE_MOST];
    struct question question;
    struct script script;
    bool tcp = whither->serial != 0;

    if (!question_read(bytes, length, &question))
        return;
    struct script_asked asked = {.type = question.type, .server = server->number, .tcp = tcp};
    asked.first = note(server, &question, whither);
    script_read(question.name, &asked, &script);
    struct served served = {&question, &script, whither};
    size_t written = answer_write(&question, &script, tcp, buffer);
    if (!tcp)
        make_noise(server, &served, buffer, written);
    if (tcp && script.hangup != 0)
        client_hang_up(server, whither->serial);
    else if (script.silent == 0)
        answer(server, &served, buffer, written);
}

void serve_late(struct nameserver *server)
{
    uint64_t now_ns = nameserver_now_ns();

    while (late_due_ns(&server->late) <= now_ns) {
        struct late_message *message = late_take(&server->late);
        deliver(server, &message->whither, message->bytes, message->length);
        free(message);
    }
}
