/* SPDX-License-Identifier: MIT */
/*
 * A level of the sample.
 */
#ifndef SAMPLE_RECORD_H
#define SAMPLE_RECORD_H

void tcpm__record(int size);

#endif
