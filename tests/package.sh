#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The Debian package builds, lintian(1) finds no fault with it, and what is in
# it names the places where it is installed.  And "make uninstall" leaves no
# file of "make install".

src=${PGPUSH_SRCDIR:-$(dirname "$0")/..}
build=${PGPUSH_BUILDDIR:-$src}
work=$(mktemp -d "${TMPDIR:-/tmp}/pgpush-package.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
points=0
failed=0

# point NAME COMMAND...: a point that holds if the command succeeds.
point() {
	name=$1
	shift
	points=$((points + 1))
	if "$@" >"$work/said" 2>&1; then
		echo "ok $points - $name"
	else
		echo "not ok $points - $name"
		sed 's/^/# /' "$work/said"
		failed=1
	fi
}

is_clean() {
	! lintian --allow-root --fail-on error,warning "$work"/*.changes |
	    grep .
}

has_file() {
	test -s "$work/root/$1" || { find "$work/root" | head -n 60; false; }
}

# names_no WORD: nothing in the package, pages included, names that place.
names_no() {
	! { find "$work/root" -name '*.gz' -exec zcat {} + &&
	    find "$work/root" -type f ! -name '*.gz' -exec cat {} +; } |
	    grep -a "$1"
}

runs() {
	"$work/root/usr/sbin/pgpushd" -V
}

uninstalls() {
	make -s -C "$build" install DESTDIR="$work/made" &&
	test -x "$work/made/usr/local/sbin/pgpushd" &&
	make -s -C "$build" uninstall DESTDIR="$work/made" &&
	! find "$work/made" ! -type d | grep .
}

point 'the package builds' "$src/script/package" "$work"
point 'lintian finds no fault with it' is_clean
point 'it can be unpacked' sh -c "dpkg-deb -x '$work'/pgpush_*.deb '$work/root'"
for f in usr/lib/systemd/system/pgpushd.service \
    usr/lib/systemd/system/pgpushd@.service \
    usr/share/pgpush/sql/tables/001_events.sql \
    usr/share/pgpush/triggers/messages.sql \
    usr/share/doc/pgpush/pgpushd.conf usr/share/man/man8/pgpushd.8.gz; do
	point "it has /$f" has_file "$f"
done
point 'the daemon in it runs' runs
point 'nothing in it names /usr/local' names_no /usr/local
point 'its pages name /etc/pgpush' sh -c \
    "zcat '$work'/root/usr/share/man/man8/pgpushd.8.gz | grep -q /etc/pgpush"
point 'make uninstall leaves no file' uninstalls
echo "1..$points"
exit $failed
