/* SPDX-License-Identifier: MIT */
/*
 * A test counts as a user of a constant.
 */
#include "base/wrong.h"

int tested = WRONG_TESTED;
