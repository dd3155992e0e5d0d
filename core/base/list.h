/* SPDX-License-Identifier: MIT */
/*
 * A doubly linked ring of nodes that lie in the listed structs. The list itself is a node of the
 * ring. A node in no list points to itself, so that removing a node twice is harmless; a zeroed
 * node counts as in no list, too.
 */
#ifndef TCPM_BASE_LIST_H
#define TCPM_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/assert.h"

struct tcpm__list {
    struct tcpm__list *next, *prev;
};

/* The struct whose member a pointer points to. */
#define TCPM__CONTAINER(pointer, type, member) \
    ((type *) ((char *) (pointer) - (offsetof(type, member))))

static inline void tcpm__list_init(struct tcpm__list *list)
{
    list->next = list->prev = list;
}

static inline bool tcpm__list_empty(const struct tcpm__list *list)
{
    return list->next == list || list->next == NULL;
}

static inline void tcpm__list_append(struct tcpm__list *list, struct tcpm__list *node)
{
    TCPM__ASSERT(list->next != NULL && list->prev->next == list);
    TCPM__ASSERT(node != list);
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

static inline void tcpm__list_remove(struct tcpm__list *node)
{
    if (node->next == NULL)
        return;
    TCPM__ASSERT(node->prev->next == node && node->next->prev == node);
    node->prev->next = node->next;
    node->next->prev = node->prev;
    tcpm__list_init(node);
}

/* Moves all nodes from one list to another, which is initialised here. */
static inline void tcpm__list_take(struct tcpm__list *from, struct tcpm__list *to)
{
    tcpm__list_init(to);
    if (tcpm__list_empty(from))
        return;
    *to = *from;
    to->next->prev = to->prev->next = to;
    tcpm__list_init(from);
}

#endif
