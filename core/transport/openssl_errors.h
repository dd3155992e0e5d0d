/* SPDX-License-Identifier: MIT */
/*
 * OpenSSL's queue of errors. Where many of its calls follow each other, none is asked whether it
 * was short of memory: the queue tells in the end.
 */
#ifndef TCPM_TRANSPORT_OPENSSL_ERRORS_H
#define TCPM_TRANSPORT_OPENSSL_ERRORS_H

#include <stdbool.h>

#include <openssl/err.h>

/* Empties the queue. Whether one of its errors was that there is no memory. */
static inline bool tcpm__openssl_was_short(void)
{
    unsigned long error;
    bool ret = false;

    while ((error = ERR_get_error()) != 0)
        ret = ret || ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;
    return ret;
}

#endif
