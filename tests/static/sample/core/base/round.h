/* SPDX-License-Identifier: MIT */
/*
 * The other half of a circle of two files.
 */
#ifndef SAMPLE_ROUND_H
#define SAMPLE_ROUND_H

int tcpm__round(int size);

#endif
