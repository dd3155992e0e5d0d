/* SPDX-License-Identifier: MIT */
/*
 * A hash table from hosts and ports to addresses, in one block with the names of the hosts. Asked
 * once per connect, before anything else is done about the host.
 *
 * What always holds: at least half of the table is empty, so every search ends. Each key is in the
 * table once. The table never changes after it was read.
 */
#include "transport/overrides.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "transport/host_name.h"

enum {
    NAME_BYTES = 253, /* the longest name */
    ADDRESS_KEY_BYTES = 1 + sizeof(struct in6_addr) + sizeof(uint32_t),
    LINE_BYTES = 384, /* more than any line needs */
    ANY_PORT = 0,
    MOST_PORT_DIGITS = 5,
};

/* The bytes that stand for a host in the table: its name in lower case without a dot at the end; of
   an IPv6 address a colon, which no name has, and the address with its scope; "*" for any host. */
struct key {
    size_t length; /* 0: no host */
    char bytes[NAME_BYTES + 1];
};

struct entry {
    const char *host; /* bytes of a key, behind the table; NULL: the place is empty */
    uint32_t length;
    uint16_t port; /* ANY_PORT: all of them */
    union tcpm__address address;
};

struct tcpm__overrides {
    size_t capacity; /* a power of two */
    char *unused;    /* behind the last name */
    struct entry entries[];
};

/* ---- keys ---- */

static char to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

static void set_name(struct key *key, const char *name)
{
    size_t length = strlen(name);

    if (length > 1 && name[length - 1] == '.')
        length--;
    for (size_t i = 0; i < length; i++)
        key->bytes[i] = to_lower(name[i]);
    key->length = length;
}

static void set_address(struct key *key, const struct sockaddr_in6 *in6)
{
    key->bytes[0] = ':';
    memcpy(key->bytes + 1, &in6->sin6_addr, sizeof in6->sin6_addr);
    memcpy(key->bytes + 1 + sizeof in6->sin6_addr, &in6->sin6_scope_id, sizeof in6->sin6_scope_id);
    key->length = ADDRESS_KEY_BYTES;
}

/* Names beyond ASCII are compared in the form in which they are looked up, where that is known. */
static bool set_any_name(struct key *key, const char *name)
{
    char ascii[TCPM__HOST_NAME_SIZE];
    const char *why;
    bool absolute;

    if (tcpm__host_name_is_ascii(name, strlen(name))) {
        set_name(key, name);
        return true;
    }
    int result = tcpm__host_name_make(name, ascii, &absolute, &why);
    set_name(key, result == 0 ? ascii : name);
    return result == 0 || result == -EOPNOTSUPP || result == -ENOMEM;
}

/* Makes the key of a host as connects are given it. False: there is no such host. */
static bool make_key(const char *host, struct key *ret)
{
    union tcpm__address address;
    const char *why;
    int form =
        tcpm__address_is_acceptable(host) ? tcpm__address_parse(host, 0, &address, &why) : -EINVAL;

    if (form < 0)
        return false;
    if (form == 0)
        return set_any_name(ret, host);
    if (address.any.sa_family == AF_INET6)
        set_address(ret, &address.in6);
    else
        set_name(ret, host);
    return true;
}

/* ---- the table ---- */

/* FNV-1a. */
static uint32_t hash_of(const char *host, size_t length, unsigned port)
{
    uint32_t hash = 2166136261u ^ port;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char) host[i]) * 16777619u;
    return hash;
}

static bool is_entry_of(const struct entry *entry, const char *host, size_t length, unsigned port)
{
    return entry->port == port && entry->length == length && memcmp(entry->host, host, length) == 0;
}

/* The index of the entry, or of the empty place where it belongs. */
static size_t find_place(const struct tcpm__overrides *overrides, const char *host, size_t length,
                         unsigned port)
{
    size_t mask = overrides->capacity - 1, at = hash_of(host, length, port) & mask;

    while (overrides->entries[at].host != NULL &&
           !is_entry_of(&overrides->entries[at], host, length, port))
        at = (at + 1) & mask;
    return at;
}

/* Adds an entry under its key, or replaces the entry that has the key. */
static void put(struct tcpm__overrides *overrides, const struct key *key, const struct entry *entry)
{
    size_t at = find_place(overrides, key->bytes, key->length, entry->port);
    struct entry *place = &overrides->entries[at];

    if (place->host == NULL) {
        memcpy(overrides->unused, key->bytes, key->length);
        place->host = overrides->unused;
        place->length = (uint32_t) key->length;
        place->port = entry->port;
        overrides->unused += key->length;
    }
    place->address = entry->address;
}

/* ---- lines ---- */

/* Cuts off the next line that is not empty, without the blanks around it. False: there is none. */
static bool next_line(struct tcpm__part *text, struct tcpm__part *ret)
{
    struct tcpm__part line, word;

    while (tcpm__words_next_line(text, "", &line)) {
        if (!tcpm__words_next(&line, ret))
            continue;
        while (tcpm__words_next(&line, &word))
            ret->end = word.end;
        return true;
    }
    return false;
}

static int parse_port(const char *text, uint16_t *ret)
{
    unsigned port = 0;
    size_t digits = strspn(text, "0123456789");

    if (digits > MOST_PORT_DIGITS || text[digits] != '\0')
        return -EINVAL;
    for (; *text != '\0'; text++)
        port = port * 10 + (unsigned) (*text - '0');
    *ret = (uint16_t) port;
    return port >= 1 && port <= UINT16_MAX ? 0 : -EINVAL;
}

/* Cuts the text at a port behind it. Gives the port's text; NULL: there is none. Without brackets
   nobody can tell a port from the end of an IPv6 address. */
static char *cut_port(char *text)
{
    char *bracket = text[0] == '[' ? strchr(text, ']') : NULL;
    char *colon = strchr(bracket != NULL ? bracket : text, ':');

    if (colon == NULL)
        return NULL;
    *colon = '\0';
    return colon + 1;
}

/* "host:port", "host:*" or "*:port". */
static int parse_left(char *text, struct key *key, struct entry *ret)
{
    const char *port = cut_port(text);

    ret->port = ANY_PORT;
    if (port == NULL)
        return -EINVAL;
    if (strcmp(port, "*") != 0)
        return parse_port(port, &ret->port) == 0 && make_key(text, key) ? 0 : -EINVAL;
    return strcmp(text, "*") != 0 && make_key(text, key) ? 0 : -EINVAL;
}

/* "address" or "address:port". */
static int parse_right(char *text, struct entry *ret)
{
    const char *port_text = cut_port(text), *why;
    uint16_t port = 0;

    if (port_text != NULL && parse_port(port_text, &port) < 0)
        return -EINVAL;
    return tcpm__address_parse(text, port, &ret->address, &why) == 1 ? 0 : -EINVAL;
}

static int add_line(struct tcpm__overrides *overrides, struct tcpm__part line)
{
    char copy[LINE_BYTES];
    struct entry entry;
    struct key key;

    if (!tcpm__words_copy(line, copy, sizeof copy))
        return -EINVAL;

    char *right = strchr(copy, '=');

    if (right == NULL)
        return -EINVAL;
    *right++ = '\0';
    if (parse_left(copy, &key, &entry) < 0 || parse_right(right, &entry) < 0)
        return -EINVAL;
    put(overrides, &key, &entry);
    return 0;
}

/* ---- reading ---- */

static size_t count_lines(struct tcpm__part text)
{
    struct tcpm__part line;
    size_t count = 0;

    while (next_line(&text, &line))
        count++;
    return count;
}

/* The bytes that the keys of all lines have at most: keys are the hosts themselves, but those of
   IPv6 addresses and of names beyond ASCII may be longer. */
static size_t measure_keys(const char *text, size_t lines)
{
    size_t length = strlen(text);
    bool is_ascii = tcpm__host_name_is_ascii(text, length);

    return length + lines * (is_ascii ? (size_t) ADDRESS_KEY_BYTES : (size_t) NAME_BYTES);
}

/* A table with room for all lines of the text. NULL: no memory. */
static struct tcpm__overrides *make_table(const struct tcpm__memory *memory, const char *text,
                                          size_t lines)
{
    size_t capacity = 2;

    while (capacity < 2 * lines)
        capacity *= 2;
    size_t size = sizeof(struct tcpm__overrides) + capacity * sizeof(struct entry);
    struct tcpm__overrides *made = tcpm__memory_zeroed(memory, size + measure_keys(text, lines));
    if (made == NULL)
        return NULL;
    made->capacity = capacity;
    made->unused = (char *) made + size;
    return made;
}

int tcpm__overrides_parse(const struct tcpm__memory *memory, const char *text,
                          struct tcpm__overrides **ret, struct tcpm__part *bad)
{
    struct tcpm__part rest = tcpm__part_of(text, strlen(text));
    struct tcpm__overrides *made = make_table(memory, text, count_lines(rest));

    if (made == NULL)
        return -ENOMEM;
    while (next_line(&rest, bad)) {
        if (add_line(made, *bad) == 0)
            continue;
        tcpm__overrides_free(memory, made);
        return -EINVAL;
    }
    *ret = made;
    return 0;
}

void tcpm__overrides_free(const struct tcpm__memory *memory, struct tcpm__overrides *overrides)
{
    tcpm__memory_free(memory, overrides);
}

/* ---- asking ---- */

static bool find(const struct tcpm__overrides *overrides, const char *host, size_t length,
                 unsigned port, union tcpm__address *ret)
{
    const struct entry *entry = &overrides->entries[find_place(overrides, host, length, port)];

    if (entry->host == NULL)
        return false;
    *ret = entry->address;
    return true;
}

bool tcpm__overrides_find(const struct tcpm__overrides *overrides, const char *host, unsigned port,
                          union tcpm__address *ret)
{
    struct key key;

    TCPM__ASSERT(port != ANY_PORT);
    if (!make_key(host, &key))
        return false;
    if (!find(overrides, key.bytes, key.length, port, ret) &&
        !find(overrides, key.bytes, key.length, ANY_PORT, ret) &&
        !find(overrides, "*", 1, port, ret))
        return false;
    if (tcpm__address_port(ret) == 0)
        tcpm__address_set_port(ret, port);
    return true;
}
