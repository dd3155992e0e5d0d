/*
 * Blocks of one size that live shortly and in great numbers at once. They come from large slabs,
 * which go back to the allocator as soon as they are empty, so that a burst leaves no holes between
 * what lives long. One empty slab is kept for the next block.
 */
#ifndef TCPM_BASE_SLAB_H
#define TCPM_BASE_SLAB_H

#include "base/list.h"
#include "base/memory.h"

struct tcpm__slabs {
    const struct tcpm__memory *memory;
    size_t block_size;      /* bytes, with the pointer in front of each block */
    struct tcpm__list open; /* slabs with a free block */
    struct tcpm__slab *spare;
};

void tcpm__slabs_init(struct tcpm__slabs *slabs, const struct tcpm__memory *memory, size_t size);

/* All blocks have been given back. */
void tcpm__slabs_free(struct tcpm__slabs *slabs);

/* A block whose bytes are whatever they were; NULL: no memory. */
void *tcpm__slab_take(struct tcpm__slabs *slabs);
void tcpm__slab_give(struct tcpm__slabs *slabs, void *block);

#endif
