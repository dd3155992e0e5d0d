/* SPDX-License-Identifier: MIT */
/* The public header as strict C11. */
#include "header.h"

int main(void)
{
    return use_header();
}
