/* SPDX-License-Identifier: MIT */
/* The test layer as a kind of layer, see layer.c. */
#ifndef TESTS_LAYER_LAYER_H
#define TESTS_LAYER_LAYER_H

#include "transport/stream.h"

/* A layer of a new connection of the network. 0 or -ENOMEM. */
int identity_open(struct tcpm__network *network, struct tcpm__layer **ret);

#endif
