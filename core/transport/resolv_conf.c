/* SPDX-License-Identifier: MIT */
/*
 * See resolv_conf.h. What the C library does with the file is the model; beyond it, a server may
 * have a port, as c-ares and the BSDs allow.
 *
 * What always holds: domains are names in the form of host_name.h, so that a name with a domain
 * behind it is one as well.
 */
#include "transport/resolv_conf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/words.h"

enum {
    DEFAULT_PORT = 53,
    DEFAULT_NDOTS = 1,
    MOST_NDOTS = 15,                      /* as in the C library */
    SERVER_SIZE = TCPM__ADDRESS_TEXT + 8, /* bytes of an address in brackets, and its port */
};

/* ---- servers ---- */

/* Words behind nameserver. */
enum server_form {
    SERVER_GOOD,
    SERVER_NONE,     /* the word is no server */
    SERVER_UNUSABLE, /* an address with a scope, or link-local without: c-ares asks none of them */
};

/* text: NULL is the default port. 0: no port. */
static unsigned parse_port(const char *text)
{
    if (text == NULL)
        return DEFAULT_PORT;
    if (strspn(text, "0123456789") != strlen(text) || strlen(text) > 5)
        return 0;

    unsigned long port = strtoul(text, NULL, 10);

    return port <= UINT16_MAX ? (unsigned) port : 0;
}

/* Cuts the text into the address, without its brackets, and the port behind a colon; NULL: none.
   Without brackets, more colons than one are those of IPv6. False: brackets that do not fit. */
static bool split(char *text, char **address, char **port)
{
    char *end = strchr(text, *text == '[' ? ']' : ':');

    *address = text;
    *port = NULL;
    if (*text == '[') {
        if (end == NULL)
            return false;
        *end++ = '\0';
        (*address)++;
        if (*end != ':')
            return *end == '\0';
    } else if (end == NULL || strchr(end + 1, ':') != NULL) {
        return true;
    }
    *end = '\0';
    *port = end + 1;
    return true;
}

static bool is_link_local(const union tcpm__address *address)
{
    return address->any.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&address->in6.sin6_addr);
}

/* Reads a numeric address, whose text is changed. */
static enum server_form parse_address(char *text, unsigned port, union tcpm__address *ret)
{
    char *scope = strchr(text, '%');
    const char *why;

    if (scope != NULL)
        *scope = '\0';
    if (tcpm__address_parse(text, port, ret, &why) != 1)
        return SERVER_NONE;
    if (scope != NULL && ret->any.sa_family != AF_INET6)
        return SERVER_NONE;
    return scope != NULL || is_link_local(ret) ? SERVER_UNUSABLE : SERVER_GOOD;
}

static enum server_form parse_server(struct tcpm__part word, union tcpm__address *ret)
{
    char text[SERVER_SIZE], *address, *port_text;

    if (!tcpm__words_copy(word, text, sizeof text) || !split(text, &address, &port_text))
        return SERVER_NONE;

    unsigned port = parse_port(port_text);

    return port == 0 ? SERVER_NONE : parse_address(address, port, ret);
}

static const char separators[] = ", \t";

/* Takes the next word off a list that has one. */
static enum server_form next_server(const char **list, union tcpm__address *ret)
{
    const char *word = *list + strspn(*list, separators);
    size_t length = strcspn(word, separators);

    *list = word + length;
    return parse_server(tcpm__part_of(word, length), ret);
}

int tcpm__resolv_conf_parse_servers(const char *list, struct tcpm__resolv_conf *ret)
{
    unsigned count = 0;
    union tcpm__address server, servers[TCPM__MOST_SERVERS];

    while (list[strspn(list, separators)] != '\0') {
        if (next_server(&list, &server) != SERVER_GOOD || count == TCPM__MOST_SERVERS)
            return -EINVAL;
        servers[count++] = server;
    }
    if (count == 0)
        return -EINVAL;
    memcpy(ret->servers, servers, count * sizeof servers[0]);
    ret->server_count = count;
    ret->unusable = 0;
    return 0;
}

/* ---- lines ---- */

static void read_nameserver(struct tcpm__part *line, struct tcpm__resolv_conf *ret)
{
    union tcpm__address server;
    struct tcpm__part word;

    if (!tcpm__words_next(line, &word))
        return;
    switch (parse_server(word, &server)) {
    case SERVER_GOOD:
        if (ret->server_count < TCPM__MOST_SERVERS)
            ret->servers[ret->server_count++] = server;
        break;
    case SERVER_UNUSABLE:
        ret->unusable++;
        break;
    case SERVER_NONE:
        break;
    }
}

/* The root, ".", is no domain to append. */
static void add_domain(struct tcpm__part word, struct tcpm__resolv_conf *ret)
{
    char text[TCPM__HOST_NAME_SIZE], name[TCPM__HOST_NAME_SIZE];
    bool absolute;
    const char *why;

    if (ret->domain_count < TCPM__MOST_DOMAINS && tcpm__words_copy(word, text, sizeof text) &&
        tcpm__host_name_make(text, name, &absolute, &why) == 0)
        memcpy(ret->domains[ret->domain_count++], name, strlen(name) + 1);
}

static void read_domain(struct tcpm__part *line, struct tcpm__resolv_conf *ret)
{
    struct tcpm__part word;

    if (!tcpm__words_next(line, &word))
        return;
    ret->domain_count = 0;
    add_domain(word, ret);
}

static void read_search(struct tcpm__part *line, struct tcpm__resolv_conf *ret)
{
    struct tcpm__part word;

    ret->domain_count = 0;
    while (tcpm__words_next(line, &word))
        add_domain(word, ret);
}

static void read_options(struct tcpm__part *line, struct tcpm__resolv_conf *ret)
{
    static const char ndots[] = "ndots:";
    const size_t prefix = sizeof ndots - 1;
    struct tcpm__part word;
    char text[32];

    while (tcpm__words_next(line, &word)) {
        if (!tcpm__words_copy(word, text, sizeof text) || strncmp(text, ndots, prefix) != 0)
            continue;

        const char *digits = text + prefix;

        if (*digits == '\0' || strspn(digits, "0123456789") != strlen(digits))
            continue;

        unsigned long value = strtoul(digits, NULL, 10);

        ret->ndots = value < MOST_NDOTS ? (unsigned) value : MOST_NDOTS;
    }
}

static const struct {
    const char *word;
    void (*read)(struct tcpm__part *line, struct tcpm__resolv_conf *ret);
} key_words[] = {
    {"nameserver", read_nameserver},
    {"domain", read_domain},
    {"search", read_search},
    {"options", read_options},
};

static void read_line(struct tcpm__part *line, struct tcpm__resolv_conf *ret)
{
    const char *start = line->at;
    struct tcpm__part word;

    if (!tcpm__words_next(line, &word) || word.at != start)
        return;
    for (size_t i = 0; i < sizeof key_words / sizeof key_words[0]; i++)
        if (tcpm__words_equal(word, key_words[i].word))
            key_words[i].read(line, ret);
}

void tcpm__resolv_conf_parse(const char *text, size_t length, struct tcpm__resolv_conf *ret)
{
    struct tcpm__part part = tcpm__part_of(text, length), line;

    *ret = (struct tcpm__resolv_conf){.ndots = DEFAULT_NDOTS};
    while (tcpm__words_next_line(&part, "#;", &line))
        read_line(&line, ret);
    if (ret->server_count == 0 && ret->unusable == 0) {
        tcpm__address_make_quad((struct in_addr){htonl(INADDR_LOOPBACK)}, DEFAULT_PORT,
                                &ret->servers[0]);
        ret->server_count = 1;
    }
}
