/* SPDX-License-Identifier: MIT */
/*
 * Network namespaces: a network of a test's own, with an interface lo alone, in which addresses,
 * routes and ranges of ports may be changed. Whoever is not root has one in a user namespace.
 */
#ifndef TESTS_CAPI_NAMESPACE_H
#define TESTS_CAPI_NAMESPACE_H

#include "plain.h"

/* Runs in a child, in a namespace of its own with lo up, and asserts that the child has returned or
   left with 0. Says so and returns where no namespace is to be had. */
void in_namespace(void (*run)(void *argument), void *argument);

/* Inside of the namespace: a command, such as "ip route add local 10.1.0.0/16 dev lo", and a file
   of /proc/sys. Either must succeed. */
void namespace_run(const char *command);
void namespace_set(const char *path, const char *text);

#endif
