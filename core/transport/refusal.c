/* SPDX-License-Identifier: MIT */
/*
 * Texts that were given as an address and can be neither a numeric address nor the name of a host,
 * with the reason in words, so that the failure's message says what to change. Called for texts
 * that are no dotted quad; pure. Why a name is none is told by host_name.c.
 */
#include "transport/refusal.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "tcpmulti.h"
#include "transport/host_name.h"

static const char is_url[] = "a URL: give the name of the host alone, and the port by itself";
static const char is_path[] =
    "no name of a host: give the part without '/', '@', '?' and '#' alone";
static const char has_port[] = "an address with a port: give the port by itself";
static const char bracket[] = "not an IPv6 address: one bracket alone";
static const char no_brackets[] = "not an IPv6 address: only those stand in brackets";
static const char no_interface[] = "an IPv6 address with a scope that is no network interface";
static const char not_inet6[] = "not an IPv6 address";

/* ---- names ---- */

/* A name in ASCII that resolvers would read as a number is refused here, and so is another one that
   IDNA makes a number of. What else is wrong with a name is told by the look-up. */
static int refuse_number(const char *text, const char **why)
{
    char name[TCPM__HOST_NAME_SIZE];
    bool absolute;

    if (tcpm__host_name_is_ascii(text, strlen(text))) {
        *why = tcpm__host_name_refuse_number(text);
        return *why == NULL ? 0 : TCPM_ENOTFOUND;
    }
    int result = tcpm__host_name_make(text, name, &absolute, why);
    return result == TCPM_ENOTFOUND ? result : 0;
}

static int refuse_name(const char *text, const char **why)
{
    *why = is_path;
    if (strpbrk(text, "/?#") != NULL)
        return -EINVAL;
    if (strpbrk(text, "@\\") != NULL)
        return TCPM_EBADNAME;
    return refuse_number(text, why);
}

/* ---- IPv6: a colon or a bracket ---- */

/* The text behind the last closing bracket; NULL: there is no such bracket. */
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

int tcpm__refusal_explain(const char *text, bool has_bad_scope, const char **why)
{
    bool is_named = strchr(text, ':') == NULL && text[0] != '[';

    if (strstr(text, "://") != NULL)
        *why = is_url;
    else if (has_bad_scope)
        *why = no_interface;
    else if (is_named)
        return refuse_name(text, why);
    else
        *why = refuse_inet6(text);
    return -EINVAL;
}
