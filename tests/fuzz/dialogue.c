/* SPDX-License-Identifier: MIT */
/*
 * Dialogues with proxies (REACH P45): the first bytes of an input choose the dialogue, the others
 * are what the proxy sends. Whatever the pieces, the tunnel begins where a plain parser of all
 * bytes finds it.
 */
#include "fuzz.h"

#include "tcpmulti.h"
#include "transport/dialogue.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>

enum { MOST_SIZE = 4096, UNKNOWN = 1 << 20 };

/* What comes of a dialogue: 1, 0 or an error; UNKNOWN: 0 or TCPM_EPROXY. used counts for 1 only. */
struct outcome {
    int result;
    size_t used;
};

/* ---- the plain parsers ---- */

static struct outcome parse_socks5(const uint8_t *in, size_t length, bool has_login)
{
    static const int results[] = {
        1,          TCPM_EPROXY, TCPM_EPROXY,  -ENETUNREACH, -EHOSTUNREACH, -ECONNREFUSED,
        -ETIMEDOUT, TCPM_EPROXY, -EAFNOSUPPORT};
    size_t at = 2, size;

    if (length >= 1 && in[0] != 5)
        return (struct outcome){TCPM_EPROXY, 0};
    if (length < 2)
        return (struct outcome){0, 0};
    if (in[1] == 0xff)
        return (struct outcome){TCPM_EPROXYAUTH, 0};
    if (in[1] != 0 && !(in[1] == 2 && has_login))
        return (struct outcome){TCPM_EPROXY, 0};
    if (in[1] == 2) {
        if (length >= 3 && in[2] != 1)
            return (struct outcome){TCPM_EPROXY, 0};
        if (length < 4)
            return (struct outcome){0, 0};
        if (in[3] != 0)
            return (struct outcome){TCPM_EPROXYAUTH, 0};
        at = 4;
    }
    if (length > at && in[at] != 5)
        return (struct outcome){TCPM_EPROXY, 0};
    if (length < at + 4)
        return (struct outcome){0, 0};

    int result = in[at + 1] < 9 ? results[in[at + 1]] : TCPM_EPROXY;

    if (in[at + 3] == 1)
        size = 4 + 4 + 2;
    else if (in[at + 3] == 4)
        size = 4 + 16 + 2;
    else if (in[at + 3] != 3)
        return (struct outcome){result == 1 ? TCPM_EPROXY : result, 0};
    else if (length < at + 5)
        return (struct outcome){0, 0};
    else
        size = 4 + 1 + (size_t) in[at + 4] + 2;
    return length < at + size ? (struct outcome){0, 0} : (struct outcome){result, at + size};
}

/* The length of the line, without its end. */
static size_t cut_line(const char **at, const char *feed)
{
    size_t length = (size_t) (feed - *at);

    if (length > 0 && feed[-1] == '\r')
        length--;
    *at = feed + 1;
    return length;
}

static bool is_status_line(const char *line, size_t length)
{
    return length >= 12 && memcmp(line, "HTTP/1.", 7) == 0 && isdigit((unsigned char) line[7]) &&
           line[8] == ' ' && isdigit((unsigned char) line[9]) &&
           isdigit((unsigned char) line[10]) && isdigit((unsigned char) line[11]) &&
           (length == 12 || line[12] == ' ');
}

/* A status line that is not complete may be refused already. */
static struct outcome parse_http(const char *in, size_t length)
{
    const char *at = in, *end = in + length;
    int status = 100;

    while (status >= 100 && status < 200) {
        const char *line = at, *feed = memchr(at, '\n', (size_t) (end - at));
        size_t size;

        if (feed == NULL)
            return (struct outcome){UNKNOWN, 0};
        if (!is_status_line(line, cut_line(&at, feed)))
            return (struct outcome){TCPM_EPROXY, 0};
        status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + line[11] - '0';
        do {
            feed = memchr(at, '\n', (size_t) (end - at));
            if (feed == NULL)
                return (struct outcome){0, 0};
            size = cut_line(&at, feed);
        } while (size > 0);
    }
    if (status >= 200 && status < 300)
        return (struct outcome){1, (size_t) (at - in)};
    return (struct outcome){status == 401 || status == 407 ? TCPM_EPROXYAUTH : TCPM_EPROXY, 0};
}

/* ---- the dialogue ---- */

/* One step, by bytes in a block of just their size. */
static int step(struct tcpm__dialogue *dialogue, const uint8_t *in, size_t length, size_t *used,
                char why[TCPM__DIALOGUE_WHY])
{
    char *block = fuzz_text(in, length);
    char *exact = realloc(block, length > 0 ? length : 1);
    struct tcpm__part out;

    FUZZ_CHECK(exact != NULL);
    int result = tcpm__dialogue_step(dialogue, exact, length, used, &out, why);
    FUZZ_CHECK(result <= 1 && *used <= length);
    FUZZ_CHECK(result == 0 ? *used == length : out.at == out.end);
    free(exact);
    return result;
}

static struct outcome play(struct tcpm__dialogue *dialogue, const uint8_t *in, size_t length,
                           size_t piece, char why[TCPM__DIALOGUE_WHY])
{
    struct outcome outcome = {0, 0};
    size_t used;

    why[0] = '\0';
    FUZZ_CHECK(step(dialogue, in, 0, &used, why) == 0);
    while (outcome.result == 0 && outcome.used < length) {
        size_t left = length - outcome.used;

        outcome.result = step(dialogue, in + outcome.used, left < piece ? left : piece, &used, why);
        outcome.used += used;
    }
    return outcome;
}

static void check(const struct outcome *outcome, const struct outcome *expected, bool has_login,
                  const char *why)
{
    FUZZ_CHECK((outcome->result < 0) == (strncmp(why, "hop 1, ", 7) == 0));
    FUZZ_CHECK(strlen(why) < TCPM__DIALOGUE_WHY - 1);
    FUZZ_CHECK(!has_login || (strstr(why, "hunter") == NULL && strstr(why, "sesame") == NULL));
    if (expected->result == UNKNOWN) {
        FUZZ_CHECK(outcome->result == 0 || outcome->result == TCPM_EPROXY);
        return;
    }
    FUZZ_CHECK(outcome->result == expected->result);
    FUZZ_CHECK(outcome->result != 1 || outcome->used == expected->used);
}

/* Replies of SOCKS that come at once with the one before are refused, but for a byte at a time. */
static bool is_early(const struct outcome *outcome, const char *why)
{
    return outcome->result == TCPM_EPROXY && strstr(why, ": more bytes than its reply") != NULL;
}

static void check_pieces(struct tcpm__route *route, const uint8_t *in, size_t length, size_t piece,
                         const struct outcome *expected)
{
    union tcpm__address address = {.in = {.sin_family = AF_INET, .sin_addr = {htonl(0x7f000001)}}};
    struct tcpm__proxy_target target = {.name = "a.test", .address = &address, .port = 443};
    char why[TCPM__DIALOGUE_WHY];
    struct tcpm__dialogue *dialogue;

    FUZZ_CHECK(tcpm__dialogue_open(&tcpm__memory_default, route, 0, &target, &dialogue) == 0);
    struct outcome outcome = play(dialogue, in, length, piece, why);
    if (piece == 1 || !is_early(&outcome, why))
        check(&outcome, expected, tcpm__route_hop(route, 0)->user != NULL, why);
    tcpm__dialogue_close(dialogue);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const proxies[] = {"socks5://h", "socks5h://hunter:sesame@h", "http://h",
                                          "http://hunter:sesame@[::1]"};
    struct fuzz_input input = {data, size};
    unsigned choice = fuzz_byte(&input) % 4;
    size_t piece = fuzz_byte(&input) + 1u;
    char why[TCPM__ROUTE_WHY];
    struct tcpm__route *route;

    if (size > MOST_SIZE || input.left == 0)
        return 0;
    FUZZ_CHECK(tcpm__route_parse(&tcpm__memory_default, proxies[choice], &route, why) == 0);
    struct outcome expected = choice < 2 ? parse_socks5(input.at, input.left, choice == 1)
                                         : parse_http((const char *) input.at, input.left);
    check_pieces(route, input.at, input.left, 1, &expected);
    check_pieces(route, input.at, input.left, piece, &expected);
    check_pieces(route, input.at, input.left, MOST_SIZE, &expected);
    tcpm__route_drop(route);
    return 0;
}
