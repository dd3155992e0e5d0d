/* SPDX-License-Identifier: MIT */
/*
 * The command line of tcpmulti-lua. Options come before the script; what follows it belongs to it,
 * but for one "--" right behind the script. An unknown option is answered by the nearest known one.
 * Nothing here touches Lua, so a wrong command line costs nothing and changes nothing.
 */
#include "runner.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <luajit.h>

#include "tcpmulti.h"

#define ALLOW_BYTECODE "--allow-bytecode"
#define TALLY          "--tally"

static void print_usage(FILE *out)
{
    fprintf(out, "usage: " RUNNER_NAME " [options] script.lua [--] [args...]\n");
}

static int print_help(void)
{
    print_usage(stdout);
    printf(
        "\nRuns a client script with the module tcpmulti built in. The script \"-\" is read from\n"
        "standard input. Its arguments are in the table arg.\n\n"
        "  -e CHUNK          run CHUNK first; the script may then be left out\n"
        "  --peer MODE       start a practice peer on 127.0.0.1-32; the script finds it in\n"
        "                    tcpmulti.peer.addr, .addrs and .port. MODE: echo, discard,\n"
        "                    chargen, banner=TEXT, http\n"
        "  " TALLY "           tell how the connections of each session have ended, on standard\n"
        "                    error at the end\n"
        "  " ALLOW_BYTECODE "  accept LuaJIT bytecode where Lua text is expected\n"
        "  -h, --help        print this and exit\n"
        "  -V, --version     print the versions and exit\n"
        "  --                end of the options\n\n"
        "Exit status: 0 done, 1 an error in the script or at run time, 2 wrong usage,\n"
        "141 nobody reads standard output any more. The first SIGINT, SIGTERM or SIGHUP shuts\n"
        "down all connections, within 5 seconds, and then ends the program (130, 143 or 129 for\n"
        "a shell); the second ends it at once.\n");
    return RUNNER_DONE;
}

static int print_version(void)
{
    printf(RUNNER_NAME " %s (libuv %s, %s)\n", tcpm_version(), uv_version_string(), LUAJIT_VERSION);
    return RUNNER_DONE;
}

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/* The price of changing one character to another: the wrong case is half a mistake. */
static size_t change_price(char from, char to)
{
    if (from == to)
        return 0;
    return tolower((unsigned char) from) == tolower((unsigned char) to) ? 1 : 2;
}

/* What it costs to make b of a by putting in, taking out and changing characters; only the first 31
   count. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[32], length = strnlen(b, 31), diagonal, above;

    for (size_t j = 0; j <= length; j++)
        row[j] = 2 * j;
    for (size_t i = 0; i < 31 && a[i] != '\0'; i++) {
        diagonal = row[0];
        row[0] = 2 * (i + 1);
        for (size_t j = 0; j < length; j++) {
            above = row[j + 1];
            row[j + 1] = smallest(row[j] + 2, above + 2, diagonal + change_price(a[i], b[j]));
            diagonal = above;
        }
    }
    return row[length];
}

static const char *nearest_option(const char *unknown)
{
    static const char *const known[] = {"-e",     "-h",        "-V",           "--peer",
                                        "--help", "--version", ALLOW_BYTECODE, TALLY};
    const char *nearest = known[0];

    for (size_t i = 1; i < sizeof(known) / sizeof(known[0]); i++)
        if (edit_distance(unknown, known[i]) < edit_distance(unknown, nearest))
            nearest = known[i];
    return nearest;
}

static int refuse(const char *what, const char *value, const char *hint)
{
    char line[512];

    snprintf(line, sizeof(line), "%s%s%s; %s", what, value[0] != '\0' ? " " : "", value, hint);
    tcpm__runner_report(line);
    print_usage(stderr);
    return RUNNER_USAGE;
}

static int refuse_unknown(const char *option)
{
    char hint[64];

    snprintf(hint, sizeof(hint), "did you mean %s?", nearest_option(option));
    return refuse("unknown option", option, hint);
}

/* The value of the option at argv[*at]: attached behind prefix, or the next argument; NULL: none.
 */
static const char *take_value(int argc, char **argv, int *at, const char *attached)
{
    if (*attached != '\0')
        return attached;
    return *at + 1 < argc ? argv[++*at] : NULL;
}

static int take_chunk(struct tcpm__runner_options *options, int argc, char **argv, int *at)
{
    const char *chunk = take_value(argc, argv, at, argv[*at] + 2);

    if (chunk == NULL)
        return refuse("-e", "", "expected a chunk of Lua behind it");
    options->chunks[options->chunk_count++] = chunk;
    return -1;
}

static int take_peer(struct tcpm__runner_options *options, int argc, char **argv, int *at)
{
    const char *option = argv[*at];
    const char *mode = option[6] == '=' ? option + 7 : take_value(argc, argv, at, "");
    const char *modes = "expected echo, discard, chargen, banner=TEXT or http";

    if (mode == NULL)
        return refuse("--peer", "", modes);
    if (!tcpm__runner_peer_mode_known(mode))
        return refuse("unknown mode of --peer:", mode, modes);
    options->peer = mode;
    return -1;
}

static int take_option(struct tcpm__runner_options *options, int argc, char **argv, int *at)
{
    const char *option = argv[*at];

    if (strcmp(option, "-h") == 0 || strcmp(option, "--help") == 0)
        return print_help();
    if (strcmp(option, "-V") == 0 || strcmp(option, "--version") == 0)
        return print_version();
    if (strncmp(option, "-e", 2) == 0)
        return take_chunk(options, argc, argv, at);
    if (strcmp(option, "--peer") == 0 || strncmp(option, "--peer=", 7) == 0)
        return take_peer(options, argc, argv, at);
    if (strcmp(option, ALLOW_BYTECODE) == 0)
        options->allow_bytecode = true;
    else if (strcmp(option, TALLY) == 0)
        options->tally = true;
    else
        return refuse_unknown(option);
    return -1;
}

int tcpm__runner_options_parse(struct tcpm__runner_options *options, int argc, char **argv)
{
    int at, status;

    options->chunks = calloc((size_t) argc + 1, sizeof(*options->chunks));
    if (options->chunks == NULL)
        return RUNNER_ERROR;
    for (at = 1; at < argc && argv[at][0] == '-' && argv[at][1] != '\0'; at++) {
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        status = take_option(options, argc, argv, &at);
        if (status >= 0)
            return status;
    }
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
}
