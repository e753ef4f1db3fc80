#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Boots Debian 12's own kernel, with systemd, in a virtual machine without a network, and runs something of this tree
# in it: the machine of most of our users, whatever kernel this one has. Output is shown as it comes; the exit code is
# that of what ran. The disk is made once (tests/vm/image.sh) and never written to; build/ is taken as it is.
#
# Usage: tests/vm.sh WHAT [ARGS...]
#   packets             the packet tests
#   tests [FILE...]     tests/run.sh: all, or these files
#   systemd             the service under a live systemd
#   bench [PEER...]     sessions per second and CPU time per session, with the kernel's IPVS among the peers
#   command WORDS...    a command of yours, by bash
# Settings: VM_TIMEOUT seconds, VM_CPUS, VM_MEMORY (MiB), VM_ACCEL=kvm|tcg, KERNEL_PACKAGE; those of the tests go
# through: LONG, SESSIONS, ROUNDS, SYNS, HELD, TEST_TIMEOUT, SESSIONS_ROUNDS, SESSIONS_SHAPES, SESSIONS_SCALE.
# Results (logs, kernel.log, journal.log) are in build/vm/WHAT/ afterwards, the console in console.log beside them.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
HOME_OF_VM=build/vm
VM_CPUS=${VM_CPUS:-$(nproc)}
VM_MEMORY=${VM_MEMORY:-4096}

case ${1:-} in
packets | tests | systemd | bench | command) ;;
*)
	sed -n 's/^# \{0,1\}//; /^Usage/,/^Settings/p' "$0" | sed '$d' >&2
	exit 2
	;;
esac
what=$1
shift
[ "$what" != bench ] || [ $# != 0 ] || set -- direct mailxdp-nat mailxdp-dsr nft ipvs haproxy nginx

# A device alone proves little: where the processor lends no guest mode, ordinary kernels hang under KVM.
can_kvm()
{
	[ -w /dev/kvm ] && grep -qE '^flags.* (vmx|svm)( |$)' /proc/cpuinfo
}

[ -n "${VM_ACCEL:-}" ] || if can_kvm; then VM_ACCEL=kvm; else VM_ACCEL=tcg; fi
case $VM_ACCEL in
kvm) machine=(-accel kvm -cpu host) patience=1 ;;
# An emulated processor is about ten times as slow.
tcg) machine=(-accel "tcg,thread=multi" -cpu max) patience=10 ;;
*)
	echo "vm.sh: VM_ACCEL is kvm or tcg, not $VM_ACCEL" >&2
	exit 2
	;;
esac
if [ "$what" = bench ] && [ "$VM_ACCEL" = tcg ] && [ "${BENCH_ANYWAY:-0}" != 1 ]; then
	echo "vm.sh: there is no KVM here, and figures of an emulated processor mean nothing (BENCH_ANYWAY=1 tries the peers)" >&2
	exit 1
fi
VM_TIMEOUT=${VM_TIMEOUT:-$((900 * patience))}
TEST_TIMEOUT=${TEST_TIMEOUT:-$((120 * patience))}
LAB_PATIENCE=${LAB_PATIENCE:-$patience}

for tool in qemu-system-x86_64 mmdebstrap; do
	command -v "$tool" >/dev/null || {
		echo "vm.sh: $tool is missing: make vm-deps" >&2
		exit 1
	}
done
for program in lbd lbctl; do
	[ -x "build/$program" ] || {
		echo "vm.sh: build/$program is not built: make" >&2
		exit 1
	}
done
tests/vm/image.sh "$HOME_OF_VM"

QEMU=
RUN=$(mktemp -d "$PWD/$HOME_OF_VM/run-XXXXXX")
vm_exit()
{
	local rc=$?
	trap - EXIT
	if [ -n "$QEMU" ]; then
		kill "$QEMU" 2>/dev/null || true
		wait "$QEMU" 2>/dev/null || true
	fi
	rm -rf "$RUN"
	exit "$rc"
}
trap vm_exit EXIT
trap 'exit 130' INT TERM HUP

# What goes in: a tar of the tree on a disk. What comes out: a tar on another. No share, no network.
{
	printf 'WHAT=%q\nARGS=(%s)\n' "$what" "$([ $# = 0 ] || printf '%q ' "$@")"
	for setting in LONG SESSIONS ROUNDS SYNS HELD TEST_TIMEOUT LAB_PATIENCE SESSIONS_ROUNDS SESSIONS_SHAPES SESSIONS_SCALE; do
		[ -z "${!setting:-}" ] || printf 'export %s=%q\n' "$setting" "${!setting}"
	done
} >"$RUN/job"
tree=(Makefile bpf cli loader tests)
for built in build/lbd build/lbctl build/lb.bpf.o build/tests build/san/tests build/bench; do
	[ ! -e "$built" ] || tree+=("$built")
done
tar -cf "$RUN/tree.tar" --exclude='*.d' "${tree[@]}" -C "$RUN" job
truncate -s 64M "$RUN/out.tar"

setpriv --pdeathsig TERM timeout -k 10 "$VM_TIMEOUT" qemu-system-x86_64 -M q35 "${machine[@]}" \
	-smp "$VM_CPUS" -m "$VM_MEMORY" -nodefaults -nic none -display none -no-reboot \
	-device virtio-rng-pci \
	-drive "if=virtio,format=raw,file=$HOME_OF_VM/disk.ext4,snapshot=on" \
	-drive "if=virtio,format=raw,file=$RUN/tree.tar,readonly=on" \
	-drive "if=virtio,format=raw,file=$RUN/out.tar" \
	-serial "file:$RUN/console.log" -serial stdio \
	-kernel "$HOME_OF_VM/vmlinuz" -initrd "$HOME_OF_VM/initrd" \
	-append "root=/dev/vda rw console=ttyS0 panic=-1 quiet" </dev/null &
QEMU=$!
rc=0
wait "$QEMU" || rc=$?
QEMU=

out=$HOME_OF_VM/$what
rm -rf "$out"
mkdir -p "$out"
mv "$RUN/console.log" "$out/"
tar -xf "$RUN/out.tar" -C "$out" 2>/dev/null || true
if [ "$rc" != 0 ] || [ ! -s "$out/verdict" ]; then
	echo "vm.sh: the machine ended without a verdict ($VM_ACCEL, exit code $rc$([ "$rc" != 124 ] || echo ": not done after $VM_TIMEOUT s")); its console:" >&2
	tail -n 20 "$out/console.log" >&2
	exit 1
fi
echo "vm: done by $VM_ACCEL in $SECONDS s; results in $out"
exit "$(cat "$out/verdict")"
