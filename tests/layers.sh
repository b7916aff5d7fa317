#!/bin/sh
# SPDX-License-Identifier: ISC
#
# No modules call one another in a ring, and folders are in the order of calls:
# a file calls and includes only what lies in its own folder or in one below.
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

# The folders, lowest first; src itself, with main and server, is above all.
order="base net db push dialect src"

# rank of each module, "module number", from where its source lies.
ranks() {
	n=0
	for folder in $order; do
		n=$((n + 1))
		dir=$src/src/$folder
		test "$folder" != src || dir=$src/src
		for file in "$dir"/*.c; do
			module=${file##*/}
			echo "${module%.c} $n"
		done
	done
}

# "caller callee" for calls that go up, of the pairs on standard input.
calls_up() {
	awk -v ranks="$(ranks)" '
		BEGIN {
			n = split(ranks, word)
			for (i = 1; i < n; i += 2) {
				if (word[i] in rank)
					print "two modules:", word[i]
				rank[word[i]] = word[i + 1]
			}
		}
		!($1 in rank) { print "no source:", $1; next }
		rank[$1] < rank[$2] { print $1, "calls", $2 }'
}

# Includes that go up, or that name a folder that is none.
includes_up() {
	n=0
	for folder in $order; do
		n=$((n + 1))
		dir=$src/src/$folder
		test "$folder" != src || dir=$src/src
		grep -H '^#include "[a-z]*/' "$dir"/*.[ch] /dev/null |
		    awk -F '[":/]' -v order="$order" -v mine="$n" '
			BEGIN {
				n = split(order, name, " ")
				for (i = 1; i <= n; i++)
					rank[name[i]] = i
			}
			{ to = $(NF - 2) }
			!(to in rank) || rank[to] > mine { print }'
	done
}

# point NUMBER NAME WRONG: what is wrong is printed; nothing is right.
point() {
	if test -z "$3"; then
		echo "ok $1 - $2"
	else
		echo "not ok $1 - $2"
		echo "$3" | sed 's/^/# /'
		status=1
	fi
}

echo 1..3
status=0
set -- "$build/src/libpgpush.a"
test ! -f "$build/src/main.o" || set -- "$@" "$build/src/main.o"
all=$(pairs "$@")
if test -n "$all" && sorted=$(echo "$all" | tsort 2>&1); then
	echo "ok 1 - no ring among the modules, callers first:"
else
	echo "not ok 1 - no ring among the modules"
	status=1
fi
echo "$sorted" | sed 's/^/# /'
point 2 "calls go down the folders: $order" "$(echo "$all" | calls_up)"
point 3 "and so do includes" "$(includes_up)"
exit $status
