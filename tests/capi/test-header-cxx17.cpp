/* SPDX-License-Identifier: MIT */
// The public header as strict C++17.
#include "header.h"

#include <type_traits>

static_assert(std::is_trivially_copyable<struct tcpm_id>::value, "an id is passed by value");
static_assert(std::is_standard_layout<struct tcpm_info>::value, "C and C++ see one layout");

int main()
{
    return use_header();
}
