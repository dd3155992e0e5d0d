/* SPDX-License-Identifier: MIT */
/*
 * Messages that a scripted name server sends later, ordered by their time. What always holds: a
 * message is owned by this list until it is taken or the list is freed.
 */
#ifndef NAMES_LATE_H
#define NAMES_LATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Where a message goes. */
struct whither {
    int fd;
    uint64_t serial; /* of a connection by TCP; 0: the datagram goes to the address */
    struct sockaddr_storage address;
    socklen_t address_size;
};

struct late_message {
    uint64_t due_ns;
    struct whither whither;
    size_t length;
    unsigned char bytes[];
};

struct late {
    struct late_message **heap;
    size_t count, capacity;
};

/* Adds a copy. Without memory the message is lost. */
void late_add(struct late *late, uint64_t due_ns, const struct whither *whither,
              const unsigned char *bytes, size_t length);
/* Returns when the next one is due; UINT64_MAX: there is none. */
uint64_t late_due_ns(const struct late *late);
/* Takes the next one, which the caller frees. There must be one. */
struct late_message *late_take(struct late *late);
void late_free(struct late *late);

#endif
