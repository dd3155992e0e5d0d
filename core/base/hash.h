/* SPDX-License-Identifier: MIT */
/*
 * A hash of bytes, for tables in memory: FNV-1a. The salt makes hashes differ from process to
 * process, so that nobody can choose bytes that meet in one bucket.
 */
#ifndef TCPM_BASE_HASH_H
#define TCPM_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* A salt of an object that lives: where an address lies is random. */
static inline uint32_t tcpm__hash_salt(const void *object)
{
    return (uint32_t) ((uintptr_t) object >> 4);
}

static inline uint32_t tcpm__hash_bytes(uint32_t salt, const void *bytes, size_t length)
{
    uint32_t hash = UINT32_C(2166136261) ^ salt;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ ((const unsigned char *) bytes)[i]) * UINT32_C(16777619);
    return hash ^ hash >> 15;
}

#endif
