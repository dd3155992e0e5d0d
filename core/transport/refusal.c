/* SPDX-License-Identifier: MIT */
/*
 * Texts that are given as an address and can be neither a numeric address nor the name of a host,
 * with the reason in words, so that the failure's message says what to change. Called for what is
 * no dotted quad; pure.
 */
#include "transport/address.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tcpmulti.h"

enum { FOLDED_MAX = 256 /* bytes: an acceptable address, and its NUL */ };

static const char not_four[] = "not an IPv4 address, which has four numbers";
static const char too_large[] = "not an IPv4 address: one of its numbers is above 255";
static const char leading_zero[] = "not an IPv4 address: one of its numbers has a zero in front";
static const char other_form[] =
    "not an IPv4 address, and the name of a host never ends in a number";
static const char other_digits[] =
    "not an IPv4 address: its dots and digits have to be those of ASCII";
static const char is_url[] = "a URL: give the name of the host alone, and the port by itself";
static const char is_path[] =
    "no name of a host: give the part without '/', '@', '?' and '#' alone";
static const char has_port[] = "an address with a port: give the port by itself";
static const char bracket[] = "not an IPv6 address: one bracket alone";
static const char no_brackets[] = "not an IPv6 address: only those stand in brackets";
static const char no_interface[] = "an IPv6 address with a scope that is no network interface";
static const char not_inet6[] = "not an IPv6 address";

/* ---- names ---- */

/* The code point of three bytes of UTF-8; 0: there are none. */
static unsigned read_three(const unsigned char *at)
{
    if ((at[0] & 0xf0) != 0xe0 || (at[1] & 0xc0) != 0x80 || (at[2] & 0xc0) != 0x80)
        return 0;
    return (at[0] & 0x0fu) << 12 | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu);
}

/* IDNA reads two more characters as the dot, and the wide forms of ASCII as ASCII. Moves *text
   behind one byte, or behind such a character. */
static char fold(const unsigned char **text)
{
    const unsigned char *at = *text;
    unsigned point = read_three(at);
    bool is_dot = point == 0x3002 || point == 0xff61, is_wide = point >= 0xff01 && point <= 0xff5e;

    *text += is_dot || is_wide ? 3 : 1;
    if (is_dot)
        return '.';
    return (char) (is_wide ? point - 0xff01 + '!' : at[0]);
}

/* As resolvers would take it, without a dot at the end. */
static void fold_name(const char *text, char folded[FOLDED_MAX])
{
    const unsigned char *at = (const unsigned char *) text;
    size_t length = 0;

    while (*at != '\0' && length < FOLDED_MAX - 1)
        folded[length++] = fold(&at);
    if (length > 1 && folded[length - 1] == '.')
        length--;
    folded[length] = '\0';
}

/* Resolvers read 127.1, 0x7f.1 and 017700000001 as addresses; a name's last label is never a
   number (RFC 3696 section 2). */
static bool looks_numeric(const char *name)
{
    const char *label = strrchr(name, '.');
    char *end;

    label = label == NULL ? name : label + 1;
    if (!isdigit((unsigned char) *label))
        return false;
    strtoul(label, &end, 0);
    return *end == '\0' || strspn(label, "0123456789") == strlen(label);
}

/* Of a name that looks like a number. */
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
        if (*name == '\0')
            return numbers == 4 && why != NULL ? why : not_four;
    }
}

static const char *refuse_name(const char *text)
{
    char folded[FOLDED_MAX];

    if (strpbrk(text, "/@?#\\") != NULL)
        return is_path;
    fold_name(text, folded);
    if (!looks_numeric(folded))
        return NULL;
    return strncmp(text, folded, strlen(folded)) == 0 ? explain_number(folded) : other_digits;
}

/* ---- what has a colon or a bracket ---- */

/* The text behind a bracket that closes; NULL: there is none. */
static const char *behind_bracket(const char *text)
{
    const char *end = strrchr(text, ']');

    return end == NULL ? NULL : end + 1;
}

static const char *refuse_inet6(const char *text)
{
    const char *behind = behind_bracket(text), *colon = strchr(text, ':');

    if (text[0] == '[' && behind != NULL) {
        if (behind[0] == ':')
            return has_port;
        if (behind[0] == '\0' && colon == NULL)
            return no_brackets;
    }
    if ((text[0] == '[') != (behind != NULL))
        return bracket;
    return colon != NULL && strchr(colon + 1, ':') == NULL ? has_port : not_inet6;
}

int tcpm__address_refuse(const char *text, bool scope_is_wrong, const char **why)
{
    bool named = strchr(text, ':') == NULL && text[0] != '[';

    if (strstr(text, "://") != NULL)
        *why = is_url;
    else if (scope_is_wrong)
        *why = no_interface;
    else
        *why = named ? refuse_name(text) : refuse_inet6(text);
    if (*why == NULL)
        return 0;
    return named && *why != is_path ? TCPM_ENOTFOUND : -EINVAL;
}
