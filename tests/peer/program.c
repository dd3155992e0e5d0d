/* SPDX-License-Identifier: MIT */
/*
 * Reads the text of a scripted peer into steps. Everything is checked here, so that a misspelt verb
 * stops the test that wrote it and not the connection that meets it.
 */
#include "program.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    const char *at;
    char *message;
    size_t size;
};

struct verb_form {
    const char *name, *arguments;
};

#define VERB_FORM(id, name, arguments) {name, arguments},
static const struct verb_form verb_forms[] = {PEER_VERBS(VERB_FORM)};
#undef VERB_FORM

const char *peer_verb_name(enum peer_verb verb)
{
    return verb_forms[verb].name;
}

static int refuse(struct reader *reader, const char *what)
{
    if (reader->message != NULL) {
        (void) snprintf(reader->message, reader->size, "peer program: %s before \"%.40s\"", what,
                        reader->at);
    }
    return -1;
}

static void skip_blanks(struct reader *reader)
{
    while (*reader->at == ' ' || *reader->at == '\t') {
        reader->at++;
    }
    if (*reader->at == '#') {
        reader->at += strcspn(reader->at, "\n");
    }
}

/* The next word into a buffer; its length, 0 if there is none or it does not fit. */
static size_t read_word(struct reader *reader, char *word, size_t size)
{
    size_t length = 0;

    skip_blanks(reader);
    while (isalnum((unsigned char) reader->at[length]) || reader->at[length] == '_' ||
           reader->at[length] == '-') {
        length++;
    }
    if (length == 0 || length >= size) {
        return 0;
    }
    memcpy(word, reader->at, length);
    word[length] = '\0';
    reader->at += length;
    return length;
}

static int hex_digit(char digit)
{
    if (!isxdigit((unsigned char) digit)) {
        return -1;
    }
    return isdigit((unsigned char) digit) ? digit - '0' : tolower((unsigned char) digit) - 'a' + 10;
}

/* One character after a backslash. */
static int read_escape(struct reader *reader, char *byte)
{
    static const char letters[] = "nrt0\\\"", bytes[] = "\n\r\t\0\\\"";
    char letter = *reader->at++;

    if (letter == 'x') {
        int high = hex_digit(reader->at[0]), low = high < 0 ? -1 : hex_digit(reader->at[1]);

        if (low < 0) {
            return refuse(reader, "\\x wants two digits");
        }
        *byte = (char) (high * 16 + low);
        reader->at += 2;
        return 0;
    }
    for (size_t i = 0; letter != '\0' && i < sizeof letters - 1; i++) {
        if (letters[i] == letter) {
            *byte = bytes[i];
            return 0;
        }
    }
    return refuse(reader, "unknown escape");
}

static int read_string(struct reader *reader, struct peer_step *step)
{
    skip_blanks(reader);
    if (*reader->at != '"') {
        return refuse(reader, "a string is wanted");
    }
    reader->at++;
    step->bytes = malloc(strlen(reader->at) + 1);
    if (step->bytes == NULL) {
        return refuse(reader, "out of memory");
    }
    while (*reader->at != '"') {
        char byte = *reader->at;

        if (byte == '\0') {
            return refuse(reader, "a string does not end");
        }
        reader->at++;
        if (byte == '\\' && read_escape(reader, &byte) != 0) {
            return -1;
        }
        step->bytes[step->length++] = byte;
    }
    step->bytes[step->length] = '\0';
    reader->at++;
    return 0;
}

static int read_hex(struct reader *reader, struct peer_step *step)
{
    skip_blanks(reader);
    step->bytes = malloc(strlen(reader->at) / 2 + 1);
    if (step->bytes == NULL) {
        return refuse(reader, "out of memory");
    }
    while (hex_digit(reader->at[0]) >= 0) {
        int low = hex_digit(reader->at[1]);

        if (low < 0) {
            return refuse(reader, "an even number of hex digits is wanted");
        }
        step->bytes[step->length++] = (char) (hex_digit(reader->at[0]) * 16 + low);
        reader->at += 2;
        skip_blanks(reader);
    }
    step->bytes[step->length] = '\0';
    return step->length > 0 ? 0 : refuse(reader, "hex digits are wanted");
}

/* Decimal, with k or m for 1024 and its square. */
static int read_number(struct reader *reader, int64_t *number)
{
    char *end;

    skip_blanks(reader);
    if (!isdigit((unsigned char) *reader->at)) {
        return refuse(reader, "a number is wanted");
    }
    *number = strtoll(reader->at, &end, 10);
    if (*end == 'k' || *end == 'm') {
        *number *= *end == 'k' ? 1024 : 1024 * 1024;
        end++;
    }
    reader->at = end;
    return 0;
}

static int read_amount(struct reader *reader, struct peer_step *step)
{
    char word[8];

    skip_blanks(reader);
    if (isdigit((unsigned char) *reader->at)) {
        step->amount = AMOUNT_NUMBER;
        return read_number(reader, &step->numbers[0]);
    }
    if (read_word(reader, word, sizeof word) == 0) {
        return refuse(reader, "a number, line or all is wanted");
    }
    if (strcmp(word, "line") != 0 && strcmp(word, "all") != 0) {
        return refuse(reader, "a number, line or all is wanted");
    }
    step->amount = word[0] == 'l' ? AMOUNT_LINE : AMOUNT_ALL;
    return 0;
}

static int read_name(struct reader *reader, struct peer_step *step)
{
    char word[64];

    step->length = read_word(reader, word, sizeof word);
    if (step->length == 0) {
        return refuse(reader, "a name is wanted");
    }
    step->bytes = malloc(step->length + 1);
    if (step->bytes == NULL) {
        return refuse(reader, "out of memory");
    }
    memcpy(step->bytes, word, step->length + 1);
    return 0;
}

static int read_arguments(struct reader *reader, struct peer_step *step, const char *forms)
{
    size_t numbers = 0;

    for (; *forms != '\0'; forms++) {
        int result = *forms == 's'   ? read_string(reader, step)
                     : *forms == 'h' ? read_hex(reader, step)
                     : *forms == 'w' ? read_name(reader, step)
                     : *forms == 'r' ? read_amount(reader, step)
                                     : read_number(reader, &step->numbers[numbers++]);

        if (result != 0) {
            return result;
        }
    }
    return 0;
}

static struct peer_step *add_step(struct peer_program *program)
{
    struct peer_step *steps =
        realloc(program->steps, (program->count + 1) * sizeof *program->steps);

    if (steps == NULL) {
        return NULL;
    }
    program->steps = steps;
    memset(&steps[program->count], 0, sizeof *steps);
    return &steps[program->count++];
}

static struct peer_program *add_program(struct peer_script *script)
{
    struct peer_program *programs =
        realloc(script->programs, (script->count + 1) * sizeof *script->programs);

    if (programs == NULL) {
        return NULL;
    }
    script->programs = programs;
    memset(&programs[script->count], 0, sizeof *programs);
    return &programs[script->count++];
}

static int find_verb(const char *word)
{
    for (int verb = 0; verb < VERB_TOTAL; verb++) {
        if (strcmp(verb_forms[verb].name, word) == 0) {
            return verb;
        }
    }
    return -1;
}

/* One verb with its arguments, up to the separator behind it. */
static int read_step(struct reader *reader, struct peer_script *script)
{
    struct peer_program *program = &script->programs[script->count - 1];
    struct peer_step *step;
    const char *start = reader->at;
    char word[16];
    int verb = read_word(reader, word, sizeof word) > 0 ? find_verb(word) : -1;

    if (verb < 0) {
        reader->at = start;
        return refuse(reader, "unknown verb");
    }
    step = verb == VERB_NEXT ? NULL : add_step(program);
    if (verb == VERB_NEXT ? add_program(script) == NULL : step == NULL) {
        return refuse(reader, "out of memory");
    }
    if (step != NULL) {
        step->verb = (enum peer_verb) verb;
        if (read_arguments(reader, step, verb_forms[verb].arguments) != 0) {
            return -1;
        }
    }
    skip_blanks(reader);
    if (*reader->at != '\0' && *reader->at != '\n' && *reader->at != ';') {
        return refuse(reader, "too many arguments");
    }
    return 0;
}

/* Pairs each end with its loop. */
static int match_loops(struct reader *reader, struct peer_program *program)
{
    size_t open[8], depth = 0;

    for (size_t i = 0; i < program->count; i++) {
        struct peer_step *step = &program->steps[i];

        if (step->verb == VERB_LOOP) {
            if (depth == sizeof open / sizeof open[0]) {
                return refuse(reader, "too many loops in one another");
            }
            open[depth++] = i;
        } else if (step->verb == VERB_END) {
            if (depth == 0) {
                return refuse(reader, "end without loop");
            }
            step->partner = open[--depth];
            program->steps[step->partner].partner = i;
        }
    }
    return depth == 0 ? 0 : refuse(reader, "loop without end");
}

int peer_script_parse(const char *text, struct peer_script *script, char *message, size_t size)
{
    struct reader reader = {text, message, size};

    memset(script, 0, sizeof *script);
    if (add_program(script) == NULL) {
        return refuse(&reader, "out of memory");
    }
    for (;;) {
        skip_blanks(&reader);
        if (*reader.at == '\0') {
            break;
        }
        if (*reader.at == '\n' || *reader.at == ';') {
            reader.at++;
        } else if (read_step(&reader, script) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < script->count; i++) {
        if (match_loops(&reader, &script->programs[i]) != 0) {
            return -1;
        }
    }
    return 0;
}

void peer_script_free(struct peer_script *script)
{
    for (size_t i = 0; i < script->count; i++) {
        for (size_t k = 0; k < script->programs[i].count; k++) {
            free(script->programs[i].steps[k].bytes);
        }
        free(script->programs[i].steps);
    }
    free(script->programs);
    memset(script, 0, sizeof *script);
}
