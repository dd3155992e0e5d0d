/* SPDX-License-Identifier: MIT */
/*
 * Runs the program of one connection, in that connection's own thread, with blocking calls: what
 * happens in which order is then plain to read. A step gives STEP_ON, or STEP_END when the
 * connection has ended or the peer is being stopped; then the program is over.
 */
#include "internal.h"

#include "secure.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <stdio.h>

enum outcome { STEP_ON, STEP_END };

#define PIECE ((size_t) 16384) /* bytes of one read or write; on the stack of the thread */

struct run {
    struct peer_link *link;
    size_t at;       /* the step */
    int64_t *rounds; /* of each loop, done so far */
};

static void note_end(struct peer_link *link, enum peer_end end)
{
    pthread_mutex_lock(&link->peer->lock);
    if (link->seen.end == PEER_OPEN) {
        link->seen.end = link->peer->stopping ? PEER_STOPPED : end;
    }
    pthread_mutex_unlock(&link->peer->lock);
}

static bool is_stopping(struct peer_link *link)
{
    bool stopping;

    pthread_mutex_lock(&link->peer->lock);
    stopping = link->peer->stopping;
    pthread_mutex_unlock(&link->peer->lock);
    return stopping;
}

static enum outcome end_by_errno(struct peer_link *link)
{
    note_end(link, errno == ECONNRESET || errno == EPIPE ? PEER_RESET : PEER_ERROR);
    return STEP_END;
}

/* The step cannot be done, or what came is not what was expected. */
static void note_failure(struct peer_link *link, const char *text)
{
    struct peer_report *report = &link->peer->report;

    pthread_mutex_lock(&link->peer->lock);
    if (report->failures++ == 0) {
        (void) snprintf(report->failure, sizeof report->failure, "%s", text);
    }
    pthread_mutex_unlock(&link->peer->lock);
}

/* ---- out ---- */

static enum outcome send_flags(struct peer_link *link, const char *bytes, size_t length, int flags)
{
    while (length > 0) {
        ssize_t sent = wire_send(&link->wire, bytes, length, MSG_NOSIGNAL | flags);

        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            return end_by_errno(link);
        }
        pthread_mutex_lock(&link->peer->lock);
        link->seen.sent += (uint64_t) sent;
        link->peer->report.sent += (uint64_t) sent;
        pthread_mutex_unlock(&link->peer->lock);
        bytes += sent;
        length -= (size_t) sent;
    }
    return STEP_ON;
}

static size_t piece_of(int64_t left)
{
    return left < (int64_t) PIECE ? (size_t) left : PIECE;
}

static enum outcome step_sendn(struct peer_link *link, const struct peer_step *step)
{
    char piece[PIECE];
    enum outcome outcome = STEP_ON;

    memset(piece, step->bytes[0], sizeof piece);
    for (int64_t left = step->numbers[0]; left > 0 && outcome == STEP_ON;) {
        size_t length = piece_of(left);

        outcome = send_flags(link, piece, length, 0);
        left -= (int64_t) length;
    }
    return outcome;
}

/* Lines of 64 bytes, so that a line filter can read it too. */
static enum outcome step_blast(struct peer_link *link, const struct peer_step *step)
{
    char piece[PIECE];
    enum outcome outcome = STEP_ON;
    bool endless = step->numbers[0] == 0;

    for (size_t i = 0; i < sizeof piece; i++) {
        piece[i] = i % 64 == 63 ? '\n' : 'b';
    }
    for (int64_t left = step->numbers[0]; (endless || left > 0) && outcome == STEP_ON;) {
        size_t length = endless ? sizeof piece : piece_of(left);

        outcome = send_flags(link, piece, length, 0);
        left -= (int64_t) length;
    }
    return outcome;
}

static enum outcome step_prng(struct peer_link *link, const struct peer_step *step)
{
    char piece[PIECE];
    uint64_t state = (uint64_t) step->numbers[0];
    enum outcome outcome = STEP_ON;

    for (int64_t left = step->numbers[1]; left > 0 && outcome == STEP_ON;) {
        size_t length = piece_of(left);

        peer_prng(&state, piece, length);
        outcome = send_flags(link, piece, length, 0);
        left -= (int64_t) length;
    }
    return outcome;
}

/* Sleeps, but no longer than the peer lives. */
static enum outcome nap(struct peer_link *link, double seconds)
{
    struct peer *peer = link->peer;
    struct timespec deadline;
    bool stopping;

    peer_deadline(seconds, &deadline);
    pthread_mutex_lock(&peer->lock);
    while (!peer->stopping && peer_wait_change(peer, &deadline) == 0) {
    }
    stopping = peer->stopping;
    pthread_mutex_unlock(&peer->lock);
    return stopping ? STEP_END : STEP_ON;
}

static enum outcome step_dribble(struct peer_link *link, const struct peer_step *step)
{
    enum outcome outcome = STEP_ON;

    for (size_t i = 0; i < step->length && outcome == STEP_ON; i++) {
        outcome = send_flags(link, step->bytes + i, 1, 0);
        if (outcome == STEP_ON) {
            outcome = nap(link, (double) step->numbers[0] / 1e6);
        }
    }
    return outcome;
}

/* ---- in ---- */

static void keep_content(struct peer_link *link, const char *bytes, size_t length)
{
    size_t room = link->peer->keep - link->seen.content_length;
    size_t wanted = length < room ? length : room, needed = link->seen.content_length + wanted;

    if (needed > link->content_capacity) {
        size_t capacity = needed * 2 < link->peer->keep ? needed * 2 : link->peer->keep;
        struct peer_kept *kept = malloc(sizeof *kept + capacity);

        if (kept == NULL) {
            return;
        }
        if (link->kept != NULL) {
            memcpy(kept->bytes, link->kept->bytes, link->seen.content_length);
        }
        kept->before = link->kept;
        link->kept = kept;
        link->content_capacity = capacity;
    }
    if (wanted > 0) {
        memcpy(link->kept->bytes + link->seen.content_length, bytes, wanted);
        link->seen.content_length += wanted;
        link->seen.content = link->kept->bytes;
    }
}

static void note_received(struct peer_link *link, const char *bytes, size_t length, bool keep)
{
    uint64_t checksum = peer_checksum(link->seen.checksum, bytes, length);

    pthread_mutex_lock(&link->peer->lock);
    link->seen.received += length;
    link->seen.checksum = checksum;
    link->peer->report.received += length;
    if (keep) {
        keep_content(link, bytes, length);
    }
    pthread_mutex_unlock(&link->peer->lock);
}

/* Some bytes, at most so many; 0 at the end of the stream, negative on an error; both are noted. */
static ssize_t receive(struct peer_link *link, char *bytes, size_t size, int flags)
{
    ssize_t length;

    do {
        length = wire_receive(&link->wire, bytes, size, flags);
    } while (length < 0 && errno == EINTR);
    if (length == 0) {
        note_end(link, PEER_EOF);
    } else if (length < 0) {
        (void) end_by_errno(link);
    }
    return length;
}

static enum outcome receive_count(struct peer_link *link, int64_t count)
{
    char piece[PIECE];

    while (count > 0) {
        ssize_t length = receive(link, piece, piece_of(count), 0);

        if (length <= 0) {
            return STEP_END;
        }
        note_received(link, piece, (size_t) length, true);
        count -= length;
    }
    return STEP_ON;
}

/* Everything up to the end. This is no early end of the program: what follows may still send. */
static enum outcome receive_all(struct peer_link *link, bool keep, bool echo)
{
    char piece[PIECE];
    ssize_t length;

    while ((length = receive(link, piece, sizeof piece, 0)) > 0) {
        note_received(link, piece, (size_t) length, keep);
        if (echo && send_flags(link, piece, (size_t) length, 0) != STEP_ON) {
            return STEP_END;
        }
    }
    return length == 0 && !is_stopping(link) ? STEP_ON : STEP_END;
}

static enum outcome receive_until(struct peer_link *link, const char *mark, size_t mark_length)
{
    size_t matched = 0;

    while (matched < mark_length) {
        char byte;

        if (receive(link, &byte, 1, 0) <= 0) {
            return STEP_END;
        }
        note_received(link, &byte, 1, true);
        matched = byte == mark[matched] ? matched + 1 : byte == mark[0] ? 1 : 0;
    }
    return STEP_ON;
}

static enum outcome step_expect(struct peer_link *link, const struct peer_step *step)
{
    char *got = malloc(step->length + 1), text[160];
    size_t have = 0;

    while (got != NULL && have < step->length) {
        ssize_t length = receive(link, got + have, step->length - have, 0);

        if (length <= 0) {
            break;
        }
        note_received(link, got + have, (size_t) length, true);
        have += (size_t) length;
    }
    if (got == NULL || have < step->length || memcmp(got, step->bytes, have) != 0) {
        (void) snprintf(text, sizeof text, "expected \"%.60s\", got \"%.*s\"", step->bytes,
                        have < 60 ? (int) have : 60, got == NULL ? "" : got);
        note_failure(link, text);
    }
    free(got);
    return have < step->length ? STEP_END : STEP_ON;
}

static enum outcome step_recv(struct peer_link *link, const struct peer_step *step)
{
    switch (step->amount) {
    case AMOUNT_LINE:
        return receive_until(link, "\n", 1);
    case AMOUNT_ALL:
        return receive_all(link, true, false);
    case AMOUNT_NUMBER:
    default:
        return receive_count(link, step->numbers[0]);
    }
}

static enum outcome step_discard(struct peer_link *link)
{
    char piece[PIECE];
    ssize_t length;

    while ((length = receive(link, piece, sizeof piece, 0)) > 0) {
        pthread_mutex_lock(&link->peer->lock);
        link->seen.received += (uint64_t) length;
        link->peer->report.received += (uint64_t) length;
        pthread_mutex_unlock(&link->peer->lock);
    }
    return length == 0 && !is_stopping(link) ? STEP_ON : STEP_END;
}

/* ---- ends ---- */

static void drain(struct peer_link *link)
{
    char piece[PIECE];

    while (recv(link->fd, piece, sizeof piece, MSG_DONTWAIT) > 0) {
    }
}

static enum outcome step_close(struct peer_link *link)
{
    (void) wire_await_greeting(&link->wire);
    drain(link);
    wire_finish(&link->wire);
    peer_link_close(link, PEER_CLOSED);
    return STEP_END;
}

static enum outcome step_rst(struct peer_link *link)
{
    struct linger now = {1, 0};

    (void) wire_await_greeting(&link->wire);
    (void) setsockopt(link->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    peer_link_close(link, PEER_CLOSED);
    return STEP_END;
}

/* Linux answers a close with unread bytes by RST; without any it would be FIN, so wait for some. */
static enum outcome step_close_unread(struct peer_link *link)
{
    struct pollfd readable = {link->fd, POLLIN, 0};

    (void) wire_await_greeting(&link->wire);
    if (WIRE_HAS_TLS && link->wire.secure != NULL && secure_has_text(link->wire.secure)) {
        return step_rst(link); /* the kernel does not have the bytes any more */
    }
    while (poll(&readable, 1, -1) < 0 && errno == EINTR) {
    }
    peer_link_close(link, PEER_CLOSED);
    return STEP_END;
}

/* FIN without the mark, and no mark later. */
static enum outcome step_fin(struct peer_link *link)
{
    link->wire.finished = true;
    return shutdown(link->fd, SHUT_WR) == 0 ? STEP_ON : end_by_errno(link);
}

/* ---- TLS ---- */

/* Notes how far TLS has come, for the test to see. */
static void describe(struct peer_link *link)
{
    struct peer_secured seen;

    if (!WIRE_HAS_TLS || link->wire.secure == NULL) {
        return;
    }
    secure_describe(link->wire.secure, &seen);
    pthread_mutex_lock(&link->peer->lock);
    link->seen.tls = seen;
    pthread_cond_broadcast(&link->peer->changed);
    pthread_mutex_unlock(&link->peer->lock);
}

static enum outcome step_starttls(struct peer_link *link)
{
    if (wire_begin_tls(&link->wire, link->peer->tls) != 0) {
        note_failure(link, "starttls: there are no options for TLS, or it is on");
        return STEP_END;
    }
    if (wire_await_greeting(&link->wire) != 0) {
        return end_by_errno(link);
    }
    describe(link);
    return STEP_ON;
}

static enum outcome send_raw(struct peer_link *link, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(link->fd, bytes, length, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            return end_by_errno(link);
        }
        bytes += sent;
        length -= (size_t) sent;
    }
    return STEP_ON;
}

static enum outcome step_raw(struct peer_link *link, const struct peer_step *step)
{
    return send_raw(link, step->bytes, step->length);
}

static enum outcome step_garbage(struct peer_link *link, const struct peer_step *step)
{
    char piece[PIECE];
    uint64_t state = 1;
    enum outcome outcome = STEP_ON;

    for (int64_t left = step->numbers[0]; left > 0 && outcome == STEP_ON;) {
        size_t length = piece_of(left);

        peer_prng(&state, piece, length);
        outcome = send_raw(link, piece, length);
        left -= (int64_t) length;
    }
    return outcome;
}

static enum outcome step_tls(struct peer_link *link, const struct peer_step *step)
{
    char text[96];

    errno = EOPNOTSUPP;
    if (WIRE_HAS_TLS && peer_do_tls(link, step) == 0) {
        return STEP_ON;
    }
    (void) end_by_errno(link);
    if (errno == EOPNOTSUPP) {
        (void) snprintf(text, sizeof text, "%s: this connection cannot do it",
                        peer_verb_name(step->verb));
        note_failure(link, text);
    }
    return STEP_END;
}

/* ---- order ---- */

static enum outcome step_mark(struct peer_link *link, const struct peer_step *step)
{
    struct peer *peer = link->peer;
    struct peer_name *name;

    pthread_mutex_lock(&peer->lock);
    name = peer_name_find(peer, step->bytes);
    if (name != NULL) {
        name->marks++;
    }
    pthread_cond_broadcast(&peer->changed);
    pthread_mutex_unlock(&peer->lock);
    return STEP_ON;
}

/* A name of NULL never opens. */
static enum outcome wait_gate(struct peer_link *link, const char *gate)
{
    struct peer *peer = link->peer;
    enum outcome outcome;

    pthread_mutex_lock(&peer->lock);
    while (!peer->stopping) {
        struct peer_name *name = gate == NULL ? NULL : peer_name_find(peer, gate);

        if (name != NULL && name->open) {
            break;
        }
        (void) peer_wait_change(peer, NULL);
    }
    outcome = peer->stopping ? STEP_END : STEP_ON;
    pthread_mutex_unlock(&peer->lock);
    return outcome;
}

static enum outcome step_loop(struct run *run, const struct peer_step *step)
{
    if (step->numbers[0] != 0 && run->rounds[run->at] >= step->numbers[0]) {
        run->rounds[run->at] = 0;
        run->at = step->partner;
    } else {
        run->rounds[run->at]++;
    }
    return is_stopping(run->link) ? STEP_END : STEP_ON;
}

static enum outcome do_step(struct run *run, const struct peer_step *step)
{
    struct peer_link *link = run->link;

    switch (step->verb) {
    case VERB_SEND:
    case VERB_SENDHEX:
        return send_flags(link, step->bytes, step->length, 0);
    case VERB_SENDN:
        return step_sendn(link, step);
    case VERB_PRNG:
        return step_prng(link, step);
    case VERB_MORE:
        return send_flags(link, step->bytes, step->length, MSG_MORE);
    case VERB_OOB:
        return send_flags(link, step->bytes, step->length, MSG_OOB);
    case VERB_DRIBBLE:
        return step_dribble(link, step);
    case VERB_RECV:
        return step_recv(link, step);
    case VERB_RECVUNTIL:
        return receive_until(link, step->bytes, step->length);
    case VERB_EXPECT:
        return step_expect(link, step);
    case VERB_ECHO:
        return receive_all(link, false, true);
    case VERB_DISCARD:
        return step_discard(link);
    case VERB_COUNT:
        return receive_all(link, false, false);
    case VERB_BLAST:
        return step_blast(link, step);
    case VERB_SLEEP:
        return nap(link, (double) step->numbers[0] / 1e3);
    case VERB_SHUTWR:
        wire_finish(&link->wire);
        return shutdown(link->fd, SHUT_WR) == 0 ? STEP_ON : end_by_errno(link);
    case VERB_SHUTRD:
        return shutdown(link->fd, SHUT_RD) == 0 ? STEP_ON : end_by_errno(link);
    case VERB_CLOSE:
        return step_close(link);
    case VERB_CLOSE_UNREAD:
        return step_close_unread(link);
    case VERB_RST:
        return step_rst(link);
    case VERB_FREEZE:
        return wait_gate(link, NULL);
    case VERB_LOOP:
        return step_loop(run, step);
    case VERB_END:
        run->at = step->partner - 1;
        return STEP_ON;
    case VERB_WAIT:
        return wait_gate(link, step->bytes);
    case VERB_MARK:
        return step_mark(link, step);
    case VERB_PLAIN:
        return STEP_ON;
    case VERB_STARTTLS:
        return step_starttls(link);
    case VERB_RAW:
    case VERB_RAWHEX:
        return step_raw(link, step);
    case VERB_GARBAGE:
        return step_garbage(link, step);
    case VERB_CLOSE_NOTIFY:
        wire_finish(&link->wire);
        return STEP_ON;
    case VERB_FIN:
        return step_fin(link);
    case VERB_TRUNCATE:
    case VERB_ALERT:
    case VERB_KEYUPDATE:
    case VERB_TICKETS:
    case VERB_EMPTY:
    case VERB_RENEGOTIATE:
    case VERB_ONEBYTE:
        return step_tls(link, step);
    case VERB_NEXT:
    case VERB_TOTAL:
    default:
        return STEP_END;
    }
}

static bool begins_with_tls(const struct peer_link *link)
{
    if (link->peer->tls == NULL) {
        return false;
    }
    for (size_t i = 0; i < link->program->count; i++) {
        enum peer_verb verb = link->program->steps[i].verb;

        if (verb == VERB_STARTTLS || verb == VERB_PLAIN) {
            return false;
        }
    }
    return true;
}

void peer_act(struct peer_link *link)
{
    const struct peer_program *program = link->program;
    struct run run = {link, 0, calloc(program->count + 1, sizeof(int64_t))};
    enum outcome outcome = run.rounds != NULL ? STEP_ON : STEP_END;

    wire_open(&link->wire, link->fd);
    if (outcome == STEP_ON && begins_with_tls(link)) {
        outcome = step_starttls(link);
    }
    for (; outcome == STEP_ON && run.at < program->count; run.at++) {
        outcome = do_step(&run, &program->steps[run.at]);
    }
    free(run.rounds);
    describe(link);
    if (link->fd >= 0) {
        (void) step_close(link);
    }
    wire_free(&link->wire);
}
