/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the pool (pool.c, pool_service.c, pool_words.c) share and nobody else needs.
 */
#ifndef LB_POOL_INNER_H
#define LB_POOL_INNER_H

#include "pool.h"

/* For bad values in messages: enough to recognise, short enough to leave room for the advice. */
#define SHOW "%.64s"

/* As lb_error(), and says which value of which setting is at fault. */
#define blame(err, what, n, code, ...) ({			\
	int blamed_ = lb_error(err, code, __VA_ARGS__);		\
	(err)->about = (what);					\
	(err)->nth = (n);					\
	blamed_; })

/* what: "service", "backend". */
int pool_check_name(const char *what, const char *name, struct lb_error *err);
/* A port that both have, or 0. */
__u16 pool_common_port(const struct service *a, const struct service *b);
/* The index, or an error for the user. */
int pool_service_get(const struct pool *pool, const char *name, struct lb_error *err);
/* Cuts to size; NULL is "". */
void pool_set_reason(struct backend *be, const char *reason);

#endif
