/* SPDX-License-Identifier: MIT */
/*
 * The command line of tcpmulti-lua. Options come before the script, which is a file or which -m
 * names; everything behind the script belongs to the script, except a "--" right behind its name.
 * The message about an unknown option names the nearest known one. Nothing here touches Lua: a
 * wrong command line costs nothing and changes nothing.
 */
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <luajit.h>

#include "spelling.h"
#include "tcpmulti.h"

enum {
    RUNNER_USAGE = 2, /* exit status */
    KNOWN_SIZE = 1024 /* bytes of a text with the names of all scripts for -m */
};

#define ALLOW_BYTECODE "--allow-bytecode"
#define KEYLOG         "--keylog"
#define TALLY          "--tally"

static void print_usage(FILE *out)
{
    fprintf(out, "usage: " RUNNER_NAME " [options] script.lua [--] [args...]\n"
                 "       " RUNNER_NAME " [options] -m NAME [--] [args...]\n");
}

static int print_help(void)
{
    print_usage(stdout);
    printf(
        "\nRuns a client script with the module tcpmulti built in. The script \"-\" is read from\n"
        "standard input. Its arguments are in the table arg.\n\n"
        "  -e CHUNK          run CHUNK first; the script may then be left out\n"
        "  -m NAME           run the script of that name that comes with this program\n"
        "  --peer MODE       start a practice peer on 127.0.0.1-32; the script finds it in\n"
        "                    tcpmulti.peer.addr, .addrs and .port. MODE: echo, discard,\n"
        "                    chargen, banner=TEXT, http\n"
        "  " KEYLOG " FILE     append the secrets of TLS to FILE, for programs that decrypt what\n"
        "                    they have recorded: anybody who has FILE can read it all\n"
        "  " TALLY "           tell how the connections of each session have ended, on standard\n"
        "                    error at the end\n"
        "  " ALLOW_BYTECODE "  accept LuaJIT bytecode where Lua text is expected\n"
        "  -h, --help        print this and exit\n"
        "  -V, --version     print the versions and exit\n"
        "  --                end of the options\n\n"
        "Exit status: 0 done, 1 an error in the script or at run time, 2 wrong usage,\n"
        "141 nobody reads standard output any more. The first SIGINT, SIGTERM or SIGHUP shuts\n"
        "down all connections, within 5 seconds, and then ends the program (130, 143 or 129 for\n"
        "a shell); the second ends it at once. SIGUSR1 prints the state of all connections on\n"
        "standard error.\n");
    return RUNNER_DONE;
}

static int print_version(void)
{
    printf(RUNNER_NAME " %s (libuv %s, %s)\n", tcpm_version(), uv_version_string(), LUAJIT_VERSION);
    return RUNNER_DONE;
}

/* NULL: none is near. */
static const char *nearest_option(const char *unknown)
{
    static const char *const known[] = {"-e",     "-m",        "-h",           "-V",  "--peer",
                                        "--help", "--version", ALLOW_BYTECODE, TALLY, KEYLOG};
    const char *nearest = known[0];

    for (size_t i = 1; i < sizeof known / sizeof known[0]; i++)
        if (tcpm__lua_spelling_distance(unknown, known[i]) <
            tcpm__lua_spelling_distance(unknown, nearest))
            nearest = known[i];
    size_t length = strlen(unknown), most = length < 6 ? 2 : length / 3;
    bool is_near = tcpm__lua_spelling_distance(unknown, nearest) < (most + 1) * TCPM__LUA_EDIT;
    return is_near ? nearest : NULL;
}

static int refuse(const char *what, const char *value, const char *hint)
{
    char line[2 * KNOWN_SIZE];

    snprintf(line, sizeof line, "%s%s%s; %s", what, value[0] != '\0' ? " " : "", value, hint);
    tcpm__runner_report_text(line);
    print_usage(stderr);
    return RUNNER_USAGE;
}

static int refuse_unknown(const char *option)
{
    const char *nearest = nearest_option(option);
    char hint[64] = "--help shows all";

    if (nearest != NULL)
        snprintf(hint, sizeof hint, "did you mean %s?", nearest);
    return refuse("unknown option", option, hint);
}

/* Returns the value of the option at argv[*at]: attached, unless that is empty, else the next
   argument, to which *at is moved. NULL: there is no next argument. */
static const char *read_value(int argc, char **argv, int *at, const char *attached)
{
    if (attached[0] != '\0')
        return attached;
    return *at + 1 < argc ? argv[++*at] : NULL;
}

static int read_chunk(struct tcpm__runner_options *options, int argc, char **argv, int *at)
{
    const char *chunk = read_value(argc, argv, at, argv[*at] + 2);

    if (chunk == NULL)
        return refuse("-e", "", "expected a chunk of Lua behind it");
    options->chunks[options->chunk_count++] = chunk;
    return -1;
}

/* Puts the file of the script in place of its name. */
static int read_name(struct tcpm__runner_options *options, int argc, char **argv, int *at)
{
    const char *name = read_value(argc, argv, at, argv[*at] + 2);
    char known[KNOWN_SIZE];

    options->named = tcpm__runner_scripts_find(name != NULL ? name : "", known, sizeof known);
    if (name == NULL)
        return refuse("-m; expected a name behind it", "", known);
    if (options->named == NULL)
        return refuse("-m knows no script", name, known);
    argv[*at] = options->named;
    return -1;
}

static int read_peer(struct tcpm__runner_options *options, int argc, char **argv, int *at)
{
    const char *option = argv[*at];
    const char *mode = option[6] == '=' ? option + 7 : read_value(argc, argv, at, "");
    const char *modes = "expected echo, discard, chargen, banner=TEXT or http";

    if (mode == NULL)
        return refuse("--peer", "", modes);
    if (!tcpm__runner_peer_knows_mode(mode))
        return refuse("unknown mode of --peer:", mode, modes);
    options->peer = mode;
    return -1;
}

static int read_keylog(struct tcpm__runner_options *options, int argc, char **argv, int *at)
{
    const char *attached = strchr(argv[*at], '=');

    options->keylog = read_value(argc, argv, at, attached != NULL ? attached + 1 : "");
    return options->keylog != NULL ? -1
                                   : refuse(KEYLOG, "", "expected the name of a file behind it");
}

/* Reads the option at argv[*at]; its result is that of tcpm__runner_options_parse. */
static int read_option(struct tcpm__runner_options *options, int argc, char **argv, int *at)
{
    const char *option = argv[*at];

    if (strcmp(option, "-h") == 0 || strcmp(option, "--help") == 0)
        return print_help();
    if (strcmp(option, "-V") == 0 || strcmp(option, "--version") == 0)
        return print_version();
    if (strncmp(option, "-e", 2) == 0)
        return read_chunk(options, argc, argv, at);
    if (strncmp(option, "-m", 2) == 0)
        return read_name(options, argc, argv, at);
    if (strcmp(option, "--peer") == 0 || strncmp(option, "--peer=", 7) == 0)
        return read_peer(options, argc, argv, at);
    if (strcmp(option, KEYLOG) == 0 || strncmp(option, KEYLOG "=", sizeof KEYLOG) == 0)
        return read_keylog(options, argc, argv, at);
    if (strcmp(option, ALLOW_BYTECODE) == 0)
        options->allow_bytecode = true;
    else if (strcmp(option, TALLY) == 0)
        options->tally = true;
    else
        return refuse_unknown(option);
    return -1;
}

/* Reads the options at the front of argv and leaves the index of the script in *at. The result is
   that of tcpm__runner_options_parse. */
static int read_options(struct tcpm__runner_options *options, int argc, char **argv, int *at)
{
    for (*at = 1; *at < argc && argv[*at][0] == '-' && argv[*at][1] != '\0'; ++*at) {
        if (strcmp(argv[*at], "--") == 0) {
            ++*at;
            break;
        }
        int status = read_option(options, argc, argv, at);
        if (status >= 0 || options->named != NULL)
            return status;
    }
    return -1;
}

int tcpm__runner_options_parse(struct tcpm__runner_options *options, int argc, char **argv)
{
    options->chunks = calloc((size_t) argc + 1, sizeof *options->chunks);
    if (options->chunks == NULL)
        return RUNNER_ERROR;
    int at, status = read_options(options, argc, argv, &at);
    if (status >= 0)
        return status;
    if (at >= argc && options->chunk_count == 0)
        return refuse("no script", "", "name one, or - for standard input");
    options->script = at < argc ? at : argc;
    options->first_argument = at + 1;
    if (at + 1 < argc && strcmp(argv[at + 1], "--") == 0)
        options->first_argument++;
    return -1;
}

void tcpm__runner_options_free(struct tcpm__runner_options *options)
{
    free(options->chunks);
    options->chunks = NULL;
    free(options->named);
    options->named = NULL;
}
