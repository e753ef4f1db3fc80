#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes the disk of the virtual machine that tests/vm.sh boots: a small Debian 12 with systemd, Debian's own kernel and
# what the tests run, fresh from the mirror of this machine's apt. Knows nothing of mailxdp but the packages it needs;
# the tree comes on a disk of its own, so that a change in it makes no new image.
#
# Usage: image.sh FOLDER: leaves disk.ext4, vmlinuz and initrd there; does nothing when they are up to date.
# KERNEL_PACKAGE=linux-image-cloud-amd64 (or another) tries another kernel.
set -euo pipefail

KERNEL_PACKAGE=${KERNEL_PACKAGE:-linux-image-amd64}
MACHINE=(systemd-sysv dbus udev kmod make)
LIBRARIES=(libbpf1 libyaml-0-2 libjansson4 libmnl0 libmicrohttpd12 libcurl4 libcap-ng0 libseccomp2 libssl3 libcmocka0
	libasan8 libubsan1)
TOOLS=(postfix iproute2 ethtool nftables procps util-linux python3-minimal jq curl swaks iputils-ping bpftool)
PEERS=(haproxy nginx-light libnginx-mod-stream ipvsadm)

if [ $# != 1 ]; then
	echo "usage: ${0##*/} FOLDER" >&2
	exit 2
fi
folder=$1
recipe="$KERNEL_PACKAGE $(sha256sum <"$0")"
if [ -e "$folder/disk.ext4" ] && [ "$(cat "$folder/recipe" 2>/dev/null)" = "$recipe" ]; then
	exit 0
fi
[ "$(id -u)" = 0 ] || {
	echo "${0##*/}: needs root, to install packages in a root of their own" >&2
	exit 1
}

mkdir -p "$folder"
root=$folder/root
log=$folder/image.log
trap 'rm -rf "$root"' EXIT
rm -rf "$root" "$folder/recipe" "$folder/disk.ext4"
echo "  IMAGE   $folder/disk.ext4 ($KERNEL_PACKAGE)"

packages=$(IFS=,; echo "$KERNEL_PACKAGE,${MACHINE[*]},${LIBRARIES[*]},${TOOLS[*]},${PEERS[*]}")
# An initrd for any machine is six times as large, and an emulated processor unpacks it for long.
# shellcheck disable=SC2016 # $1 is for mmdebstrap's shell
if ! mmdebstrap --variant=minbase --include="$packages" --aptopt='Acquire::Languages "none"' \
	--setup-hook='mkdir -p "$1/etc/initramfs-tools/conf.d"
		echo MODULES=list >"$1/etc/initramfs-tools/conf.d/vm"
		printf "%s\n" virtio_pci virtio_blk ext4 >"$1/etc/initramfs-tools/modules"' \
	bookworm "$root" >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	exit 1
fi

echo mailxdp-vm >"$root/etc/hostname"
echo '/dev/vda / ext4 defaults 0 0' >"$root/etc/fstab"
ln -sf /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
for unit in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer dpkg-db-backup.timer; do
	ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
# Proxies are started by the benchmark, with its own files.
rm -f "$root"/etc/systemd/system/multi-user.target.wants/{haproxy,nginx,ipvsadm,nftables}.service

# The second disk is a tar of the tree. Whatever becomes of the job, the machine ends with it.
cat >"$root/etc/systemd/system/job.service" <<-'END'
	[Unit]
	Description=What tests/vm.sh is to run
	SuccessAction=poweroff-immediate
	FailureAction=poweroff-immediate

	[Service]
	Type=oneshot
	ExecStart=/bin/sh -c 'mkdir /opt/mailxdp && tar -xf /dev/vdb -C /opt/mailxdp && exec /opt/mailxdp/tests/vm/inside.sh'
	StandardOutput=tty
	StandardError=tty
	TTYPath=/dev/ttyS1
	LimitNOFILE=524288

	[Install]
	WantedBy=multi-user.target
END
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../job.service "$root/etc/systemd/system/multi-user.target.wants/job.service"

cp "$root"/boot/vmlinuz-* "$folder/vmlinuz"
cp "$root"/boot/initrd.img-* "$folder/initrd"
/sbin/mke2fs -q -t ext4 -L mailxdp-vm -d "$root" "$folder/disk.ext4" 4G
echo "$recipe" >"$folder/recipe"
