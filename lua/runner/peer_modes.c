/* SPDX-License-Identifier: MIT */
/*
 * The behaviour of the practice peer's connections, by mode: echo, discard, chargen, banner and
 * http. Sockets and the loop belong to the server (peer_server.c), which calls the functions of a
 * mode; a mode sees bytes only.
 */
#include "peer.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    HEAD_LIMIT = 16384, /* bytes of the head of an http request */
    LINE_WIDTH = 72,    /* chargen: characters of a line */
    PRINTABLE = 95,     /* chargen: characters from ' ' on; after so many lines they repeat */
    REPEATS = 4,        /* chargen: so often in one block */
};

static void on_echo_input(struct tcpm__peer_connection *connection, const char *bytes,
                          size_t length)
{
    tcpm__peer_send(connection, bytes, length);
}

/* Fills block with lines of printable characters; each line begins one character later than the
   line before (RFC 864). Returns the bytes of all lines. */
static size_t fill_lines(char *block, size_t lines)
{
    size_t length = 0;

    for (size_t line = 0; line < lines; line++) {
        for (size_t i = 0; i < LINE_WIDTH; i++)
            block[length++] = (char) (' ' + (line + i) % PRINTABLE);
        block[length++] = '\r';
        block[length++] = '\n';
    }
    return length;
}

static void on_chargen_refill(struct tcpm__peer_connection *connection)
{
    char block[PRINTABLE * REPEATS * (LINE_WIDTH + 2)];

    tcpm__peer_send(connection, block, fill_lines(block, PRINTABLE * REPEATS));
}

/* -1: c is no hexadecimal digit. */
static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c != '\0' ? strchr(digits, tolower((unsigned char) c)) : NULL;

    return found != NULL ? (int) (found - digits) : -1;
}

/* Returns the byte that the escape sequence at text stands for, and its length in *used. Where text
   begins with no escape sequence: its first byte, and 1. */
static char unescape(const char *text, size_t *used)
{
    static const char names[] = "nrtae\\", bytes[] = "\n\r\t\a\033\\";

    *used = 1;
    if (text[0] != '\\' || text[1] == '\0')
        return text[0];
    if (text[1] == 'x' && hex_digit(text[2]) >= 0 && hex_digit(text[3]) >= 0) {
        *used = 4;
        return (char) (hex_digit(text[2]) * 16 + hex_digit(text[3]));
    }
    const char *name = strchr(names, text[1]);
    if (name == NULL)
        return text[0];
    *used = 2;
    return bytes[name - names];
}

/* Sends TEXT, which may hold the escapes \r \n \t \a \e \\ and \xNN, and behind it a line end,
   unless TEXT ends in one. */
static void on_banner_start(struct tcpm__peer_connection *connection, const char *text)
{
    char *banner = malloc(strlen(text) + 2);

    if (banner == NULL) {
        connection->finished = true;
        return;
    }
    size_t length = 0;
    for (size_t used = 0; *text != '\0'; text += used)
        banner[length++] = unescape(text, &used);
    if (length == 0 || banner[length - 1] != '\n') {
        banner[length++] = '\r';
        banner[length++] = '\n';
    }
    tcpm__peer_send(connection, banner, length);
    free(banner);
}

/* True: the words stand in the head, in upper or lower case. strcasestr is glibc's, musl's and the
   BSDs'; on other systems compare at each position by strncasecmp. */
static bool head_has(const char *head, const char *words)
{
    return strcasestr(head, words) != NULL;
}

/* The rules of RFC 9112, section 9.3. */
static bool wants_close(const char *head)
{
    return head_has(head, "connection: close") ||
           (head_has(head, " HTTP/1.0") && !head_has(head, "connection: keep-alive"));
}

static void answer_request(struct tcpm__peer_connection *connection, const char *head)
{
    static const char body[] = "Hello from the practice peer.\n";
    bool is_get = strncmp(head, "GET ", 4) == 0;
    bool is_known = is_get || strncmp(head, "HEAD ", 5) == 0;
    bool close = !is_known || wants_close(head);
    char answer[320];
    int length =
        snprintf(answer, sizeof answer,
                 "HTTP/1.1 %s\r\nServer: tcpmulti-peer\r\nContent-Type: text/plain\r\n"
                 "Content-Length: %zu\r\nConnection: %s\r\n\r\n%s",
                 is_known ? "200 OK" : "405 Method Not Allowed", is_known ? sizeof body - 1 : 0,
                 close ? "close" : "keep-alive", is_get ? body : "");

    tcpm__peer_send(connection, answer, (size_t) length);
    if (close)
        connection->finished = true;
}

/* Returns the end of the first head in the text, behind its empty line. NULL: no empty line has
   come yet. */
static char *find_head_end(char *head)
{
    char *crlf = strstr(head, "\r\n\r\n"), *lf = strstr(head, "\n\n");

    if (crlf != NULL && (lf == NULL || crlf < lf))
        return crlf + 4;
    return lf != NULL ? lf + 2 : NULL;
}

/* Answers all complete requests and keeps the rest. */
static void answer_requests(struct tcpm__peer_connection *connection)
{
    char *at = connection->head;

    while (!connection->finished) {
        char *end = find_head_end(at);

        if (end == NULL)
            break;
        char byte = *end;
        *end = '\0';
        answer_request(connection, at);
        *end = byte;
        at = end;
    }
    connection->head_length -= (size_t) (at - connection->head);
    memmove(connection->head, at, connection->head_length + 1);
    if (connection->head_length >= HEAD_LIMIT)
        connection->finished = true;
}

static void on_http_input(struct tcpm__peer_connection *connection, const char *bytes,
                          size_t length)
{
    char *head = realloc(connection->head, connection->head_length + length + 1);

    if (head == NULL) {
        connection->finished = true;
        return;
    }
    memcpy(head + connection->head_length, bytes, length);
    connection->head = head;
    connection->head_length += length;
    head[connection->head_length] = '\0';
    answer_requests(connection);
}

const struct tcpm__peer_mode *tcpm__peer_mode_find(const char *mode, const char **text)
{
    /* A name that ends in "=" is followed by the text; the others have none. */
    static const struct tcpm__peer_mode modes[] = {
        {.name = "echo", .input = on_echo_input},
        {.name = "discard"},
        {.name = "chargen", .refill = on_chargen_refill},
        {.name = "banner=", .start = on_banner_start},
        {.name = "http", .input = on_http_input},
    };

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        size_t length = strlen(modes[i].name);

        *text = mode + length;
        if (strncmp(mode, modes[i].name, length) == 0 && (modes[i].start != NULL || **text == '\0'))
            return &modes[i];
    }
    return NULL;
}
