/* SPDX-License-Identifier: MIT */
/*
 * What the practice peer does with its connections, by mode: echo, discard, chargen, banner and
 * http. Sockets and turns are the server's business (peer_server.c); a mode sees bytes only.
 */
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEAD_LIMIT 16384 /* bytes of an http request's head */

static void echo_input(struct peer_connection *connection, const char *bytes, size_t length)
{
    tcpm__peer_send(connection, bytes, length);
}

/* RFC 864: lines of 72 printable characters, each begun one character later than the one before. */
static size_t fill_lines(char *block, size_t lines)
{
    size_t length = 0;

    for (size_t line = 0; line < lines; line++) {
        for (size_t i = 0; i < 72; i++)
            block[length++] = (char) (' ' + (line + i) % 95);
        block[length++] = '\r';
        block[length++] = '\n';
    }
    return length;
}

static void chargen_refill(struct peer_connection *connection)
{
    char block[95 * 74 * 4];

    tcpm__peer_send(connection, block, fill_lines(block, 95 * 4));
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *found;

    found = c != '\0' ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
    return found != NULL ? (int) (found - digits) : -1;
}

/* The byte that the escape at text stands for; *used: how long it is. No escape: the byte itself.
 */
static char unescape(const char *text, size_t *used)
{
    static const char names[] = "nrtae\\", bytes[] = "\n\r\t\a\033\\";
    const char *name;

    *used = 1;
    if (text[0] != '\\' || text[1] == '\0')
        return text[0];
    if (text[1] == 'x' && hex_digit(text[2]) >= 0 && hex_digit(text[3]) >= 0) {
        *used = 4;
        return (char) (hex_digit(text[2]) * 16 + hex_digit(text[3]));
    }
    name = strchr(names, text[1]);
    if (name == NULL)
        return text[0];
    *used = 2;
    return bytes[name - names];
}

/* TEXT may hold \r \n \t \a \e \\ and \xNN; a line end is added where it has none. */
static void banner_start(struct peer_connection *connection, const char *text)
{
    size_t length = 0, used;
    char *banner = malloc(strlen(text) + 2);

    if (banner == NULL) {
        connection->finished = true;
        return;
    }
    for (; *text != '\0'; text += used)
        banner[length++] = unescape(text, &used);
    if (length == 0 || banner[length - 1] != '\n') {
        banner[length++] = '\r';
        banner[length++] = '\n';
    }
    tcpm__peer_send(connection, banner, length);
    free(banner);
}

static bool head_has(const char *head, const char *words)
{
    return strcasestr(head, words) != NULL;
}

static void answer_request(struct peer_connection *connection, const char *head)
{
    static const char body[] = "Hello from the practice peer.\n";
    bool is_head = strncmp(head, "HEAD ", 5) == 0, is_get = strncmp(head, "GET ", 4) == 0;
    bool close = head_has(head, "connection: close") ||
                 (head_has(head, " HTTP/1.0") && !head_has(head, "connection: keep-alive"));
    char answer[320];
    int length;

    length = snprintf(answer, sizeof(answer),
                      "HTTP/1.1 %s\r\nServer: tcpmulti-peer\r\nContent-Type: text/plain\r\n"
                      "Content-Length: %zu\r\nConnection: %s\r\n\r\n%s",
                      is_head || is_get ? "200 OK" : "405 Method Not Allowed",
                      is_head || is_get ? sizeof(body) - 1 : 0,
                      close || !(is_head || is_get) ? "close" : "keep-alive", is_get ? body : "");
    tcpm__peer_send(connection, answer, (size_t) length);
    if (close || !(is_head || is_get))
        connection->finished = true;
}

/* The end of the first head in the text: behind its empty line. NULL: not there yet. */
static char *find_head_end(char *head)
{
    char *crlf = strstr(head, "\r\n\r\n"), *lf = strstr(head, "\n\n");

    if (crlf != NULL && (lf == NULL || crlf < lf))
        return crlf + 4;
    return lf != NULL ? lf + 2 : NULL;
}

/* Answers all that is complete and keeps the rest. */
static void answer_requests(struct peer_connection *connection)
{
    char *at = connection->head, *end, byte;

    while (!connection->finished && (end = find_head_end(at)) != NULL) {
        byte = *end;
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

static void http_input(struct peer_connection *connection, const char *bytes, size_t length)
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

const struct peer_mode *tcpm__peer_mode_find(const char *mode, const char **text)
{
    static const struct peer_mode modes[] = {
        {.name = "echo", .input = echo_input},         {.name = "discard"},
        {.name = "chargen", .refill = chargen_refill}, {.name = "banner=", .start = banner_start},
        {.name = "http", .input = http_input},
    };
    size_t length;

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        length = strlen(modes[i].name);
        *text = mode + length;
        if (strncmp(mode, modes[i].name, length) == 0 && (modes[i].start != NULL || **text == '\0'))
            return &modes[i];
    }
    return NULL;
}
