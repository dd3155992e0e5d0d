/* SPDX-License-Identifier: MIT */
/*
 * A dialogue in up to three steps: greeting, login, request. In each step something is sent, and
 * one reply comes. All that is to be sent is known before, and lies in one block.
 *
 * What always holds: the length of a reply comes from the reply, never from the request, so what
 * comes behind the last reply belongs to the target. A reply that comes before its step is an
 * error, and so no byte is ever left over between two steps.
 */
#include "transport/socks5.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "tcpmulti.h"

enum {
    VERSION = 5,
    LOGIN_VERSION = 1,
    NO_LOGIN = 0,     /* method: none is needed */
    BY_PASSWORD = 2,  /* method: user and password */
    NO_METHOD = 0xff, /* none of those that were offered */
    CONNECT = 1,
    BY_INET = 1, /* kinds of addresses */
    BY_NAME = 3,
    BY_INET6 = 4,
    HEAD = 4, /* bytes of a reply to a request before its address */
    PORT = 2, /* bytes of a port */
};

enum step { GREETING, LOGIN, REQUEST };

/* ---- what is sent ---- */

static unsigned char *put_text(unsigned char *at, const char *text)
{
    size_t length = strlen(text);

    *at++ = (unsigned char) length;
    memcpy(at, text, length);
    return at + length;
}

static unsigned char *put_greeting(unsigned char *at, bool has_login)
{
    *at++ = VERSION;
    *at++ = has_login ? 2 : 1;
    *at++ = NO_LOGIN;
    if (has_login)
        *at++ = BY_PASSWORD;
    return at;
}

static unsigned char *put_login(unsigned char *at, const struct tcpm__hop *hop)
{
    *at++ = LOGIN_VERSION;
    return put_text(put_text(at, hop->user), hop->password);
}

static unsigned char *put_address(unsigned char *at, const union tcpm__address *address)
{
    if (address->any.sa_family == AF_INET) {
        *at++ = BY_INET;
        memcpy(at, &address->in.sin_addr, sizeof address->in.sin_addr);
        return at + sizeof address->in.sin_addr;
    }
    *at++ = BY_INET6;
    memcpy(at, &address->in6.sin6_addr, sizeof address->in6.sin6_addr);
    return at + sizeof address->in6.sin6_addr;
}

static unsigned char *put_request(unsigned char *at, const struct tcpm__proxy_target *target)
{
    *at++ = VERSION;
    *at++ = CONNECT;
    *at++ = 0;
    if (target->name != NULL) {
        *at++ = BY_NAME;
        at = put_text(at, target->name);
    } else {
        at = put_address(at, target->address);
    }
    *at++ = (unsigned char) (target->port >> 8);
    *at++ = (unsigned char) target->port;
    return at;
}

size_t tcpm__socks5_begin(struct tcpm__socks5 *socks5, const struct tcpm__hop *hop,
                          const struct tcpm__proxy_target *target,
                          unsigned char ret[TCPM__SOCKS5_BYTES])
{
    bool has_login = hop->user != NULL;
    unsigned char *greeted = put_greeting(ret, has_login);
    unsigned char *logged_in = has_login ? put_login(greeted, hop) : greeted;
    unsigned char *end = put_request(logged_in, target);

    *socks5 = (struct tcpm__socks5){.step = GREETING, .has_login = has_login};
    socks5->lengths[GREETING] = (uint16_t) (greeted - ret);
    socks5->lengths[LOGIN] = (uint16_t) (logged_in - greeted);
    socks5->lengths[REQUEST] = (uint16_t) (end - logged_in);
    return (size_t) (end - ret);
}

struct tcpm__part tcpm__socks5_output(const struct tcpm__socks5 *socks5, const char *bytes)
{
    for (unsigned step = GREETING; step < socks5->step; step++)
        bytes += socks5->lengths[step];
    return tcpm__part_of(bytes, socks5->lengths[socks5->step]);
}

/* ---- what comes back ---- */

/* Writes "kind number: text". */
static int refuse(int result, const char *kind, unsigned number, const char *text,
                  char why[TCPM__SOCKS5_WHY])
{
    snprintf(why, TCPM__SOCKS5_WHY, "%s %u: %s", kind, number, text);
    return result;
}

static int go_on(struct tcpm__socks5 *socks5, enum step step)
{
    socks5->step = (uint8_t) step;
    socks5->have = 0;
    return 0;
}

static int end_greeting(struct tcpm__socks5 *socks5, char why[TCPM__SOCKS5_WHY])
{
    unsigned method = socks5->head[1];

    if (method == NO_LOGIN)
        return go_on(socks5, REQUEST);
    if (method == BY_PASSWORD && socks5->has_login)
        return go_on(socks5, LOGIN);
    if (method != NO_METHOD)
        return refuse(TCPM_EPROXY, "method", method, "was not offered", why);
    return refuse(TCPM_EPROXYAUTH, "method", method,
                  socks5->has_login ? "it takes no user and password"
                                    : "it wants a user and a password",
                  why);
}

static int end_login(struct tcpm__socks5 *socks5, char why[TCPM__SOCKS5_WHY])
{
    unsigned status = socks5->head[1];

    if (status == 0)
        return go_on(socks5, REQUEST);
    return refuse(TCPM_EPROXYAUTH, "status", status, "wrong user or password", why);
}

/* The meaning of a reply to a request (RFC 1928, section 6). */
struct meaning {
    int result;
    const char *text;
};

static int end_request(const struct tcpm__socks5 *socks5, char why[TCPM__SOCKS5_WHY])
{
    static const struct meaning meanings[] = {
        {1, NULL},
        {TCPM_EPROXY, "general failure"},
        {TCPM_EPROXY, "not allowed by its rules"},
        {-ENETUNREACH, "network unreachable"},
        {-EHOSTUNREACH, "host unreachable"},
        {-ECONNREFUSED, "connection refused"},
        {-ETIMEDOUT, "time to live expired"},
        {TCPM_EPROXY, "command not supported"},
        {-EAFNOSUPPORT, "kind of address not supported"},
    };

    unsigned reply = socks5->head[1];

    if (reply == 0)
        return 1;
    if (reply >= sizeof meanings / sizeof *meanings)
        return refuse(TCPM_EPROXY, "reply", reply, "has no meaning", why);
    return refuse(meanings[reply].result, "reply", reply, meanings[reply].text, why);
}

static bool is_known_kind(unsigned kind)
{
    return kind == BY_INET || kind == BY_INET6 || kind == BY_NAME;
}

/* A failure with an unknown kind of address ends here, as nobody knows its length. */
static int check_kind(const struct tcpm__socks5 *socks5, char why[TCPM__SOCKS5_WHY])
{
    unsigned kind = socks5->head[HEAD - 1];

    if (is_known_kind(kind))
        return 0;
    return socks5->head[1] != 0
               ? end_request(socks5, why)
               : refuse(TCPM_EPROXY, "kind of address", kind, "has no meaning", why);
}

/* Sets how many bytes follow the head of the reply to a request and the first byte of its address,
   which is the length of a name. */
static int measure_rest(struct tcpm__socks5 *socks5)
{
    size_t address = sizeof(struct in_addr);

    if (socks5->head[HEAD - 1] == BY_INET6)
        address = sizeof(struct in6_addr);
    else if (socks5->head[HEAD - 1] == BY_NAME)
        address = 1u + socks5->head[HEAD];
    socks5->rest = (uint16_t) (address - 1 + PORT);
    return 0;
}

static int check_version(const struct tcpm__socks5 *socks5, char why[TCPM__SOCKS5_WHY])
{
    unsigned version = socks5->head[0];

    if (socks5->step == LOGIN)
        return version == LOGIN_VERSION
                   ? 0
                   : refuse(TCPM_EPROXY, "version", version, "should be 1", why);
    return version == VERSION ? 0 : refuse(TCPM_EPROXY, "version", version, "should be 5", why);
}

static int end_step(struct tcpm__socks5 *socks5, char why[TCPM__SOCKS5_WHY])
{
    return socks5->step == GREETING ? end_greeting(socks5, why) : end_login(socks5, why);
}

static int take_byte(struct tcpm__socks5 *socks5, unsigned char byte, char why[TCPM__SOCKS5_WHY])
{
    if (socks5->rest > 0) {
        socks5->rest--;
        return socks5->rest > 0 ? 0 : end_request(socks5, why);
    }
    TCPM__ASSERT(socks5->have < sizeof socks5->head);
    socks5->head[socks5->have++] = byte;
    if (socks5->have == 1)
        return check_version(socks5, why);
    if (socks5->step != REQUEST)
        return end_step(socks5, why);
    if (socks5->have == HEAD)
        return check_kind(socks5, why);
    return socks5->have > HEAD ? measure_rest(socks5) : 0;
}

int tcpm__socks5_take(struct tcpm__socks5 *socks5, const char *in, size_t length, size_t *used,
                      char why[TCPM__SOCKS5_WHY])
{
    unsigned step = socks5->step;

    for (size_t i = 0; i < length; i++) {
        int result = socks5->step == step
                         ? take_byte(socks5, (unsigned char) in[i], why)
                         : refuse(TCPM_EPROXY, "step", step + 1, "more bytes than its reply", why);

        *used = i + 1;
        if (result != 0)
            return result;
    }
    *used = length;
    return 0;
}

const char *tcpm__socks5_waits_for(const struct tcpm__socks5 *socks5)
{
    static const char *const words[] = {"the greeting", "user and password", "the request"};

    return words[socks5->step];
}
