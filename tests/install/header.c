/* SPDX-License-Identifier: MIT */
/*
 * The public headers alone, first in a file, as strict C11 and as C++17: they must bring all that
 * they need, and nothing of libuv's or Lua's.
 */
#include <tcpmulti.h>
#ifdef WITH_LUA
#include <tcpmulti_lua.h>
#endif

#if defined(UV_VERSION_MAJOR) || defined(LUA_VERSION)
#error "a public header includes uv.h or lua.h"
#endif

struct tcpm_id header_test_id(void);

struct tcpm_id header_test_id(void)
{
    struct tcpm_id id = {(uint64_t) 1 << 21 | 7};

    id.n = TCPM_ID_SLOT(id);
    return id;
}
