/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The config's and the state's way from and to the disk: read whole, written beside and renamed. It must
 * not know YAML.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "config.h"
#include "config_file.h"
#include "siphash.h"

/* Not by its size: it may be a pipe. */
int config_file_read(const char *path, char **out, size_t *out_len)
{
	char *text = NULL;
	size_t len = 0;
	int fd, err = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return -errno;
	text = malloc(CONFIG_MAX_FILE + 1);
	if (!text)
		err = -ENOMEM;
	while (!err) {
		ssize_t n = read(fd, text + len, CONFIG_MAX_FILE + 1 - len);

		if (!n)
			break;
		if (n == -1 && errno != EINTR)
			err = -errno;
		if (n > 0)
			len += n;
		if (len > CONFIG_MAX_FILE)
			err = -EFBIG;
	}
	close(fd);
	if (err) {
		free(text);
		return err;
	}
	*out = text;
	*out_len = len;
	return 0;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -errno;
		text += n;
		len -= n;
	}
	return fsync(fd) == -1 ? -errno : 0;
}

/* The new name must survive a power cut too. */
static int sync_folder(const char *path)
{
	char folder[PATH_MAX];
	int fd, err = 0;

	snprintf(folder, sizeof(folder), "%s", path);
	fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return errno == EACCES ? 0 : -errno;	/* may be written but not listed: the file itself is done */
	if (fsync(fd) == -1 && errno != EINVAL)
		err = -errno;
	close(fd);
	return err;
}

static int replace(const char *path, const char *text, size_t len)
{
	char temp[PATH_MAX];
	struct stat st;
	bool old;
	int fd, err;

	if (snprintf(temp, sizeof(temp), "%s.XXXXXX", path) >= (int)sizeof(temp))
		return -ENAMETOOLONG;
	old = stat(path, &st) == 0;
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd == -1)
		return -errno;
	/* Owner first: chown clears mode bits. Not being allowed to is no reason to lose the config. */
	if (old && fchown(fd, st.st_uid, st.st_gid) == -1 && errno != EPERM)
		err = -errno;
	else if (fchmod(fd, old ? st.st_mode & 0777 : 0644) == -1)
		err = -errno;
	else
		err = write_all(fd, text, len);
	if (close(fd) == -1 && !err)
		err = -errno;
	if (!err && rename(temp, path) == -1)
		err = -errno;
	if (err) {
		unlink(temp);
		return err;
	}
	return sync_folder(path);
}

int config_file_replace(const char *path, const char *text, size_t len)
{
	char target[PATH_MAX];

	/* Through a symbolic link: /etc may be one farm of them. */
	return replace(realpath(path, target) ? target : path, text, len);
}

void config_fingerprint(const char *path, char out[static 65])
{
	static const uint64_t keys[2][2] = { { 0x6d61696c78647030, 1 }, { 0x6d61696c78647031, 2 } };
	char *text = NULL;
	size_t len = 0;

	out[0] = '\0';
	if (config_file_read(path, &text, &len))
		return;
	snprintf(out, 65, "%016" PRIx64 "%016" PRIx64, siphash(keys[0], text, len), siphash(keys[1], text, len));
	free(text);
}
