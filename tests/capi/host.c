/* SPDX-License-Identifier: MIT */
/* See host.h. */
#include "host.h"

#include <dirent.h>
#include <sys/resource.h>

enum { ENOUGH_FILES = 8192 };

/* Before main: both ends of many connections are files of one process. Not more than that, because
   an engine has a table of this size. */
__attribute__((constructor)) static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= ENOUGH_FILES)
        return;
    limit.rlim_cur = limit.rlim_max < ENOUGH_FILES ? limit.rlim_max : ENOUGH_FILES;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static bool is_named(const char *names, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = names; (at = strstr(at, name)) != NULL; at += length)
        if ((at == names || at[-1] == ',') && (at[length] == ',' || at[length] == '\0'))
            return true;
    return false;
}

int host_run_tests(const struct CMUnitTest *tests, size_t count, const char *left_out)
{
    struct CMUnitTest *kept = calloc(count + 1, sizeof *kept);
    size_t kept_count = 0;

    cmocka_set_message_output(CM_OUTPUT_TAP);
    for (size_t i = 0; kept != NULL && i < count; i++)
        if (!is_named(left_out, tests[i].name))
            kept[kept_count++] = tests[i];
    int failed = _cmocka_run_group_tests("tests", kept, kept_count, NULL, NULL);
    free(kept);
    return failed;
}

int host_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count - 3; /* ".", ".." and its own */
}

/* libuv's first loop opens a pipe for signals that stays for good. */
static void open_what_stays(void)
{
    uv_loop_t loop;

    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
}

void host_loop_open(struct host *host)
{
    memset(host, 0, sizeof *host);
    open_what_stays();
    host->descriptors = host_descriptors();
    assert_int_equal(uv_loop_init(&host->loop), 0);
    assert_int_equal(uv_timer_init(&host->loop, &host->watchdog), 0);
    uv_unref((uv_handle_t *) &host->watchdog);
}

void host_loop_close(struct host *host)
{
    uv_close((uv_handle_t *) &host->watchdog, NULL);
    uv_run(&host->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&host->loop), 0);
    /* A getaddrinfo that nobody waits for has a socket until it ends, in a thread of its own. */
    for (int i = 0; i < 500 && host_descriptors() > host->descriptors; i++)
        usleep(10000);
    assert_int_equal(host_descriptors(), host->descriptors);
}

void host_open(struct host *host, const struct tcpm_engine_options *options)
{
    host_loop_open(host);
    assert_int_equal(tcpm_engine_create(&host->loop, options, &host->engine), 0);
}

static void count_closed(void *user)
{
    ((struct host *) user)->closed++;
}

void host_engine_close(struct host *host)
{
    tcpm_engine_close(host->engine, count_closed, host);
    assert_int_equal(host->closed, 0); /* from the loop only */
    host_run(host);
    assert_int_equal(host->closed, 1);
}

void host_close(struct host *host)
{
    while (host->peer_count > 0)
        peer_stop(host->peers[--host->peer_count]);
    host_engine_close(host);
    host_loop_close(host);
}

struct peer *host_peer(struct host *host, const char *program, const struct peer_options *options)
{
    struct peer *peer = peer_start(program, options);

    assert_non_null(peer);
    assert_true(host->peer_count < HOST_PEERS);
    host->peers[host->peer_count++] = peer;
    return peer;
}

int host_setup(void **state)
{
    struct host *host = malloc(sizeof *host);

    assert_non_null(host);
    host_open(host, NULL);
    *state = host;
    return 0;
}

/* A test that has failed half-way leaves its host as it is. */
int host_teardown(void **state)
{
    struct host *host = *state;
    bool closed = host->closed == 1;

    free(host);
    return closed ? 0 : -1;
}

static void on_watchdog(uv_timer_t *watchdog)
{
    (void) watchdog;
    fail_msg("still busy after %d seconds", HOST_PATIENCE);
}

static void start_watchdog(struct host *host)
{
    uv_update_time(&host->loop);
    uv_timer_start(&host->watchdog, on_watchdog, HOST_PATIENCE * 1000, 0);
}

void host_run(struct host *host)
{
    start_watchdog(host);
    uv_run(&host->loop, UV_RUN_DEFAULT);
    uv_timer_stop(&host->watchdog);
}

void host_run_until(struct host *host, bool (*holds)(void *argument), void *argument)
{
    start_watchdog(host);
    while (!holds(argument))
        if (uv_run(&host->loop, UV_RUN_ONCE) == 0 && !holds(argument))
            fail_msg("the loop has nothing left to do, and what was awaited has not happened");
    uv_timer_stop(&host->watchdog);
}

/* ---- tracks ---- */

__attribute__((format(printf, 2, 3))) static void note(struct track *track, const char *format, ...)
{
    va_list arguments;
    size_t room = sizeof track->log - track->log_length;

    va_start(arguments, format);
    int length = vsnprintf(track->log + track->log_length, room, format, arguments);
    va_end(arguments);
    track->log_length += (size_t) length < room ? (size_t) length : room - 1;
}

/* initialize (success (input|flushed)* (eof flushed*)?)? (failure|error|timeout)? disconnected */
static bool may_follow(const struct track *track, enum event event)
{
    bool succeeded = track->count[EVENT_SUCCESS] > 0;
    bool told = track->count[EVENT_EOF] > 0;
    bool going = (track->last <= EVENT_FLUSHED && track->last != 0) || track->last == EVENT_EOF;

    switch (event) {
    case EVENT_INITIALIZE:
        return track->last == 0;
    case EVENT_SUCCESS:
        return track->last == EVENT_INITIALIZE;
    case EVENT_INPUT:
    case EVENT_EOF:
        return going && succeeded && !told;
    case EVENT_FLUSHED:
    case EVENT_ERROR:
        return going && succeeded;
    case EVENT_FAILURE:
        return going && !succeeded;
    case EVENT_TIMEOUT:
        return going;
    case EVENT_DISCONNECTED:
        return track->last != 0 && track->last != EVENT_DISCONNECTED;
    default:
        return false;
    }
}

static struct track *enter(void *heap, struct tcpm_session *session, struct tcpm_id id,
                           enum event event)
{
    struct track *track = heap;

    if (!may_follow(track, event))
        fail_msg("event %d after \"%s\"", (int) event, track->log);
    if (event == EVENT_INITIALIZE) {
        track->session = session;
        track->id = id;
        track->checksum = PEER_CHECKSUM;
    }
    assert_ptr_equal(track->session, session);
    assert_int_equal(track->id.n, id.n);
    track->last = event;
    track->count[event]++;
    if (track->log_length > 0 && event != EVENT_FLUSHED)
        note(track, " ");
    return track;
}

static void leave(struct track *track, enum event event)
{
    if (track->hook != NULL)
        track->hook(track, event);
}

static void on_initialize(void *heap, struct tcpm_session *session, struct tcpm_id id,
                          const char *addr, unsigned port, const char *bind_addr,
                          unsigned bind_port)
{
    struct track *track = enter(heap, session, id, EVENT_INITIALIZE);

    (void) bind_addr;
    (void) bind_port;
    note(track, "initialize");
    snprintf(track->addr, sizeof track->addr, "%s", addr);
    track->port = port;
    leave(track, EVENT_INITIALIZE);
}

static void on_success(void *heap, struct tcpm_session *session, struct tcpm_id id, int fd,
                       const char *addr, unsigned port)
{
    struct track *track = enter(heap, session, id, EVENT_SUCCESS);

    note(track, "success");
    track->fd = fd;
    snprintf(track->addr, sizeof track->addr, "%s", addr);
    track->port = port;
    leave(track, EVENT_SUCCESS);
}

static void on_input(void *heap, struct tcpm_session *session, struct tcpm_id id,
                     const void *record, size_t length)
{
    struct track *track = enter(heap, session, id, EVENT_INPUT);

    if (length > 60)
        note(track, "input[%zu]", length);
    else
        note(track, "input(%.*s)", (int) length, (const char *) record);
    track->record = record;
    track->length = length;
    track->received += length;
    track->checksum = peer_checksum(track->checksum, record, length);
    leave(track, EVENT_INPUT);
    track->record = NULL;
}

static void on_flushed(void *heap, struct tcpm_session *session, struct tcpm_id id)
{
    leave(enter(heap, session, id, EVENT_FLUSHED), EVENT_FLUSHED);
}

static void keep_error(struct track *track, const struct tcpm_error *error)
{
    assert_true(error->size >= sizeof *error);
    track->op = error->op;
    track->code = error->code;
    snprintf(track->message, sizeof track->message, "%s", error->message);
    for (const char *at = error->message; *at != '\0'; at++)
        assert_true(*at >= 0x20 && *at < 0x7f);
}

static void on_failure(void *heap, struct tcpm_session *session, struct tcpm_id id,
                       const struct tcpm_error *error)
{
    struct track *track = enter(heap, session, id, EVENT_FAILURE);

    keep_error(track, error);
    note(track, "failure(%s,%s)", tcpm_op_name(error->op), tcpm_error_name(error->code));
    leave(track, EVENT_FAILURE);
}

static void on_error(void *heap, struct tcpm_session *session, struct tcpm_id id,
                     const struct tcpm_error *error)
{
    struct track *track = enter(heap, session, id, EVENT_ERROR);

    keep_error(track, error);
    note(track, "error(%s,%s)", tcpm_op_name(error->op), tcpm_error_name(error->code));
    leave(track, EVENT_ERROR);
}

static void on_timeout(void *heap, struct tcpm_session *session, struct tcpm_id id,
                       enum tcpm_timer timer)
{
    struct track *track = enter(heap, session, id, EVENT_TIMEOUT);

    track->timer = timer;
    note(track, "timeout(%s)", tcpm_timer_name(timer));
    leave(track, EVENT_TIMEOUT);
}

static void on_disconnected(void *heap, struct tcpm_session *session, struct tcpm_id id,
                            enum tcpm_reason reason)
{
    struct track *track = enter(heap, session, id, EVENT_DISCONNECTED);

    track->reason = reason;
    note(track, "disconnected(%s)", tcpm_reason_name(reason));
    leave(track, EVENT_DISCONNECTED);
}

static void on_eof(void *heap, struct tcpm_session *session, struct tcpm_id id)
{
    struct track *track = enter(heap, session, id, EVENT_EOF);

    note(track, "eof");
    leave(track, EVENT_EOF);
}

/* The fields of struct tcpm_events but eof, whose presence alone changes how an EOF is told. */
#define EVENTS_BUT_EOF                                                                      \
    .size = sizeof(struct tcpm_events), .initialize = on_initialize, .success = on_success, \
    .input = on_input, .flushed = on_flushed, .failure = on_failure, .error = on_error,     \
    .timeout = on_timeout, .disconnected = on_disconnected

const struct tcpm_events *track_events_eof(void)
{
    static const struct tcpm_events events = {EVENTS_BUT_EOF, .eof = on_eof};

    return &events;
}

const struct tcpm_events *track_events(void)
{
    static const struct tcpm_events events = {EVENTS_BUT_EOF};

    return &events;
}

struct tcpm_session *track_session(struct host *host, const struct tcpm_session_options *options)
{
    struct tcpm_session_options all = {.size = sizeof all};
    struct tcpm_session *session = NULL;

    if (options != NULL)
        all = *options;
    all.size = sizeof all;
    if (all.events == NULL)
        all.events = track_events();
    assert_int_equal(tcpm_session_create(host->engine, &all, &session), 0);
    return session;
}

void track_connect_with(struct track *track, struct tcpm_session *session,
                        struct tcpm_connect_options options)
{
    struct tcpm_id id = {0};

    options.size = sizeof options;
    options.heap = track;
    if (options.address == NULL)
        options.address = "127.0.0.1";
    assert_int_equal(tcpm_connect(session, &options, &id), 0);
    assert_int_equal(track->count[EVENT_INITIALIZE], 1);
    assert_int_equal(id.n, track->id.n);
}

void track_connect(struct track *track, struct tcpm_session *session, int port)
{
    track_connect_with(track, session, (struct tcpm_connect_options){.port = port});
}

void track_run(struct host *host, struct track *track, const struct tcpm_session_options *options,
               const char *program)
{
    struct peer *peer = host_peer(host, program, NULL);

    track_connect(track, track_session(host, options), peer_port(peer));
    host_run(host);
}

struct progress {
    struct track *track;
    uint64_t received;
};

static bool has_received(void *argument)
{
    const struct progress *progress = argument;
    struct tcpm_info info = {.size = sizeof info};

    assert_int_equal(tcpm_info_get(progress->track->session, progress->track->id, &info), 0);
    return info.received >= progress->received;
}

void track_run_until_received(struct host *host, struct track *track, uint64_t received)
{
    struct progress progress = {track, received};

    host_run_until(host, has_received, &progress);
}

struct tcpm_endpoints track_endpoints(const struct track *track)
{
    struct tcpm_endpoints endpoints = {.size = sizeof endpoints};

    assert_int_equal(tcpm_endpoints_get(track->session, track->id, &endpoints), 0);
    return endpoints;
}

/* A port that is free on one of them may be in use on the other: others are tried. */
void peers_of_both_families(const char *program, struct peer **four, struct peer **six)
{
    char why[200];

    for (int attempt = 0; attempt < 100; attempt++) {
        *six = peer_start(program, &(struct peer_options){.address = "::1"});
        assert_non_null(*six);
        *four = peer_start(program, &(struct peer_options){.port = peer_port(*six),
                                                           .message = why,
                                                           .message_size = sizeof why});
        if (*four != NULL)
            return;
        peer_stop(*six);
    }
    fail_msg("%s", why);
}

struct tcpm_filter *stream_filter(void)
{
    struct tcpm_filter *filter = NULL;

    assert_int_equal(tcpm_filter_stream(&filter), 0);
    return filter;
}

struct tcpm_session *stream_session(struct host *host, struct tcpm_session_options options)
{
    options.input_filter = options.output_filter = stream_filter();
    struct tcpm_session *session = track_session(host, &options);
    tcpm_filter_free(options.input_filter);
    return session;
}
