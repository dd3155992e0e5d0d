/* SPDX-License-Identifier: MIT */
/*
 * The common part of all filters: specifications, their instances, the place where put writes, and
 * the checks that keep a mistake in somebody's filter from harming a connection. Connections come
 * here for every record, both ways. The kinds of this library have a file each, beside this one.
 *
 * A specification is its own first instance, which lies behind it in the same block. For a kind
 * without state all connections share that one, and count as holders of the specification.
 */
#include "filter/filter.h"

#include <errno.h>

#include "base/assert.h"
#include "base/options.h"

enum {
    KEPT_CAPACITY = 256 * 1024, /* a larger block of an out is freed when the out is reset: the next
                                   sends are hardly as large */
    SMALLEST_CAPACITY = 256
};

struct tcpm_filter {
    struct tcpm_filter_kind kind;
    uint32_t references; /* holders of the specification, and of first where that is shared */
    bool stateless;      /* first is shared: it serves all connections */
    bool custom;         /* the kind is a user's: its answers are checked */
    struct tcpm__instance *first; /* the specification's own instance, behind this struct */
};

#define ALIGNED(size) (((size) + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1))

static struct tcpm__instance *init_instance(void *block, struct tcpm_filter *filter)
{
    struct tcpm__instance *instance = block;

    instance->filter = filter;
    instance->references = 1;
    instance->finishes = filter->kind.finish != NULL;
    return instance;
}

int64_t tcpm__filter_limit(int64_t given, int64_t usual)
{
    if (given == TCPM_NONE)
        return PTRDIFF_MAX;
    return given == 0 ? usual : given;
}

/* Without clone instances are copies byte by byte, so they own nothing that fini could release. */
static bool is_complete(const struct tcpm_filter_kind *kind)
{
    return kind->name != NULL && kind->get_one != NULL && kind->put != NULL &&
           kind->self_size <= PTRDIFF_MAX / 2 && (kind->fini == NULL || kind->clone != NULL);
}

int tcpm__filter_create(const struct tcpm_filter_kind *kind, const void *options, bool stateless,
                        struct tcpm_filter **ret)
{
    size_t front = ALIGNED(sizeof(struct tcpm_filter));
    size_t size = front + sizeof(struct tcpm__instance) + kind->self_size;
    struct tcpm_filter *made = tcpm__memory_zeroed(&tcpm__memory_default, size);

    if (made == NULL)
        return -ENOMEM;
    made->kind = *kind;
    made->references = 1;
    made->stateless = stateless;
    made->first = init_instance((char *) made + front, made);
    int result = kind->init == NULL ? 0 : kind->init(made->first->self, options);
    if (result < 0) {
        tcpm__memory_free(&tcpm__memory_default, made);
        return result;
    }
    *ret = made;
    return 0;
}

int tcpm_filter_custom(const struct tcpm_filter_kind *kind_borrowed, const void *options,
                       struct tcpm_filter **filter)
{
    struct tcpm_filter_kind kind;

    if (kind_borrowed == NULL || filter == NULL)
        return -EINVAL;
    int result = tcpm__options_read(kind_borrowed, &kind, sizeof kind);
    if (result < 0)
        return result;
    if (!is_complete(&kind))
        return -EINVAL;
    result = tcpm__filter_create(&kind, options, false, filter);
    if (result == 0)
        (*filter)->custom = true;
    return result;
}

const char *tcpm_filter_name(const struct tcpm_filter *filter)
{
    return filter == NULL ? "" : filter->kind.name;
}

struct tcpm_filter *tcpm__filter_keep(struct tcpm_filter *filter)
{
    TCPM__ASSERT(filter->references > 0);
    filter->references++;
    return filter;
}

static void free_filter(struct tcpm_filter *filter)
{
    TCPM__ASSERT(filter->references == 0 && filter->first->references == 1);
    if (filter->kind.fini != NULL)
        filter->kind.fini(filter->first->self);
    tcpm__memory_free(&tcpm__memory_default, filter);
}

void tcpm_filter_free(struct tcpm_filter *filter)
{
    if (filter != NULL && --filter->references == 0)
        free_filter(filter);
}

/* Makes a copy of the specification's own instance: by the kind's clone, or byte by byte. */
static int clone_instance(struct tcpm_filter *filter, struct tcpm__instance **ret)
{
    size_t size = sizeof(struct tcpm__instance) + filter->kind.self_size;
    struct tcpm__instance *made = tcpm__memory_zeroed(&tcpm__memory_default, size);
    int result = 0;

    if (made == NULL)
        return -ENOMEM;
    if (filter->kind.clone == NULL)
        memcpy(made->self, filter->first->self, filter->kind.self_size);
    else
        result = filter->kind.clone(made->self, filter->first->self);
    if (result < 0) {
        tcpm__memory_free(&tcpm__memory_default, made);
        return result;
    }
    *ret = init_instance(made, tcpm__filter_keep(filter));
    return 0;
}

int tcpm__instance_open(struct tcpm_filter *filter, struct tcpm__instance **ret)
{
    if (!filter->stateless)
        return clone_instance(filter, ret);
    *ret = tcpm__filter_keep(filter)->first;
    return 0;
}

struct tcpm__instance *tcpm__instance_keep(struct tcpm__instance *instance)
{
    TCPM__ASSERT(instance->references > 0);
    if (instance == instance->filter->first)
        tcpm__filter_keep(instance->filter);
    else
        instance->references++;
    return instance;
}

static void free_instance(struct tcpm__instance *instance)
{
    struct tcpm_filter *filter = instance->filter;

    if (filter->kind.fini != NULL)
        filter->kind.fini(instance->self);
    tcpm__memory_free(&tcpm__memory_default, instance);
    tcpm_filter_free(filter);
}

void tcpm__instance_drop(struct tcpm__instance *instance)
{
    if (instance == NULL)
        return;
    TCPM__ASSERT(instance->references > 0 && instance->filter->references > 0);
    if (instance == instance->filter->first)
        tcpm_filter_free(instance->filter);
    else if (--instance->references == 0)
        free_instance(instance);
}

const char *tcpm__instance_name(const struct tcpm__instance *instance)
{
    return instance->filter->kind.name;
}

static bool lies_in(const void *part, size_t part_length, const void *whole, size_t length)
{
    uintptr_t offset = (uintptr_t) part - (uintptr_t) whole;

    return offset <= length && part_length <= length - offset;
}

static bool is_possible_record(const struct tcpm__instance *instance, const char *bytes,
                               size_t length, const struct tcpm_cut *cut)
{
    if (cut->swallow < 0 || cut->swallow > UINT8_MAX)
        return false;
    return cut->length == 0 || lies_in(cut->record, cut->length, bytes, length) ||
           lies_in(cut->record, cut->length, instance->self, instance->filter->kind.self_size);
}

static int reject(struct tcpm_cut *cut, const char *message)
{
    cut->message = message;
    return TCPM_EFILTER;
}

static int check_cut(const struct tcpm__instance *instance, const char *bytes, size_t length,
                     int result, struct tcpm_cut *cut)
{
    if (result > 1)
        return reject(cut, "the filter's get_one or finish returned neither 1, 0 nor an error");
    if (cut->used > length)
        return reject(cut, "the filter used more bytes than there are");
    if (result == 1 && !is_possible_record(instance, bytes, length, cut))
        return reject(cut, "the filter's record lies outside of its bytes and of itself");
    if (result == 0 && cut->need <= length - cut->used)
        cut->need = 0; /* the bytes are there already: waiting for them would never end */
    return result;
}

int tcpm__instance_get(struct tcpm__instance *instance, const char *bytes, size_t length,
                       struct tcpm_cut *cut)
{
    const struct tcpm_filter *filter = instance->filter;

    TCPM__ASSERT(cut->seen <= length);
    cut->size = sizeof *cut;
    int result = filter->kind.get_one(instance->self, bytes, length, cut);

    return result < 0 || !filter->custom ? result : check_cut(instance, bytes, length, result, cut);
}

int tcpm__instance_finish(struct tcpm__instance *instance, const char *bytes, size_t length,
                          struct tcpm_cut *cut)
{
    TCPM__ASSERT(instance->finishes);
    cut->size = sizeof *cut;
    int result = instance->filter->kind.finish(instance->self, bytes, length, cut);

    return result < 0 ? result : check_cut(instance, bytes, length, result, cut);
}

int tcpm__instance_put(struct tcpm__instance *instance, const void *record, size_t length,
                       struct tcpm_out *out)
{
    int result = instance->filter->kind.put(instance->self, record, length, out);

    return result > 0 ? TCPM_EFILTER : result;
}

void tcpm__out_init(struct tcpm_out *out, const struct tcpm__memory *memory)
{
    *out = (struct tcpm_out){.memory = memory, .bytes = "", .limit = SIZE_MAX};
}

void tcpm__out_free(struct tcpm_out *out)
{
    tcpm__memory_free(out->memory, out->block);
    tcpm__out_init(out, out->memory);
}

void tcpm__out_reset(struct tcpm_out *out, size_t limit)
{
    if (out->capacity > KEPT_CAPACITY)
        tcpm__out_free(out);
    out->bytes = "";
    out->length = 0;
    out->limit = limit;
}

static int grow_block(struct tcpm_out *out, size_t needed)
{
    size_t capacity = out->capacity < SMALLEST_CAPACITY ? SMALLEST_CAPACITY : 2 * out->capacity;

    if (capacity < needed)
        capacity = needed + SMALLEST_CAPACITY; /* a line end often follows */
    char *block = tcpm__memory_resize(out->memory, out->block, capacity);
    if (block == NULL)
        return -ENOMEM;
    if (out->bytes == out->block)
        out->bytes = block;
    out->block = block;
    out->capacity = capacity;
    return 0;
}

static int check_room(const struct tcpm_out *out, size_t length)
{
    if (length > out->limit || out->length > out->limit - length)
        return -ENOBUFS;
    return length > PTRDIFF_MAX / 2 || out->length > PTRDIFF_MAX / 2 ? -ENOMEM : 0;
}

int tcpm__out_reserve(struct tcpm_out *out, size_t length, char **ret)
{
    int result = check_room(out, length);

    if (result == 0 && out->length + length > out->capacity)
        result = grow_block(out, out->length + length);
    if (result < 0)
        return result;
    if (out->bytes != out->block && out->length > 0)
        memcpy(out->block, out->bytes, out->length); /* the bytes that were borrowed so far */
    out->bytes = out->block;
    *ret = out->block + out->length;
    out->length += length;
    TCPM__ASSERT(out->length <= out->capacity);
    return 0;
}

int tcpm_out_write(struct tcpm_out *out, const void *bytes, size_t length)
{
    char *room;
    int result = length == 0 ? 0 : tcpm__out_reserve(out, length, &room);

    if (result == 0 && length > 0)
        memcpy(room, bytes, length);
    return result;
}

int tcpm__out_own(struct tcpm_out *out)
{
    const char *borrowed = out->bytes;
    size_t length = out->length;

    if (length == 0 || borrowed == out->block)
        return 0;
    out->length = 0;
    return tcpm_out_write(out, borrowed, length);
}

int tcpm__out_borrow(struct tcpm_out *out, const void *bytes, size_t length)
{
    if (out->length > 0 || length == 0)
        return tcpm_out_write(out, bytes, length);
    int result = check_room(out, length);
    if (result < 0)
        return result;
    out->bytes = bytes;
    out->length = length;
    return 0;
}
