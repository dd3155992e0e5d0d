/* SPDX-License-Identifier: MIT */
/*
 * See text_file.h. The file is read in one go, which blocks: files of this kind lie on a local disk
 * and are small.
 *
 * What always holds: a text that is given was read from the file that the signature tells of; a
 * file that changes while it is read is read again at the next look.
 */
#include "transport/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PAUSE_MS = 1000,      /* from one look to the next */
    MOST_BYTES = 1 << 26, /* a longer file counts as one that cannot be read */
    NS_PER_S = 1000000000,
};

struct tcpm__text_file tcpm__text_file(const char *path)
{
    return (struct tcpm__text_file){.path = path};
}

static bool is_same(const struct tcpm__text_file *file, const struct stat *status)
{
    return file->there && file->device == status->st_dev && file->inode == status->st_ino &&
           file->size == (uint64_t) status->st_size &&
           file->modified_ns ==
               (int64_t) status->st_mtim.tv_sec * NS_PER_S + status->st_mtim.tv_nsec;
}

static void sign(struct tcpm__text_file *file, const struct stat *status)
{
    file->there = file->asked = true;
    file->device = status->st_dev;
    file->inode = status->st_ino;
    file->size = (uint64_t) status->st_size;
    file->modified_ns = (int64_t) status->st_mtim.tv_sec * NS_PER_S + status->st_mtim.tv_nsec;
}

/* Reads until the end or until size bytes are read: their number. An error counts as the end. */
static size_t read_all(int fd, char *bytes, size_t size)
{
    size_t length = 0;

    while (length < size) {
        ssize_t nread = read(fd, bytes + length, size - length);

        if (nread < 0 && errno == EINTR)
            continue;
        if (nread <= 0)
            break;
        length += (size_t) nread;
    }
    return length;
}

/* Reads the text of the open file, as large as its status says. 0, or -ENOMEM. */
static int read_text(int fd, const struct stat *status, const struct tcpm__memory *memory,
                     char **text, size_t *length)
{
    size_t size = (size_t) status->st_size;

    *text = tcpm__memory_resize(memory, NULL, size);
    if (*text == NULL)
        return -ENOMEM;
    *length = read_all(fd, *text, size);
    return 0;
}

static bool has_text(const struct stat *status)
{
    return S_ISREG(status->st_mode) && status->st_size > 0 && status->st_size <= MOST_BYTES;
}

/* Opens the file for reading; -1: that is not possible. A FIFO in its place must not block. */
static int open_file(const char *path, struct stat *status)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd >= 0 && fstat(fd, status) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Notes that there is no text. 1: there was one before, or this is the first look. */
static int lose(struct tcpm__text_file *file)
{
    int result = file->there || !file->asked;

    file->there = false;
    file->asked = true;
    return result;
}

int tcpm__text_file_read(struct tcpm__text_file *file, const struct tcpm__memory *memory,
                         uint64_t now_ms, char **text, size_t *length)
{
    struct stat status;
    int result = 0;

    *text = NULL;
    *length = 0;
    if (file->asked && now_ms - file->asked_ms < PAUSE_MS)
        return 0;
    if (stat(file->path, &status) == 0 && is_same(file, &status)) {
        file->asked_ms = now_ms;
        return 0;
    }
    int fd = open_file(file->path, &status);
    if (fd >= 0) {
        if (has_text(&status))
            result = read_text(fd, &status, memory, text, length);
        close(fd);
    }
    if (result < 0)
        return result;
    file->asked_ms = now_ms;
    if (fd < 0)
        return lose(file);
    sign(file, &status);
    return 1;
}
