// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What one packet costs, by BPF_PROG_TEST_RUN on one CPU, with the packet restored before every run. All
 * cases in turn, round after round, less what the same wrapper costs with a program that does nothing; ratios of the same
 * round against the targets. Here is the plan and the account; how it is done is in packet_sample, packet_site and
 * packet_feed.
 *
 * A figure counts only when the program's own counters say that every packet took the path in question.
 *
 * Usage: packet_bench [--rounds N] [--repeat N] [--cpu N] [--only CASE] [--quick] [--json FILE]
 * --only measures one case of the balancer beside the references; --quick leaves out 1M flows.
 */
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include "packet_sample.h"
#include "tool.h"

#define TWINS 5	/* of a site with one flow: with nothing but caches at work, 10 ns more or less are decided at load */

static int opt_rounds = 15, opt_cpu = -1;
static __u32 opt_repeat = 100000;
static bool opt_quick;
static const char *opt_only, *opt_json = "build/bench/packet.json";

/* One line for a person who waits; nothing for a log. */
static void progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void progress(const char *fmt, ...)
{
	va_list args;

	if (!isatty(STDERR_FILENO))
		return;
	fputs("\rpacket_bench: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputs("\033[K", stderr);
}

/* --- what is measured -------------------------------------------------------------------- */

static struct sample samples[256];
static int samples_n;

static void sample_add(struct site *site, const struct bench_case *what)
{
	if (samples_n == 256)
		die("too many cases");
	samples[samples_n++] = (struct sample) { .what = what, .site = site };
}

static void plan(void)
{
	static const __u32 sizes[][2] = {
		{ 1, LB_DEFAULT_FLOWS }, { 1024, LB_DEFAULT_FLOWS }, { 65536, LB_DEFAULT_FLOWS }, { 1 << 20, 1 << 20 },
	};

	for (int v6 = 0; v6 < 2; v6++) {
		struct site *site;

		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			site = site_add(v6, LB_MODE_NAT, true, sizes[i][0], sizes[i][1]);
			for (int twin = 1; twin < TWINS && sizes[i][0] == 1; twin++)
				site_add_twin(site);
			sample_add(site, &case_lookup);
			sample_add(site, &case_request);
			sample_add(site, &case_request_ack);
			sample_add(site, &case_request_turn);
			sample_add(site, &case_reply);
			if (i != 0 && i != 2)
				continue;
			sample_add(site, &case_lru);
			sample_add(site, &case_syn);
			if (i)
				continue;
			sample_add(site, &case_swap);
			sample_add(site, &case_small);
			sample_add(site, &case_other_port);
			sample_add(site, &case_other_host);
		}
		sample_add(site_add(v6, LB_MODE_NAT, true, 1024, 1024), &case_syn_full);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i += 2) {
		struct site *site = site_add(false, LB_MODE_DSR, true, sizes[i][0], sizes[i][1]);

		sample_add(site, &case_request);
		site = site_add(false, LB_MODE_NAT, false, sizes[i][0], sizes[i][1]);
		sample_add(site, &case_request);
		sample_add(site, &case_request_turn);
	}
	/* what a table that is too large for its flows costs */
	{
		struct site *site = site_add(false, LB_MODE_NAT, true, 65536, 1 << 20);

		sample_add(site, &case_lookup);
		sample_add(site, &case_request);
		sample_add(site, &case_reply);
	}
}

/* --- ratios against the targets ------------------------------------------------------------ */

static struct sample *find(bool v6, const char *variant, __u32 flows, __u32 table, const struct bench_case *what)
{
	for (int i = 0; i < samples_n; i++) {
		const struct site *site = samples[i].site;

		if (samples[i].what == what && site->v6 == v6 && site->flows == flows && site->table == table &&
		    strcmp(site_variant(site), variant) == 0)
			return &samples[i];
	}
	return NULL;
}

struct ratio {
	char name[96];
	double limit;		/* 0: only told */
	struct sample *over, *under;
};

static struct ratio ratios[64];
static int ratios_n;

static void ratio_add(double limit, struct sample *over, struct sample *under, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static void ratio_add(double limit, struct sample *over, struct sample *under, const char *fmt, ...)
{
	struct ratio *r = &ratios[ratios_n];
	va_list args;

	if (!over || !under || ratios_n == 64)
		return;
	*r = (struct ratio) { .limit = limit, .over = over, .under = under };
	va_start(args, fmt);
	vsnprintf(r->name, sizeof(r->name), fmt, args);
	va_end(args);
	ratios_n++;
}

static void plan_ratios(void)
{
	static const struct bench_case *const both[] = { &case_request, &case_reply };
	const __u32 def = LB_DEFAULT_FLOWS, big = 1 << 20;

	for (int v6 = 0; v6 < 2; v6++) {
		const char *ip = v6 ? "IPv6" : "IPv4";

		for (int i = 0; i < 2; i++) {
			const char *name = both[i]->name;

			ratio_add(2.5, find(v6, "nat", 1, def, both[i]), find(v6, "nat", 1, def, &case_lookup),
				  "%s %s : look-up, 1 flow", ip, name);
			ratio_add(1.5, find(v6, "nat", 65536, def, both[i]), find(v6, "nat", 65536, def, &case_lookup),
				  "%s %s : look-up, 64k flows", ip, name);
			ratio_add(1.3, find(v6, "nat", big, big, both[i]), find(v6, "nat", 65536, def, both[i]),
				  "%s %s, 1M flows : 64k flows", ip, name);
			if (v6)
				ratio_add(1.2, find(1, "nat", 1, def, both[i]), find(0, "nat", 1, def, both[i]),
					  "%s, 1 flow, IPv6 : IPv4", name);
			if (v6)
				ratio_add(1.2, find(1, "nat", 65536, def, both[i]), find(0, "nat", 65536, def, both[i]),
					  "%s, 64k flows, IPv6 : IPv4", name);
		}
		ratio_add(0, find(v6, "nat", big, big, &case_lookup), find(v6, "nat", 65536, def, &case_lookup),
			  "%s look-up, 1M flows : 64k flows", ip);
		ratio_add(1.3, find(v6, "nat", 1, def, &case_syn), find(v6, "nat", 1, def, &case_lru),
			  "%s SYN : LRU insert", ip);
		ratio_add(1.3, find(v6, "nat", 1, def, &case_other_port), find(v6, "nat", 1, def, &case_small),
			  "%s other port : small look-up", ip);
		ratio_add(1.3, find(v6, "nat", 1, def, &case_other_host), find(v6, "nat", 1, def, &case_small),
			  "%s other host : small look-up", ip);
	}
	ratio_add(0, find(0, "nat", 1, def, &case_request), find(0, "nat, no turns", 1, def, &case_request),
		  "IPv4 request with turns : without, 1 flow");
	ratio_add(0, find(0, "nat", 1, def, &case_request_turn), find(0, "nat, no turns", 1, def, &case_request_turn),
		  "IPv4 command with turns : without, 1 flow");
	ratio_add(0, find(0, "nat", 65536, big, &case_request), find(0, "nat", 65536, def, &case_request),
		  "IPv4 request, 64k flows in 1M slots : in 128k");
}

static struct spread ratio_spread(const struct ratio *r)
{
	double each[SPREAD_MAX];

	for (int i = 0; i < opt_rounds; i++)
		each[i] = r->over->net[i] / r->under->net[i];
	return spread_of(each, opt_rounds);
}

/* --- output ---------------------------------------------------------------------------------- */

static const char *program_name(const struct sample *s)
{
	return s->what->program == BENCH_LB ? "mailxdp" : "reference";
}

static void print_table(const double *direct)
{
	printf("\nns per packet, net of the wrapper: median over %d rounds of %u packets [10 %% .. 90 %%]\n\n", opt_rounds,
	       opt_repeat);
	printf("%-4s %8s %8s  %-13s %-13s %8s  %s\n", "IP", "flows", "slots", "mode", "case", "ns", "spread");
	for (int i = 0; i < samples_n; i++) {
		const struct sample *s = &samples[i];
		struct spread net = spread_of(s->net, opt_rounds);

		printf("%-4s %8u %8u  %-13s %-13s %8.1f  [%.1f .. %.1f]\n", s->site->v6 ? "v6" : "v4", s->site->flows,
		       s->site->table, s->what->program == BENCH_LB ? site_variant(s->site) : "reference", s->what->name,
		       net.mid, net.low, net.high);
	}
	printf("\nwithout the wrapper: bare XDP_TX %.1f, MAC swap %.1f\n\n", direct[0], direct[1]);
	printf("%-46s %7s %-16s %s\n", "ratio", "", "spread", "target");
	for (int i = 0; i < ratios_n; i++) {
		struct spread v = ratio_spread(&ratios[i]);
		char target[32] = "";

		if (ratios[i].limit)
			snprintf(target, sizeof(target), "<= %.1f %s", ratios[i].limit,
				 v.mid <= ratios[i].limit ? "holds" : "MISSED");
		printf("%-46s %7.2f [%.2f .. %.2f]   %s\n", ratios[i].name, v.mid, v.low, v.high, target);
	}
}

static void write_json(const double *direct)
{
	FILE *f = fopen(opt_json, "w");

	if (!f)
		die("%s: %m", opt_json);
	fprintf(f, "{\n \"kind\": \"packet\", \"rounds\": %d, \"repeat\": %u, \"cpu\": %d,\n", opt_rounds, opt_repeat, opt_cpu);
	fprintf(f, " \"direct\": {\"xdp_tx\": %.2f, \"mac_swap\": %.2f},\n \"samples\": [\n", direct[0], direct[1]);
	for (int i = 0; i < samples_n; i++) {
		const struct sample *s = &samples[i];
		struct spread net = spread_of(s->net, opt_rounds), gross = spread_of(s->gross, opt_rounds);

		fprintf(f,
			"  {\"family\": %d, \"flows\": %u, \"table\": %u, \"program\": \"%s\", \"variant\": \"%s\", \"case\": \"%s\", "
			"\"about\": \"%s\", \"ns\": %.2f, \"low\": %.2f, \"high\": %.2f, \"gross\": %.2f}%s\n",
			s->site->v6 ? 6 : 4, s->site->flows, s->site->table, program_name(s), site_variant(s->site), s->what->name,
			s->what->about, net.mid, net.low, net.high, gross.mid, i + 1 < samples_n ? "," : "");
	}
	fprintf(f, " ],\n \"ratios\": [\n");
	for (int i = 0; i < ratios_n; i++) {
		struct spread v = ratio_spread(&ratios[i]);

		fprintf(f, "  {\"name\": \"%s\", \"value\": %.3f, \"low\": %.3f, \"high\": %.3f, \"limit\": %.2f}%s\n",
			ratios[i].name, v.mid, v.low, v.high, ratios[i].limit, i + 1 < ratios_n ? "," : "");
	}
	fprintf(f, " ]\n}\n");
	if (fclose(f))
		die("%s: %m", opt_json);
}

static bool is_wanted(const struct sample *s)
{
	if (opt_quick && s->site->table > LB_DEFAULT_FLOWS)
		return false;
	return !opt_only || s->what->program != BENCH_LB || strcmp(s->what->name, opt_only) == 0;
}

static void keep_wanted(void)
{
	int n = 0;

	for (int i = 0; i < samples_n; i++)
		if (is_wanted(&samples[i]))
			samples[n++] = samples[i];
	samples_n = n;
}

static void options(int argc, char **argv)
{
	const struct setting settings[] = {
		SETTING("rounds", &opt_rounds), SETTING("repeat", &opt_repeat), SETTING("cpu", &opt_cpu),
		SETTING("only", &opt_only),     SETTING("json", &opt_json),     SETTING("quick", &opt_quick), {},
	};

	settings_read(argc, argv, settings);
	if (opt_rounds < 1 || opt_rounds > SPREAD_MAX || opt_repeat < 1000)
		die("--rounds 1..%d, --repeat at least 1000", SPREAD_MAX);
}

int main(int argc, char **argv)
{
	double direct[2][SPREAD_MAX], direct_mid[2];
	cpu_set_t set;

	setvbuf(stdout, NULL, _IOLBF, 0);
	options(argc, argv);
	if (opt_cpu < 0)
		opt_cpu = sysconf(_SC_NPROCESSORS_ONLN) - 1;
	CPU_ZERO(&set);
	CPU_SET(opt_cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) == -1)
		die("CPU %d: %m", opt_cpu);
	if (setpriority(PRIO_PROCESS, 0, -20) == -1)
		die("cannot get ahead of others on the CPU: %m; needs root");
	feeder_open();
	plan();
	keep_wanted();
	plan_ratios();
	for (int i = 0; i < samples_n; i++) {
		struct site *site = samples[i].site;

		if (site->lb)
			continue;
		progress("making %u flows, IPv%d, %s", site->flows, site->v6 ? 6 : 4, site_variant(site));
		site_make(site);
	}
	for (int round = 0; round < opt_rounds; round++) {
		progress("round %d of %d", round + 1, opt_rounds);
		for (int i = 0; i < samples_n; i++)
			sample_measure(&samples[i], round, opt_repeat);
		direct[0][round] = sample_direct(samples[0].site, BENCH_EMPTY, opt_repeat);
		direct[1][round] = sample_direct(samples[0].site, BENCH_SWAP, opt_repeat);
	}
	progress("done");
	for (int i = 0; i < 2; i++)
		direct_mid[i] = spread_of(direct[i], opt_rounds).mid;
	print_table(direct_mid);
	write_json(direct_mid);
	return 0;
}
