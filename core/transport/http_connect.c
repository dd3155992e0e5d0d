/* SPDX-License-Identifier: MIT */
/*
 * One request and one reply, of which nothing but the status line is kept.
 *
 * What always holds: the tunnel begins behind the blank line of the first reply that is not 1xx and
 * has the status 2xx, whatever its fields say about a length. All headers together have at most 16
 * KiB. A line may end in a line feed alone (RFC 9112, section 2.2).
 */
#include "transport/http_connect.h"

#include <stdio.h>
#include <string.h>

#include "tcpmulti.h"

enum {
    MOST_HEADER = 16384,
    TOKEN =
        (2 * TCPM__CREDENTIAL_BYTES + 1 + 2) / 3 * 4, /* bytes of user and password in base 64 */
    STATUS_AT = 9, /* place of the status in a status line: behind "HTTP/1.1 " */
    STATUS_DIGITS = 3,
    UNAUTHORIZED = 401, /* tinyproxy's reply to a wrong password */
    PROXY_AUTHENTICATION_REQUIRED = 407,
};

/* ---- the request ---- */

/* Base 64 of RFC 4648, section 4, with a NUL behind it. */
static void encode(const char *in, size_t length, char *ret)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < length; i += 3) {
        uint32_t bits = 0;

        for (size_t k = i; k < i + 3; k++)
            bits = bits << 8 | (k < length ? (unsigned char) in[k] : 0);
        for (unsigned digit = 0; digit < 4; digit++)
            *ret++ = i + digit <= length ? digits[bits >> (18 - 6 * digit) & 63] : '=';
    }
    *ret = '\0';
}

static void make_token(const struct tcpm__hop *hop, char ret[TOKEN + 1])
{
    char both[2 * TCPM__CREDENTIAL_BYTES + 2];
    int length = snprintf(both, sizeof both, "%s:%s", hop->user, hop->password);

    encode(both, (size_t) length, ret);
}

/* "name:port", "address:port" or "[address]:port" (RFC 3986, section 3.2). */
static void print_target(const struct tcpm__proxy_target *target, char *ret, size_t size)
{
    char text[TCPM__ADDRESS_TEXT];

    if (target->name != NULL) {
        snprintf(ret, size, "%s:%u", target->name, target->port);
        return;
    }
    bool is_inet6 = target->address->any.sa_family == AF_INET6;

    tcpm__address_print_bare(target->address, text);
    snprintf(ret, size, is_inet6 ? "[%s]:%u" : "%s:%u", text, target->port);
}

size_t tcpm__http_connect_begin(struct tcpm__http_connect *http, const struct tcpm__hop *hop,
                                const struct tcpm__proxy_target *target,
                                char ret[TCPM__HTTP_CONNECT_BYTES])
{
    char authority[300], token[TOKEN + 1] = "";
    bool has_login = hop->user != NULL;

    *http = (struct tcpm__http_connect){.hop = hop};
    print_target(target, authority, sizeof authority);
    if (has_login)
        make_token(hop, token);
    int length = snprintf(
        ret, TCPM__HTTP_CONNECT_BYTES, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s%s%s\r\n", authority,
        authority, has_login ? "Proxy-Authorization: Basic " : "", token, has_login ? "\r\n" : "");

    return (size_t) length;
}

/* ---- what is told of the reply ---- */

/* Whether a text has a credential in it, as a proxy might send back what it was sent. */
static bool has_credentials(const char *text, const struct tcpm__hop *hop)
{
    char token[TOKEN + 1];

    if (hop->user == NULL)
        return false;
    make_token(hop, token);
    return strstr(text, hop->user) != NULL || strstr(text, hop->password) != NULL ||
           strstr(text, token) != NULL;
}

/* A part of the status line for people: nothing of a line that was not kept whole, as a credential
   that is cut off is not found. */
static const char *quote(const struct tcpm__http_connect *http, size_t from,
                         char ret[TCPM__HTTP_CONNECT_STATUS])
{
    size_t length = 0;

    if (http->kept < TCPM__HTTP_CONNECT_STATUS - 1 && !has_credentials(http->status, http->hop))
        for (const char *at = http->status + from; *at != '\0'; at++)
            ret[length++] = *at >= ' ' && *at < 0x7f ? *at : '?';
    ret[length] = '\0';
    return ret;
}

static int refuse_form(const struct tcpm__http_connect *http, char why[TCPM__HTTP_CONNECT_WHY])
{
    char text[TCPM__HTTP_CONNECT_STATUS];

    snprintf(why, TCPM__HTTP_CONNECT_WHY, "no reply of HTTP/1: \"%s\"", quote(http, 0, text));
    return TCPM_EPROXY;
}

static int refuse_status(const struct tcpm__http_connect *http, unsigned status,
                         char why[TCPM__HTTP_CONNECT_WHY])
{
    bool is_login = status == UNAUTHORIZED || status == PROXY_AUTHENTICATION_REQUIRED;
    const char *meaning =
        http->hop->user == NULL ? ": it wants a user and a password" : ": wrong user or password";
    char phrase[TCPM__HTTP_CONNECT_STATUS];

    quote(http, STATUS_AT + STATUS_DIGITS, phrase);
    snprintf(why, TCPM__HTTP_CONNECT_WHY, "reply %u%s%s", status, phrase, is_login ? meaning : "");
    return is_login ? TCPM_EPROXYAUTH : TCPM_EPROXY;
}

/* ---- the reply ---- */

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Whether a status line may begin so: "HTTP/1.", a digit, a space, three digits, and a space if
   anything follows. */
static bool is_status_line(const char *line, size_t length)
{
    static const char form[] = "HTTP/1.0 000 ";

    for (size_t i = 0; i < length && i < sizeof form - 1; i++)
        if (form[i] == '0' ? !is_digit(line[i]) : line[i] != form[i])
            return false;
    return true;
}

/* Of a status line that was checked. */
static unsigned status_of(const struct tcpm__http_connect *http)
{
    unsigned status = 0;

    for (unsigned i = STATUS_AT; i < STATUS_AT + STATUS_DIGITS; i++)
        status = status * 10 + (unsigned) (http->status[i] - '0');
    return status;
}

static int end_status_line(struct tcpm__http_connect *http, char why[TCPM__HTTP_CONNECT_WHY])
{
    http->is_in_header = true;
    if (http->kept > 0 && http->status[http->kept - 1] == '\r')
        http->status[--http->kept] = '\0';
    return http->kept >= STATUS_AT + STATUS_DIGITS && is_status_line(http->status, http->kept)
               ? 0
               : refuse_form(http, why);
}

static int end_header(struct tcpm__http_connect *http, char why[TCPM__HTTP_CONNECT_WHY])
{
    unsigned status = status_of(http);

    if (status >= 200 && status < 300)
        return 1;
    if (status < 100 || status >= 200)
        return refuse_status(http, status, why);
    http->is_in_header = false;
    http->kept = 0;
    return 0;
}

static int end_line(struct tcpm__http_connect *http, char why[TCPM__HTTP_CONNECT_WHY])
{
    bool is_empty = http->line == 0 || (http->line == 1 && http->last == '\r');

    http->line = 0;
    if (!http->is_in_header)
        return end_status_line(http, why);
    return is_empty ? end_header(http, why) : 0;
}

/* A byte that no status line of HTTP/1 has at its place is told at once: a proxy of another kind
   may never end its line. */
static int take_status(struct tcpm__http_connect *http, char byte, char why[TCPM__HTTP_CONNECT_WHY])
{
    if (http->kept == TCPM__HTTP_CONNECT_STATUS - 1)
        return 0;
    http->status[http->kept++] = byte;
    http->status[http->kept] = '\0';
    return byte == '\r' || is_status_line(http->status, http->kept) ? 0 : refuse_form(http, why);
}

static int take_byte(struct tcpm__http_connect *http, char byte, char why[TCPM__HTTP_CONNECT_WHY])
{
    int result = 0;

    http->taken++;
    if (byte == '\n') {
        result = end_line(http, why);
    } else {
        http->line++;
        http->last = byte;
        if (!http->is_in_header)
            result = take_status(http, byte, why);
    }
    if (result != 0 || http->taken < MOST_HEADER)
        return result;
    snprintf(why, TCPM__HTTP_CONNECT_WHY, "no blank line within 16 KiB");
    return TCPM_EPROXY;
}

int tcpm__http_connect_take(struct tcpm__http_connect *http, const char *in, size_t length,
                            size_t *used, char why[TCPM__HTTP_CONNECT_WHY])
{
    for (size_t i = 0; i < length; i++) {
        int result = take_byte(http, in[i], why);

        *used = i + 1;
        if (result != 0)
            return result;
    }
    *used = length;
    return 0;
}
