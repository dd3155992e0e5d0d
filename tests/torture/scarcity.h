/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that run out when a program says so, for the thread that says it: the library's
 * sockets cannot be made, those of the peer can.
 */
#ifndef TESTS_TORTURE_SCARCITY_H
#define TESTS_TORTURE_SCARCITY_H

#include <stdbool.h>

struct scarcity {
    bool may_come; /* for the program to decide by */
    bool out;
};

struct scarcity *scarcity(void);

#endif
