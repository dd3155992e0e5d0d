/* SPDX-License-Identifier: MIT */
/*
 * tcpmulti-lua: runs a client script with the module tcpmulti built in. This file is the order in
 * which things begin: command line, descriptors, the practice peer (a fork, so before Lua and any
 * thread), the file of --keylog, the Lua state and the runner's additions to it, the script.
 * Everything ends in the opposite order. Whatever raises a Lua error does so inside a protected
 * call.
 */
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "assert.h"
#include "runtime.h"
#include "tcpmulti_lua.h"

struct runner {
    struct tcpm__runner_options options;
    struct tcpm__runner_peer peer;
    struct tcpm__runner_keylog keylog;
    struct tcpm__runner_signals signals;
    struct tcpm__runner_output output;
    int argc;
    char **argv;
    int status;
    int ended_by; /* signal that has ended the run; 0: none */
};

#if defined(__SANITIZE_ADDRESS__)
/* Lua's memory comes from malloc here: the leak checker does not look into memory that LuaJIT maps
   itself, and would report every block to which only Lua has a pointer. Lua's own blocks are not
   reported (see the suppression below): LuaJIT keeps some by pointers that lie beside the block,
   and a script may exit without closing the state. */
__attribute__((optimize("no-optimize-sibling-calls"))) static void *
reallocate_for_lua(void *user, void *block, size_t old_size, size_t size)
{
    (void) user;
    (void) old_size;
    if (size > 0)
        return realloc(block, size);
    free(block);
    return NULL;
}

/* The sanitizer's library looks for these two functions in the program. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__lsan_default_options(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:reallocate_for_lua\n";
}

const char *__lsan_default_options(void)
{
    return "print_suppressions=0";
}

static lua_State *open_state(void)
{
    return lua_newstate(reallocate_for_lua, NULL);
}
#else
static lua_State *open_state(void)
{
    return luaL_newstate();
}
#endif

/* The function of package.preload; its upvalue is the runner. */
static int load_module(lua_State *L)
{
    struct runner *runner = lua_touserdata(L, lua_upvalueindex(1));
    const struct tcpm_engine_options options = {
        .size = sizeof options,
        .key_log = tcpm__runner_keylog_write,
        .user = &runner->keylog,
    };

    return tcpm__lua_open_own(L, runner->keylog.path != NULL ? &options : NULL);
}

static void open_module(lua_State *L, struct runner *runner)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    lua_pushlightuserdata(L, runner);
    lua_pushcclosure(L, load_module, 1);
    lua_setfield(L, -2, "tcpmulti");
    lua_getglobal(L, "require");
    lua_pushliteral(L, "tcpmulti");
    lua_call(L, 1, 1);
    if (runner->peer.pid > 0) {
        lua_getfield(L, -1, "peer");
        tcpm__runner_peer_push_table(L, &runner->peer);
        lua_setfield(L, -2, "peer");
    }
    lua_pop(L, 3);
}

static void watch_loop(lua_State *L, struct runner *runner)
{
    uv_loop_t *loop = tcpm__lua_loop(L);
    int result = tcpm__runner_signals_start(&runner->signals, loop, L);

    if (result != 0)
        luaL_error(L, "signals: %s", strerror(-result));
    tcpm__runner_output_watch(&runner->output, loop);
}

/* Pushes the first line of the message on top of the stack, where the message has several. */
static void push_first_line(lua_State *L)
{
    const char *message = lua_tostring(L, -1), *end = strchr(message, '\n');

    if (end != NULL)
        lua_pushlstring(L, message, (size_t) (end - message));
}

/* Calls the function that lies below its arguments on the stack. Returns RUNNER_DONE, or
   RUNNER_ERROR after the error has been reported. */
static int call_reported(lua_State *L, const struct runner *runner, int arguments)
{
    lua_pushcfunction(L, tcpm__runner_report_traceback);
    lua_insert(L, -2 - arguments);
    TCPM__LUA_ASSERT(lua_gettop(L) >= arguments + 2);
    if (lua_pcall(L, arguments, 0, -2 - arguments) == 0) {
        lua_pop(L, 1);
        return RUNNER_DONE;
    }
    if (tcpm__runner_signals_ended_by(&runner->signals) != 0)
        push_first_line(L); /* at which place of the script a signal came does not matter */
    tcpm__runner_report_error(L);
    return RUNNER_ERROR;
}

static int report_load(lua_State *L)
{
    tcpm__runner_report_error(L);
    return RUNNER_ERROR;
}

static int run_chunks(lua_State *L, const struct runner *runner)
{
    const struct tcpm__runner_options *options = &runner->options;
    int status = RUNNER_DONE;

    for (int i = 0; i < options->chunk_count && status == RUNNER_DONE; i++) {
        status = tcpm__runner_source_load_chunk(L, options->chunks[i], options->allow_bytecode);
        status = status == 0 ? call_reported(L, runner, 0) : report_load(L);
    }
    return status;
}

/* True: the script is a file, not standard input. */
static bool has_script(const struct runner *runner)
{
    int script = runner->options.script;

    return script < runner->argc && strcmp(runner->argv[script], "-") != 0;
}

static int run_script(lua_State *L, const struct runner *runner)
{
    const struct tcpm__runner_options *options = &runner->options;
    const char *path = runner->argv[options->script];
    int arguments = runner->argc - options->first_argument;

    if (options->script >= runner->argc)
        return RUNNER_DONE;
    if (!has_script(runner))
        path = NULL;
    if (tcpm__runner_source_load(L, path, options->allow_bytecode) != 0)
        return report_load(L);
    if (arguments < 0 || lua_checkstack(L, arguments + LUA_MINSTACK) == 0)
        arguments = 0; /* more than a call can take: the script finds them in arg only */
    for (int i = 0; i < arguments; i++)
        lua_pushstring(L, runner->argv[options->first_argument + i]);
    return call_reported(L, runner, arguments);
}

/* Runs the loop for a script that has not done so itself. */
static int run_loop(lua_State *L, const struct runner *runner)
{
    if (tcpm__lua_ran(L))
        return RUNNER_DONE;
    lua_pushcfunction(L, tcpm__lua_call_run);
    return call_reported(L, runner, 0);
}

/* The collector begins again when there is so much memory in use, in percent of what was in use
   after it had ended. Records become garbage at once: with less of it, memory is used again while
   it is in the processor's caches, and LuaJIT seldom has to enlarge its table of strings. */
enum { COLLECT_AT = 130 };

static int run_protected(lua_State *L)
{
    struct runner *runner = lua_touserdata(L, 1);

    lua_gc(L, LUA_GCSETPAUSE, COLLECT_AT);
    luaL_openlibs(L);
    if (has_script(runner))
        tcpm__runner_source_find_beside(L, runner->argv[runner->options.script]);
    if (!runner->options.allow_bytecode)
        tcpm__runner_source_refuse_bytecode(L);
    open_module(L, runner);
    if (runner->options.tally)
        tcpm__lua_print_tallies(L);
    tcpm__runner_luv_install(L);
    tcpm__runner_source_set_arguments(L, &runner->options, runner->argc, runner->argv);
    watch_loop(L, runner);
    runner->status = run_chunks(L, runner);
    if (runner->status == RUNNER_DONE)
        runner->status = run_script(L, runner);
    if (runner->status == RUNNER_DONE)
        runner->status = run_loop(L, runner);
    return 0;
}

static void close_state(lua_State *L, struct runner *runner)
{
    uv_loop_t *loop = tcpm__lua_loop(L);

    if (loop != NULL) {
        tcpm__runner_signals_close(&runner->signals);
        tcpm__runner_output_close(&runner->output);
        tcpm__runner_luv_close(L, loop);
    }
    tcpm_lua_close(L);
    lua_close(L);
}

static void run_state(struct runner *runner)
{
    lua_State *L = open_state();

    runner->status = RUNNER_ERROR;
    if (L == NULL) {
        tcpm__runner_report_text("no memory for a Lua state");
        return;
    }
    if (lua_cpcall(L, run_protected, runner) != 0) {
        tcpm__runner_report_text(lua_isstring(L, -1) ? lua_tostring(L, -1) : "cannot start");
        runner->status = RUNNER_ERROR;
    }
    runner->ended_by = tcpm__runner_signals_ended_by(&runner->signals);
    if (runner->ended_by != 0)
        fflush(NULL); /* closing the state may take longer than the signal's time limit */
    close_state(L, runner);
}

/* A shell stops its own loop only if the signal itself has ended the program. */
static void die_of_signal(struct runner *runner)
{
    tcpm__runner_output_finish(RUNNER_ERROR);
    fflush(NULL);
    tcpm__runner_output_check_leaks();
    tcpm__runner_signals_die(runner->ended_by);
}

static int start_peer(struct runner *runner)
{
    if (runner->options.peer == NULL)
        return RUNNER_DONE;
    int result = tcpm__runner_peer_start(&runner->peer, runner->options.peer);
    if (result == 0)
        return RUNNER_DONE;
    char line[128];
    snprintf(line, sizeof line, "the practice peer cannot start: %s", strerror(-result));
    tcpm__runner_report_text(line);
    return RUNNER_ERROR;
}

static int open_keylog(struct runner *runner)
{
    const char *path = runner->options.keylog;

    return path == NULL ? RUNNER_DONE : tcpm__runner_keylog_open(&runner->keylog, path);
}

int main(int argc, char **argv)
{
    struct runner runner = {.argc = argc, .argv = argv};

    tcpm__runner_descriptors_prepare();
    tcpm__runner_output_open();
    runner.status = tcpm__runner_options_parse(&runner.options, argc, argv);
    if (runner.status < 0) {
        runner.status = start_peer(&runner);
        if (runner.status == RUNNER_DONE)
            runner.status = open_keylog(&runner); /* the peer does not inherit it */
        if (runner.status == RUNNER_DONE)
            run_state(&runner);
        tcpm__runner_keylog_close(&runner.keylog);
        tcpm__runner_peer_stop(&runner.peer);
    }
    tcpm__runner_options_free(&runner.options);
    if (runner.ended_by != 0)
        die_of_signal(&runner);
    return runner.status;
}
