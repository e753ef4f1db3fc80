#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# make install puts everything below DESTDIR, also when that is a folder in build/, which make searches for its own files;
# and make uninstall takes it all away again. Needs neither root nor the lab.
set -euo pipefail
cd "$(dirname "$0")/../.."
LONG=${LONG:-0}
. tests/harness/lab_tap.sh

mkdir -p build
DEST=$(mktemp -d build/install-XXXXXX)
trap 'rm -rf "$DEST"' EXIT
unset MAKEFLAGS MAKELEVEL # of a make that runs the tests

quiet_make() # ARGS: what it says on stderr
{
	{ make --no-print-directory "$@" >/dev/null; } 2>&1
}

is "make install says nothing on stderr" "$(quiet_make "DESTDIR=$DEST" PREFIX=/usr install)" ""
for file in usr/sbin/lbd usr/bin/lbctl usr/share/man/man8/lbd.8 usr/share/man/man8/lbctl.8 \
	usr/share/man/man5/mailxdp.yaml.5 usr/share/bash-completion/completions/lbctl \
	usr/lib/sysusers.d/mailxdp.conf lib/systemd/system/mailxdp.service \
	usr/share/mailxdp/postfix-agent usr/share/mailxdp/postfix-agent.socket usr/share/mailxdp/postfix-agent@.service; do
	check "/$file is there" test -s "$DEST/$file"
done
is "every path in the units is that of this PREFIX" "$(grep -rhE '^Exec[A-Za-z]*=' "$DEST" | grep -vE '=[+!-]?/(usr|bin|sbin)/' || true)" ""
if command -v systemd-analyze >/dev/null; then
	# Its programs are below DESTDIR, and its manual pages nowhere yet.
	sed -E "s|=(/usr/s?bin/lb)|=$PWD/$DEST\1|" "$DEST/lib/systemd/system/mailxdp.service" >"$DEST/mailxdp.service"
	is "systemd has nothing to say of the unit" "$(systemd-analyze verify --man=no "$DEST/mailxdp.service" 2>&1)" ""
	rm "$DEST/mailxdp.service"
else
	skip_one "what systemd says of the unit" "systemd-analyze is not here"
fi
is "the next make finds nothing wrong in build/" "$(quiet_make -n all)" ""
is "make uninstall neither" "$(quiet_make "DESTDIR=$DEST" PREFIX=/usr uninstall)" ""
is "and leaves no file" "$(find "$DEST" -type f)" ""
lab_done
