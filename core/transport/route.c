/* SPDX-License-Identifier: MIT */
/*
 * URLs of proxies, read into one block: the hops, and behind them the texts of the hops.
 *
 * What always holds: each hop can be used as it is, so that nothing but the network can fail on the
 * way. No reason and no printed hop has a byte of a user or a password; therefore a reason names a
 * hop by its number, and quotes nothing of a URL.
 */
#include "transport/route.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/words.h"
#include "transport/host_name.h"

enum {
    MOST_HOPS = 8,
    MOST_HOST = 256, /* bytes of a host with brackets and NUL, and more than any has */
    MOST_PORT_DIGITS = 5,
    TEXTS_OF_A_HOP = 3 /* host, user, password: each has a NUL behind it */
};

struct tcpm__route {
    const struct tcpm__memory *memory;
    unsigned holders, count;
    char *unused; /* behind the last text */
    struct tcpm__hop hops[];
};

/* The parts of a URL, each as it stands there. at is NULL: there is no such part. */
struct url {
    struct tcpm__part scheme, user, password, host, port;
};

struct known_scheme {
    const char *name;
    const char *unsupported; /* why the scheme cannot be used; NULL: it can */
    enum tcpm__scheme scheme;
    unsigned port; /* Default of the port */
};

static const struct known_scheme known_schemes[] = {
    {"socks5", NULL, TCPM__SCHEME_SOCKS5, 1080},
    {"socks5h", NULL, TCPM__SCHEME_SOCKS5H, 1080},
    {"http", NULL, TCPM__SCHEME_HTTP, 3128},
    {.name = "socks4", .unsupported = "socks4:// is not supported: only SOCKS 5 and HTTP are"},
    {.name = "socks4a", .unsupported = "socks4a:// is not supported: only SOCKS 5 and HTTP are"},
    {.name = "https", .unsupported = "https:// is not supported: TLS to the proxy itself"},
};

enum { KNOWN_SCHEMES = sizeof known_schemes / sizeof *known_schemes };

/* Faults of a user or a password. */
enum flaw { NO_FLAW, IS_EMPTY, IS_LONG, HAS_CONTROL, HAS_PERCENT, FLAWS };

#define FLAWS_OF(word)                                                                            \
    {                                                                                             \
        [IS_EMPTY] = "its " word " is empty", [IS_LONG] = "its " word " has more than 255 bytes", \
        [HAS_CONTROL] = "its " word " has a control character",                                   \
        [HAS_PERCENT] = "its " word " has a '%' that no two hexadecimal digits follow",           \
    }

static const char *const user_flaws[FLAWS] = FLAWS_OF("user");
static const char *const password_flaws[FLAWS] = FLAWS_OF("password");

/* ---- reasons ---- */

static int refuse(int result, const char *what, const char **why)
{
    *why = what;
    return result;
}

static size_t length_of(struct tcpm__part part)
{
    return (size_t) (part.end - part.at);
}

/* ---- cutting a URL ---- */

static const char *find_in(struct tcpm__part part, char byte)
{
    return memchr(part.at, byte, length_of(part));
}

static const char *find_last_in(struct tcpm__part part, char byte)
{
    return memrchr(part.at, byte, length_of(part));
}

static const char *find_end_of_authority(struct tcpm__part rest)
{
    const char *at = rest.at;

    while (at < rest.end && *at != '/' && *at != '?' && *at != '#')
        at++;
    return at;
}

static int cut_scheme(struct tcpm__part *rest, struct tcpm__part *ret, const char **why)
{
    const char *colon = find_in(*rest, ':');

    if (colon == NULL || rest->end - colon < 3 || colon[1] != '/' || colon[2] != '/')
        return refuse(-EINVAL, "no scheme: write socks5://, socks5h:// or http:// before the host",
                      why);
    *ret = (struct tcpm__part){rest->at, colon};
    rest->at = colon + 3;
    return 0;
}

/* "user:password@", as far as there is one. A password may contain '@', a host cannot. */
static int cut_credentials(struct tcpm__part *rest, struct url *url, const char **why)
{
    const char *at = find_last_in(*rest, '@');

    if (at == NULL)
        return 0;

    struct tcpm__part both = {rest->at, at};
    const char *colon = find_in(both, ':');

    if (colon == NULL)
        return refuse(-EINVAL, "a user without a password", why);
    url->user = (struct tcpm__part){both.at, colon};
    url->password = (struct tcpm__part){colon + 1, both.end};
    rest->at = at + 1;
    return 0;
}

/* "host", "host:port" or "[address]:port". */
static int cut_host(struct tcpm__part rest, struct url *url, const char **why)
{
    const char *bracket = find_last_in(rest, ']'), *stop = rest.end;

    if (rest.at < rest.end && *rest.at == '[') {
        if (bracket == NULL)
            return refuse(-EINVAL, "a bracket that is not closed", why);
        stop = bracket + 1;
        if (stop < rest.end && *stop != ':')
            return refuse(-EINVAL, "no port, but something else behind the bracket", why);
    } else if (find_in(rest, ':') != NULL) {
        stop = find_in(rest, ':');
    }
    url->host = (struct tcpm__part){rest.at, stop};
    if (stop < rest.end)
        url->port = (struct tcpm__part){stop + 1, rest.end};
    if (stop < rest.end && find_in(url->port, ':') != NULL)
        return refuse(-EINVAL, "two colons: an IPv6 address needs brackets", why);
    return 0;
}

static int cut_url(struct tcpm__part word, struct url *ret, const char **why)
{
    *ret = (struct url){.port = {NULL, NULL}};
    if (cut_scheme(&word, &ret->scheme, why) < 0)
        return -EINVAL;

    const char *end = find_end_of_authority(word);
    struct tcpm__part authority = {word.at, end};

    if (cut_credentials(&authority, ret, why) < 0)
        return -EINVAL;
    if (authority.at == authority.end || *authority.at == ':')
        return refuse(-EINVAL, "no host", why);
    if (cut_host(authority, ret, why) < 0)
        return -EINVAL;
    if (end < word.end)
        return refuse(-EINVAL, "a path, a query or a fragment behind the host and port", why);
    return 0;
}

/* ---- the parts of a URL ---- */

static bool is_scheme(struct tcpm__part part, const char *name)
{
    return strlen(name) == length_of(part) && strncasecmp(part.at, name, length_of(part)) == 0;
}

/* Fills in the scheme and its default port. */
static int read_scheme(struct tcpm__part part, struct tcpm__hop *hop, const char **why)
{
    for (size_t i = 0; i < KNOWN_SCHEMES; i++) {
        const struct known_scheme *known = &known_schemes[i];

        if (!is_scheme(part, known->name))
            continue;
        if (known->unsupported != NULL)
            return refuse(-EOPNOTSUPP, known->unsupported, why);
        hop->scheme = known->scheme;
        hop->port = known->port;
        return 0;
    }
    return refuse(-EINVAL, "an unknown scheme: write socks5://, socks5h:// or http://", why);
}

static int read_port(struct tcpm__part part, unsigned *ret, const char **why)
{
    unsigned port = 0;
    size_t length = length_of(part);

    for (size_t i = 0; i < length && length <= MOST_PORT_DIGITS; i++)
        port = part.at[i] >= '0' && part.at[i] <= '9' ? port * 10 + (unsigned) (part.at[i] - '0')
                                                      : UINT16_MAX + 1;
    if (port < 1 || port > UINT16_MAX)
        return refuse(-EINVAL, "its port is no number from 1 to 65535", why);
    *ret = port;
    return 0;
}

/* Appends the host to the route's texts, without brackets. */
static int read_host(struct tcpm__part part, struct tcpm__route *route, const char **ret,
                     const char **why)
{
    char text[MOST_HOST], name[TCPM__HOST_NAME_SIZE];
    union tcpm__address address;
    bool has_brackets = *part.at == '[', is_absolute;

    if (!tcpm__words_copy(part, text, sizeof text))
        return refuse(-EINVAL, "its host has more than 253 bytes", why);
    int result = tcpm__address_parse(text, 0, &address, why);
    if (result == 0)
        result = tcpm__host_name_make(text, name, &is_absolute, why);
    if (result < 0)
        return result == -EOPNOTSUPP || result == -ENOMEM ? result : -EINVAL;

    size_t length = length_of(part) - 2 * has_brackets;

    memcpy(route->unused, part.at + has_brackets, length);
    route->unused[length] = '\0';
    *ret = route->unused;
    route->unused += length + 1;
    return 0;
}

/* Cuts off the next byte of a text that is percent-encoded. False: a '%' alone. */
static bool decode_byte(struct tcpm__part *rest, unsigned char *ret)
{
    *ret = (unsigned char) *rest->at++;
    if (*ret != '%')
        return true;
    if (rest->end - rest->at < 2)
        return false;

    int high = tcpm__words_hex_digit(rest->at[0]), low = tcpm__words_hex_digit(rest->at[1]);

    rest->at += 2;
    *ret = (unsigned char) (high * 16 + low);
    return high >= 0 && low >= 0;
}

/* Appends a user or a password to the route's texts. */
static enum flaw decode(struct tcpm__part part, struct tcpm__route *route, const char **ret)
{
    char *at = route->unused;

    while (part.at < part.end) {
        unsigned char byte;

        if (!decode_byte(&part, &byte))
            return HAS_PERCENT;
        if (byte < ' ' || byte == 0x7f)
            return HAS_CONTROL;
        *at++ = (char) byte;
    }
    if (at == route->unused)
        return IS_EMPTY;
    if (at - route->unused > TCPM__CREDENTIAL_BYTES)
        return IS_LONG;
    *at++ = '\0';
    *ret = route->unused;
    route->unused = at;
    return NO_FLAW;
}

/* Basic authentication separates the two by a colon (RFC 7617, section 2). */
static int read_credentials(const struct url *url, struct tcpm__route *route, struct tcpm__hop *hop,
                            const char **why)
{
    if (url->user.at == NULL)
        return 0;

    enum flaw flaw = decode(url->user, route, &hop->user);

    if (flaw != NO_FLAW)
        return refuse(-EINVAL, user_flaws[flaw], why);
    flaw = decode(url->password, route, &hop->password);
    if (flaw != NO_FLAW)
        return refuse(-EINVAL, password_flaws[flaw], why);
    if (hop->scheme == TCPM__SCHEME_HTTP && strchr(hop->user, ':') != NULL)
        return refuse(-EINVAL, "its user has a colon, which HTTP does not allow", why);
    return 0;
}

/* ---- reading ---- */

static bool has_control(struct tcpm__part part)
{
    while (part.at < part.end && (unsigned char) *part.at > ' ' && *part.at != 0x7f)
        part.at++;
    return part.at < part.end;
}

static int read_hop(struct tcpm__part word, struct tcpm__route *route, struct tcpm__hop *hop,
                    const char **why)
{
    struct url url;

    if (has_control(word))
        return refuse(-EINVAL, "a control character", why);
    int result = cut_url(word, &url, why);
    if (result == 0)
        result = read_scheme(url.scheme, hop, why);
    if (result == 0 && url.port.at != NULL)
        result = read_port(url.port, &hop->port, why);
    if (result == 0)
        result = read_host(url.host, route, &hop->host, why);
    return result == 0 ? read_credentials(&url, route, hop, why) : result;
}

/* Cuts off the next URL. False: only spaces are left. */
static bool next_word(const char **text, struct tcpm__part *ret)
{
    const char *at = *text + strspn(*text, " ");

    *ret = (struct tcpm__part){at, at + strcspn(at, " ")};
    *text = ret->end;
    return ret->at < ret->end;
}

static int read_hops(const char *text, struct tcpm__route *route, const char **why)
{
    struct tcpm__part word;

    while (next_word(&text, &word)) {
        int result = route->count < MOST_HOPS
                         ? read_hop(word, route, &route->hops[route->count], why)
                         : refuse(-EINVAL, "there may be 8 hops at most", why);

        if (result < 0)
            return result;
        route->count++;
    }
    return route->count > 0 ? 0 : refuse(-EINVAL, "no URL of a proxy", why);
}

int tcpm__route_parse(const struct tcpm__memory *memory, const char *text, struct tcpm__route **ret,
                      char why[TCPM__ROUTE_WHY])
{
    size_t size = sizeof(struct tcpm__route) + MOST_HOPS * sizeof(struct tcpm__hop);
    size_t texts = strlen(text) + MOST_HOPS * TEXTS_OF_A_HOP;
    struct tcpm__route *made = tcpm__memory_zeroed(memory, size + texts);
    const char *what = "";

    why[0] = '\0';
    if (made == NULL)
        return -ENOMEM;
    made->memory = memory;
    made->holders = 1;
    made->unused = (char *) made + size;
    int result = read_hops(text, made, &what);
    if (result < 0) {
        if (result != -ENOMEM)
            snprintf(why, TCPM__ROUTE_WHY, "hop %u: %s", made->count + 1, what);
        tcpm__route_drop(made);
        return result;
    }
    TCPM__ASSERT(made->unused <= (char *) made + size + texts);
    *ret = made;
    return 0;
}

/* ---- a route that was read ---- */

struct tcpm__route *tcpm__route_hold(struct tcpm__route *route)
{
    route->holders++;
    return route;
}

void tcpm__route_drop(struct tcpm__route *route)
{
    if (route == NULL)
        return;
    TCPM__ASSERT(route->holders > 0);
    if (--route->holders == 0)
        tcpm__memory_free(route->memory, route);
}

unsigned tcpm__route_count(const struct tcpm__route *route)
{
    return route->count;
}

const struct tcpm__hop *tcpm__route_hop(const struct tcpm__route *route, unsigned index)
{
    TCPM__ASSERT(index < route->count);
    return &route->hops[index];
}

bool tcpm__hop_takes_names(const struct tcpm__hop *hop)
{
    return hop->scheme != TCPM__SCHEME_SOCKS5;
}

void tcpm__route_print_hop(const struct tcpm__route *route, unsigned index,
                           char ret[TCPM__ROUTE_HOP_TEXT])
{
    const struct tcpm__hop *hop = tcpm__route_hop(route, index);
    bool is_inet6 = strchr(hop->host, ':') != NULL;

    for (size_t i = 0; i < KNOWN_SCHEMES; i++)
        if (known_schemes[i].unsupported == NULL && known_schemes[i].scheme == hop->scheme)
            snprintf(ret, TCPM__ROUTE_HOP_TEXT, "hop %u, %s %s%s%s:%u", index + 1,
                     known_schemes[i].name, is_inet6 ? "[" : "", hop->host, is_inet6 ? "]" : "",
                     hop->port);
}
