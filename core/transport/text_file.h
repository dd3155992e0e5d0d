/* SPDX-License-Identifier: MIT */
/*
 * A file of the system that others may change at any time, such as /etc/hosts: its text, read again
 * when the file is another one. Whether it is, is asked at most once a second.
 */
#ifndef TCPM_TRANSPORT_TEXT_FILE_H
#define TCPM_TRANSPORT_TEXT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

struct tcpm__text_file {
    const char *path;
    uint64_t asked_ms; /* clock when the file was looked at last */
    bool asked;        /* asked_ms is set */
    bool there;        /* there was a file whose text could be read */
    uint64_t device, inode, size;
    int64_t modified_ns;
};

/* path: stays valid. */
struct tcpm__text_file tcpm__text_file(const char *path);

/* Looks whether the text is another one than at the last call, if the last look is a second old.
   1: it is, and *text (to be freed by tcpm__memory_free) and *length hold it; NULL and 0: there is
   no file, or no text in it, or it cannot be read. 0: nothing has changed. -ENOMEM: the next call
   tries again. */
int tcpm__text_file_read(struct tcpm__text_file *file, const struct tcpm__memory *memory,
                         uint64_t now_ms, char **text, size_t *length);

#endif
