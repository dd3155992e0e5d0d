/* SPDX-License-Identifier: MIT */
/*
 * Races at random: names whose addresses accept, refuse, stay silent or have no route; connections
 * that are shut down, reset or timed out at any moment; few places, descriptors that run out, and
 * memory that is refused. Each connection has one last event, and nothing is left in the end. In a
 * sanitize build the engine validates itself after each pass.
 */
#include "racing.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

enum { NAMES = 12, CONNECTIONS = 40, ROUNDS = 30, LIVE = 6, SILENT = 3 };

static uint32_t seed;
static int socket_fails_in; /* calls of socket until one fails; 0: none does */

static unsigned draw(unsigned limit)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % limit;
}

/* In place of the C library's, for the library too. */
int socket(int domain, int type, int protocol)
{
    if (domain != AF_UNIX && socket_fails_in > 0 && --socket_fails_in == 0) {
        socket_fails_in = 1 + (int) draw(40);
        errno = EMFILE;
        return -1;
    }
    return (int) syscall(SYS_socket, domain, type, protocol);
}

struct play {
    struct host host;
    struct crowd silent[SILENT];
    struct tcpm_session *session;
    struct track tracks[CONNECTIONS];
    char names[NAMES][16], addresses[NAMES][200];
    unsigned refusals; /* one of so many requests for memory is refused; 0: none */
    long blocks;
};

static void *reallocate(void *block, size_t size, void *user)
{
    struct play *play = user;

    if (size > 0 && play->refusals > 0 && draw(play->refusals) == 0)
        return NULL;
    play->blocks += (block == NULL) - (size == 0);
    if (size > 0)
        return realloc(block, size);
    free(block);
    return NULL;
}

/* Addresses that answer in different ways, on the port of the crowds. */
static const char *draw_address(void)
{
    static const char *const addresses[] = {
        "127.0.0.2",  "127.0.0.3",   "127.0.0.4",   "127.0.0.11",  "127.0.0.12", "127.0.0.13",
        "127.0.0.14", "2001:db8::1", "2001:db8::2", "127.0.0.100", "::1",        "127.0.0.101"};

    return addresses[draw(COUNT(addresses))];
}

static void make_names(struct play *play)
{
    racing_forget();
    for (size_t i = 0; i < NAMES; i++) {
        size_t length = 0;

        for (unsigned count = draw(9); count > 0; count--)
            length += (size_t) snprintf(play->addresses[i] + length,
                                        sizeof play->addresses[i] - length, "%s ", draw_address());
        play->addresses[i][length] = '\0';
        snprintf(play->names[i], sizeof play->names[i], "n%u.test", (unsigned) i);
        racing_name(play->names[i], play->addresses[i]);
    }
}

/* A peer of its own kind at each live address. */
static void start_peers(struct play *play, int port)
{
    static const char *const programs[] = {"close", "send \"hello\\n\"; rst", "echo", "rst",
                                           "send \"hello\\n\"; freeze"};
    char address[20];

    for (size_t i = 0; i < COUNT(programs); i++) {
        snprintf(address, sizeof address, "127.0.0.%d", 11 + (int) i);
        host_peer(&play->host, programs[i],
                  &(struct peer_options){.address = address, .port = port});
    }
}

static void disturb(struct track *track)
{
    switch (draw(4)) {
    case 0:
        tcpm_shutdown(track->session, track->id);
        break;
    case 1:
        tcpm_reset(track->session, track->id);
        break;
    case 2:
        tcpm_timeout(track->session, track->id, 1 + draw(100));
        break;
    default:
        tcpm_fail(track->session, track->id, -ECANCELED, "disturbed");
    }
}

static void on_event(struct track *track, enum event event)
{
    struct play *play = track->user;

    if (event == EVENT_INITIALIZE)
        return;
    if (event == EVENT_SUCCESS && draw(3) == 0)
        tcpm_send(track->session, track->id, "x", 1);
    if (draw(4) == 0) {
        struct track *other = &play->tracks[draw(CONNECTIONS)];

        if (other->session != NULL)
            disturb(other);
    }
}

static void connect_one(struct play *play, struct track *track, int port)
{
    *track = (struct track){.hook = on_event, .user = play};
    struct tcpm_connect_options options = {
        .size = sizeof options, .address = play->names[draw(NAMES)], .port = port, .heap = track};

    if (tcpm_connect(play->session, &options, NULL) < 0)
        *track = (struct track){.hook = NULL}; /* no memory: no event comes */
}

static bool all_have_ended(void *argument)
{
    struct play *play = argument;

    for (size_t i = 0; i < CONNECTIONS; i++)
        if (play->tracks[i].session != NULL && !track_ended(&play->tracks[i]))
            return false;
    return true;
}

/* Disturbs connections until the loop has run for so many milliseconds. */
static void run_disturbed(struct play *play, int ms)
{
    int64_t began = tcpm_now_ns();

    while (racing_ms_since(began) < ms && !all_have_ended(play)) {
        struct track *track = &play->tracks[draw(CONNECTIONS)];

        uv_run(&play->host.loop, UV_RUN_NOWAIT);
        if (track->session != NULL && draw(40) == 0)
            disturb(track);
        if (draw(200) == 0)
            crowd_accept(&play->silent[draw(SILENT)]);
        usleep(200);
    }
}

static void open_play(struct play *play)
{
    host_open(&play->host, &(struct tcpm_engine_options){
                               .size = sizeof(struct tcpm_engine_options),
                               .max_connections = draw(3) == 0 ? 8 + draw(30) : 0,
                               .reallocate = reallocate,
                               .user = play,
                           });
    play->session =
        racing_session(&play->host, (struct tcpm_session_options){
                                        .connect_timeout_ms = 1500,
                                        .input_timeout_ms = 200,
                                        .domain = draw(8) == 0 ? 4 : 0,
                                        .max_connections = draw(4) == 0 ? 20 : 0,
                                        .max_per_address = draw(3) == 0 ? 1 + draw(6) : 0,
                                    });
}

static void play_round(struct play *play)
{
    memset(play, 0, sizeof *play);
    socket_fails_in = 0;
    open_play(play);
    int port = crowds_open(play->silent, "127.0.0.2 127.0.0.3 127.0.0.4");
    start_peers(play, port);
    make_names(play);
    play->refusals = draw(3) == 0 ? 30 + draw(100) : 0;
    socket_fails_in = draw(3) == 0 ? 1 + (int) draw(60) : 0;
    for (size_t i = 0; i < CONNECTIONS; i++)
        connect_one(play, &play->tracks[i], port);
    run_disturbed(play, 1000);
    if (draw(3) == 0)
        assert_int_equal(tcpm_die(play->session), 0);
    host_run_until(&play->host, all_have_ended, play);
    play->refusals = 0;
    socket_fails_in = 0;
    crowds_close(play->silent, SILENT);
    host_close(&play->host);
    assert_int_equal(play->blocks, 0);
}

static void test_races_at_random(void **state)
{
    static struct play play;
    const char *given = getenv("TCPM_SEED");

    (void) state;
    racing_unroute("2001:db8::1", ENETUNREACH);
    racing_unroute("2001:db8::2", EHOSTUNREACH);
    uint32_t first = given != NULL ? (uint32_t) strtoul(given, NULL, 10) : (uint32_t) time(NULL);
    for (uint32_t round = 0; round < (given != NULL ? 1 : ROUNDS); round++) {
        seed = first + round;
        print_message("# TCPM_SEED=%u\n", (unsigned) seed);
        play_round(&play);
    }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(test_races_at_random)};

RUN_TESTS(tests)
