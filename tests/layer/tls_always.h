/* SPDX-License-Identifier: MIT */
/* TLS as the layer of every connection, see tls_always.c. */
#ifndef TESTS_LAYER_TLS_ALWAYS_H
#define TESTS_LAYER_TLS_ALWAYS_H

#include "transport/stream.h"

/* A layer of a new connection of the network. 0 or -ENOMEM. */
int tls_always_open(struct tcpm__network *network, struct tcpm__layer **ret);

#endif
