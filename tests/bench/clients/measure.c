/* SPDX-License-Identifier: MIT */
/*
 * Job, clock and report of the benchmark clients in C (see measure.h). Nothing here runs during the
 * measured phase.
 */
#include "measure.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static int work_from_name(const char *name)
{
    static const char *const names[] = {"",      "storm", "pingpong", "idle", "bulk",
                                        "lines", "mixed", "upload",   "http"};
    for (int work = BENCH_STORM; work <= BENCH_HTTP; work++)
        if (strcmp(name, names[work]) == 0)
            return work;
    return 0;
}

static int read_argument(const struct bench_argument *known, size_t count, const char *key,
                         const char *value)
{
    while (count > 0 && strcmp(known->key, key) != 0) {
        known++;
        count--;
    }
    if (count == 0)
        return -1;
    if (known->text)
        *known->text = value;
    else if (known->number)
        *known->number = (unsigned) strtoul(value, NULL, 10);
    else
        *known->large = strtoull(value, NULL, 10);
    return 0;
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

void bench_arguments_read(int argc, char **argv, const struct bench_argument *known, size_t count)
{
    for (int i = 1; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (equals)
            *equals = '\0';
        if (!equals || read_argument(known, count, argv[i], equals + 1)) {
            fprintf(stderr, "%s: what is \"%s\"?\n", argv[0], argv[i]);
            exit(2);
        }
    }
    raise_file_limit();
}

void bench_job_read(int argc, char **argv, struct bench_job *job)
{
    const char *work = "";
    const struct bench_argument known[] = {
        {"work", .text = &work},
        {"port", .number = &job->port},
        {"connections", .number = &job->connections},
        {"operations", .large = &job->operations},
        {"window", .number = &job->window},
        {"timeouts", .number = &job->timeouts},
        {"tls", .text = &job->tls},
        {"resume", .number = &job->resume},
    };

    *job = (struct bench_job){.timeouts = 1};
    bench_arguments_read(argc, argv, known, sizeof known / sizeof known[0]);
    job->work = (enum bench_work) work_from_name(work);
    if (!job->work || !job->port || !job->connections) {
        fprintf(stderr,
                "usage: %s work=storm|pingpong|idle|bulk|lines|mixed|upload|http port=N "
                "connections=N [operations=N] [window=N] [timeouts=0|1] [tls=FILE] "
                "[resume=0|1]\n",
                argv[0]);
        exit(2);
    }
}

const char *bench_line(void)
{
    return "ping 0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRS\r\n";
}
_Static_assert(sizeof "ping 0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRS\r\n" ==
                   BENCH_LINE_LENGTH + 1,
               "a line has 64 bytes");

void bench_address(const struct bench_job *job, uint64_t index, struct sockaddr_in *addr)
{
    *addr = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t) job->port)};
    addr->sin_addr.s_addr = htonl((uint32_t) (INADDR_LOOPBACK + index % 32));
}

char *bench_source(void)
{
    char *source = malloc(BENCH_BATCH);
    if (!source)
        bench_fail("malloc", 0);
    for (size_t i = 0; i < BENCH_BATCH; i++)
        source[i] = (char) (' ' + i % 95);
    return source;
}

static double seconds(struct timeval time)
{
    return (double) time.tv_sec + (double) time.tv_usec / 1e6;
}

static void take(double *user_s, double *system_s, double *wall_s)
{
    struct rusage usage;
    struct timespec now;
    getrusage(RUSAGE_SELF, &usage);
    clock_gettime(CLOCK_MONOTONIC, &now);
    *user_s = seconds(usage.ru_utime);
    *system_s = seconds(usage.ru_stime);
    *wall_s = (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

uint64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

void bench_begin(struct bench_figures *figures)
{
    take(&figures->cpu_user_s, &figures->cpu_system_s, &figures->wall_s);
}

void bench_end(struct bench_figures *figures)
{
    double user_s, system_s, wall_s;
    take(&user_s, &system_s, &wall_s);
    figures->cpu_user_s = user_s - figures->cpu_user_s;
    figures->cpu_system_s = system_s - figures->cpu_system_s;
    figures->wall_s = wall_s - figures->wall_s;
}

/* smaps_rollup walks the page tables; the counters in /proc/self/status may lag behind. */
uint64_t bench_memory(void)
{
    char line[256];
    uint64_t kib = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    if (!file)
        bench_fail("/proc/self/smaps_rollup", 0);
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "Anonymous: %" SCNu64, &kib) == 1)
            break;
    fclose(file);
    return kib * 1024;
}

uint64_t bench_settled_memory(void)
{
    malloc_trim(0);
    return bench_memory();
}

/* The latency that `share` of the echoes did not exceed, in microseconds. */
static double percentile(const struct bench_latency *latency, double share)
{
    uint64_t all = 0, seen = 0;
    unsigned units = 0;
    for (unsigned i = 0; i < BENCH_LATENCY_COUNTS; i++)
        all += latency->counts[i];
    while (units < BENCH_LATENCY_COUNTS - 1 && (double) seen < share * (double) all)
        seen += latency->counts[units++];
    return (double) (units * BENCH_LATENCY_UNIT_NS) / 1000;
}

static void report_latency(const struct bench_figures *figures)
{
    static const char *const names[] = {"alone", "beside"};
    for (int i = 0; i < 2; i++)
        printf("\"p50_%s_us\":%.0f,\"p99_%s_us\":%.0f,", names[i],
               percentile(&figures->latency[i], 0.5), names[i],
               percentile(&figures->latency[i], 0.99));
    if (figures->late_ms >= 0)
        printf("\"late_ms\":%.3f,", figures->late_ms);
    printf("\"blast_bytes\":%" PRIu64 ",", figures->blast_bytes);
}

int bench_report(const struct bench_figures *figures)
{
    printf("{");
    if (figures->latency)
        report_latency(figures);
    printf("\"operations\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"errors\":%" PRIu64
           ",\"resumed\":%" PRIu64
           ",\"cpu_user_s\":%.6f,\"cpu_system_s\":%.6f,\"wall_s\":%.6f,\"memory_bytes\":%" PRIu64
           "}\n",
           figures->operations, figures->bytes, figures->errors, figures->resumed,
           figures->cpu_user_s, figures->cpu_system_s, figures->wall_s, figures->memory_bytes);
    return figures->errors ? 1 : 0;
}

void bench_fail(const char *what, int error)
{
    fprintf(stderr, "bench client: %s%s%s\n", what, error ? ": " : "",
            error ? strerror(error) : "");
    exit(1);
}
