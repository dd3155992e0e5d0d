/* SPDX-License-Identifier: MIT */
/*
 * Whole structures of this layer, walked and asserted: what no single operation can see, such as a
 * ring among the free slots or a time under which a heap hides an earlier one. For debug and
 * sanitize builds and tests; each walk takes the time of all items. Each returns how many items it
 * has found, for the caller to compare with a count of its own.
 */
#ifndef TCPM_BASE_VALIDATE_H
#define TCPM_BASE_VALIDATE_H

#include "base/chain.h"
#include "base/heap.h"
#include "base/pool.h"
#include "base/wheel.h"

/* Items taken. The queue of free slots has each free slot once, but for retired ones. */
uint32_t tcpm__pool_validate(const struct tcpm__pool *pool);

/* Items in the chain, whose links lie at this offset. */
uint32_t tcpm__chain_validate(const struct tcpm__pool *pool, const struct tcpm__chain *chain,
                              size_t offset);

/* Items that are set. */
uint32_t tcpm__heap_validate(const struct tcpm__heap *heap);

/* Timers that are armed. */
uint32_t tcpm__wheel_validate(const struct tcpm__wheel *wheel);

#endif
