/* SPDX-License-Identifier: MIT */
/*
 * A header that breaks each rule once; the static checks are run over it.
 */
#ifndef SAMPLE_WRONG_H
#define SAMPLE_WRONG_H

enum { WRONG_ONE_USER = 3, WRONG_TWO_USERS = 4, WRONG_TESTED = 5 };

struct wrong {
    int size; /* of the thing */
    int room; /* bytes */
    int good; /* the same for all */
};

int tcpm__size(struct wrong *wrong, int size);

static inline int tcpm__wrong_inline(void)
{
    return tcpm__round(WRONG_TWO_USERS);
}

#endif
