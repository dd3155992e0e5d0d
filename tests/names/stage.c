/* SPDX-License-Identifier: MIT */
/* See stage.h. Called in threads of the library, so a failed check ends the program. */
#include "stage.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>

#define CHECK(condition) ((condition) ? (void) 0 : fail(#condition, __LINE__))

enum { MANY = 100, ODD_PORT = 9 };

struct stage stage = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret);
void __wrap_freeaddrinfo(struct addrinfo *info);

__attribute__((noreturn)) static void fail(const char *condition, int line)
{
    fprintf(stderr, "%s:%d: %s\n", __FILE__, line, condition);
    abort();
}

void stage_reset(void)
{
    pthread_mutex_lock(&stage.mutex);
    stage.is_open = stage.signal_can_come = false;
    stage.calls = stage.most = 0;
    pthread_mutex_unlock(&stage.mutex);
}

void stage_open_gate(bool is_open)
{
    pthread_mutex_lock(&stage.mutex);
    stage.is_open = is_open;
    pthread_cond_broadcast(&stage.changed);
    pthread_mutex_unlock(&stage.mutex);
}

void stage_wait(int calls, int inside)
{
    pthread_mutex_lock(&stage.mutex);
    while (stage.calls != calls || stage.inside != inside)
        pthread_cond_wait(&stage.changed, &stage.mutex);
    pthread_mutex_unlock(&stage.mutex);
}

int stage_inside(void)
{
    pthread_mutex_lock(&stage.mutex);

    int inside = stage.inside;

    pthread_mutex_unlock(&stage.mutex);
    return inside;
}

static bool signal_can_come(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGALRM, SIGCHLD, SIGUSR1};
    sigset_t mask;

    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (sigismember(&mask, numbers[i]) == 0)
            return true;
    return false;
}

static void enter(void)
{
    pthread_mutex_lock(&stage.mutex);
    stage.calls++;
    if (++stage.inside > stage.most)
        stage.most = stage.inside;
    if (signal_can_come())
        stage.signal_can_come = true;
    pthread_cond_broadcast(&stage.changed);
    pthread_mutex_unlock(&stage.mutex);
}

static void leave(void)
{
    pthread_mutex_lock(&stage.mutex);
    stage.inside--;
    pthread_cond_broadcast(&stage.changed);
    pthread_mutex_unlock(&stage.mutex);
}

static void wait_for_the_gate(void)
{
    pthread_mutex_lock(&stage.mutex);
    while (!stage.is_open)
        pthread_cond_wait(&stage.changed, &stage.mutex);
    pthread_mutex_unlock(&stage.mutex);
}

/* Puts an element in front of a list, with an address of zeros. */
static struct addrinfo *add(struct addrinfo *next, int family, socklen_t length)
{
    struct addrinfo *info = calloc(1, sizeof *info);

    CHECK(info != NULL);
    *info = (struct addrinfo){.ai_family = family, .ai_addrlen = length, .ai_next = next};
    info->ai_addr = calloc(1, length);
    CHECK(info->ai_addr != NULL);
    info->ai_addr->sa_family = (sa_family_t) family;
    return info;
}

static struct addrinfo *add_in(struct addrinfo *next, uint32_t quad)
{
    struct addrinfo *info = add(next, AF_INET, sizeof(struct sockaddr_in));
    struct sockaddr_in *in = (struct sockaddr_in *) (void *) info->ai_addr;

    in->sin_addr.s_addr = htonl(quad);
    in->sin_port = htons(ODD_PORT);
    return info;
}

static struct addrinfo *add_loopback6(struct addrinfo *next)
{
    struct addrinfo *info = add(next, AF_INET6, sizeof(struct sockaddr_in6));
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *) (void *) info->ai_addr;

    in6->sin6_addr = in6addr_loopback;
    in6->sin6_port = htons(ODD_PORT);
    return info;
}

void __wrap_freeaddrinfo(struct addrinfo *info)
{
    while (info != NULL) {
        struct addrinfo *next = info->ai_next;

        free(info->ai_addr);
        free(info);
        info = next;
    }
}

static struct addrinfo *make_list(const char *name, int family)
{
    struct addrinfo *list = NULL;

    if (strcmp(name, "many") == 0) {
        for (uint32_t i = MANY; i > 0; i--)
            list = add_in(list, 0x0a000000 + i);
        return list;
    }
    if (family != AF_INET6)
        list = add_in(list, INADDR_LOOPBACK);
    return family == AF_INET ? list : add_loopback6(list);
}

int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret)
{
    int code = 0, errnum = 0;

    CHECK(service == NULL && hints->ai_socktype == SOCK_STREAM);
    enter();
    if (strncmp(name, "hang", 4) == 0)
        wait_for_the_gate();
    if (sscanf(name, "errno %d", &errnum) == 1)
        code = EAI_SYSTEM;
    else if (sscanf(name, "code %d", &code) != 1)
        *ret = make_list(name, hints->ai_family);
    leave();
    errno = errnum;
    return code;
}
