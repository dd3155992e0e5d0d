/* SPDX-License-Identifier: MIT */
/*
 * The public header alone, twice, without uv.h, in whatever language includes this. The program
 * uses every macro, so that each is seen by the strictest compiler settings.
 */
#include <tcpmulti.h>
#include <tcpmulti.h>

#ifdef UV_H
#error "the public header includes uv.h"
#endif

#include <string.h>

#define COUNT_ERROR(name, code, text) +1
#define COUNT_EVENT(NAME, name)       +(sizeof events.name == sizeof events.initialize)

static void on_initialize(void *heap, struct tcpm_session *session, struct tcpm_id id,
                          const char *addr, unsigned port, const char *bind_addr,
                          unsigned bind_port)
{
    (void) heap;
    (void) session;
    (void) addr;
    (void) bind_addr;
    (void) (port + bind_port + TCPM_ID_SLOT(id));
}

/* 0 if all is well. */
static int use_header(void)
{
    struct tcpm_events events;
    struct tcpm_engine *engine = (struct tcpm_engine *) 0;
    struct tcpm_id id = {(UINT64_C(7) << 21) + 5};
    int errors = TCPM_ERRORS(COUNT_ERROR);
    unsigned connection_events = TCPM_EVENTS(COUNT_EVENT);

    memset(&events, 0, sizeof events);
    events.size = sizeof events;
    events.initialize = on_initialize;
    events.initialize((void *) 0, (struct tcpm_session *) 0, id, "", 0, "", 0);
    if (TCPM_ID_SLOT(id) != 5 || errors != -(TCPM_ERROR_CODE_LAST) -20001)
        return 1;
    if (TCPM_NONE != -1 || tcpm_version()[0] == '\0' || TCPM_EOF != -20001)
        return 2;
    if (connection_events != 10)
        return 3;
    return tcpm_engine_create((struct uv_loop_s *) 0, (struct tcpm_engine_options *) 0, &engine) >=
           0;
}
