/* SPDX-License-Identifier: MIT */
/*
 * Error codes with their names and texts, and the words for the enums of the public header. Each
 * stands in one list, so that C, Lua and the trace say the same. Called from everywhere; pure.
 *
 * What always holds: texts are static and never NULL; tcpm_error_code(tcpm_error_name(code)) is
 * code for every code that has a name.
 */
#include "base/error.h"

#include <errno.h>
#include <string.h>

#include "tcpmulti.h"

#define TEXT_OF(macro)      #macro
#define VERSION_OF(a, b, c) TEXT_OF(a) "." TEXT_OF(b) "." TEXT_OF(c)

enum { LINE_MAX_LENGTH = 4096 };

/* Names of numbers that stand in base/errnos.h under another name. */
#define ALIASES(X) \
    X(EWOULDBLOCK) \
    X(EDEADLOCK)   \
    X(ENOTSUP)     \
    X(EOPNOTSUPP)

struct named_code {
    int code;
    const char *name, *text;
};

#define OWN_CODE(NAME, code, text) {(code), #NAME, (text)},
static const struct named_code own_codes[] = {TCPM_ERRORS(OWN_CODE)};
#undef OWN_CODE

#define ALIAS(NAME) {-(NAME), #NAME, NULL},
static const struct named_code aliases[] = {ALIASES(ALIAS)};
#undef ALIAS

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The errnos, each at the index of its number. A number without a name has a row of NULLs. */
#define TCPM__ERRNO(NAME, text) [NAME] = {-(NAME), #NAME, (text)},
static const struct named_code errnos[] = {
#include "base/errnos.h"
};

static const struct named_code *find_own(int code)
{
    for (size_t i = 0; i < COUNT(own_codes); i++)
        if (own_codes[i].code == code)
            return &own_codes[i];
    return NULL;
}

/* The row of a negative errno, or NULL. */
static const struct named_code *find_errno(int code)
{
    if (code >= 0 || code <= -(int) COUNT(errnos) || errnos[-code].name == NULL)
        return NULL;
    return &errnos[-code];
}

static const struct named_code *find_code(int code)
{
    const struct named_code *own = find_own(code);

    return own != NULL ? own : find_errno(code);
}

const char *tcpm_error_name(int code)
{
    const struct named_code *known = find_code(code);

    if (code == 0)
        return "OK";
    return known != NULL ? known->name : "EUNKNOWN";
}

const char *tcpm_error_text(int code)
{
    const struct named_code *known = find_code(code);

    if (code == 0)
        return "no error";
    return known != NULL ? known->text : "unknown error";
}

/* The code of a name in an array of codes; 0: none has this name. */
static int find_name(const struct named_code *codes, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (codes[i].name != NULL && strcmp(codes[i].name, name) == 0)
            return codes[i].code;
    return 0;
}

int tcpm_error_code(const char *name)
{
    if (name == NULL)
        return 0;
    int code = find_name(own_codes, COUNT(own_codes), name);
    if (code == 0)
        code = find_name(aliases, COUNT(aliases), name);
    return code != 0 ? code : find_name(errnos, COUNT(errnos), name);
}

const char *tcpm_version(void)
{
    return VERSION_OF(TCPM_VERSION_MAJOR, TCPM_VERSION_MINOR, TCPM_VERSION_PATCH);
}

/* The word of a value, from a list whose first word is that of the value 1. */
static const char *pick_word(const char *const *words, size_t count, unsigned value)
{
    return value >= 1 && value <= count ? words[value - 1] : "unknown";
}

const char *tcpm_op_name(enum tcpm_op op)
{
    static const char *const words[] = {"resolve", "socket", "bind", "connect", "read",
                                        "write",   "filter", "fail", "tls",     "proxy"};

    return pick_word(words, COUNT(words), (unsigned) op);
}

const char *tcpm_phase_name(enum tcpm_phase phase)
{
    static const char *const words[] = {"waiting", "connecting", "open", "shutting", "closed"};

    return pick_word(words, COUNT(words), (unsigned) phase);
}

const char *tcpm_timer_name(enum tcpm_timer timer)
{
    static const char *const words[] = {"connect", "input", "shutdown", "deadline", "tls"};

    return pick_word(words, COUNT(words), (unsigned) timer);
}

const char *tcpm_reason_name(enum tcpm_reason reason)
{
    static const char *const words[] = {"shutdown", "failure", "error", "eof", "timeout", "die"};

    return pick_word(words, COUNT(words), (unsigned) reason);
}

char *tcpm__error_line(const struct tcpm__memory *memory, const char *text)
{
    if (text == NULL)
        return NULL;
    size_t length = strnlen(text, LINE_MAX_LENGTH);
    char *line = tcpm__memory_resize(memory, NULL, length + 1);
    if (line == NULL)
        return NULL;
    for (size_t i = 0; i < length; i++)
        line[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
    line[length] = '\0';
    return line;
}
