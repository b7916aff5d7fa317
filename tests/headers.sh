#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Each header compiles alone, and twice, with all warnings.

src=${PGPUSH_SRCDIR:-$(dirname "$0")/..}
build=${PGPUSH_BUILDDIR:-$src}
points=0
failed=0

# make_value NAME: what configure found.
make_value() {
	sed -n "s/^$1 = //p" "$build/Makefile"
}

cc=$(make_value CC)
flags="-std=c11 -D_GNU_SOURCE $(make_value WARN_CFLAGS) -Werror"
for lib in EVENT PQ JANSSON JWT SSL; do
	flags="$flags $(make_value ${lib}_CFLAGS)"
done

for header in $(find "$src/src" -name "*.h" | sort); do
	name=${header#"$src"/src/}
	points=$((points + 1))
	# Flags are words.
	# shellcheck disable=SC2086
	if said=$(printf '#include "%s"\n#include "%s"\n' "$name" "$name" |
	    $cc $flags -iquote "$src/src" -fsyntax-only -x c - 2>&1); then
		echo "ok $points - $name"
	else
		echo "not ok $points - $name"
		echo "$said" | sed 's/^/# /'
		failed=1
	fi
done
echo "1..$points"
exit $failed
