/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program on network interfaces, and the list of them in the model. Only "detach" takes it off: everything else may
 * only put it on.
 */
#include <stdio.h>
#include <string.h>

#include "control_inner.h"
#include "log.h"

void control_attach_all(struct control *ctl)
{
	for (size_t i = 0; i < ctl->config->interfaces_n; i++) {
		const struct config_interface *ci = &ctl->config->interfaces[i];
		struct lb_error err;
		bool native;

		if (datapath_attach(ctl->dp, ci->name, ci->mode, &native, &err))
			log_err("%s", err.text);
		else
			log_info("attached to %s (%s)", ci->name, native ? "native" : "generic");
	}
	datapath_settle(ctl->dp);
}

static struct config_interface *find_interface(struct control *ctl, const char *ifname)
{
	for (size_t i = 0; i < ctl->config->interfaces_n; i++)
		if (strcmp(ctl->config->interfaces[i].name, ifname) == 0)
			return &ctl->config->interfaces[i];
	return NULL;
}

int control_attach(struct control *ctl, const char *ifname, enum xdp_mode mode, struct control_say *say,
		   struct lb_error *err)
{
	struct config_interface *ci = find_interface(ctl, ifname);
	struct datapath_link link;
	bool native;
	int ret;

	if (!*ifname || strlen(ifname) >= IF_NAMESIZE)
		return lb_error(err, LB_EXIT_USAGE, "interface name \"%.40s\" is not 1-%d characters", ifname, IF_NAMESIZE - 1);
	datapath_link(ctl->dp, ifname, &link);
	if (link.attached && mode != XDP_MODE_AUTO && link.native != (mode == XDP_MODE_NATIVE))
		return lb_error(err, LB_EXIT_CONFLICT, "%s: attached in %s mode already: \"lbctl detach %s\" first", ifname,
				link.native ? "native" : "generic", ifname);
	if (!ci && ctl->config->interfaces_n == CONFIG_MAX_INTERFACES)
		return lb_error(err, LB_EXIT_CONFLICT, "%d interfaces are attached already, the most there can be",
				CONFIG_MAX_INTERFACES);
	ret = datapath_attach(ctl->dp, ifname, mode, &native, err);
	if (ret)
		return ret;
	if (!ci) {
		ci = &ctl->config->interfaces[ctl->config->interfaces_n++];
		snprintf(ci->name, sizeof(ci->name), "%s", ifname);
	}
	ci->mode = mode;
	control_addresses_apply(ctl);
	if (native)
		control_say_line(ctl, say, "attached to %s, native mode", ifname);
	else
		control_say_line(ctl, say, "attached to %s, generic mode%s", ifname,
				 mode == XDP_MODE_AUTO ? ": its driver has no native XDP, so this is slower" : "");
	control_save_state(ctl, say);
	return 0;
}

int control_detach(struct control *ctl, const char *ifname, struct control_say *say, struct lb_error *err)
{
	struct config_interface *ci = find_interface(ctl, ifname), *last;
	int ret = datapath_detach(ctl->dp, ifname, err);

	/* the link may be gone with its interface: then only the entry is left to take out */
	if (ret && !ci)
		return ret;
	if (ci) {
		last = &ctl->config->interfaces[--ctl->config->interfaces_n];
		*ci = *last;
	}
	control_addresses_apply(ctl);
	control_say_line(ctl, say, "detached from %s: packets go up the stack again", ifname);
	control_save_state(ctl, say);
	return 0;
}
