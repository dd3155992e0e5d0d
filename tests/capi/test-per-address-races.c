/* SPDX-License-Identifier: MIT */
/*
 * The option max_per_address and names with several addresses: one that is full is passed over
 * while another one may do (JOBS J31).
 */
#include "racing.h"

/* A silent listener at 127.0.0.2, peers at .3 and .4, all on one port. */
struct scene {
    struct host *host;
    struct crowd silent;
    struct tcpm_session *session;
    int port;
};

static void open_scene(struct scene *scene, struct host *host, int64_t max_per_address)
{
    static const char *const addresses[] = {"127.0.0.3", "127.0.0.4"};

    scene->host = host;
    scene->port = crowds_open(&scene->silent, "127.0.0.2");
    for (size_t i = 0; i < COUNT(addresses); i++)
        host_peer(host, "freeze",
                  &(struct peer_options){.address = addresses[i], .port = scene->port});
    scene->session =
        racing_session(host, (struct tcpm_session_options){.max_per_address = max_per_address});
}

static void close_scene(struct scene *scene)
{
    crowd_close(&scene->silent);
    host_close(scene->host);
}

/* Connects to a new name with these addresses. */
static void connect_to(struct scene *scene, struct track *track, const char *addresses)
{
    racing_connect(track, scene->session, racing_new_name(addresses), scene->port);
}

/* Likewise, and waits until the connection is open to an address. */
static void open_to(struct scene *scene, struct track *track, const char *addresses,
                    const char *address)
{
    connect_to(scene, track, addresses);
    host_run_until(scene->host, track_open, track);
    assert_string_equal(track->addr, address);
}

static bool is_waiting(void *argument)
{
    const struct track *track = argument;
    struct tcpm_info info = {.size = sizeof info};

    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    return info.phase == TCPM_PHASE_WAITING;
}

static void end(struct scene *scene, struct track *track)
{
    assert_int_equal(tcpm_reset(scene->session, track->id), 0);
    host_run_until(scene->host, track_ended, track);
}

static void test_J31_a_full_address_is_passed_over(void **state)
{
    struct scene scene;
    struct track tracks[6] = {{.hook = NULL}};

    open_scene(&scene, *state, 2);
    for (size_t i = 0; i < 4; i++)
        open_to(&scene, &tracks[i], "127.0.0.3 127.0.0.4", i < 2 ? "127.0.0.3" : "127.0.0.4");
    for (size_t i = 4; i < 6; i++) {
        connect_to(&scene, &tracks[i], "127.0.0.3 127.0.0.4");
        host_run_until(scene.host, is_waiting, &tracks[i]);
    }
    assert_int_equal(racing_places(scene.host), 4);
    end(&scene, &tracks[0]);
    host_run_until(scene.host, track_open, &tracks[4]);
    assert_string_equal(tracks[4].addr, "127.0.0.3");
    assert_log(&tracks[5], "initialize");
    assert_int_equal(tcpm_die(scene.session), 0);
    host_run(scene.host);
    close_scene(&scene);
}

/* The others refuse: then the full one is waited for. */
static void test_the_full_address_is_waited_for_when_the_others_have_failed(void **state)
{
    struct scene scene;
    struct track holder = {.hook = NULL}, waiter = {.hook = NULL}, lost = {.hook = NULL};

    open_scene(&scene, *state, 1);
    open_to(&scene, &holder, "127.0.0.3", "127.0.0.3");
    connect_to(&scene, &waiter, "127.0.0.3 127.0.0.9 127.0.0.10");
    connect_to(&scene, &lost, "127.0.0.9 127.0.0.10");
    host_run_until(scene.host, track_ended, &lost);
    host_run_until(scene.host, is_waiting, &waiter);
    assert_log(&waiter, "initialize");
    assert_int_equal(racing_places(scene.host), 1);
    end(&scene, &holder);
    host_run_until(scene.host, track_open, &waiter);
    assert_string_equal(waiter.addr, "127.0.0.3");
    end(&scene, &waiter);
    close_scene(&scene);
}

/* All fail in the end, the one that was waited for too: each is in the text. */
static void test_an_address_that_fails_after_the_wait_is_told_with_the_others(void **state)
{
    struct scene scene;
    struct track holder = {.hook = NULL}, waiter = {.hook = NULL};

    open_scene(&scene, *state, 1);
    track_connect_with(&holder, scene.session,
                       (struct tcpm_connect_options){.address = "127.0.0.2", .port = scene.port});
    connect_to(&scene, &waiter, "127.0.0.2 127.0.0.9");
    host_run_until(scene.host, is_waiting, &waiter);
    racing_unroute("127.0.0.2", EHOSTUNREACH);
    end(&scene, &holder);
    host_run_until(scene.host, track_ended, &waiter);
    racing_unroute(NULL, 0);
    assert_log(&waiter, "initialize failure(connect,ECONNREFUSED) disconnected(failure)");
    assert_non_null(strstr(waiter.message, "127.0.0.9"));
    assert_non_null(strstr(waiter.message, "127.0.0.2"));
    close_scene(&scene);
}

/* While a silent address is tried, the full one is looked at again in each step of the race. */
static void test_a_race_goes_on_with_an_address_that_has_become_free(void **state)
{
    struct scene scene;
    struct track holder = {.hook = NULL}, racer = {.hook = NULL};

    open_scene(&scene, *state, 1);
    open_to(&scene, &holder, "127.0.0.3", "127.0.0.3");
    connect_to(&scene, &racer, "127.0.0.3 127.0.0.2");
    racing_run_for(scene.host, 600);
    assert_log(&racer, "initialize");
    assert_int_equal(racing_places(scene.host), 2);
    end(&scene, &holder);
    int64_t began = tcpm_now_ns();
    host_run_until(scene.host, track_open, &racer);
    assert_true(racing_ms_since(began) < 5000); /* a step is 250 ms */
    assert_string_equal(racer.addr, "127.0.0.3");
    assert_int_equal(racing_places(scene.host), 1);
    end(&scene, &racer);
    close_scene(&scene);
}

/* The sockets that a race has lost no longer count, that of the winner does. */
static void test_the_winner_keeps_its_claim_and_the_losers_give_theirs_back(void **state)
{
    struct scene scene;
    struct track winner = {.hook = NULL}, same = {.hook = NULL}, silent = {.hook = NULL};

    open_scene(&scene, *state, 1);
    open_to(&scene, &winner, "127.0.0.2 127.0.0.3", "127.0.0.3");
    connect_to(&scene, &same, "127.0.0.3");
    track_connect_with(&silent, scene.session,
                       (struct tcpm_connect_options){.address = "127.0.0.2", .port = scene.port});
    host_run_until(scene.host, is_waiting, &same);
    assert_int_equal(racing_places(scene.host), 2); /* that to .2 is on its way */
    assert_log(&same, "initialize");
    end(&scene, &winner);
    host_run_until(scene.host, track_open, &same);
    end(&scene, &same);
    end(&scene, &silent);
    close_scene(&scene);
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_J31_a_full_address_is_passed_over),
    HOST_TEST(test_the_full_address_is_waited_for_when_the_others_have_failed),
    HOST_TEST(test_an_address_that_fails_after_the_wait_is_told_with_the_others),
    HOST_TEST(test_a_race_goes_on_with_an_address_that_has_become_free),
    HOST_TEST(test_the_winner_keeps_its_claim_and_the_losers_give_theirs_back),
};

RUN_TESTS(tests)
