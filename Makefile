# mailxdp: the one makefile. `make help` lists the targets.

PREFIX     ?= /usr/local
SYSCONFDIR ?= /etc
MANDIR     ?= $(PREFIX)/share/man
UNITDIR    ?= /lib/systemd/system
CC         ?= gcc
CLANG      ?= clang
BPFTOOL    ?= $(shell PATH=$$PATH:/usr/sbin command -v bpftool || echo bpftool)
V          ?= 0
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
	libcap-ng-dev libseccomp-dev
TEST_PACKAGES := libcmocka-dev postfix iproute2 ethtool nftables procps util-linux python3-minimal jq curl \
	swaks iputils-ping shellcheck

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual
PKGS := libbpf yaml-0.1 jansson libsystemd libmnl libmicrohttpd libcurl libcap-ng libseccomp
CFLAGS ?= -O2 -g
override CFLAGS += -std=gnu11 -D_GNU_SOURCE $(WARN) -MMD -MP $(SANFLAGS) -I$(B) $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LDFLAGS += $(SANFLAGS)
LBD_LIBS   = $(shell pkg-config --libs libbpf yaml-0.1 jansson libsystemd libmnl libmicrohttpd libcurl libcap-ng libseccomp)
LBCTL_LIBS = $(shell pkg-config --libs jansson libcurl)
TRIPLET   := $(shell $(CC) -dumpmachine 2>/dev/null)
BPFFLAGS  := -target bpf -D__$(shell uname -m)__ -mcpu=v3 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter -I/usr/include/$(TRIPLET) -MMD -MP

LOADER := $(patsubst loader/%.c,$(B)/loader/%.o,$(wildcard loader/*.c))
CLI    := $(patsubst cli/%.c,$(B)/cli/%.o,$(wildcard cli/*.c))
SHARED := $(B)/loader/addr.o $(B)/loader/num.o $(B)/loader/verdict.o
UNIT   := $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard tests/unit/*_test.c))
BPFT   := $(patsubst tests/bpf/%.c,$(B)/tests/bpf/%,$(wildcard tests/bpf/*_test.c))
TOOLS  := $(patsubst tests/harness/%.c,$(B)/tests/%,$(wildcard tests/harness/*_tool.c))

.DELETE_ON_ERROR:
.PHONY: all bpf deps test-deps test demo check fmt install uninstall clean help
all: $(B)/lbd $(B)/lbctl

help:	## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps: $(B)/.deps	## install what the build needs (Debian 12, root)
test-deps: $(B)/.test-deps
$(B)/.deps: ; @tests/harness/install-packages.sh $@ $(BUILD_PACKAGES)
$(B)/.test-deps: ; @tests/harness/install-packages.sh $@ $(BUILD_PACKAGES) $(TEST_PACKAGES)

# --- the kernel half ---
bpf: $(B)/lb.bpf.o	## the XDP program alone
$(B)/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPFFLAGS) -c $< -o $@
$(B)/%.skel.h: $(B)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@
$(B)/tests/%.bpf.o: tests/harness/%.bpf.c
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPFFLAGS) -c $< -o $@

# --- the user half ---
$(B)/loader/datapath.o $(B)/loader/sync.o: $(B)/lb.skel.h
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

-include $(shell find $(B) -name '*.d' 2>/dev/null)
