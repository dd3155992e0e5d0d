/* SPDX-License-Identifier: MIT */
/* Sessions of TLS are resumed with the server that they came from, and nobody else. */
#include "tls_bench.h"

#include "transport/tls_sessions.h"

static time_t ahead_s; /* how far the clock of OpenSSL is before ours */
static struct tls_bench bench;
static SSL_CTX *server;

/* Stands for the C library's, whose callers in OpenSSL ask whether a certificate has expired. */
time_t time(time_t *ret)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec += ahead_s;
    if (ret != NULL)
        *ret = now.tv_sec;
    return now.tv_sec;
}

static void begin(int version)
{
    tls_bench_open(&bench);
    server = server_of(authority_named(authority, "good"));
    SSL_CTX_set_session_id_context(server, (const unsigned char *) "test", 4);
    SSL_CTX_set_max_proto_version(server, version);
}

static void end(void)
{
    SSL_CTX_free(server);
    tls_bench_close(&bench);
}

static struct tcpm_tls *spec_with(struct tcpm_tls_options options)
{
    options.ca = authority_root(authority);
    return spec_of(&bench, options);
}

/* Whether a session was resumed. Either way the connection has its chain. */
static bool resumes(struct tcpm_tls *spec, const char *name, unsigned port)
{
    struct meeting meeting;

    meet(&meeting, spec, server, name, port);
    assert_true(meeting.is_open);
    bool is_resumed = SSL_session_reused(meeting.client) == 1;

    assert_int_equal(SSL_session_reused(meeting.server), is_resumed);
    assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(meeting.client)), 2);
    part(&meeting);
    return is_resumed;
}

static void test_the_second_connection_to_a_server_is_resumed(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    (void) state;
    for (size_t i = 0; i < COUNT(versions); i++) {
        begin(versions[i]);
        struct tcpm_tls *spec = spec_with((struct tcpm_tls_options){.size = 0});

        assert_false(resumes(spec, "peer.test", 1));
        assert_true(resumes(spec, "peer.test", 1));
        assert_true(resumes(spec, "peer.test", 1));
        tcpm__tls_spec_drop(spec);
        end();
    }
}

static void test_a_session_is_offered_to_no_other_server_and_for_no_other_spec(void **state)
{
    (void) state;
    begin(0);
    struct tcpm_tls *spec = spec_with((struct tcpm_tls_options){.size = 0});
    struct tcpm_tls *lenient = spec_with((struct tcpm_tls_options){.no_verify = 1});

    assert_false(resumes(lenient, "peer.test", 1));
    assert_false(resumes(spec, "peer.test", 1));
    assert_false(resumes(spec, "localhost", 1));
    assert_false(resumes(spec, "peer.test", 2));
    tcpm__tls_spec_drop(spec);
    spec = spec_with((struct tcpm_tls_options){.size = 0});
    assert_false(resumes(spec, "peer.test", 1));
    assert_true(resumes(lenient, "peer.test", 1));
    tcpm__tls_spec_drop(spec);
    tcpm__tls_spec_drop(lenient);
    end();
}

static void test_without_resumption_none_is(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    (void) state;
    for (size_t i = 0; i < COUNT(versions); i++) {
        begin(versions[i]);
        struct tcpm_tls *spec = spec_with((struct tcpm_tls_options){.no_resumption = 1});

        assert_false(resumes(spec, "peer.test", 1));
        assert_false(resumes(spec, "peer.test", 1));
        tcpm__tls_spec_drop(spec);
        end();
    }
}

static void test_problems_of_the_first_handshake_are_those_of_a_resumed_one(void **state)
{
    struct meeting meeting;

    (void) state;
    begin(0);
    struct tcpm_tls *spec = spec_with((struct tcpm_tls_options){.no_verify = 1});

    for (int i = 0; i < 2; i++) {
        meet(&meeting, spec, server, "other.test", 1);
        assert_true(meeting.is_open);
        assert_int_equal(SSL_session_reused(meeting.client), i);
        assert_int_equal(meeting.peer.verdict.problems, TCPM_PROBLEM_HOST_MISMATCH);
        part(&meeting);
    }
    tcpm__tls_spec_drop(spec);
    end();
}

static void test_a_broken_connection_leaves_no_session(void **state)
{
    struct meeting meeting;

    (void) state;
    begin(TLS1_2_VERSION);
    struct tcpm_tls *spec = spec_with((struct tcpm_tls_options){.size = 0});

    meet(&meeting, spec, server, "peer.test", 1);
    meeting.is_open = false; /* it parts without a word */
    part(&meeting);
    assert_false(resumes(spec, "peer.test", 1));
    tcpm__tls_spec_drop(spec);
    end();
}

/* The ticket would still be good. */
static void test_a_session_ends_with_the_certificate(void **state)
{
    (void) state;
    for (int is_late = 0; is_late < 2; is_late++) {
        struct authority_options hour = {.names = "dns:peer.test", .ends_s = 3600};

        tls_bench_open(&bench);
        server = server_of(authority_issue(authority, &hour));
        struct tcpm_tls *spec = spec_with((struct tcpm_tls_options){.size = 0});
        struct meeting meeting;

        assert_false(resumes(spec, "peer.test", 1));
        ahead_s = is_late ? 3601 : 3500;
        meet(&meeting, spec, server, "peer.test", 1);
        assert_int_equal(SSL_session_reused(meeting.client), !is_late);
        assert_int_equal(meeting.is_open, !is_late);
        assert_int_equal(meeting.peer.verdict.problems, is_late ? TCPM_PROBLEM_EXPIRED : 0);
        part(&meeting);
        ahead_s = 0;
        tcpm__tls_spec_drop(spec);
        end();
    }
}

/* ---- the table ---- */

static SSL_SESSION *session_of(int version)
{
    SSL_SESSION *session = SSL_SESSION_new();
    unsigned char id[SSL_MAX_SSL_SESSION_ID_LENGTH] = {1};

    assert_int_equal(SSL_SESSION_set_protocol_version(session, version), 1);
    assert_int_equal(SSL_SESSION_set1_id(session, id, sizeof id), 1);
    return session;
}

static const struct tcpm__tls_verdict nothing;
static int owners[2];

static void keep(struct tcpm__tls_sessions *sessions, SSL_SESSION *session, int owner,
                 const char *name, unsigned port)
{
    const struct tcpm__tls_session_key key = {&owners[owner], name, port};

    assert_true(tcpm__tls_sessions_keep(sessions, &key, session, &nothing));
}

/* Whether this session, or none where it is NULL, is given out. */
static bool gives(struct tcpm__tls_sessions *sessions, const SSL_SESSION *expected, int owner,
                  const char *name, unsigned port)
{
    const struct tcpm__tls_session_key key = {&owners[owner], name, port};
    struct tcpm__tls_verdict verdict;
    SSL_SESSION *given = tcpm__tls_sessions_take(sessions, &key, &verdict);

    SSL_SESSION_free(given);
    return given == expected;
}

static void test_four_of_a_server_are_kept_and_the_last_is_given_first(void **state)
{
    struct tcpm__tls_sessions sessions;
    struct scarce scarce;
    SSL_SESSION *made[1000];

    (void) state;
    scarce_init(&scarce);
    tcpm__tls_sessions_init(&sessions, &scarce.memory);
    SSL_SESSION *other = session_of(TLS1_2_VERSION);

    keep(&sessions, other, 0, "other.test", 1);
    for (int i = 0; i < 1000; i++) {
        made[i] = session_of(TLS1_3_VERSION);
        keep(&sessions, made[i], 0, "a.test", 1);
    }
    assert_int_equal(sessions.count, 5);
    assert_int_equal(scarce.blocks, 5);
    for (int i = 999; i > 995; i--)
        assert_true(gives(&sessions, made[i], 0, "a.test", 1));
    assert_true(gives(&sessions, NULL, 0, "a.test", 1));
    for (int i = 0; i < 2; i++)
        assert_true(gives(&sessions, other, 0, "other.test", 1));
    tcpm__tls_sessions_free(&sessions);
    assert_int_equal(scarce.blocks, 0);
}

static void test_1024_are_kept_and_the_first_goes_first(void **state)
{
    struct tcpm__tls_sessions sessions;
    struct scarce scarce;
    SSL_SESSION *made[1100];
    char name[32];

    (void) state;
    scarce_init(&scarce);
    tcpm__tls_sessions_init(&sessions, &scarce.memory);
    for (unsigned i = 0; i < COUNT(made); i++) {
        made[i] = session_of(TLS1_2_VERSION);
        snprintf(name, sizeof name, "host%u.test", i / 3);
        keep(&sessions, made[i], i % 2, name, i);
    }
    assert_int_equal(sessions.count, TCPM__TLS_SESSIONS);
    for (unsigned i = 0; i < COUNT(made); i++) {
        bool is_kept = i >= COUNT(made) - TCPM__TLS_SESSIONS;

        snprintf(name, sizeof name, "host%u.test", i / 3);
        assert_true(gives(&sessions, is_kept ? made[i] : NULL, i % 2, name, i));
        assert_true(gives(&sessions, NULL, 1 - i % 2, name, i));
    }
    tcpm__tls_sessions_forget(&sessions, &owners[0]);
    assert_int_equal(sessions.count, TCPM__TLS_SESSIONS / 2);
    assert_true(gives(&sessions, NULL, 0, "host366.test", 1098));
    assert_true(gives(&sessions, made[1099], 1, "host366.test", 1099));
    tcpm__tls_sessions_free(&sessions);
    assert_int_equal(scarce.blocks, 0);
}

static void test_without_memory_a_session_is_not_kept(void **state)
{
    const struct tcpm__tls_session_key key = {owners, "a.test", 1};
    struct tcpm__tls_sessions sessions;
    struct scarce scarce;

    (void) state;
    scarce_init(&scarce);
    tcpm__tls_sessions_init(&sessions, &scarce.memory);
    SSL_SESSION *session = session_of(TLS1_3_VERSION);

    scarce.left = 0;
    assert_false(tcpm__tls_sessions_keep(&sessions, &key, session, &nothing));
    assert_true(gives(&sessions, NULL, 0, "a.test", 1));
    SSL_SESSION_free(session);
    tcpm__tls_sessions_free(&sessions);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_the_second_connection_to_a_server_is_resumed),
    cmocka_unit_test(test_a_session_is_offered_to_no_other_server_and_for_no_other_spec),
    cmocka_unit_test(test_without_resumption_none_is),
    cmocka_unit_test(test_problems_of_the_first_handshake_are_those_of_a_resumed_one),
    cmocka_unit_test(test_a_broken_connection_leaves_no_session),
    cmocka_unit_test(test_a_session_ends_with_the_certificate),
    cmocka_unit_test(test_four_of_a_server_are_kept_and_the_last_is_given_first),
    cmocka_unit_test(test_1024_are_kept_and_the_first_goes_first),
    cmocka_unit_test(test_without_memory_a_session_is_not_kept),
};

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, create_authority, free_authority);
}
