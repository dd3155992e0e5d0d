/* SPDX-License-Identifier: MIT */
/*
 * The ports from which the backend of c-ares asks, servers and descriptors that come and go,
 * floods, forks, ends. The program is linked with --wrap=recvfrom, to count the reads of one turn.
 */
#include "bed.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tcpmulti.h"

enum {
    READS_IN_A_TURN = 64,
    FLOOD = 100000,
    MANY = 10000,
    AT_ONCE = 100,
};

static const uint64_t half_a_minute_ns = UINT64_C(30000000000);

static _Thread_local unsigned reads; /* of this thread, since the last turn */

ssize_t __real_recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *address,
                        socklen_t *length);
ssize_t __wrap_recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *address,
                        socklen_t *length);

ssize_t __wrap_recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *address,
                        socklen_t *length)
{
    reads++;
    return __real_recvfrom(fd, buffer, size, flags, address, length);
}

/* The port that the latest question came from. */
static unsigned last_port(struct bed *bed, unsigned server)
{
    size_t count = nameserver_count(bed->servers[server], NULL, 0);
    struct nameserver_asked asked;

    assert_true(nameserver_asked(bed->servers[server], count - 1, &asked));
    return asked.port;
}

/* ---- ports ---- */

static int compare_ports(const void *a, const void *b)
{
    return *(const int *) a - *(const int *) b;
}

static unsigned count_ports(struct bed *bed)
{
    static int ports[MANY];
    unsigned count = 0;
    struct nameserver_asked asked;

    for (size_t i = 0; i < MANY; i++) {
        assert_true(nameserver_asked(bed->servers[0], i, &asked));
        ports[i] = (int) asked.port;
    }
    qsort(ports, MANY, sizeof *ports, compare_ports);
    for (size_t i = 0; i < MANY; i++)
        count += i == 0 || ports[i] != ports[i - 1];
    return count;
}

/* How many ids are that of the question before, or the next one. */
static unsigned count_guessable_ids(struct bed *bed)
{
    unsigned count = 0;
    struct nameserver_asked asked, before;

    assert_true(nameserver_asked(bed->servers[0], 0, &before));
    for (size_t i = 1; i < MANY; i++) {
        assert_true(nameserver_asked(bed->servers[0], i, &asked));
        count += asked.id - before.id <= 1;
        before = asked;
    }
    return count;
}

/* A hundred at a time, so that the socket is hardly ever closed for want of questions. */
static void test_N62_many_questions_come_from_several_ports(void **state)
{
    static struct asked asked[AT_ONCE];
    static char names[AT_ONCE][32];
    struct bed bed;

    (void) state;
    bed_open(&bed, 1, NULL);
    bed_configure(&bed, 0, 1, 5000);
    for (unsigned i = 0; i < MANY + AT_ONCE; i++) {
        struct asked *one = &asked[i % AT_ONCE];

        if (i >= AT_ONCE) {
            bed_wait(&bed, one, 1);
            assert_int_equal(one->code, 0);
        }
        if (i < MANY) {
            snprintf(names[i % AT_ONCE], sizeof names[0], "n%u.a-1.test", i);
            assert_int_equal(bed_ask(&bed, names[i % AT_ONCE], AF_INET, one), 0);
        }
    }
    assert_int_equal(nameserver_count(bed.servers[0], NULL, 0), MANY);
    assert_true(count_ports(&bed) >= 3);
    assert_true(count_guessable_ids(&bed) < 20);
    bed_close(&bed);
}

/* While a slow question keeps the socket open, all others come from the same port. */
static void test_a_port_is_used_for_half_a_minute(void **state)
{
    struct bed bed;
    struct asked slow, asked;

    (void) state;
    bed_open(&bed, 1, NULL);
    bed_configure(&bed, 0, 1, 5000);
    assert_int_equal(bed_ask(&bed, "delay-300.a-1.test", AF_INET, &slow), 0);
    bed_look_up(&bed, "a-1.test", AF_INET, &asked);
    unsigned port = last_port(&bed, 0);
    bed_look_up(&bed, "a-2.test", AF_INET, &asked);
    assert_int_equal(last_port(&bed, 0), port);

    const struct tcpm__backend *backend = (const struct tcpm__backend *) bed.ares;
    struct asked late = {.query = {.name = "a-3.test", .families = TCPM__INET}};
    bed.network.now_ns += half_a_minute_ns;
    assert_int_equal(backend->kind->ask((struct tcpm__backend *) bed.ares, &late.query), 0);
    bed_wait(&bed, &late, 1);
    assert_int_equal(late.code, 0);
    assert_int_not_equal(last_port(&bed, 0), port);
    bed_wait(&bed, &slow, 1);
    assert_int_equal(slow.code, 0);
    bed_close(&bed);
}

static void test_N24_a_way_that_stays_silent_is_left_for_another_port(void **state)
{
    struct bed bed;
    struct asked slow, asked;

    (void) state;
    bed_open(&bed, 1, NULL);
    assert_int_equal(bed_ask(&bed, "first-silent.later-silent.test", AF_INET, &slow), 0);
    bed_look_up(&bed, "first-silent.a-1.test", AF_INET, &asked);
    struct nameserver_asked before;
    assert_true(nameserver_asked(bed.servers[0], 0, &before));
    assert_int_equal(asked.code, 0);
    assert_int_not_equal(last_port(&bed, 0), before.port);
    bed_close(&bed);
}

/* ---- servers that come and go ---- */

static void test_N23_new_servers_count_from_the_next_question_on(void **state)
{
    struct bed bed;
    struct asked slow, silent, asked;

    (void) state;
    bed_open(&bed, 2, NULL);
    bed_configure(&bed, 0, 1, BED_TIMEOUT_MS);
    assert_int_equal(bed_ask(&bed, "delay-60.s1-a-1.test", AF_INET, &slow), 0);
    assert_int_equal(bed_ask(&bed, "s1-silent.s2-a-2.test", AF_INET, &silent), 0);
    bed_configure(&bed, 1, 1, BED_TIMEOUT_MS);
    bed_look_up(&bed, "s2-a-3.test", AF_INET, &asked);
    assert_int_equal(asked.count, 3);
    assert_int_equal(slow.over, 0);
    bed_wait(&bed, &slow, 1);
    assert_int_equal(slow.count, 1);
    assert_false(slow.lost);
    bed_wait(&bed, &silent, 1);
    assert_int_equal(silent.count, 2);
    assert_int_equal(nameserver_count(bed.servers[0], NULL, 0), 2);
    bed_close(&bed);
}

static void test_the_same_servers_again_change_nothing(void **state)
{
    struct bed bed;
    struct asked slow, asked;

    (void) state;
    bed_open(&bed, 1, NULL);
    assert_int_equal(bed_ask(&bed, "delay-60.a-1.test", AF_INET, &slow), 0);
    bed_look_up(&bed, "a-1.test", AF_INET, &asked);
    unsigned port = last_port(&bed, 0);
    bed_configure(&bed, 0, 1, BED_TIMEOUT_MS);
    bed_look_up(&bed, "a-2.test", AF_INET, &asked);
    assert_int_equal(last_port(&bed, 0), port);
    bed_wait(&bed, &slow, 1);
    bed_close(&bed);
}

static void test_N26_without_a_server_nothing_is_asked(void **state)
{
    struct bed bed;
    struct asked slow, asked;

    (void) state;
    bed_open(&bed, 1, NULL);
    assert_int_equal(bed_ask(&bed, "silent.test", AF_INET, &slow), 0);
    bed_configure(&bed, 0, 0, BED_TIMEOUT_MS);
    bed_look_up(&bed, "a-1.test", AF_INET, &asked);
    assert_int_equal(asked.code, -EADDRNOTAVAIL);
    assert_string_equal(asked.message, "no usable name server");
    bed_wait(&bed, &slow, 1);
    assert_int_equal(slow.code, -ETIMEDOUT);
    bed_close(&bed);
}

static void test_N24_a_server_that_is_started_again_is_heard(void **state)
{
    struct bed bed;
    struct asked waiting, asked;

    (void) state;
    bed_open(&bed, 1, NULL);
    assert_int_equal(bed_ask(&bed, "first-silent.a-1.test", AF_INET, &waiting), 0);
    bed_look_up(&bed, "a-1.test", AF_INET, &asked);
    bed_stop(&bed, 0);
    assert_int_equal(bed_ask(&bed, "a-2.test", AF_INET, &asked), 0);
    bed_turn(&bed);
    bed_start(&bed, 0, 0);
    bed_wait(&bed, &asked, 1);
    assert_int_equal(asked.code, 0);
    assert_true(asked.lost);
    bed_wait(&bed, &waiting, 1);
    assert_true(waiting.code == 0 || waiting.code == -ETIMEDOUT);
    bed_close(&bed);
}

static void test_a_port_without_a_server_is_told_before_all_rounds_are_over(void **state)
{
    struct bed bed;
    struct asked asked;

    (void) state;
    bed_open(&bed, 1, NULL);
    bed_configure(&bed, 0, 1, 5000);
    bed_stop(&bed, 0);
    bed_look_up(&bed, "a-1.test", AF_INET, &asked);
    assert_int_equal(asked.code, -ETIMEDOUT);
    assert_string_equal(asked.message, "nothing listens at the port of the name server");
    assert_true(asked.lost);
    assert_in_range(asked.took_ms, 1500, 3000);
    bed_close(&bed);
}

/* ---- descriptors, floods, forks, ends ---- */

static void test_N55_lacking_descriptors_are_told_at_once(void **state)
{
    struct bed bed;
    struct asked asked;
    struct rlimit limit, none;

    (void) state;
    bed_open(&bed, 1, NULL);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    for (unsigned kept = 0; kept < 2; kept++) { /* then with a lane that has no socket any more */
        none.rlim_cur = 3;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        int result = bed_ask(&bed, "a-1.test", AF_INET, &asked);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_int_equal(result, -EMFILE);
        tcpm__ares_validate(bed.ares);
        assert_true(tcpm__ares_due_ns(bed.ares) == UINT64_MAX);
        bed_look_up(&bed, "a-1.test", AF_INET, &asked);
        assert_int_equal(asked.code, 0);
    }
    bed_close(&bed);
}

static void test_N61_a_flood_takes_a_few_reads_of_each_turn(void **state)
{
    char name[64];
    struct bed bed;
    struct asked asked;

    (void) state;
    snprintf(name, sizeof name, "junk-%u.a-1.test", FLOOD);
    bed_open(&bed, 1, NULL);
    bed_configure(&bed, 0, 1, 10000);
    assert_int_equal(bed_ask(&bed, name, AF_INET, &asked), 0);
    while (asked.over == 0 && bed.turns < FLOOD) {
        reads = 0;
        bed_turn(&bed);
        assert_in_range(reads, 0, READS_IN_A_TURN);
    }
    assert_true(bed.turns > FLOOD / READS_IN_A_TURN / 20); /* the kernel drops most of a flood */
    bed_close(&bed);
}

static int child(struct bed *bed)
{
    struct asked asked = {.query = {.name = "a-1.test", .families = TCPM__INET}};
    struct tcpm__backend *backend = (struct tcpm__backend *) bed->ares;
    unsigned before = bed_count_descriptors();

    if (backend->kind->ask(backend, &asked.query) != -ESHUTDOWN)
        return 1;
    tcpm__ares_abandon(bed->ares);
    tcpm__ares_validate(bed->ares);
    if (bed_count_descriptors() != before - 1)
        return 2;
    tcpm__ares_close(bed->ares);
    return 0;
}

static void test_a_fork_leaves_the_sockets_to_the_other_process(void **state)
{
    struct bed bed;
    struct asked asked;
    int status;

    (void) state;
    bed_open(&bed, 1, NULL);
    bed_configure(&bed, 0, 1, 5000);
    assert_int_equal(bed_ask(&bed, "delay-300.a-1.test", AF_INET, &asked), 0);
    pid_t process = nameserver_fork(bed.servers[0]);
    if (process == 0)
        _exit(child(&bed));
    assert_int_equal(waitpid(process, &status, 0), process);
    assert_int_equal(status, 0);
    bed_wait(&bed, &asked, 1);
    assert_int_equal(asked.code, 0);
    assert_false(asked.lost);
    bed_close(&bed);
}

static void test_a_close_forgets_what_is_asked(void **state)
{
    static const char *const names[] = {"silent.test", "truncate.tcp-silent.test", "a-1.test"};
    struct bed bed;
    struct asked asked[3];

    (void) state;
    bed_open(&bed, 1, NULL);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(bed_ask(&bed, names[i], AF_INET, &asked[i]), 0);
    bed_wait(&bed, &asked[2], 1);
    bed_close(&bed);
    assert_int_equal(asked[0].over + asked[1].over, 0);
}

static void test_a_backend_at_rest_has_no_descriptor(void **state)
{
    struct bed bed;
    struct asked asked;

    (void) state;
    bed_open(&bed, 1, NULL);
    unsigned before = bed_count_descriptors();
    bed_look_up(&bed, "udp-truncate.a-1.test", AF_INET, &asked);
    bed_look_up(&bed, "first-silent.a-1.test", AF_INET, &asked);
    bed_turn(&bed);
    assert_int_equal(bed_count_descriptors(), before);
    assert_true(tcpm__ares_due_ns(bed.ares) == UINT64_MAX);
    bed_close(&bed);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_N62_many_questions_come_from_several_ports),
    cmocka_unit_test(test_a_port_is_used_for_half_a_minute),
    cmocka_unit_test(test_N24_a_way_that_stays_silent_is_left_for_another_port),
    cmocka_unit_test(test_N23_new_servers_count_from_the_next_question_on),
    cmocka_unit_test(test_the_same_servers_again_change_nothing),
    cmocka_unit_test(test_N26_without_a_server_nothing_is_asked),
    cmocka_unit_test(test_N24_a_server_that_is_started_again_is_heard),
    cmocka_unit_test(test_a_port_without_a_server_is_told_before_all_rounds_are_over),
    cmocka_unit_test(test_N55_lacking_descriptors_are_told_at_once),
    cmocka_unit_test(test_N61_a_flood_takes_a_few_reads_of_each_turn),
    cmocka_unit_test(test_a_fork_leaves_the_sockets_to_the_other_process),
    cmocka_unit_test(test_a_close_forgets_what_is_asked),
    cmocka_unit_test(test_a_backend_at_rest_has_no_descriptor),
};

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
