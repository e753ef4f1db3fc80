/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small file as a whole: read, or replaced at one stroke. Knows nothing of its contents.
 */
#ifndef LB_CONFIG_FILE_H
#define LB_CONFIG_FILE_H

#include <stddef.h>

#define CONFIG_MAX_FILE (1 << 20)

/* The whole file on the heap. 0, -EFBIG over CONFIG_MAX_FILE, or another -errno. */
int config_file_read(const char *path, char **out, size_t *out_len);
/* At every moment, power cuts included, path is the old file or the new one, whole. 0 or -errno. */
int config_file_replace(const char *path, const char *text, size_t len);

#endif
