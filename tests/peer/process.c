/* SPDX-License-Identifier: MIT */
/*
 * What a test wants to know of its own process (descriptors, memory, CPU) and do to it (let time
 * pass in a handler, signals, a watchdog), as functions of the Lua module "peer"; luapeer.c lists
 * them.
 */
#include "process.h"

#include "internal.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <lauxlib.h>

static const char watchdog_key[] = "tcpmulti test watchdog";

void peer_push_checksum(lua_State *L, uint64_t checksum)
{
    char text[24];

    (void) snprintf(text, sizeof text, "%016" PRIx64, checksum);
    lua_pushstring(L, text);
}

static int checksum(lua_State *L)
{
    size_t length;
    const char *bytes = luaL_checklstring(L, 1, &length);
    const char *before = luaL_optstring(L, 2, NULL);
    uint64_t start = before == NULL ? PEER_CHECKSUM : strtoull(before, NULL, 16);

    peer_push_checksum(L, peer_checksum(start, bytes, length));
    return 1;
}

static int prng(lua_State *L)
{
    uint64_t state = (uint64_t) luaL_checknumber(L, 1);
    size_t length = (size_t) luaL_checknumber(L, 2);
    char *bytes = lua_newuserdata(L, length + 1);

    peer_prng(&state, bytes, length);
    lua_pushlstring(L, bytes, length);
    return 1;
}

/* A handler that takes long. */
static int block(lua_State *L)
{
    double seconds = luaL_checknumber(L, 1);
    struct timespec left = {(time_t) seconds, (long) ((seconds - (double) (time_t) seconds) * 1e9)};

    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
    return 0;
}

static int descriptors(lua_State *L)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = -3; /* ".", ".." and the directory itself */

    while (directory != NULL && readdir(directory) != NULL) {
        count++;
    }
    if (directory != NULL) {
        closedir(directory);
    }
    lua_pushinteger(L, count);
    return 1;
}

static int resident(lua_State *L)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long total = 0, pages = 0;

    if (file != NULL) {
        if (fscanf(file, "%ld %ld", &total, &pages) != 2) {
            pages = 0;
        }
        (void) fclose(file);
    }
    lua_pushnumber(L, (lua_Number) pages * (lua_Number) sysconf(_SC_PAGESIZE));
    return 1;
}

static int cpu(lua_State *L)
{
    struct rusage usage;

    (void) getrusage(RUSAGE_THREAD, &usage);
    lua_pushnumber(L, (lua_Number) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                          (lua_Number) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    return 1;
}

/* The local address and port of a socket, or nil: this is no socket. */
static int sockname(lua_State *L)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    const struct sockaddr_in *four = (const void *) &address;
    char text[INET_ADDRSTRLEN];

    if (getsockname((int) luaL_checkinteger(L, 1), (struct sockaddr *) &address, &length) != 0 ||
        address.ss_family != AF_INET) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushstring(L, inet_ntop(AF_INET, &four->sin_addr, text, sizeof text));
    lua_pushinteger(L, ntohs(four->sin_port));
    return 2;
}

static int kill_self(lua_State *L)
{
    (void) kill(getpid(), (int) luaL_checkinteger(L, 1));
    return 0;
}

/* ---- the watchdog: a test that hangs says so, and the others still run ---- */

struct watchdog {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    int running;
    unsigned armed; /* counts; odd: armed */
    double seconds;
    char text[160];
};

/* First SIGUSR2, on which the test stops its loop; if that has not helped in 5 s, the end. */
static void bark(struct watchdog *dog, unsigned armed)
{
    struct timespec deadline;

    (void) kill(getpid(), SIGUSR2);
    peer_deadline(5, &deadline);
    while (dog->armed == armed && dog->running &&
           pthread_cond_timedwait(&dog->changed, &dog->lock, &deadline) == 0) {
    }
    if (dog->armed == armed && dog->running) {
        (void) fprintf(stderr, "Bail out! %s hangs\n", dog->text);
        _exit(99);
    }
}

static void *watch(void *argument)
{
    struct watchdog *dog = argument;

    pthread_mutex_lock(&dog->lock);
    while (dog->running) {
        unsigned armed = dog->armed;
        struct timespec deadline;

        if (armed % 2 == 0) {
            pthread_cond_wait(&dog->changed, &dog->lock);
            continue;
        }
        peer_deadline(dog->seconds, &deadline);
        while (dog->armed == armed && dog->running) {
            if (pthread_cond_timedwait(&dog->changed, &dog->lock, &deadline) != 0) {
                bark(dog, armed);
                break;
            }
        }
        while (dog->armed == armed && dog->running) {
            pthread_cond_wait(&dog->changed, &dog->lock);
        }
    }
    pthread_mutex_unlock(&dog->lock);
    return NULL;
}

static int end_watchdog(lua_State *L)
{
    struct watchdog *dog = lua_touserdata(L, 1);

    if (dog->running) {
        pthread_mutex_lock(&dog->lock);
        dog->running = 0;
        pthread_cond_broadcast(&dog->changed);
        pthread_mutex_unlock(&dog->lock);
        pthread_join(dog->thread, NULL);
    }
    return 0;
}

static void start_watchdog(struct watchdog *dog)
{
    pthread_condattr_t attributes;
    sigset_t all, before;

    memset(dog, 0, sizeof *dog);
    pthread_mutex_init(&dog->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&dog->changed, &attributes);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    dog->running = 1;
    if (pthread_create(&dog->thread, NULL, watch, dog) != 0) {
        dog->running = 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static int watchdog(lua_State *L)
{
    double seconds = luaL_checknumber(L, 1);
    const char *text = luaL_optstring(L, 2, "a test");
    struct watchdog *dog;

    lua_getfield(L, LUA_REGISTRYINDEX, watchdog_key);
    dog = lua_touserdata(L, -1);
    pthread_mutex_lock(&dog->lock);
    dog->armed += dog->armed % 2 == (seconds > 0 ? 0U : 1U) ? 1 : seconds > 0 ? 2 : 0;
    dog->seconds = seconds;
    (void) snprintf(dog->text, sizeof dog->text, "%s", text);
    pthread_cond_broadcast(&dog->changed);
    pthread_mutex_unlock(&dog->lock);
    return 0;
}

static void new_watchdog(lua_State *L)
{
    struct watchdog *dog = lua_newuserdata(L, sizeof *dog);

    start_watchdog(dog);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, end_watchdog);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_setfield(L, LUA_REGISTRYINDEX, watchdog_key);
}

void peer_process_register(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"checksum", checksum}, {"prng", prng},
        {"block", block},       {"descriptors", descriptors},
        {"resident", resident}, {"cpu", cpu},
        {"sockname", sockname}, {"watchdog", watchdog},
        {"kill", kill_self},    {NULL, NULL},
    };

    new_watchdog(L);
    luaL_register(L, NULL, functions);
}
