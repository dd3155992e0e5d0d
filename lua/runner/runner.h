/* SPDX-License-Identifier: MIT */
/*
 * The interfaces of the files of the program tcpmulti-lua. The program owns a Lua state and its
 * surroundings: options, descriptors, signals, the practice peer, the script's text, luv beside us.
 * The program knows connections only through the module (tcpmulti_lua.h, runtime.h).
 *
 * main.c stands on top and calls the others in their order; report.c stands at the ground. No file
 * calls one that calls it back.
 */
#ifndef TCPMULTI_RUNNER_H
#define TCPMULTI_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <uv.h>

struct lua_State;

#define RUNNER_NAME "tcpmulti-lua"

/* Exit statuses. Two more stand in options.c (2, wrong usage) and output.c (141, no reader); an
   interrupted run ends with 128 + the signal's number. */
enum { RUNNER_DONE = 0, RUNNER_ERROR = 1 };

/* ---- options.c: the command line ---- */
struct tcpm__runner_options {
    const char **chunks; /* the values of -e, in their order */
    int chunk_count;
    int script;         /* index of the script's file in argv; argc: there is no script */
    int first_argument; /* index in argv of the script's first argument */
    char *named;        /* file of the script that -m names, at its index in argv; or NULL */
    const char *peer;   /* mode of the practice peer; NULL: no peer */
    const char *keylog; /* file for the secrets of TLS; NULL: none */
    bool allow_bytecode;
    bool tally; /* print the tally of each session when the session ends */
};
/* Returns -1 if the program is to go on; else the status to exit with: everything that the user is
   to be told has been printed. */
int tcpm__runner_options_parse(struct tcpm__runner_options *options, int argc, char **argv);
void tcpm__runner_options_free(struct tcpm__runner_options *options);

/* ---- descriptors.c: descriptors and limits ---- */
/* Called before anything opens a file. */
void tcpm__runner_descriptors_prepare(void);

/* ---- output.c: standard output and standard error ---- */
/* Replaces C's two streams by streams that lose nothing. Called before Lua takes them. At exit the
   streams are flushed; if that fails, a status of 0 becomes RUNNER_ERROR. */
void tcpm__runner_output_open(void);
/* Ends the process with 141, from the loop, once nobody reads standard output any more. */
struct tcpm__runner_output {
    bool watched;          /* the handles are open: standard output is a pipe or a terminal */
    bool terminal;         /* isatty() at the start: after a hang-up isatty() says no */
    uv_loop_t inner;       /* polls standard output only */
    uv_poll_t output_poll; /* on the inner loop */
    uv_poll_t inner_poll;  /* the inner loop's own descriptor, on the script's loop */
    uv_timer_t grace;      /* gives SIGHUP time to come, after a terminal has hung up */
};
void tcpm__runner_output_watch(struct tcpm__runner_output *output, uv_loop_t *loop);
void tcpm__runner_output_close(struct tcpm__runner_output *output);
/* Flushes standard output. Returns the status to exit with: the given one if all went well. */
int tcpm__runner_output_finish(int status);
/* In a build with the sanitizers: reports leaks, and then does not return. */
void tcpm__runner_output_check_leaks(void);

/* ---- keylog.c: the file of --keylog ---- */
struct tcpm__runner_keylog {
    const char *path; /* NULL: not open */
    int descriptor;
    bool has_failed; /* a write has failed, which is told once */
};
/* Returns RUNNER_DONE, or RUNNER_ERROR after the reason has been printed. */
int tcpm__runner_keylog_open(struct tcpm__runner_keylog *keylog, const char *path);
/* The option key_log of an engine; user is the keylog. */
void tcpm__runner_keylog_write(const char *line, void *user);
void tcpm__runner_keylog_close(struct tcpm__runner_keylog *keylog);

/* ---- signals.c: SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGUSR1 ---- */
struct tcpm__runner_signals {
    uv_async_t wake; /* sent by the signal handler */
    uv_timer_t
        limit; /* armed by the first signal: sessions that have not ended by then are reset */
    uv_prepare_t turn; /* started by the first signal: stops the loop once no session is left */
    struct lua_State *L;
    int dying; /* the signal that ends the sessions; 0: none */
};
int tcpm__runner_signals_start(struct tcpm__runner_signals *signals, uv_loop_t *loop,
                               struct lua_State *L);
/* Called when luv has started a watcher of this signal. */
void tcpm__runner_signals_note_luv(int signum);
/* The signal that has ended this run, or should have; 0: none. */
int tcpm__runner_signals_ended_by(const struct tcpm__runner_signals *signals);
/* True: a signal has begun to end the run in order. */
bool tcpm__runner_signals_is_ending(void);
void tcpm__runner_signals_close(struct tcpm__runner_signals *signals);
/* Ends the process at once, by this signal. */
_Noreturn void tcpm__runner_signals_die(int signum);

/* ---- report.c: errors for people ---- */
/* A message handler for lua_pcall: makes a string with a traceback of any error value. */
int tcpm__runner_report_traceback(struct lua_State *L);
/* Each of the following three prints one message to standard error, safe for a terminal. */
void tcpm__runner_report_bytes(const char *text, size_t size); /* text[size] is NUL */
void tcpm__runner_report_text(const char *text);
void tcpm__runner_report_error(struct lua_State *L); /* the string on top of the stack */

/* ---- scripts.c: the scripts that come with the program ---- */
/* Returns the path of the script with this name, to be freed. NULL: there is none, and known is a
   text that names those there are. */
char *tcpm__runner_scripts_find(const char *name, char *known, size_t size);

/* ---- source.c: Lua text ---- */
/* Makes load, loadfile, require and the other loaders accept text only. */
void tcpm__runner_source_refuse_bytecode(struct lua_State *L);
/* Loads the script, from standard input if path is NULL. Returns 0 with the chunk on top of the
   stack, or an error of lua_load with its message there. */
int tcpm__runner_source_load(struct lua_State *L, const char *path, bool allow_bytecode);
/* Loads a chunk of -e; results as above. */
int tcpm__runner_source_load_chunk(struct lua_State *L, const char *chunk, bool allow_bytecode);
/* Lets require search the script's directory before all others. */
void tcpm__runner_source_find_beside(struct lua_State *L, const char *script);
/* Fills the global table arg. */
void tcpm__runner_source_set_arguments(struct lua_State *L,
                                       const struct tcpm__runner_options *options, int argc,
                                       char **argv);

/* ---- luv.c: require "luv" on our loop ---- */
/* L must be the main state. */
void tcpm__runner_luv_install(struct lua_State *L);
/* Closes the handles that luv has left open; no callback of luv runs any more. Called before the
   module closes the loop. */
void tcpm__runner_luv_close(struct lua_State *L, uv_loop_t *loop);

/* ---- peer.c: the practice peer, seen from the script's process ---- */
struct tcpm__runner_peer {
    pid_t pid; /* 0: there is no peer */
    int life;  /* a socket to the peer; its end of file tells the peer to end */
    int port;
    const char *mode;
};
bool tcpm__runner_peer_knows_mode(const char *mode);
/* Returns 0 or a negative errno. Forks: to be called while the process has one thread and no Lua
   state. */
int tcpm__runner_peer_start(struct tcpm__runner_peer *peer, const char *mode);
/* Replaces the module's function peer, on top of the stack, by a table that can be called as that
   function. */
void tcpm__runner_peer_push_table(struct lua_State *L, const struct tcpm__runner_peer *peer);
void tcpm__runner_peer_stop(struct tcpm__runner_peer *peer);

#endif
