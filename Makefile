# mailxdp: the one makefile. `make help` lists the targets.

PREFIX     ?= /usr/local
SYSCONFDIR ?= /etc
MANDIR     ?= $(PREFIX)/share/man
UNITDIR    ?= /lib/systemd/system
CC         ?= gcc
CLANG      ?= clang
BPFTOOL    ?= $(shell PATH=$$PATH:/usr/sbin command -v bpftool || echo bpftool)
V          ?= 0
JOBS       ?= -j$(shell nproc)
SAN        ?= 0

B := build
ifeq ($(SAN),1)
B := build/san
SANFLAGS := -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
endif
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) $(2))

BUILD_PACKAGES := gcc make clang llvm bpftool libbpf-dev libelf-dev zlib1g-dev linux-libc-dev pkgconf \
	libyaml-dev libjansson-dev libsystemd-dev libmnl-dev libmicrohttpd-dev libcurl4-openssl-dev \
	libcap-ng-dev libseccomp-dev libssl-dev
TEST_PACKAGES := libcmocka-dev postfix iproute2 ethtool nftables procps util-linux python3-minimal jq curl \
	swaks iputils-ping shellcheck systemd

CHECK_PACKAGES := cppcheck
VM_PACKAGES := qemu-system-x86 mmdebstrap e2fsprogs
BENCH_PACKAGES := haproxy nginx libnginx-mod-stream nftables ipvsadm python3 python3-matplotlib

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual
PKGS := libbpf yaml-0.1 jansson libsystemd libmnl libmicrohttpd libcurl libcap-ng libseccomp openssl
CFLAGS ?= -O2 -g
override CFLAGS += -std=gnu11 -fno-strict-aliasing -D_GNU_SOURCE $(WARN) -MMD -MP $(SANFLAGS) -isystem $(B) -Ibpf $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LDFLAGS += $(SANFLAGS)
LBD_LIBS   = $(shell pkg-config --libs libbpf yaml-0.1 jansson libsystemd libmnl libmicrohttpd libcurl libcap-ng libseccomp openssl)
LBCTL_LIBS = $(shell pkg-config --libs jansson libcurl)
TRIPLET   := $(shell $(CC) -dumpmachine 2>/dev/null)
BPFFLAGS  := -target bpf -D__$(shell uname -m)__ -mcpu=v3 -O2 -g -fno-strict-aliasing -Wall -Wextra -Werror -Wno-unused-parameter -I/usr/include/$(TRIPLET) -MMD -MP

LOADER := $(patsubst loader/%.c,$(B)/loader/%.o,$(wildcard loader/*.c))
CLI    := $(patsubst cli/%.c,$(B)/cli/%.o,$(wildcard cli/*.c))
SHARED := $(B)/loader/addr.o $(B)/loader/num.o $(B)/loader/verdict.o
UNIT   := $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard tests/unit/*_test.c))
BPFT   := $(patsubst tests/bpf/%.c,$(B)/tests/bpf/%,$(wildcard tests/bpf/*_test.c))
TOOLS  := $(patsubst tests/harness/%.c,$(B)/tests/%,$(wildcard tests/harness/*_tool.c))

.DELETE_ON_ERROR:
.PHONY: all bpf deps test-deps check-deps vm-deps tests-build unit-build test test-vm bench-vm demo bench-deps bench-build bench bench-quick bench-mail check install uninstall clean help
all: $(B)/lbd $(B)/lbctl	## build/lbd and build/lbctl (the default)

help:	## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps:	## install what the build needs (Debian 12, root)
	@tests/harness/install-packages.sh build/.deps $(BUILD_PACKAGES)
test-deps:	## install what the tests and the demo need
	@tests/harness/install-packages.sh build/.test-deps $(BUILD_PACKAGES) $(TEST_PACKAGES)
check-deps:
	@tests/harness/install-packages.sh build/.check-deps $(BUILD_PACKAGES) $(TEST_PACKAGES) $(CHECK_PACKAGES)

# --- the kernel half ---
bpf: $(B)/lb.bpf.o	## the XDP program alone
$(B)/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPFFLAGS) -c $< -o $@
# bpftool names the types of global data but does not define them: the treaty does.
$(B)/lb.skel.h: $(B)/lb.bpf.o
	$(call say,SKEL,$@)
	$(Q){ printf '#include <stdbool.h>\n#include "lb_abi.h"\n#include "hint.h"\n'; $(BPFTOOL) gen skeleton $< name lb_bpf; } > $@
$(B)/tests/%.bpf.o: tests/harness/%.bpf.c
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPFFLAGS) -c $< -o $@

# --- the user half ---
$(B)/loader/datapath.o $(B)/loader/datapath_link.o: $(B)/lb.skel.h
$(B)/loader/%.o: loader/%.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -c $< -o $@
$(B)/cli/%.o: cli/%.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -c $< -o $@
$(B)/liblbd.a: $(filter-out $(B)/loader/main.o,$(LOADER))
	$(call say,AR,$@)
	@rm -f $@
	$(Q)ar rcs $@ $^
$(B)/lbd: $(B)/loader/main.o $(B)/liblbd.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LBD_LIBS)
$(B)/lbctl: $(CLI) $(SHARED)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LBCTL_LIBS)

# --- tests ---
$(B)/tests/%_test: tests/unit/%_test.c $(B)/liblbd.a
	$(call say,TEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -Werror=unused-function $(LDFLAGS) -o $@ $< $(B)/liblbd.a $(LBD_LIBS) -lcmocka
$(B)/tests/bpf/%_test: tests/bpf/%_test.c $(wildcard tests/bpf/*.h tests/harness/*.h) $(B)/lb.skel.h $(B)/liblbd.a
	$(call say,TEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -Werror=unused-function $(LDFLAGS) -o $@ $< $(B)/liblbd.a $(LBD_LIBS) -lcmocka
$(B)/tests/%_tool: tests/harness/%_tool.c $(B)/liblbd.a
	$(call say,TOOL,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(B)/liblbd.a $(LBD_LIBS)

tests-build: all $(UNIT) $(BPFT) $(TOOLS) $(B)/tests/pass.bpf.o $(B)/tests/tag.bpf.o
unit-build: $(UNIT) $(B)/lbctl

# Flags come from pkg-config, which may only just have been installed: hence the second make.
test: test-deps	## install, build, run all tests: unit, packets, end to end (root for the latter two)
	+@$(MAKE) --no-print-directory $(JOBS) tests-build
	+@$(MAKE) --no-print-directory $(JOBS) SAN=1 unit-build
	@tests/run.sh

# Not a part of "test": without KVM it takes an hour.
vm-deps:
	@tests/harness/install-packages.sh build/.vm-deps $(BUILD_PACKAGES) $(TEST_PACKAGES) $(VM_PACKAGES)
test-vm: vm-deps	## all tests on Debian's own kernel, and the service under systemd, in a virtual machine (root)
	+@$(MAKE) --no-print-directory $(JOBS) tests-build
	+@$(MAKE) --no-print-directory $(JOBS) SAN=1 unit-build
	@tests/vm.sh tests
	@tests/vm.sh systemd
bench-vm: vm-deps	## sessions through mailxdp, nftables, IPVS, HAProxy and nginx, in the same machine; needs KVM (root)
	+@$(MAKE) --no-print-directory $(JOBS) tests-build bench-build
	@tests/vm.sh bench

demo: test-deps	## three organisations, three mail servers, 3,000 mails, one drain (root)
	+@$(MAKE) --no-print-directory $(JOBS) all $(B)/tests/pass.bpf.o
	@tests/demo.sh

check: check-deps	## static analysis; warnings are errors
	+@$(MAKE) --no-print-directory CFLAGS='-O2 -g' tests-build
	@for f in loader/*.c cli/*.c; do \
		$(CC) -O1 -fanalyzer -Wno-analyzer-double-free -Wno-analyzer-malloc-leak $(filter-out -MMD -MP,$(CFLAGS)) \
			-c $$f -o /dev/null || exit 1; done
	@cppcheck --quiet --std=c11 --error-exitcode=1 --enable=warning,portability,performance --inline-suppr \
		--suppress=missingIncludeSystem --suppress=ctunullpointer:loader/addr.c \
		--suppress=arrayIndexThenCheck:loader/maglev.c --suppress=unknownMacro -I loader -I bpf loader cli tests/harness/*_tool.c
	@shellcheck -x tests/*.sh tests/*/*.sh .ci/run loader/postfix-agent
	@echo 'check: clean'

bench-deps:
	@tests/harness/install-packages.sh build/.bench-deps $(BUILD_PACKAGES) $(TEST_PACKAGES) $(BENCH_PACKAGES)
include tests/bench/bench.mk
bench-build: all $(BENCH_BUILT)
bench: bench-deps	## measure against haproxy, nginx, nftables, IPVS: build/bench/report.md (root)
	+@$(MAKE) --no-print-directory $(JOBS) bench-build
	@tests/bench/bench.sh all
bench-quick: bench-deps	## the same, in short (under 2 minutes)
	+@$(MAKE) --no-print-directory $(JOBS) bench-build
	@tests/bench/bench.sh quick
bench-mail: bench-deps	## heavy-tailed mail, one slow server, every scheduler
	+@$(MAKE) --no-print-directory $(JOBS) bench-build
	@tests/bench/bench.sh mail

install: all	## PREFIX, SYSCONFDIR, MANDIR, UNITDIR, DESTDIR
	install -D -m 0755 $(B)/lbd $(DESTDIR)$(PREFIX)/sbin/lbd
	install -D -m 0755 $(B)/lbctl $(DESTDIR)$(PREFIX)/bin/lbctl
	install -D -m 0644 loader/lbd.8 $(DESTDIR)$(MANDIR)/man8/lbd.8
	install -D -m 0644 cli/lbctl.8 $(DESTDIR)$(MANDIR)/man8/lbctl.8
	install -D -m 0644 loader/mailxdp.yaml.5 $(DESTDIR)$(MANDIR)/man5/mailxdp.yaml.5
	install -D -m 0644 cli/completion.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/lbctl
	install -D -m 0644 loader/mailxdp.sysusers $(DESTDIR)/usr/lib/sysusers.d/mailxdp.conf
	install -d -m 0775 $(DESTDIR)$(SYSCONFDIR)/mailxdp
	install -d -m 0755 $(DESTDIR)$(UNITDIR)
	sed 's|@SBINDIR@|$(PREFIX)/sbin|; s|@BINDIR@|$(PREFIX)/bin|' loader/mailxdp.service > $(DESTDIR)$(UNITDIR)/mailxdp.service
	install -D -m 0755 loader/postfix-agent $(DESTDIR)$(PREFIX)/share/mailxdp/postfix-agent
	install -m 0644 loader/postfix-agent.socket $(DESTDIR)$(PREFIX)/share/mailxdp
	sed 's|@DATADIR@|$(PREFIX)/share/mailxdp|' loader/postfix-agent@.service > $(DESTDIR)$(PREFIX)/share/mailxdp/postfix-agent@.service

uninstall:	## what install put there; the config stays
	rm -f $(DESTDIR)$(PREFIX)/sbin/lbd $(DESTDIR)$(PREFIX)/bin/lbctl $(DESTDIR)$(MANDIR)/man8/lbd.8 \
		$(DESTDIR)$(MANDIR)/man8/lbctl.8 $(DESTDIR)$(MANDIR)/man5/mailxdp.yaml.5 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/lbctl \
		$(DESTDIR)/usr/lib/sysusers.d/mailxdp.conf $(DESTDIR)$(UNITDIR)/mailxdp.service
	rm -rf $(DESTDIR)$(PREFIX)/share/mailxdp

clean:	## remove build/
	rm -rf build

-include $(shell find $(B) -type f -name '*.d' 2>/dev/null)
