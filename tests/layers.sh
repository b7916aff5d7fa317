#!/bin/sh
# SPDX-License-Identifier: ISC
#
# No modules call one another in a ring.
#
# A direct call leaves an undefined symbol in the caller's object and a defined
# one in the callee's; tsort(1) refuses any ring among the pairs.  A call made
# through a pointer leaves nothing, which is what callbacks are for.

src=${PGPUSH_SRCDIR:-$(dirname "$0")/..}
build=${PGPUSH_BUILDDIR:-$src}

# "caller callee" for each pair of modules; "module module" for each module.
pairs() {
	nm -gA "$@" | awk '
		NF < 3 { next }		# the name of an archive
		{
			n = split($1, part, ":")
			obj = part[n - 1]
			sub(/.*\//, "", obj)
			sub(/\.o$/, "", obj)
			object[NR] = obj
			type[NR] = $(NF - 1)
			symbol[NR] = $NF
			print obj, obj
		}
		type[NR] !~ /^[Uvw]$/ { owner[symbol[NR]] = obj }
		END {
			for (i = 1; i <= NR; i++)
				if (type[i] == "U" && symbol[i] in owner)
					print object[i], owner[symbol[i]]
		}' | sort -u
}

echo 1..1
set -- "$build/src/libpgpush.a"
test ! -f "$build/src/main.o" || set -- "$@" "$build/src/main.o"
all=$(pairs "$@")
if test -n "$all" && order=$(echo "$all" | tsort 2>&1); then
	echo "ok 1 - no ring among the modules, callers first:"
	status=0
else
	echo "not ok 1 - no ring among the modules"
	status=1
fi
echo "$order" | sed 's/^/# /'
exit $status
