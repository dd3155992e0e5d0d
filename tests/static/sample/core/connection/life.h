/* SPDX-License-Identifier: MIT */
/*
 * A level of the sample.
 */
#ifndef SAMPLE_LIFE_H
#define SAMPLE_LIFE_H

void tcpm__life(int size);

#endif
