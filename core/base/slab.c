/*
 * The slabs of base/slab.h: each block has a pointer to its slab in front, each slab a list of its
 * free blocks. Blocks that were never taken are not touched, so a slab costs only what was used.
 */
#include "base/slab.h"

#include <stdint.h>

/* Large enough that the C library maps it, and can unmap it. */
#define SLAB_SIZE ((size_t) 160 * 1024)

struct tcpm__slab {
    struct tcpm__list link; /* among the open ones, or in no list */
    struct block *free;
    uint32_t used, fresh; /* blocks taken now; blocks taken at least once */
};

struct block {
    struct tcpm__slab *slab;
    union {
        struct block *next_free;
        max_align_t bytes[1];
    } body;
};

#define ALIGNED(size) (((size) + _Alignof(struct block) - 1) & ~(_Alignof(struct block) - 1))
#define FIRST_BLOCK   ALIGNED(sizeof(struct tcpm__slab))

void tcpm__slabs_init(struct tcpm__slabs *slabs, const struct tcpm__memory *memory, size_t size)
{
    *slabs = (struct tcpm__slabs){.memory = memory};
    slabs->block_size = ALIGNED(offsetof(struct block, body) + size);
    tcpm__list_init(&slabs->open);
}

void tcpm__slabs_free(struct tcpm__slabs *slabs)
{
    tcpm__memory_free(slabs->memory, slabs->spare);
    slabs->spare = NULL;
}

static size_t blocks_of(const struct tcpm__slabs *slabs)
{
    return (SLAB_SIZE - FIRST_BLOCK) / slabs->block_size;
}

static struct block *fresh_block(const struct tcpm__slabs *slabs, struct tcpm__slab *slab)
{
    struct block *block =
        (struct block *) (void *) ((char *) slab + FIRST_BLOCK + slab->fresh++ * slabs->block_size);

    block->slab = slab;
    return block;
}

static struct tcpm__slab *open_slab(struct tcpm__slabs *slabs)
{
    struct tcpm__slab *slab = slabs->spare;

    if (!tcpm__list_empty(&slabs->open))
        return TCPM__CONTAINER(slabs->open.next, struct tcpm__slab, link);
    if (slab == NULL)
        slab = tcpm__memory_resize(slabs->memory, NULL, SLAB_SIZE);
    if (slab == NULL)
        return NULL;
    slabs->spare = NULL;
    *slab = (struct tcpm__slab){.used = 0};
    tcpm__list_append(&slabs->open, &slab->link);
    return slab;
}

void *tcpm__slab_take(struct tcpm__slabs *slabs)
{
    struct tcpm__slab *slab = open_slab(slabs);
    struct block *block;

    if (slab == NULL)
        return NULL;
    block = slab->free;
    if (block != NULL)
        slab->free = block->body.next_free;
    else
        block = fresh_block(slabs, slab);
    slab->used++;
    if (slab->free == NULL && slab->fresh == blocks_of(slabs))
        tcpm__list_remove(&slab->link);
    return block->body.bytes;
}

static void give_back(struct tcpm__slabs *slabs, struct tcpm__slab *slab)
{
    tcpm__list_remove(&slab->link);
    if (slabs->spare == NULL)
        slabs->spare = slab;
    else
        tcpm__memory_free(slabs->memory, slab);
}

void tcpm__slab_give(struct tcpm__slabs *slabs, void *block)
{
    struct block *own = (struct block *) (void *) ((char *) block - offsetof(struct block, body));
    struct tcpm__slab *slab = own->slab;

    if (tcpm__list_empty(&slab->link))
        tcpm__list_append(&slabs->open, &slab->link);
    own->body.next_free = slab->free;
    slab->free = own;
    if (--slab->used == 0)
        give_back(slabs, slab);
}
