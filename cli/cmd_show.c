/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands that only look: fetch one document, print it. They change nothing and format nothing.
 */
#include <stdlib.h>

#include "../loader/api_names.h"
#include "cmd.h"
#include "print.h"

static enum lb_exit show(struct cmd_line *line, const char *path,
			 void (*print)(FILE *out, const json_t *doc))
{
	json_t *doc = NULL;
	enum lb_exit rc = client_request(&line->client, "GET", path, NULL, &doc);

	if (rc != LB_EXIT_OK)
		print_fail("%s", line->client.error);
	else if (line->json)
		print_json(stdout, doc);
	else
		print(stdout, doc);
	json_decref(doc);
	return rc;
}

enum lb_exit cmd_status(struct cmd_line *line)
{
	return show(line, API_STATUS, print_status);
}

enum lb_exit cmd_list(struct cmd_line *line)
{
	return show(line, API_BACKENDS, print_backends);
}

enum lb_exit cmd_service_list(struct cmd_line *line)
{
	return show(line, API_SERVICES, print_services);
}

enum lb_exit cmd_stats(struct cmd_line *line)
{
	return show(line, API_STATS, print_stats);
}

enum lb_exit cmd_version(struct cmd_line *line)
{
	return show(line, API_VERSION_PATH, print_versions);
}

#define TEXT_OF(macro) TEXT_OF_VALUE(macro)
#define TEXT_OF_VALUE(value) #value

enum lb_exit cmd_flows(struct cmd_line *line)
{
	const char *backend = line->option[OPT_BACKEND], *limit = line->option[OPT_LIMIT];
	enum lb_exit rc = LB_EXIT_FAILED;
	char *head, *path = NULL;

	if (!limit)
		limit = TEXT_OF(API_FLOWS_LIMIT);
	head = client_path(API_FLOWS "?limit=", limit, backend ? "&backend=" : "");
	if (head)
		path = client_path(head, backend ? backend : "", "");
	if (path)
		rc = show(line, path, print_flows);
	else
		print_fail("out of memory");
	free(path);
	free(head);
	return rc;
}
