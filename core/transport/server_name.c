/* SPDX-License-Identifier: MIT */
/* See server_name.h. */
#include "transport/server_name.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

bool tcpm__server_name_is_address(const char *name)
{
    struct in6_addr address;

    return inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1;
}

/* A scope says which link leads to the server, not who the server is. */
static bool copy_address(const char *text, char ret[TCPM__HOST_NAME_SIZE])
{
    size_t length = strchr(text, ':') != NULL ? strcspn(text, "%") : strlen(text);

    if (length >= TCPM__HOST_NAME_SIZE)
        return false;
    memcpy(ret, text, length);
    ret[length] = '\0';
    return tcpm__server_name_is_address(ret);
}

int tcpm__server_name_make(const char *text, char ret[TCPM__HOST_NAME_SIZE], const char **why)
{
    bool is_absolute;

    if (copy_address(text, ret))
        return 0;
    if (text[0] == '[') {
        *why = "has brackets: an address stands without them";
        return -EINVAL;
    }
    return tcpm__host_name_make(text, ret, &is_absolute, why);
}
