/* SPDX-License-Identifier: MIT */
/*
 * An intrusive doubly linked ring. A node that is in no list points to itself, so that removing it
 * again is harmless, and a zeroed node counts as in no list.
 */
#ifndef TCPM_BASE_LIST_H
#define TCPM_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct tcpm__list {
    struct tcpm__list *next, *prev;
};

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
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

static inline void tcpm__list_remove(struct tcpm__list *node)
{
    if (node->next == NULL)
        return;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    tcpm__list_init(node);
}

/* Moves all nodes of from to the empty list to. */
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
