/* SPDX-License-Identifier: MIT */
/*
 * The trace of sessions with options.trace: one printable line on standard error for each event of
 * their connections.
 */
#include "life.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Longer text is cut. */
struct line {
    char text[1200];
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...)
{
    size_t room = sizeof line->text - line->length;
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(line->text + line->length, room, format, arguments);
    va_end(arguments);
    if (length > 0)
        line->length += (size_t) length < room ? (size_t) length : room - 1;
}

static void add_cause(struct line *line, const struct tcpm_info *info)
{
    if (info->cause.code == 0)
        return;
    add(line, ", %s: %s, %s", tcpm_op_name(info->cause.op), tcpm_error_name(info->cause.code),
        tcpm__lua_errstr(&info->cause));
    if (info->timer != 0)
        add(line, ", timer %s", tcpm_timer_name(info->timer));
}

static bool needs_brackets(const char *address)
{
    return address[0] != '[' && strchr(address, ':') != NULL;
}

struct tcpm__lua_label tcpm__lua_session_label(const struct tcpm__lua_session *session)
{
    struct tcpm__lua_label label;
    const char *alias = session->alias;

    snprintf(label.text, sizeof label.text, alias == NULL ? "session %.0f" : "session %.0f (%s)",
             -session->number, alias);
    return label;
}

void tcpm__lua_trace_event(const struct tcpm__lua_session *session, struct tcpm_id id, int cell,
                           int number)
{
    struct line line = {.length = 0};
    struct tcpm_info info = {.size = sizeof info};

    add(&line, "tcpmulti: %s, connection %.0f", tcpm__lua_session_label(session).text,
        (double) id.n);
    if (tcpm_info_get(session->inner, id, &info) == 0)
        add(&line, needs_brackets(info.address) ? " to [%s]:%u" : " to %s:%u", info.address,
            info.port);
    add(&line, ": %s", tcpm__lua_option_names[cell] + strlen("on_"));
    if (cell == ON_DISCONNECTED)
        add(&line, " (%s)", tcpm_reason_name((enum tcpm_reason) number));
    if (cell != ON_INITIALIZE && cell != ON_SUCCESS && cell != ON_INPUT)
        add_cause(&line, &info);
    for (char *byte = line.text; *byte != '\0'; byte++)
        if (*byte < ' ' || *byte > '~')
            *byte = '?';
    fprintf(stderr, "%s\n", line.text);
}
