/* SPDX-License-Identifier: MIT */
/*
 * A file in which the checks find nothing.
 */

int tcpm__lua_fine(void)
{
    return 0;
}
