/* SPDX-License-Identifier: MIT */
/*
 * Handlers by their cells: the option of create or connect that gives each one, and the events that
 * the core has to tell for those that exist.
 */
#include "binding.h"

const char *const tcpm__lua_option_names[CELL_COUNT] = {
#define OPTION(NAME, name) [ON_##NAME] = "on_" #name,
    TCPM_EVENTS(OPTION)
#undef OPTION
        [ON_BATCH] = "on_batch",
    [ON_EXCEPTION] = "on_exception",
    [CELL_INPUT_FILTER] = "input_filter",
    [CELL_OUTPUT_FILTER] = "output_filter",
};

enum {
    NEEDED = 1u << ON_INITIALIZE | 1u << ON_FAILURE | 1u << ON_ERROR | 1u << ON_DISCONNECTED,
};

void tcpm__lua_select_events(const struct tcpm__lua_runtime *rt, uint32_t handlers,
                             struct tcpm_events *ret)
{
    *ret = *rt->events;
#define DROP(NAME, name)                                          \
    if (((handlers | NEEDED | rt->always) >> ON_##NAME & 1) == 0) \
        ret->name = NULL;
    TCPM_EVENTS(DROP)
#undef DROP
}

bool tcpm__lua_has_handler(const struct tcpm__lua_session *session, struct tcpm_id id, int cell)
{
    const struct tcpm__lua_extra *own = tcpm__lua_own_handlers(session, id);
    uint32_t handlers = session->handlers | (own == NULL ? 0 : own->handlers);

    return (handlers >> cell & 1) != 0;
}
