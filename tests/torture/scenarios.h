/* SPDX-License-Identifier: MIT */
/*
 * Small things that programs do with connections, to be disturbed in each of their steps: by memory
 * that runs out, by system calls that fail. Each comes to its own end when nothing disturbs it.
 */
#ifndef TESTS_TORTURE_SCENARIOS_H
#define TESTS_TORTURE_SCENARIOS_H

#include "subject.h"

struct scenario {
    const char *name;
    struct wild_plan plan; /* of the peer */
    void (*start)(struct company *company);
    void (*act)(struct company *company, struct subject *subject, enum event event);
    enum tcpm_reason reason; /* of all connections, when nothing disturbs it */
    bool large;              /* megabytes go over the line */
};

const struct scenario *scenarios(size_t *count);
/* Those in which TLS changes something, for scenario_open_secured; none where SECURED_CAN_BE is
   0. */
const struct scenario *secured_scenarios(size_t *count);
/* As company_open. Undisturbed, nothing may lack memory, and timeouts are long. */
void scenario_open(const struct scenario *scenario, struct company *company, bool undisturbed);
void scenario_open_secured(const struct scenario *scenario, struct company *company,
                           bool undisturbed);
/* Once there is an engine, or not. Undisturbed, the reason is checked. */
void scenario_run(const struct scenario *scenario, struct company *company, bool undisturbed);

#endif
