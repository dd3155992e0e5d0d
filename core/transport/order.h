/* SPDX-License-Identifier: MIT */
/*
 * The order in which the addresses of one name are tried (RFC 8305, section 4). Pure.
 */
#ifndef TCPM_TRANSPORT_ORDER_H
#define TCPM_TRANSPORT_ORDER_H

#include "transport/address.h"

enum { TCPM__MOST_ADDRESSES = 64 /* addresses of one name that are tried */ };

/* Joins more addresses to a list, which has room for TCPM__MOST_ADDRESSES, and gives its new count.
   Those before from have been tried, and stay as they are. The others and the new ones are put in
   order: the families by turns, beginning with first (AF_INET or AF_INET6); within a family the old
   ones come first, and the new ones as often rotated by one place as turn tells. An address that
   the list has already is left out, whatever its port, and so are those for which there is no room
   in the end. */
size_t tcpm__order_join(union tcpm__address *list, size_t from, size_t count,
                        const union tcpm__address *more, size_t more_count, int first,
                        unsigned turn);

#endif
