/* SPDX-License-Identifier: MIT */
/*
 * See host_name.h. Only what lies between two dots of ASCII and is beyond ASCII goes to libidn2: a
 * label such as _dmarc or r3---sn, which IDNA refuses and name servers know, may stand beside one
 * that needs IDNA.
 *
 * What always holds: the checks are made on the name in ASCII, after any mapping, as IDNA makes
 * dots, digits and other characters of ASCII from characters beyond it.
 */
#include "transport/host_name.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#ifdef TCPM_HAVE_IDN2
#include <idn2.h>
#endif

#include "tcpmulti.h"

enum {
    MOST_BYTES = 253, /* the longest name: RFC 1035 less its length bytes */
    MOST_LABEL_BYTES = 63,
};

static const char not_four[] = "not an IPv4 address, which has four numbers";
static const char too_large[] = "not an IPv4 address: one of its numbers is above 255";
static const char leading_zero[] = "not an IPv4 address: one of its numbers has a zero in front";
static const char other_form[] =
    "not an IPv4 address, and the name of a host never ends in a number";
static const char other_digits[] =
    "not an IPv4 address: its dots and digits have to be those of ASCII";
static const char not_utf8[] = "no name of a host: no UTF-8";
static const char too_long[] = "no name of a host: more than 253 bytes";
static const char long_label[] = "no name of a host: more than 63 bytes between two dots";
static const char empty_label[] =
    "no name of a host: nothing between two dots, or before the first";
static const char bad_byte[] = "no name of a host: a character that no such name has";
static const char is_onion[] = "a name below .onion, which only Tor knows";

/* ---- numbers ---- */

/* The start of the last label, without a dot at the end of the name; and its length. */
static const char *last_label(const char *name, size_t *length)
{
    const char *end = name + strlen(name);

    if (end > name && end[-1] == '.')
        end--;

    const char *start = end;

    while (start > name && start[-1] != '.')
        start--;
    *length = (size_t) (end - start);
    return start;
}

/* Resolvers read 127.1, 0x7f.1 and 017700000001 as addresses; a name's last label is never a
   number (RFC 3696 section 2). */
static bool looks_numeric(const char *name)
{
    size_t length;
    const char *label = last_label(name, &length);
    char *end;

    if (!isdigit((unsigned char) *label))
        return false;
    strtoul(label, &end, 0);
    return end == label + length || strspn(label, "0123456789") == length;
}

/* The reason against a name that looks like a number. */
static const char *explain_number(const char *name)
{
    const char *why = NULL;
    int numbers = 0;

    if (strspn(name, "0123456789.") != strlen(name))
        return other_form;
    for (;; name++) {
        size_t length = strcspn(name, ".");

        if (length > 1 && *name == '0')
            why = leading_zero;
        else if (length > 3 || strtol(name, NULL, 10) > 255)
            why = why != NULL ? why : too_large;
        numbers++;
        name += length;
        if (*name == '\0' || name[1] == '\0')
            return numbers == 4 && why != NULL ? why : not_four;
    }
}

const char *tcpm__host_name_refuse_number(const char *name)
{
    return looks_numeric(name) ? explain_number(name) : NULL;
}

/* ---- beyond ASCII ---- */

bool tcpm__host_name_is_ascii(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char) text[i] >= 0x80)
            return false;
    return true;
}

/* How many bytes the character of UTF-8 has that begins with this byte, and the smallest code point
   that needs so many. 0: no character begins so. */
static size_t character_length(unsigned char first, uint32_t *smallest)
{
    *smallest = first < 0xe0 ? 0x80 : first < 0xf0 ? 0x800 : 0x10000;
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* The length of the character of UTF-8 at this place (RFC 3629); 0: there is no such character. */
static size_t read_character(const unsigned char *at)
{
    uint32_t smallest, point = 0;
    size_t length = character_length(*at, &smallest);

    if (length <= 1)
        return length;
    point = *at & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (at[i] & 0x3fu);
    }
    return point < smallest || point > 0x10ffff || (point >= 0xd800 && point < 0xe000) ? 0 : length;
}

static bool is_utf8(const char *text)
{
    const unsigned char *at = (const unsigned char *) text;

    while (*at != '\0') {
        size_t length = read_character(at);

        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

/* The code of a refusal, with its text. */
static int refuse(int code, const char *text, const char **why)
{
    *why = text;
    return code;
}

#ifdef TCPM_HAVE_IDN2
static int explain_idn(int result, const char **why)
{
    static const char forbidden[] =
        "no name of a host: a character that IDNA 2008 forbids, or forbids at its place";

    switch (result) {
    case IDN2_MALLOC:
        return refuse(-ENOMEM, NULL, why);
    case IDN2_TOO_BIG_LABEL:
    case IDN2_PUNYCODE_BIG_OUTPUT:
        return refuse(TCPM_EBADNAME, long_label, why);
    case IDN2_TOO_BIG_DOMAIN:
        return refuse(TCPM_EBADNAME, too_long, why);
    default:
        return refuse(TCPM_EBADNAME, forbidden, why);
    }
}

/* libidn2's memory comes from the C library. */
static int map_part(const char *part, char ret[TCPM__HOST_NAME_SIZE], const char **why)
{
    uint8_t *mapped = NULL;
    int result = idn2_lookup_u8((const uint8_t *) part, &mapped, IDN2_NONTRANSITIONAL);

    if (result != IDN2_OK)
        return explain_idn(result, why);

    size_t length = strlen((const char *) mapped);

    if (length < TCPM__HOST_NAME_SIZE)
        memcpy(ret, mapped, length + 1);
    idn2_free(mapped);
    return length < TCPM__HOST_NAME_SIZE ? 0 : refuse(TCPM_EBADNAME, too_long, why);
}
#else
static int map_part(const char *part, char ret[TCPM__HOST_NAME_SIZE], const char **why)
{
    (void) part;
    (void) ret;
    return refuse(-EOPNOTSUPP, "a name beyond ASCII: the library was built without libidn2", why);
}
#endif

/* ---- the form in ASCII ---- */

/* Appends bytes to a name of so many. False: there is no room. */
static bool append(char name[TCPM__HOST_NAME_SIZE], size_t *length, const char *bytes, size_t count)
{
    if (count >= TCPM__HOST_NAME_SIZE - *length)
        return false;
    memcpy(name + *length, bytes, count);
    *length += count;
    name[*length] = '\0';
    return true;
}

/* Appends what lies between two dots of ASCII. 0, or an error. */
static int append_part(const char *text, size_t count, char name[TCPM__HOST_NAME_SIZE],
                       size_t *length, const char **why)
{
    char part[TCPM__HOST_NAME_SIZE], mapped[TCPM__HOST_NAME_SIZE];

    if (!tcpm__host_name_is_ascii(text, count)) {
        memcpy(part, text, count);
        part[count] = '\0';

        int result = map_part(part, mapped, why);

        if (result < 0)
            return result;
        text = mapped;
        count = strlen(mapped);
    }
    return append(name, length, text, count) ? 0 : refuse(TCPM_EBADNAME, too_long, why);
}

/* Writes the name in ASCII. 0, or an error. */
static int write_ascii(const char *text, char ret[TCPM__HOST_NAME_SIZE], const char **why)
{
    size_t length = 0;

    if (strlen(text) >= TCPM__HOST_NAME_SIZE)
        return refuse(TCPM_EBADNAME, too_long, why);
    if (!is_utf8(text))
        return refuse(-EINVAL, not_utf8, why);
    for (;;) {
        size_t count = strcspn(text, ".");
        int result = append_part(text, count, ret, &length, why);

        text += count;
        if (result < 0 || *text == '\0')
            return result;
        if (!append(ret, &length, ".", 1))
            return refuse(TCPM_EBADNAME, too_long, why);
        text++;
    }
}

/* Drops a dot at the end, unless it is all that there is. True: there was one. */
static bool drop_last_dot(char *name)
{
    size_t length = strlen(name);

    if (length < 2 || name[length - 1] != '.')
        return false;
    name[length - 1] = '\0';
    return true;
}

/* Makes all letters small. False: there is a byte that no name of a host has. */
static bool fold_case(char *name)
{
    for (; *name != '\0'; name++) {
        if (*name >= 'A' && *name <= 'Z')
            *name = (char) (*name - 'A' + 'a');
        else if ((*name < 'a' || *name > 'z') && (*name < '0' || *name > '9') && *name != '-' &&
                 *name != '_' && *name != '.')
            return false;
    }
    return true;
}

/* The reason against the lengths of the name and its labels; NULL: there is none. */
static const char *refuse_lengths(const char *name)
{
    if (strlen(name) > MOST_BYTES)
        return too_long;
    for (;; name++) {
        size_t length = strcspn(name, ".");

        if (length == 0 || length > MOST_LABEL_BYTES)
            return length == 0 ? empty_label : long_label;
        name += length;
        if (*name == '\0')
            return NULL;
    }
}

static bool ends_in(const char *name, const char *end)
{
    size_t length = strlen(name), end_length = strlen(end);

    return length >= end_length && strcmp(name + length - end_length, end) == 0;
}

/* 0, or an error. text: the name as given. */
static int check_name(const char *name, const char *text, const char **why)
{
    const char *number = tcpm__host_name_refuse_number(name);

    if (number != NULL) {
        bool is_given = strncasecmp(text, name, strlen(name)) == 0;

        return refuse(TCPM_ENOTFOUND, is_given ? number : other_digits, why);
    }
    *why = refuse_lengths(name);
    if (*why != NULL)
        return TCPM_EBADNAME;
    return ends_in(name, ".onion") ? refuse(TCPM_ENOTFOUND, is_onion, why) : 0;
}

bool tcpm__host_name_is_onion(const char *name)
{
    return ends_in(name, ".onion");
}

int tcpm__host_name_make(const char *text, char ret[TCPM__HOST_NAME_SIZE], bool *absolute,
                         const char **why)
{
    int result = write_ascii(text, ret, why);

    if (result < 0)
        return result;
    *absolute = drop_last_dot(ret);
    if (!fold_case(ret))
        return refuse(TCPM_EBADNAME, bad_byte, why);
    return check_name(ret, text, why);
}

bool tcpm__host_name_is_localhost(const char *name)
{
    return strcmp(name, "localhost") == 0 || ends_in(name, ".localhost");
}
