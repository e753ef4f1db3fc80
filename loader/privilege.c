/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See privilege.h. Folders are opened without following links and changed through the descriptor, so
 * that nobody can point a root process somewhere else.
 */
#include <cap-ng.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "privilege.h"

static int find_user(const char *user, struct passwd **pw, struct lb_error *err)
{
	*pw = getpwnam(user);
	if (!*pw)
		return lb_error(err, LB_EXIT_USAGE, "no user \"%s\": create it (systemd-sysusers), or name another with --user",
				user);
	return 0;
}

static void chown_entries(int folder, const struct passwd *pw)
{
	DIR *dir = fdopendir(dup(folder));
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, "..") != 0)
			(void)!fchownat(folder, entry->d_name, pw->pw_uid, pw->pw_gid, AT_SYMLINK_NOFOLLOW);
	closedir(dir);
}

enum give_what {
	GIVE_NEW,	/* only a folder that was missing: an existing one may be anybody's */
	GIVE_OURS,	/* the folder and all in it: it is used for nothing else */
};

static int give(const char *path, mode_t mode, const struct passwd *pw, enum give_what what, struct lb_error *err)
{
	bool made = mkdir(path, mode) == 0;
	struct stat st;
	int fd, ret = 0;

	if (!made && errno != EEXIST)
		return lb_error(err, LB_EXIT_FAILED, "%s: cannot make the folder: %s", path, strerror(errno));
	if (!made && what == GIVE_NEW)
		return 0;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1)
		ret = lb_error(err, LB_EXIT_FAILED, "%s: %s", path, strerror(errno));
	else if (st.st_mode & S_ISVTX)
		ret = lb_error(err, LB_EXIT_USAGE, "%s: is shared with others: name a folder of lbd's own", path);
	else if (fchown(fd, pw->pw_uid, pw->pw_gid) == -1)
		ret = lb_error(err, LB_EXIT_FAILED, "%s: cannot give it to %s: %s", path, pw->pw_name, strerror(errno));
	else
		chown_entries(fd, pw);
	if (fd != -1)
		close(fd);
	return ret;
}

/* systemd mounts the BPF file system 0700: others must be able to pass through, not to look. */
static void let_through(const char *path)
{
	char copy[PATH_MAX];
	const char *parent;
	struct stat st;

	snprintf(copy, sizeof(copy), "%s", path);
	parent = dirname(copy);
	if (stat(parent, &st) == -1 || st.st_mode & S_IXOTH)
		return;
	if (chmod(parent, (st.st_mode & 07777) | S_IXOTH) == 0)
		log_info("%s: opened for passing through (mode %04o)", parent, (st.st_mode & 07777) | S_IXOTH);
}

int privilege_prepare(const char *user, const struct privilege_paths *paths, struct lb_error *err)
{
	struct passwd *pw;
	int ret;

	if (geteuid() != 0)
		return 0;
	ret = find_user(user, &pw, err);
	if (ret)
		return ret;
	ret = give(paths->bpffs, 0700, pw, GIVE_OURS, err);
	ret = ret ? ret : give(paths->state_dir, 0750, pw, GIVE_OURS, err);
	ret = ret ? ret : give(paths->socket_dir, 0755, pw, GIVE_NEW, err);
	if (!ret)
		let_through(paths->bpffs);
	return ret;
}

int privilege_drop(const char *user, struct lb_error *err)
{
	struct passwd *pw;
	int ret;

	if (geteuid() != 0) {
		capng_get_caps_process();
		if (!capng_have_capability(CAPNG_EFFECTIVE, CAP_BPF) || !capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN) ||
		    !capng_have_capability(CAPNG_EFFECTIVE, CAP_PERFMON))
			return lb_error(err, LB_EXIT_NOT_PERMITTED,
					"not permitted: lbd needs CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW and CAP_PERFMON: start it as root, "
					"it drops the rest itself");
		return 0;
	}
	ret = find_user(user, &pw, err);
	if (ret)
		return ret;
	capng_clear(CAPNG_SELECT_BOTH);
	capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW, CAP_PERFMON,
		      CAP_NET_BIND_SERVICE, -1);
	ret = capng_change_id(pw->pw_uid, pw->pw_gid, CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING);
	if (ret)
		return lb_error(err, LB_EXIT_FAILED, "cannot become user \"%s\" (step %d of libcap-ng)", user, ret);
	return 0;
}

void privilege_drop_loading(void)
{
	capng_get_caps_process();
	capng_update(CAPNG_DROP, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_PERFMON);
	if (capng_apply(CAPNG_SELECT_CAPS))
		log_warn("CAP_PERFMON stays: it could not be dropped");
}
