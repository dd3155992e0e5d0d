/* SPDX-License-Identifier: MIT */
/*
 * What the parts of a scripted name server share: nameserver.c owns it and runs the thread, serve.c
 * answers questions, clients.c keeps the connections by TCP. What always holds: the log is read and
 * written under the lock; all other fields belong to the thread once it runs, which allocates only
 * while it holds `awake`.
 */
#ifndef NAMES_INTERNAL_H
#define NAMES_INTERNAL_H

#include "late.h"
#include "log.h"
#include "message.h"
#include "nameserver.h"

#include <pthread.h>

struct client { /* a connection by TCP */
    struct client *next;
    int fd;
    uint64_t serial; /* never used twice */
    bool over;       /* to be closed */
    size_t length;   /* of what has come and is no whole question yet */
    unsigned char bytes[1024];
};

struct nameserver {
    pthread_mutex_t lock;  /* of the log */
    pthread_mutex_t awake; /* the thread holds it except while it waits for events */
    pthread_t thread;
    struct log log;
    unsigned number, port;
    int epoll_fd, wake_fd;
    int udp_fd, other_fd; /* other_fd: sends from another address */
    int tcp_fd;           /* -1: none */
    struct client *clients;
    uint64_t serial; /* of the latest client */
    struct late late;
    unsigned seed; /* of rand_r */
    unsigned char out[2 + MESSAGE_MOST];
};

uint64_t nameserver_now_ns(void);

/* Does what the name of a question says. */
void serve_question(struct nameserver *server, const unsigned char *bytes, size_t length,
                    const struct whither *whither);
/* Sends all messages that are due. */
void serve_late(struct nameserver *server);

/* Accepts the connections that wait. */
void clients_accept(struct nameserver *server);
/* Reads what has come, and answers whole questions. */
void client_read(struct nameserver *server, struct client *client);
/* Sends a message to the connection of this serial, if it is still there. */
void client_send(struct nameserver *server, uint64_t serial, const unsigned char *bytes,
                 size_t length);
/* Has the connection of this serial closed. */
void client_hang_up(struct nameserver *server, uint64_t serial);
/* Closes the connections that are over, or all. */
void clients_close(struct nameserver *server, bool all);

#endif
