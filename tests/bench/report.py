#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Turns what the benchmarks wrote into one report: Markdown with tables, PNG plots, machine facts, command lines.

Usage: report.py FOLDER (build/bench). A part that did not run is left out; no number comes from anywhere else
than the files of this run. Needs python3-matplotlib for the plots; without it the tables are written alone.
"""
import glob
import json
import os
import platform
import re
import subprocess
import sys

try:
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
except ImportError:
    plt = None

FOLDER = sys.argv[1] if len(sys.argv) > 1 else "build/bench"
INK = {"mailxdp": "#0b6e4f", "mailxdp-nat": "#0b6e4f", "mailxdp-dsr": "#2fa67a", "direct": "#9aa5b1", "redirect": "#616e7c",
       "generator": "#cbd2d9", "nft": "#b44d12", "nft-stateless": "#e0803f", "ipvs": "#a3266b", "haproxy": "#2b6cb0",
       "nginx": "#6b46c1",
       "round-robin": "#cbd2d9", "maglev": "#9aa5b1", "least-conn": "#616e7c", "least-inflight": "#0b6e4f"}
out = []
verdicts = []  # (target, value, limit, unit)


# --- reading and reckoning ---------------------------------------------------------------

def path(*parts):
    return os.path.join(FOLDER, *parts)


def read_lines(name):
    try:
        with open(path(name)) as f:
            return [json.loads(line) for line in f if line.strip()]
    except FileNotFoundError:
        return []


def read_runs(name):
    """The runs of a bench, and why others did not run: contender to reason."""
    lines = read_lines(name)
    return [r for r in lines if "skipped" not in r], {r["peer"]: r["skipped"] for r in lines if "skipped" in r}


def read_json(*parts):
    try:
        with open(path(*parts)) as f:
            return json.load(f)
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def median(values):
    s = sorted(values)
    n = len(s)
    return (s[(n - 1) // 2] + s[n // 2]) / 2


def quantile(values, q):
    s = sorted(values)
    return s[min(len(s) - 1, int(q * len(s)))]


def with_spread(values, fmt="{:.0f}"):
    if not values:
        return "-"
    text = fmt.format(median(values))
    return text if len(values) == 1 else f"{text} [{fmt.format(min(values))} .. {fmt.format(max(values))}]"


def in_order(names):
    """Names in the order in which they first came."""
    return list(dict.fromkeys(names))


def told(command):
    try:
        done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=20)
        if done.returncode:
            return ""
        return (done.stdout + done.stderr).strip().split("\n")[0]
    except subprocess.SubprocessError:
        return ""


# --- writing -------------------------------------------------------------------------------

def say(text=""):
    out.append(text)


def table(head, rows, left=1):
    say("| " + " | ".join(head) + " |")
    say("|" + "|".join("---" if i < left else "--:" for i in range(len(head))) + "|")
    for row in rows:
        say("| " + " | ".join(str(cell) for cell in row) + " |")
    say()


def say_skipped(skipped):
    if skipped:
        say("Left out: " + ", ".join(f"{peer} ({why})" for peer, why in skipped.items()) + ".")
        say()


def plot(name, title, draw, size=(8, 4)):
    if plt is None:
        return
    fig, ax = plt.subplots(figsize=size, dpi=130)
    draw(ax)
    ax.set_title(title, fontsize=11, loc="left")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.grid(axis="y", color="#e4e7eb", linewidth=0.8)
    ax.set_axisbelow(True)
    fig.tight_layout()
    fig.savefig(path(name))
    plt.close(fig)
    say(f"![{title}]({name})")
    say()


def bars(ax, names, values, unit, fmt="{:.0f}"):
    rects = ax.bar(names, values, color=[INK.get(n, "#616e7c") for n in names], width=0.65)
    ax.bar_label(rects, [fmt.format(v) for v in values], fontsize=8, padding=2)
    ax.set_ylabel(unit)
    ax.tick_params(axis="x", labelsize=8)


def target(sentence, value, limit, fmt="{:.2f}"):
    # A cost below nothing is the noise of this run, and holds no target; a count of none is what it is.
    noise = value <= 0 < limit
    word = "too small for this run to tell" if noise else "holds" if value <= limit else "**missed**"
    verdicts.append((sentence, fmt.format(value), fmt.format(limit), word))


# --- parts ------------------------------------------------------------------------------------

def part_machine():
    cpu = re.search(r"model name\s*: (.*)", open("/proc/cpuinfo").read())
    memory = int(re.search(r"MemTotal:\s*(\d+)", open("/proc/meminfo").read())[1]) // 1024
    # The nft and bpftool of Debian are in sbin.
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    say("## Machine and versions")
    say()
    table(["what", ""], [
        ["CPU", f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} CPUs"],
        ["memory", f"{memory} MiB"],
        ["virtual", told("systemd-detect-virt --vm") or "no, or not known"],
        ["kernel", platform.release()],
        ["mailxdp", (told("git rev-parse --short HEAD") or "not known") + (" with changes" if told("git status --porcelain -- bpf loader cli") else "")],
        ["clang", told("clang --version")],
        ["haproxy", told("haproxy -v")],
        ["nginx", told("nginx -v")],
        ["nftables", told("nft --version")],
        ["postfix (smtp-source, smtp-sink)", told("dpkg-query -W -f '${Version}' postfix")],
    ], left=2)


def part_commands():
    try:
        lines = open(path("commands.txt")).read().rstrip()
    except FileNotFoundError:
        return
    say("## Command lines")
    say()
    say("```")
    say(lines)
    say("```")
    say()
    confs = sorted(os.path.basename(f) for f in glob.glob(path("conf", "*")))
    if confs:
        say("Configurations of the others, as they ran: " + ", ".join(f"[{c}](conf/{c})" for c in confs) + ".")
        say()


FLOWS = {1: "1", 1024: "1k", 65536: "64k", 1048576: "1M"}


def part_packet():
    data = read_json("packet.json")
    if not data:
        return
    say("## Cost per packet")
    say()
    say(f"BPF_PROG_TEST_RUN on CPU {data['cpu']}, packets restored between runs; net of the harness; ns, median of "
        f"{data['rounds']} rounds of {data['repeat']} packets and the middle 80 %. Without the harness a bare XDP_TX takes "
        f"{data['direct']['xdp_tx']:.0f} ns, a MAC swap {data['direct']['mac_swap']:.0f} ns.")
    say()
    samples = data["samples"]
    for family in (4, 6):
        mine = [s for s in samples if s["family"] == family]
        rows = [[f"{s['case']}: {s['about']}", "reference" if s["program"] == "reference" else s["variant"],
                 FLOWS.get(s["flows"], s["flows"]), FLOWS.get(s["table"], f"{s['table'] // 1024}k"),
                 f"{s['ns']:.0f} [{s['low']:.0f} .. {s['high']:.0f}]"] for s in mine]
        if rows:
            say(f"IPv{family}:")
            say()
            table(["case", "program", "flows", "slots", "ns"], rows, left=2)

    def draw(ax):
        for case, label, ink in (("lookup", "reference: parse, one look-up, MAC swap", "#9aa5b1"),
                                 ("request", "mailxdp, request", "#0b6e4f"), ("reply", "mailxdp, reply", "#2fa67a")):
            points = [s for s in samples if s["family"] == 4 and s["case"] == case and s["variant"] == "nat" and
                      (s["table"] == 131072 or s["flows"] == 1048576)]
            if points:
                ax.errorbar([FLOWS[s["flows"]] for s in points], [s["ns"] for s in points],
                            yerr=[[max(0, s["ns"] - s["low"]) for s in points], [max(0, s["high"] - s["ns"]) for s in points]],
                            label=label, color=ink, marker="o", capsize=3)
        ax.set_ylabel("ns per packet")
        ax.set_xlabel("flows in the table")
        ax.set_ylim(bottom=0)
        ax.legend(frameon=False, fontsize=8)
    plot("packet.png", "Cost of an established packet, IPv4, one CPU", draw)
    for r in data["ratios"]:
        if r["limit"]:
            target(r["name"], r["value"], r["limit"])
    table(["ratio, of the same round", "", "spread", "target"],
          [[r["name"], f"{r['value']:.2f}", f"{r['low']:.2f} .. {r['high']:.2f}",
            f"at most {r['limit']:.1f}" if r["limit"] else ""] for r in data["ratios"]])


def part_pps():
    runs, skipped = read_runs("pps.jsonl")
    if not runs:
        return
    by = {p: [r["pps"] for r in runs if r["peer"] == p] for p in in_order(r["peer"] for r in runs)}
    alone = median(by["generator"]) if "generator" in by else None
    say("## Packets per second, one core, through interfaces")
    say()
    say(f"Shortest TCP frames of {runs[0]['flows']} established flows, made by TEST_RUN with live frames on the client's wire, counted by XDP "
        "on the server's; making, carrying and counting all on one CPU. \"Own time\" takes off what making and counting cost "
        "alone (\"generator\").")
    say()
    say_skipped(skipped)
    own = {p: 1e9 / median(v) - 1e9 / alone for p, v in by.items() if alone and p != "generator" and median(v)}
    table(["contender", "packets/s", "ns per packet, all", "own time, ns"],
          [[p, with_spread(v), f"{1e9 / median(v):.0f}" if median(v) else "-", f"{own[p]:.0f}" if p in own else ""]
           for p, v in by.items()])
    plot("pps.png", "Packets per second on one core", lambda ax: bars(ax, list(by), [median(v) / 1e3 for v in by.values()],
                                                                   "thousand packets/s"))
    for p in ("nft", "nft-stateless"):
        if p in by and "mailxdp-nat" in by and median(by[p]):
            verdicts.append((f"packets per second: mailxdp : {p}, all on one core", f"{median(by['mailxdp-nat']) / median(by[p]):.2f}",
                             "at least 3", "holds" if median(by["mailxdp-nat"]) / median(by[p]) >= 3 else "**missed**"))
        if p in own and own.get("mailxdp-nat", 0) > 0:
            verdicts.append((f"packets per second: mailxdp : {p}, own time alone", f"{own[p] / own['mailxdp-nat']:.2f}",
                             "at least 3", "holds" if own[p] / own["mailxdp-nat"] >= 3 else "**missed**"))


def shape_name(messages, size):
    return f"{messages} message{'s' if messages > 1 else ''} of {'1 MB' if size >= 1048576 else f'{size // 1024} KB'}"


def part_sessions():
    runs, skipped = read_runs("sessions.jsonl")
    if not runs:
        return
    peers = in_order(r["peer"] for r in runs)
    shapes = in_order((r["messages"], r["bytes"]) for r in runs)
    say("## SMTP sessions")
    say()
    say("smtp-source to smtp-sink, one client, one mail server, wires between them and no switch. CPU is that of the whole "
        "machine, the mail programs' too; \"added\" takes off the direct connection's of the same round. \"redirect\" is an XDP "
        "program that only redirects: over veth every XDP program pays for turning skbs into frames and back, which a NIC's "
        "driver does not; mailxdp's own work is what it adds to that.")
    say()
    say_skipped(skipped)
    added_first = {}
    for shape in shapes:
        mine = {p: [r for r in runs if r["peer"] == p and (r["messages"], r["bytes"]) == shape] for p in peers}
        cost = {p: {r["round"]: r["cpu_ms"] * 1e3 / r["sessions"] for r in v} for p, v in mine.items() if v}
        base = cost.get("direct", {})
        # of the same round, since the machine is faster at one time than at another
        added = {p: median([c[n] - base[n] for n in c]) for p, c in cost.items() if c.keys() <= base.keys()}
        say(f"{shape_name(*shape)} a session:")
        say()
        table(["contender", "sessions/s", "CPU per session, us", "added, us"],
              [[p, with_spread([r["sessions"] * 1e3 / max(r["ms"], 1) for r in v], "{:.1f}"), with_spread(list(cost[p].values())),
                f"{added[p]:.0f}" if p in added and p != "direct" else ""] for p, v in mine.items() if v])
        if shape == shapes[0]:
            added_first = added
        for p, limit in (("haproxy", 0.35), ("nginx", 0.35), ("nft", 1.0)):
            for ours in ("mailxdp-nat", "mailxdp-dsr"):
                if added.get(p, 0) > 0 and ours in added:
                    target(f"CPU added, {shape_name(*shape)}: {ours} : {p}", added[ours] / added[p], limit)
        for p, limit in (("haproxy", 0.35), ("nginx", 0.35), ("nft", 1.0)):
            if added.get(p, 0) > 0 and "mailxdp-nat" in added and "redirect" in added:
                target(f"CPU added, {shape_name(*shape)}, without what redirecting costs on veth: mailxdp-nat : {p}",
                       (added["mailxdp-nat"] - added["redirect"]) / added[p], limit)
    names = [p for p in added_first if p != "direct"]
    if names:
        plot("sessions.png", f"CPU time added to an SMTP session ({shape_name(*shapes[0])})",
             lambda ax: bars(ax, names, [added_first[p] for p in names], "us per session"))


def part_latency():
    runs, skipped = read_runs("latency.jsonl")
    if not runs:
        return
    peers = in_order(r["peer"] for r in runs)
    say("## From SYN to 220")
    say()
    say("Connections at random moments; us. 10 % and 80 % are of what each contender can take at most (\"most\"); \"same\" is "
        "the same rate for all. Medians over rounds.")
    say()
    say_skipped(skipped)
    for load in in_order(r["load"] for r in runs):
        mine = {p: [r for r in runs if r["peer"] == p and r["load"] == load] for p in peers}
        base = mine.get("direct")
        say(f"Load: {load}")
        say()
        rows = []
        for p, v in mine.items():
            if not v:
                continue
            row = [p, f"{median([r['per_s'] for r in v]):.0f}"]
            for q in ("p50_us", "p99_us", "p999_us"):
                value = median([r[q] for r in v])
                more = f" ({value - median([r[q] for r in base]):+.0f})" if base and p != "direct" else ""
                row.append(f"{value:.0f}{more}")
            rows.append(row + [sum(r["failed"] + r["shed"] for r in v)])
        table(["contender", "connections/s", "p50 (over direct)", "p99", "p99.9", "failed"], rows)
    names = [p for p in peers if any(r["peer"] == p and r["load"] == "10%" for r in runs)]

    def draw(ax):
        for i, (q, label) in enumerate((("p50_us", "p50"), ("p99_us", "p99"))):
            values = [median([r[q] for r in runs if r["peer"] == p and r["load"] == "10%"]) for p in names]
            ax.bar([n + i * 0.4 for n in range(len(names))], values, width=0.38, label=label, color=["#0b6e4f", "#9aa5b1"][i])
        ax.set_xticks([n + 0.2 for n in range(len(names))], names, fontsize=8)
        ax.set_ylabel("us")
        ax.legend(frameon=False, fontsize=8)
    plot("latency.png", "From SYN to 220, at 10 % of each one's capacity", draw)


def part_control():
    lines = read_lines("control.jsonl")
    if not lines:
        return
    say("## Control plane")
    say()
    rows = []
    for entry in lines:
        if entry["what"] in ("table", "lbctl add"):
            name = "filling a selection table" if entry["what"] == "table" else "`lbctl add`, round trip"
            rows.append([f"{name}, {entry['backends']} backends", f"{entry['ms']:.1f} ms [{entry['low']:.1f} .. {entry['high']:.1f}]"])
            if entry["what"] == "lbctl add" and entry["backends"] == 1000:
                target("lbctl add with 1000 backends, ms", entry["ms"], 100, "{:.0f}")
        elif entry["what"] == "restart":
            rows.append([f"restart of lbd after kill -9, {entry['flows']} flows", f"{entry['ms']:.0f} ms [{entry['low']:.0f} .. {entry['high']:.0f}]"])
        elif entry["what"] == "resize":
            rows.append([f"restart of lbd with a table of another size, until {entry['flows']} flows are in it", f"{entry['ms']} ms"])
        elif entry["what"] == "memory":
            rows.append([f"flow table with {entry['flows']} flows", f"{entry['mb']:.1f} MB, {entry['bytes_per_flow']:.0f} bytes a flow"])
            target(f"memory of {entry['flows']} flows, MB", entry["mb"], 160, "{:.1f}")
        elif entry["what"] == "lbd at rest":
            rows.append([f"CPU of lbd with {entry['flows']} flows, sweeps included", f"{entry['cpu_percent']:.2f} % of one core"])
            target(f"sweep of {entry['flows']} flows, % of one core", entry["cpu_percent"], 2)
    table(["what", ""], rows)


def mail_rows(name):
    rows = []
    for file in glob.glob(path("mail", name, "c*.txt")):
        for line in open(file):
            if not line.endswith("\n"):
                continue  # the client was ended while it wrote
            at, took, status, server, kind = line.split()
            rows.append((int(at), int(took) / 1e6, status, server, kind))
    return rows


MAIL_WARM = 0.25  # the first part of the run is not counted: queues are still filling


def part_mail():
    setting = read_json("mail", "setting.json")
    if not setting:
        return
    names = [n for n in ("round-robin", "maglev", "least-conn", "least-inflight", "haproxy", "nginx") if mail_rows(n)]
    say("## Mail, heavy-tailed, one of three servers scans three times slower")
    say()
    say(f"{setting['sessions_per_second']} sessions a second from three organisations for {setting['seconds']} s, the first quarter not counted: "
        "85 % bring one message, 10 % a burst (log-normal, median 20), 5 % stay: 30 messages with time to think. Each server scans "
        f"{setting['slots']} messages at a time, {setting['work_ms']} ms on the average (exponential), the third one three times as long; who "
        f"finds no free scanner waits in line. Seed {setting['seed']} for all: same sessions, same messages, same work. A message's time "
        "runs from the start of its transaction, the first one's from the SYN.")
    say()
    say_skipped(read_runs("mail/skipped.jsonl")[1])
    rows, p99 = [], {}
    for n in names:
        warm = float(setting["seconds"]) * 1000 * MAIL_WARM
        mine = [r for r in mail_rows(n) if r[0] >= warm and r[2] != "closed"]
        times = [r[1] for r in mine]
        p99[n] = quantile(times, 0.99)
        share = [f"{100 * sum(r[3] == f'mailx{i}' for r in mine) / len(mine):.0f}" for i in (1, 2, 3)]
        good = sum(r[2] == "ok" for r in mine)
        rows.append([n, len(mine), f"{quantile(times, 0.5) * 1e3:.0f}", f"{quantile(times, 0.9) * 1e3:.0f}", f"{p99[n] * 1e3:.0f}",
                     f"{quantile(times, 0.999) * 1e3:.0f}", " / ".join(share), len(mine) - good])
    table(["balancing", "messages", "p50, ms", "p90, ms", "p99, ms", "p99.9, ms", "share of each server, %", "not delivered"], rows)
    if names:
        plot("mail.png", "Message latency, one of three servers three times slower: p99",
             lambda ax: bars(ax, names, [p99[n] * 1e3 for n in names], "ms"))
    if "least-inflight" in p99:
        for other, limit in (("round-robin", 0.2), ("least-conn", 0.5)):
            if other in p99:
                target(f"message latency p99: least-inflight : {other}", p99["least-inflight"] / p99[other], limit)
    part_mail_inferred(names)
    part_mail_drains(setting)


def part_mail_inferred(names):
    rows = []
    for n in names:
        told_by = read_json("mail", n, "list.json")
        if not told_by:
            continue
        inferred = {b["name"]: b["replies_total"] for b in told_by["backends"]}
        for i in (1, 2, 3):
            true = read_json("mail", n, f"m{i}.json")
            if true and f"mailx{i}" in inferred:
                got = inferred[f"mailx{i}"]
                rows.append([n, f"mailx{i}", true["replies"], got, f"{100 * (got / true['replies'] - 1):+.2f} %" if true["replies"] else ""])
    if rows:
        say("Replies that the XDP program inferred from the client's packets, against those that the servers logged:")
        say()
        table(["scheduler", "server", "true", "inferred", "error"], rows, left=2)


def part_mail_drains(setting):
    rows = []
    for n in ("drain-mailxdp", "drain-haproxy"):
        try:
            drains = [line.split() for line in open(path("mail", n, "drains.txt"))]
        except FileNotFoundError:
            continue
        mine = mail_rows(n)
        took = [int(d[2]) for d in drains]
        count = {s: sum(r[2] == s for r in mine) for s in ("ok", "cut", "closed", "failed", "refused")}
        rows.append([n.replace("drain-", ""), len(drains), with_spread([int(d[1]) for d in drains]), with_spread(took), count["ok"],
                     count["cut"], count["closed"], count["failed"] + count["refused"]])
        if n == "drain-mailxdp":
            target("transactions cut in drains", count["cut"], 0, "{:.0f}")
    if rows:
        say(f"Drains under load, deadline {setting['drain_deadline_s']} s; after it mailxdp closes the rest, and for HAProxy "
            "`shutdown sessions server` does:")
        say()
        table(["balancer", "drains", "sessions at the start", "time until empty, ms", "messages delivered", "transactions cut",
               "idle sessions closed", "not taken"], rows)


def part_verdict():
    if not verdicts:
        return
    say("## Targets")
    say()
    table(["target", "measured", "limit", ""],
          [list(row) for row in verdicts])


def main():
    part_packet()
    part_pps()
    part_sessions()
    part_latency()
    part_control()
    part_mail()
    body = out[:]
    out.clear()
    say("# mailxdp: measured")
    say()
    say(f"One run, {told('date -u +%Y-%m-%d')}. Every figure below was printed by it. Ratios are between figures of the same run.")
    say()
    part_verdict()
    part_machine()
    out.extend(body)
    part_commands()
    with open(path("report.md"), "w") as f:
        f.write("\n".join(out))
    print(path("report.md"))


main()
