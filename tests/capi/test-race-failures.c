/* SPDX-License-Identifier: MIT */
/*
 * What is told of a race that nobody wins (REACH N49): one failure, with the error that tells most
 * of the target, and a text that has every address with its error.
 */
#include "racing.h"

#include <sys/socket.h>

struct row {
    const char *addresses, *log, *message;
};

static void run_row(struct host *host, const struct row *row, int port)
{
    struct track track = {.hook = NULL};

    racing_connect(&track, racing_session(host, (struct tcpm_session_options){0}),
                   racing_new_name(row->addresses), port);
    host_run(host);
    if (strcmp(track.log, row->log) != 0 || strcmp(track.message, row->message) != 0)
        fail_msg("%s: %s: %s", row->addresses, track.log, track.message);
}

/* A port at which nobody listens. */
static int refused_port(struct host *host)
{
    return peer_port(host_peer(host, "", &(struct peer_options){.refuse = 1}));
}

#define FAILURE(error) "initialize failure(" error ") disconnected(failure)"

/* REACH N49; the error of a target that was reached counts more than that of one that was not. */
static void test_N49_the_most_telling_error_counts(void **state)
{
    static const struct row rows[] = {
        {"127.0.0.1", FAILURE("connect,ECONNREFUSED"), "Connection refused (127.0.0.1)"},
        {"2001:db8::1 127.0.0.1", FAILURE("connect,ECONNREFUSED"),
         "Network is unreachable (2001:db8::1); Connection refused (127.0.0.1)"},
        {"127.0.0.1 2001:db8::1", FAILURE("connect,ECONNREFUSED"),
         "Network is unreachable (2001:db8::1); Connection refused (127.0.0.1)"},
        {"127.0.0.1 127.9.9.9 127.0.0.2 127.9.9.8", FAILURE("connect,ECONNREFUSED"),
         "Connection refused (127.0.0.1, 127.0.0.2); No route to host (127.9.9.9); "
         "Cannot assign requested address (127.9.9.8)"},
        {"2001:db8::1 127.9.9.9", FAILURE("connect,EHOSTUNREACH"),
         "Network is unreachable (2001:db8::1); No route to host (127.9.9.9)"},
        {"", FAILURE("resolve,ENOTFOUND"), "no such name"},
    };
    struct host *host = *state;

    int port = refused_port(host);
    racing_unroute("2001:db8::1", ENETUNREACH);
    racing_unroute("127.9.9.9", EHOSTUNREACH);
    racing_unroute("127.9.9.8", EADDRNOTAVAIL);
    for (size_t i = 0; i < COUNT(rows); i++)
        run_row(host, &rows[i], port);
    racing_unroute(NULL, 0);
    host_close(host);
}

/* Asserts that the message of the failure has all addresses. */
static void check_addresses(struct track *track, enum event event)
{
    struct tcpm_info info = {.size = sizeof info};
    char address[20];

    if (event != EVENT_FAILURE)
        return;
    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    for (unsigned i = 1; i <= 64; i++) {
        snprintf(address, sizeof address, "127.100.100.%u", i + 100);
        if (strstr(info.cause.message, address) == NULL)
            fail_msg("%s is not in: %s", address, info.cause.message);
    }
}

/* However many there are. */
static void test_N49_the_text_has_all_of_64_addresses(void **state)
{
    struct host *host = *state;
    char addresses[4000] = "";
    struct track track = {.hook = check_addresses};

    for (unsigned i = 1; i <= 64; i++)
        snprintf(addresses + strlen(addresses), sizeof addresses - strlen(addresses),
                 "127.100.100.%u ", i + 100);
    racing_connect(&track, racing_session(host, (struct tcpm_session_options){0}),
                   racing_new_name(addresses), refused_port(host));
    host_run(host);
    assert_log(&track, FAILURE("connect,ECONNREFUSED"));
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_N49_the_most_telling_error_counts),
    HOST_TEST(test_N49_the_text_has_all_of_64_addresses),
};

RUN_TESTS(tests)
