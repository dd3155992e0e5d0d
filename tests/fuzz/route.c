/* SPDX-License-Identifier: MIT */
/* The option proxy (REACH P45): hops keep what is promised, and written as URLs are read again. */
#include "fuzz.h"

#include "transport/route.h"

#include <ctype.h>
#include <errno.h>

enum { MOST_SIZE = 1024, MOST_HOPS = 8, URLS = 8192 };

static size_t count_words(const char *text)
{
    size_t count = 0;

    for (const char *at = text; *at != '\0'; at++)
        count += *at != ' ' && (at == text || at[-1] == ' ');
    return count;
}

static void check_credential(const char *text)
{
    FUZZ_CHECK(strlen(text) >= 1 && strlen(text) <= TCPM__CREDENTIAL_BYTES);
    for (const char *at = text; *at != '\0'; at++)
        FUZZ_CHECK((unsigned char) *at >= ' ' && *at != 0x7f);
}

static void check_hop(const struct tcpm__hop *hop)
{
    union tcpm__address address;
    const char *why;

    FUZZ_CHECK(hop->port >= 1 && hop->port <= UINT16_MAX);
    FUZZ_CHECK(tcpm__address_is_acceptable(hop->host));
    FUZZ_CHECK(tcpm__address_parse(hop->host, hop->port, &address, &why) >= 0);
    FUZZ_CHECK((hop->user == NULL) == (hop->password == NULL));
    if (hop->user == NULL)
        return;
    check_credential(hop->user);
    check_credential(hop->password);
    FUZZ_CHECK(hop->scheme != TCPM__SCHEME_HTTP || strchr(hop->user, ':') == NULL);
}

static void print_encoded(char *ret, const char *text)
{
    for (; *text != '\0'; text++)
        ret += snprintf(ret, 4, isalnum((unsigned char) *text) ? "%c" : "%%%02x",
                        (unsigned char) *text);
}

static void print_url(char *ret, size_t size, const struct tcpm__hop *hop)
{
    static const char *const schemes[] = {"socks5", "socks5h", "http"};
    bool is_inet6 = strchr(hop->host, ':') != NULL;
    char user[3 * TCPM__CREDENTIAL_BYTES + 1] = "", password[3 * TCPM__CREDENTIAL_BYTES + 1] = "";

    if (hop->user != NULL) {
        print_encoded(user, hop->user);
        print_encoded(password, hop->password);
    }
    snprintf(ret, size, " %s://%s%s%s%s%s%s%s:%u", schemes[hop->scheme], user,
             hop->user != NULL ? ":" : "", password, hop->user != NULL ? "@" : "",
             is_inet6 ? "[" : "", hop->host, is_inet6 ? "]" : "", hop->port);
}

static bool is_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void check_again(const struct tcpm__route *route, const char *urls)
{
    char why[TCPM__ROUTE_WHY];
    struct tcpm__route *again;

    FUZZ_CHECK(tcpm__route_parse(&tcpm__memory_default, urls, &again, why) == 0);
    FUZZ_CHECK(tcpm__route_count(again) == tcpm__route_count(route));
    for (unsigned i = 0; i < tcpm__route_count(route); i++) {
        const struct tcpm__hop *a = tcpm__route_hop(route, i), *b = tcpm__route_hop(again, i);

        FUZZ_CHECK(a->scheme == b->scheme && a->port == b->port && is_text(a->host, b->host));
        FUZZ_CHECK(is_text(a->user, b->user) && is_text(a->password, b->password));
    }
    tcpm__route_drop(again);
}

static void check(const struct tcpm__route *route, const char *text)
{
    static char urls[URLS];
    unsigned count = tcpm__route_count(route);
    size_t length = 0;

    FUZZ_CHECK(count >= 1 && count <= MOST_HOPS && count == count_words(text));
    for (unsigned i = 0; i < count; i++) {
        char printed[TCPM__ROUTE_HOP_TEXT];

        check_hop(tcpm__route_hop(route, i));
        tcpm__route_print_hop(route, i, printed);
        FUZZ_CHECK(strlen(printed) < sizeof printed - 1);
        print_url(urls + length, sizeof urls - length, tcpm__route_hop(route, i));
        length += strlen(urls + length);
    }
    FUZZ_CHECK(length < sizeof urls - 1);
    check_again(route, urls);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[TCPM__ROUTE_WHY];
    struct tcpm__route *route;

    if (size > MOST_SIZE)
        return 0;

    char *text = fuzz_text(data, size);
    int result = tcpm__route_parse(&tcpm__memory_default, text, &route, why);

    if (result == 0) {
        check(route, text);
        tcpm__route_drop(route);
    } else {
        FUZZ_CHECK(result == -EINVAL || result == -EOPNOTSUPP);
        FUZZ_CHECK(strncmp(why, "hop ", 4) == 0 && strlen(why) > 7);
        FUZZ_CHECK(strlen(why) < sizeof why - 1);
    }
    free(text);
    return 0;
}
