/* SPDX-License-Identifier: MIT */
/*
 * The dispatch of events from the set to the owners of sockets.
 */
#ifndef TCPM_TRANSPORT_DISPATCH_H
#define TCPM_TRANSPORT_DISPATCH_H

#include "transport/network.h"

/* From here on the loop hands out the events of the network's sockets, until the network is
   closed or abandoned. */
void tcpm__dispatch_start(struct tcpm__network *network);

#endif
