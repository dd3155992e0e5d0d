/* SPDX-License-Identifier: MIT */
/*
 * The file of the option --keylog: the engine gives each secret of TLS as a line, in the format of
 * SSLKEYLOGFILE (RFC 9850), and Wireshark or tshark decrypt with the file what they have recorded.
 *
 * A line is appended by one call, so several programs may share a file. Only the user can read a
 * file that is made here. A line that is not written changes nothing for the connections; the first
 * one is told.
 */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static void tell(const struct tcpm__runner_keylog *keylog, const char *problem)
{
    char line[512];

    snprintf(line, sizeof line, "--keylog %.400s: %s", keylog->path, problem);
    tcpm__runner_report_text(line);
}

int tcpm__runner_keylog_open(struct tcpm__runner_keylog *keylog, const char *path)
{
    keylog->path = path;
    keylog->descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    if (keylog->descriptor >= 0)
        return RUNNER_DONE;
    tell(keylog, strerror(errno));
    keylog->path = NULL;
    return RUNNER_ERROR;
}

void tcpm__runner_keylog_write(const char *line, void *user)
{
    struct tcpm__runner_keylog *keylog = user;
    struct iovec parts[] = {{(void *) line, strlen(line)}, {"\n", 1}};
    ssize_t written;

    do
        written = writev(keylog->descriptor, parts, 2);
    while (written < 0 && errno == EINTR);
    if (written == (ssize_t) parts[0].iov_len + 1 || keylog->has_failed)
        return;
    keylog->has_failed = true;
    tell(keylog, written < 0 ? strerror(errno) : "not all of a line was written");
}

void tcpm__runner_keylog_close(struct tcpm__runner_keylog *keylog)
{
    if (keylog->path != NULL)
        close(keylog->descriptor);
    keylog->path = NULL;
}
