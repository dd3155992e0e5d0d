/* SPDX-License-Identifier: MIT */
/*
 * What the files of the program tcpmulti-lua share. The program owns a Lua state and what surrounds
 * it: options, descriptors, signals, the practice peer, the script's text, luv beside us. It knows
 * connections only through the module (tcpmulti_lua.h, runtime.h). main.c holds the order of
 * things.
 */
#ifndef TCPMULTI_RUNNER_H
#define TCPMULTI_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <uv.h>

struct lua_State;

#define RUNNER_NAME "tcpmulti-lua"

/* Exit statuses; an interrupted run ends with 128 + the signal's number. */
enum { RUNNER_DONE = 0, RUNNER_ERROR = 1, RUNNER_USAGE = 2, RUNNER_NO_READER = 141 };

/* ---- options.c: the command line ---- */
struct tcpm__runner_options {
    const char **chunks; /* of -e, in their order; chunk_count of them */
    int chunk_count;
    int script;         /* index of the script in argv; argc: none */
    int first_argument; /* index of the script's first argument in argv */
    const char *peer;   /* the practice peer's mode; NULL: none */
    bool allow_bytecode;
    bool tally; /* of each session, at its end */
};
/* -1: go on. Else the status to exit with: all that was to be said has been printed. */
int tcpm__runner_options_parse(struct tcpm__runner_options *options, int argc, char **argv);
void tcpm__runner_options_free(struct tcpm__runner_options *options);

/* ---- descriptors.c: descriptors and limits ---- */
void tcpm__runner_descriptors_prepare(void); /* before anything opens a file */

/* ---- output.c: standard output and standard error ---- */
/* Replaces C's streams by ones that lose nothing; before Lua takes them. At exit what is buffered
   is written, and the status is that of its failure if the process would have exited with 0. */
void tcpm__runner_output_open(void);
/* Ends the process with 141 from the loop once nobody reads standard output any more. */
struct tcpm__runner_output {
    uv_poll_t poll;
    uv_timer_t grace;
    int epoll;     /* -1: standard output is not a pipe or terminal */
    bool terminal; /* once it hangs up, isatty does not know */
};
void tcpm__runner_output_watch(struct tcpm__runner_output *output, uv_loop_t *loop);
void tcpm__runner_output_close(struct tcpm__runner_output *output);
/* Writes what is buffered; the status to exit with, status itself if all went well. */
int tcpm__runner_output_finish(int status);
void tcpm__runner_check_leaks(void); /* in a build with the sanitizers: may not return */

/* ---- signals.c: SIGINT, SIGTERM, SIGHUP, SIGPIPE ---- */
struct tcpm__runner_signals {
    uv_async_t wake;   /* sent by the handler */
    uv_timer_t limit;  /* ends what has not ended in time; armed by the first signal */
    uv_prepare_t turn; /* looks whether a session is left; started by the first signal */
    struct lua_State *L;
    int dying; /* the signal that ends the sessions; 0: none */
};
int tcpm__runner_signals_start(struct tcpm__runner_signals *signals, uv_loop_t *loop,
                               struct lua_State *L);
void tcpm__runner_signals_luv(int signum); /* luv has begun to watch it */
/* The signal that ends, or should have ended, this run; 0: none. */
int tcpm__runner_signals_caught(const struct tcpm__runner_signals *signals);
/* A signal has begun to end the run in order. */
bool tcpm__runner_signals_ending(void);
void tcpm__runner_signals_close(struct tcpm__runner_signals *signals);
_Noreturn void tcpm__runner_signals_die(int signum); /* at once, by this signal */

/* ---- report.c: errors for people ---- */
int tcpm__runner_traceback(struct lua_State *L); /* message handler: any value to a traceback */
/* To standard error, safe for a terminal; the last: the string on the stack's top. */
void tcpm__runner_report_bytes(const char *text, size_t size); /* text[size] is NUL */
void tcpm__runner_report(const char *text);
void tcpm__runner_report_error(struct lua_State *L);

/* ---- source.c: Lua text ---- */
void tcpm__runner_source_refuse_bytecode(struct lua_State *L); /* in load, loadfile, require, … */
/* Pushes the script, or a message: 0, or an error of lua_load. NULL: standard input. */
int tcpm__runner_source_load(struct lua_State *L, const char *path, bool allow_bytecode);
int tcpm__runner_source_load_chunk(struct lua_State *L, const char *chunk, bool allow_bytecode);
/* require finds what lies beside the script before anything else. */
void tcpm__runner_source_beside(struct lua_State *L, const char *script);
void tcpm__runner_source_arguments(struct lua_State *L, const struct tcpm__runner_options *options,
                                   int argc, char **argv);

/* ---- luv.c: require "luv" on our loop ---- */
void tcpm__runner_luv_install(struct lua_State *L); /* the main state */
/* Before the module closes the loop: closes what luv has left open, and runs no more callbacks. */
void tcpm__runner_luv_close(struct lua_State *L, uv_loop_t *loop);

/* ---- peer.c: the practice peer, seen from the script's process ---- */
struct tcpm__runner_peer {
    pid_t pid;
    int life; /* its end of file tells the peer to end */
    int port;
    const char *mode;
};
bool tcpm__runner_peer_mode_known(const char *mode);
/* 0, or a negative errno. Forks: call it while the process has one thread and no Lua state. */
int tcpm__runner_peer_start(struct tcpm__runner_peer *peer, const char *mode);
/* Replaces the module's function peer on the stack's top by a table that can be called like it. */
void tcpm__runner_peer_push(struct lua_State *L, const struct tcpm__runner_peer *peer);
void tcpm__runner_peer_stop(struct tcpm__runner_peer *peer);

#endif
