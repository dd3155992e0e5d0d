/* SPDX-License-Identifier: MIT */
/*
 * See system.h. A look-up is a thread that ends with it, and leaves the answer in the mailbox,
 * which the loop empties when the mailbox's descriptor says so. The mailbox belongs to the system
 * and all of the threads; the last one frees it.
 *
 * What always holds: whatever a thread touches comes from the C library's allocator, as the
 * engine's is for the thread of the loop. A thread writes to the mailbox's descriptor under its
 * lock only, and the close takes the descriptor away under the same lock. The loop's thread alone
 * knows queries and the list of look-ups.
 */
#include "transport/system.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/list.h"
#include "tcpmulti.h"
#include "transport/order.h"

enum {
    MOST_THREADS = 4,
    TTL_S = 60, /* how long an answer is kept, as the system does not tell how long it holds */
};

struct mailbox {
    pthread_mutex_t mutex; /* guards what follows */
    struct lookup *first;  /* answers, oldest first */
    unsigned holders;      /* the system and the threads */
    int fd;                /* an eventfd; -1: nobody reads answers any more */
};

struct lookup {
    struct tcpm__list link;    /* among the system's, until delivered; for the loop's thread */
    struct tcpm__query *query; /* for the loop's thread */
    struct mailbox *mailbox;
    struct lookup *next; /* in the mailbox */
    int family;          /* AF_INET, AF_INET6 or AF_UNSPEC */
    int status, errnum;  /* the result of getaddrinfo; errno, where that is EAI_SYSTEM */
    size_t count;        /* used addresses */
    union tcpm__address addresses[TCPM__MOST_ADDRESSES];
    char name[];
};

struct tcpm__system {
    struct tcpm__backend backend;
    struct tcpm__network *network;
    struct tcpm__names *names;
    struct mailbox *mailbox;
    struct tcpm__list lookups; /* begun and not yet delivered */
    unsigned count;            /* look-ups in the list */
};

/* ---- the mailbox ---- */

/* NULL: no memory. */
static struct mailbox *make_mailbox(int fd)
{
    struct mailbox *mailbox = tcpm__memory_zeroed(&tcpm__memory_default, sizeof *mailbox);

    if (mailbox == NULL)
        return NULL;
    mailbox->fd = fd;
    mailbox->holders = 1;
    pthread_mutex_init(&mailbox->mutex, NULL);
    return mailbox;
}

/* Ends a holder's part, and the lock. */
static void release_mailbox(struct mailbox *mailbox)
{
    bool is_last = --mailbox->holders == 0;

    pthread_mutex_unlock(&mailbox->mutex);
    if (!is_last)
        return;
    pthread_mutex_destroy(&mailbox->mutex);
    tcpm__memory_free(&tcpm__memory_default, mailbox);
}

static void free_lookups(struct lookup *first)
{
    while (first != NULL) {
        struct lookup *next = first->next;

        tcpm__memory_free(&tcpm__memory_default, first);
        first = next;
    }
}

static void append_lookup(struct mailbox *mailbox, struct lookup *lookup)
{
    struct lookup **place = &mailbox->first;

    while (*place != NULL)
        place = &(*place)->next;
    *place = lookup;
}

static struct lookup *take_lookups(struct mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->mutex);

    struct lookup *first = mailbox->first;

    mailbox->first = NULL;
    pthread_mutex_unlock(&mailbox->mutex);
    return first;
}

/* ---- in a thread ---- */

static void gather_addresses(struct lookup *lookup, const struct addrinfo *info)
{
    for (; info != NULL && lookup->count < TCPM__MOST_ADDRESSES; info = info->ai_next) {
        if (info->ai_family != AF_INET && info->ai_family != AF_INET6)
            continue;
        memcpy(&lookup->addresses[lookup->count], info->ai_addr, info->ai_addrlen);
        tcpm__address_set_port(&lookup->addresses[lookup->count], 0);
        lookup->count++;
    }
}

static void look_up(struct lookup *lookup)
{
    const struct addrinfo hints = {.ai_family = lookup->family, .ai_socktype = SOCK_STREAM};
    struct addrinfo *info = NULL;

    lookup->status = getaddrinfo(lookup->name, NULL, &hints, &info);
    lookup->errnum = errno;
    if (lookup->status != 0)
        return;
    gather_addresses(lookup, info);
    freeaddrinfo(info);
}

/* The eventfd would have to be told 2^64 answers that nobody takes before this blocks or fails. */
static void hand_over(struct lookup *lookup)
{
    struct mailbox *mailbox = lookup->mailbox;

    pthread_mutex_lock(&mailbox->mutex);
    if (mailbox->fd >= 0) {
        append_lookup(mailbox, lookup);
        eventfd_write(mailbox->fd, 1);
    } else {
        tcpm__memory_free(&tcpm__memory_default, lookup);
    }
    release_mailbox(mailbox);
}

static void *run_lookup(void *argument)
{
    look_up(argument);
    hand_over(argument);
    return NULL;
}

/* Makes a thread that nobody joins. 0 or -errno. */
static int detach_thread(void *(*run)(void *argument), void *argument)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int result = pthread_attr_init(&attributes);

    if (result != 0)
        return -result;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    result = pthread_create(&thread, &attributes, run, argument);
    pthread_attr_destroy(&attributes);
    return -result;
}

/* The host's signal handlers are for its own threads: all signals are blocked in ours, from the
   beginning, as a thread inherits the mask of the one that makes it. */
static int start_thread(struct lookup *lookup)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);

    int result = detach_thread(run_lookup, lookup);

    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

/* ---- asking ---- */

static int family_of(unsigned families)
{
    if (families == TCPM__ANY_FAMILY)
        return AF_UNSPEC;
    return families == TCPM__INET6 ? AF_INET6 : AF_INET;
}

/* NULL: no memory. */
static struct lookup *make_lookup(struct tcpm__system *system, struct tcpm__query *query)
{
    size_t size = strlen(query->name) + 1;
    struct lookup *lookup = tcpm__memory_zeroed(&tcpm__memory_default, sizeof *lookup + size);

    if (lookup == NULL)
        return NULL;
    lookup->query = query;
    lookup->mailbox = system->mailbox;
    lookup->family = family_of(query->families);
    memcpy(lookup->name, query->name, size);
    return lookup;
}

static void add_holder(struct mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->mutex);
    mailbox->holders++;
    pthread_mutex_unlock(&mailbox->mutex);
}

static void drop_holder(struct mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->mutex);
    release_mailbox(mailbox);
}

static int ask(struct tcpm__backend *backend, struct tcpm__query *query)
{
    struct tcpm__system *system = TCPM__CONTAINER(backend, struct tcpm__system, backend);

    TCPM__ASSERT(system->count <= MOST_THREADS);
    if (system->count == MOST_THREADS)
        return -EAGAIN;

    struct lookup *lookup = make_lookup(system, query);

    if (lookup == NULL)
        return -ENOMEM;
    add_holder(system->mailbox);

    int result = start_thread(lookup);

    if (result < 0) {
        drop_holder(system->mailbox);
        tcpm__memory_free(&tcpm__memory_default, lookup);
        return result;
    }
    tcpm__list_append(&system->lookups, &lookup->link);
    system->count++;
    return 0;
}

/* ---- answers ---- */

static int translate_status(int status, int errnum)
{
    switch (status) {
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_ADDRFAMILY:
    case EAI_FAMILY:
        return -EAFNOSUPPORT;
    case EAI_SYSTEM:
        return errnum > 0 ? -errnum : TCPM_ENOTFOUND;
    default:
        return TCPM_ENOTFOUND;
    }
}

/* A resolver that gets no descriptor for its files and sockets says that the name does not exist.
   0, or -EMFILE or -ENFILE while descriptors are lacking. */
static int check_descriptors(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return errno == EMFILE || errno == ENFILE ? -errno : 0;
    close(fd);
    return 0;
}

static int code_of(const struct lookup *lookup)
{
    if (lookup->count > 0)
        return 0;

    int lack = check_descriptors();

    return lack < 0 ? lack : translate_status(lookup->status, lookup->errnum);
}

static void deliver(struct tcpm__system *system, struct lookup *lookup)
{
    struct tcpm__result result = {
        .code = code_of(lookup),
        .ttl_s = TTL_S,
        .addresses = lookup->addresses,
        .count = lookup->count,
    };

    tcpm__list_remove(&lookup->link);
    system->count--;
    tcpm__names_answered(system->names, lookup->query, &result,
                         tcpm__network_read_clock_ns(system->network));
    tcpm__memory_free(&tcpm__memory_default, lookup);
}

void tcpm__system_event(struct tcpm__system *system)
{
    struct lookup *lookup = take_lookups(system->mailbox);

    while (lookup != NULL) {
        struct lookup *next = lookup->next;

        deliver(system, lookup);
        lookup = next;
    }
}

/* ---- opening and closing ---- */

static const struct tcpm__backend_kind kind = {
    .name = "system",
    .both_families = true,
    .ask = ask,
};

/* The set is edge-triggered and tells of each write, so the eventfd is never read. */
static int open_mailbox(struct tcpm__network *network, struct mailbox **ret)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return -errno;

    int result = tcpm__set_add(&network->set, fd, TCPM__SYSTEM_TAG);

    if (result == 0) {
        *ret = make_mailbox(fd);
        if (*ret != NULL)
            return 0;
        result = -ENOMEM;
    }
    close(fd);
    return result;
}

int tcpm__system_open(struct tcpm__network *network, struct tcpm__names *names,
                      struct tcpm__system **ret)
{
    struct tcpm__system *system = tcpm__memory_zeroed(network->memory, sizeof *system);

    if (system == NULL)
        return -ENOMEM;
    system->backend.kind = &kind;
    system->network = network;
    system->names = names;
    tcpm__list_init(&system->lookups);

    int result = open_mailbox(network, &system->mailbox);

    if (result < 0) {
        tcpm__memory_free(network->memory, system);
        return result;
    }
    *ret = system;
    return 0;
}

void tcpm__system_close(struct tcpm__system *system)
{
    if (system == NULL)
        return;

    struct mailbox *mailbox = system->mailbox;

    pthread_mutex_lock(&mailbox->mutex);
    tcpm__set_remove(&system->network->set, mailbox->fd);
    close(mailbox->fd);
    mailbox->fd = -1;
    free_lookups(mailbox->first);
    mailbox->first = NULL;
    release_mailbox(mailbox);
    tcpm__memory_free(system->network->memory, system);
}

/* The lock may be held for ever, by a thread that the fork has left out: all that the threads had
   is freed without it. */
void tcpm__system_abandon(struct tcpm__system *system)
{
    if (system == NULL)
        return;
    while (!tcpm__list_empty(&system->lookups)) {
        struct lookup *lookup = TCPM__CONTAINER(system->lookups.next, struct lookup, link);

        tcpm__list_remove(&lookup->link);
        tcpm__memory_free(&tcpm__memory_default, lookup);
    }
    close(system->mailbox->fd);
    tcpm__memory_free(&tcpm__memory_default, system->mailbox);
    tcpm__memory_free(system->network->memory, system);
}

void tcpm__system_validate(const struct tcpm__system *system)
{
    unsigned count = 0;

    for (const struct tcpm__list *link = system->lookups.next; link != &system->lookups;
         link = link->next)
        count++;
    TCPM__ASSERT(count == system->count && count <= MOST_THREADS);
    TCPM__ASSERT(system->mailbox->fd >= 0);
    (void) count;
}
