/* SPDX-License-Identifier: MIT */
/*
 * Each socket of a race takes a local address of its own and gives it back, the
 * losers' too. The kernel's table of sockets tells which addresses they have,
 * in a network namespace whose hosts file has a name with two addresses, where
 * nobody answers.
 */
#include "crowd.h"
#include "namespace.h"

#include <sched.h>
#include <sys/mount.h>

#include "swarm.h"

enum { SOURCES = 3, SYN_SENT = 2 };

/* ---- the name ---- */

/* In a mount namespace /etc/hosts is another file, which is gone from its
 * folder. */
static void replace_hosts(const char *text)
{
    char path[] = "/tmp/hosts-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t) strlen(text));
    assert_int_equal(fchmod(fd, 0644), 0);
    close(fd);
    assert_int_equal(unshare(CLONE_NEWNS), 0);
    assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    assert_int_equal(mount(path, "/etc/hosts", NULL, MS_BIND, NULL), 0);
    unlink(path);
}

/* Two peers on one port that never answer. */
static int start_silent(struct host *host)
{
    struct peer_options options = {.address = "127.0.0.10", .blackhole = 1};
    struct peer *first = host_peer(host, "", &options);

    options.address = "127.0.0.11";
    options.port = peer_port(first);
    host_peer(host, "", &options);
    return peer_port(first);
}

/* ---- sockets under way ---- */

/* Counts the sockets that wait for an answer, by the last byte of their local
 * address. */
static unsigned count_racing(unsigned ret[SOURCES])
{
    FILE *file = fopen("/proc/net/tcp", "r");
    char line[256];
    unsigned count = 0;

    assert_non_null(file);
    memset(ret, 0, SOURCES * sizeof *ret);
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned local, port, remote, remote_port, state;

        if (sscanf(line, " %*u: %x:%x %x:%x %x", &local, &port, &remote, &remote_port, &state) != 5)
            continue;
        unsigned last = ntohl(local) & 0xff;
        if (state != SYN_SENT || last < 2 || last >= 2 + SOURCES)
            continue;
        ret[last - 2]++;
        count++;
    }
    fclose(file);
    return count;
}

static bool are_two_racing(void *ret)
{
    return count_racing(ret) == 2;
}

static bool is_open(void *member)
{
    return ((const struct member *) member)->state == MEMBER_OPEN;
}

/* Opens connections to the swarm, and asserts which source each of them has: the digits of a text
   count from the source after that with no socket in the race. Gives the last one. */
static struct member *open_all(struct crowd *crowd, const struct swarm *swarm, int third,
                               const char *expected)
{
    struct member *member = NULL;

    for (; *expected != '\0'; expected++) {
        member = crowd_connect(crowd, "127.0.0.1", swarm_port(swarm));
        host_run_until(crowd->host, is_open, member);
        assert_int_equal(member->local[strlen("127.0.0.")] - '2',
                         (third + *expected - '0') % SOURCES);
    }
    return member;
}

/* ---- the race ---- */

/* The source with no socket in the race. */
static int find_third(const unsigned racing[SOURCES])
{
    int third = 0;

    for (int i = 0; i < SOURCES; i++) {
        assert_in_range(racing[i], 0, 1);
        if (racing[i] == 0)
            third = i;
    }
    return third;
}

/* The sources 1 and 2 race, so that 0 is next. When the race is over, each of both has one socket
   less than it would have with a lease that was kept: 2 comes before 0, and 1 before 2. */
static void race(void *argument)
{
    struct tcpm_session_options options = {.bind_address = "127.0.0.2,127.0.0.3,127.0.0.4",
                                           .attempt_delay_ms = 10,
                                           .connect_timeout_ms = TCPM_NONE};
    unsigned racing[SOURCES];
    struct crowd crowd;
    struct host host;

    (void) argument;
    replace_hosts("127.0.0.10 two.test\n127.0.0.11 two.test\n");
    struct swarm *swarm = swarm_start("discard", 1, 100);
    assert_non_null(swarm);
    host_open(&host, NULL);
    int port = start_silent(&host);
    crowd_open(&crowd, &host, options, 10);
    struct member *racer = crowd_connect(&crowd, "two.test", port);
    host_run_until(&host, are_two_racing, racing);
    int third = find_third(racing);
    struct member *member = open_all(&crowd, swarm, third, "0");
    open_all(&crowd, swarm, third, "1201");
    crowd_end_member(&crowd, member);
    crowd_end_member(&crowd, racer);
    assert_int_equal(count_racing(racing), 0);
    open_all(&crowd, swarm, third, "201");
    crowd_close(&crowd);
    host_close(&host);
    swarm_stop(swarm);
}

static void test_P43_each_socket_of_a_race_counts(void **state)
{
    (void) state;
    in_namespace(race, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_P43_each_socket_of_a_race_counts),
};

RUN_TESTS(tests)
