/* SPDX-License-Identifier: MIT */
/*
 * A level of the sample.
 */
#ifndef SAMPLE_FLOW_H
#define SAMPLE_FLOW_H

#include "connection/life.h"

void tcpm__flow(int size);

#endif
