# Rules for the benchmarks. Included by the Makefile, which owns the targets that people type.

BENCH_BPF   := $(patsubst tests/bench/%.bpf.c,$(B)/bench/%.bpf.o,$(wildcard tests/bench/*.bpf.c))
BENCH_TOOLS := $(patsubst tests/bench/%.c,$(B)/bench/%,$(wildcard tests/bench/*_bench.c tests/bench/*_tool.c))
BENCH_BUILT := $(BENCH_TOOLS) $(B)/tests/pass.bpf.o
BENCH_LIBS   = $(shell pkg-config --libs libbpf) -lm

$(B)/bench/%.bpf.o: tests/bench/%.bpf.c
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPFFLAGS) -c $< -o $@
$(B)/bench/%.skel.h: $(B)/bench/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(notdir $*)_bpf > $@
$(B)/bench/%: tests/bench/%.c
	$(call say,BENCH,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.c %.o,$^) $(BENCH_LIBS)

$(B)/bench/%.o: tests/bench/%.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -c $< -o $@

# The data plane alone, without the daemon: it is measured while the daemon is being worked on.
PACKET := $(patsubst %,$(B)/bench/packet_%.o,feed site sample)
$(PACKET): $(B)/bench/feed.skel.h $(B)/bench/reference.skel.h $(B)/lb.skel.h
$(B)/bench/packet_bench: $(PACKET) $(B)/loader/maglev.o $(B)/loader/siphash.o

$(B)/bench/control_bench: $(B)/loader/maglev.o $(B)/loader/siphash.o
$(B)/bench/redirect_tool $(B)/bench/pps_tool: $(B)/bench/redirect.skel.h

.SECONDARY: $(BENCH_BPF)
