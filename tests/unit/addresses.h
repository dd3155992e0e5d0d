/* SPDX-License-Identifier: MIT */
/* Addresses for tests, made of texts and printed again. */
#ifndef TESTS_UNIT_ADDRESSES_H
#define TESTS_UNIT_ADDRESSES_H

#include "support.h"

#include "transport/address.h"

/* The text has to be a numeric address. */
static inline union tcpm__address address_with_port(const char *text, unsigned port)
{
    union tcpm__address address;
    const char *why;

    if (tcpm__address_parse(text, port, &address, &why) != 1)
        fail_msg("%s is no address", text);
    return address;
}

static inline union tcpm__address address_of(const char *text)
{
    return address_with_port(text, 0);
}

/* Asserts what an address is, without its port. */
static inline void assert_address(const union tcpm__address *address, const char *text)
{
    char printed[TCPM__ADDRESS_TEXT];

    tcpm__address_print(address, printed);
    assert_string_equal(printed, text);
}

#endif
