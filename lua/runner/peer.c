/* SPDX-License-Identifier: MIT */
/*
 * The practice peer, seen from the script's process: a child process, forked by main.c before
 * anything else exists. The child tells its port through a socket between the two processes, and
 * ends with its parent whatever happens: the kernel kills it, and its end of the socket reports
 * that the other end is gone. The child ignores the signals that a terminal sends to both
 * processes, so that connections can still be shut down in order.
 */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>

#include "peer.h"

bool tcpm__runner_peer_knows_mode(const char *mode)
{
    const char *text;

    return tcpm__peer_mode_find(mode, &text) != NULL;
}

/* A reader of the script's standard output must see its end when the script ends, so the child does
   not hold it. */
static void release_streams(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
    }
}

static void ignore_signals(void)
{
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, SIG_IGN); /* sent to all processes of the program's name, say */
}

/* Lets the kernel kill the child when its parent ends. False: the parent has ended already.
   PR_SET_PDEATHSIG is Linux's. FreeBSD has procctl(PROC_PDEATHSIG_CTL); on other systems the socket
   to the parent is enough, but for a child that never comes back to its loop. */
static bool die_with_parent(pid_t parent)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent;
}

static void run_child(pid_t parent, int life, const char *name)
{
    const char *text;
    const struct tcpm__peer_mode *mode = tcpm__peer_mode_find(name, &text);

    ignore_signals();
    if (!die_with_parent(parent))
        _exit(RUNNER_ERROR);
    release_streams();
    int listeners[TCPM__PEER_ADDRESSES], port = 0;
    int result = tcpm__peer_listen(listeners, &port);
    if (result == 0)
        result = port;
    if (write(life, &result, sizeof result) != sizeof result || result < 0)
        _exit(RUNNER_ERROR);
    tcpm__peer_serve(listeners, life, mode, text);
    _exit(RUNNER_DONE);
}

/* Waits until the child has told its port, or a negative errno. */
static ssize_t read_result(int fd, int *result)
{
    ssize_t length;

    do {
        length = read(fd, result, sizeof *result);
    } while (length < 0 && errno == EINTR);
    return length;
}

/* SOCK_CLOEXEC is known to Linux and the BSDs; macOS needs fcntl with FD_CLOEXEC for both ends. */
static int open_life(int ends[2])
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
}

int tcpm__runner_peer_start(struct tcpm__runner_peer *peer, const char *mode)
{
    int ends[2];
    pid_t parent = getpid();

    if (open_life(ends) != 0)
        return -errno;
    peer->pid = fork();
    int result = peer->pid < 0 ? -errno : -ECHILD;
    if (peer->pid == 0) {
        close(ends[0]);
        run_child(parent, ends[1], mode);
    }
    close(ends[1]);
    peer->life = ends[0];
    peer->mode = mode;
    if (peer->pid > 0 && read_result(ends[0], &result) == (ssize_t) sizeof result && result > 0) {
        peer->port = result;
        return 0;
    }
    if (peer->pid < 0)
        close(ends[0]);
    tcpm__runner_peer_stop(peer);
    return result < 0 ? result : -ECHILD;
}

/* The metamethod __call of the table tcpmulti.peer: calls the module's function peer, the upvalue,
   so that tcpmulti.peer(cheap) works although tcpmulti.peer is a table. */
static int call_peer(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_replace(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static void push_metatable(lua_State *L, int function)
{
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, function);
    lua_pushcclosure(L, call_peer, 1);
    lua_setfield(L, -2, "__call");
}

void tcpm__runner_peer_push_table(struct lua_State *L, const struct tcpm__runner_peer *peer)
{
    int function = lua_gettop(L);

    lua_createtable(L, 0, 4);
    lua_createtable(L, TCPM__PEER_ADDRESSES, 0);
    for (int i = 1; i <= TCPM__PEER_ADDRESSES; i++) {
        lua_pushfstring(L, "127.0.0.%d", i);
        lua_rawseti(L, -2, i);
    }
    lua_setfield(L, -2, "addrs");
    lua_pushliteral(L, "127.0.0.1");
    lua_setfield(L, -2, "addr");
    lua_pushinteger(L, peer->port);
    lua_setfield(L, -2, "port");
    lua_pushstring(L, peer->mode);
    lua_setfield(L, -2, "mode");
    push_metatable(L, function);
    lua_setmetatable(L, -2);
    lua_replace(L, function);
}

void tcpm__runner_peer_stop(struct tcpm__runner_peer *peer)
{
    if (peer->pid <= 0)
        return;
    close(peer->life);
    kill(peer->pid, SIGKILL);
    while (waitpid(peer->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    peer->pid = 0;
}
