/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of the daemon as Prometheus text (exposition format 0.0.4). Names and units are a
 * contract with people's alert rules: they change only together with the manual.
 */
#ifndef LB_METRICS_H
#define LB_METRICS_H

#include <stddef.h>
#include "control.h"

/* *out is malloc()ed. 0 or -ENOMEM, then *out is untouched. */
int metrics_write(struct control *ctl, char **out, size_t *len);

#endif
