#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Each key of the configuration is in the sample, commented out at its
# default, and has an entry in pgpushd.conf(5); the sample has no other.

src=${PGPUSH_SRCDIR:-$(dirname "$0")/..}
build=${PGPUSH_BUILDDIR:-$src}
sample=$src/etc/pgpushd.conf
page=$src/man/pgpushd.conf.5
points=0
failed=0

# point NAME COMMAND...: a point that holds if the command succeeds.
point() {
	name=$1
	shift
	points=$((points + 1))
	if "$@"; then
		echo "ok $points - $name"
	else
		echo "not ok $points - $name"
		failed=1
	fi
}

# Where it was installed to decides about the default of sql_dir.
has_default() {
	case $1 in
	'sql_dir = '*) grep -q '^#sql_dir = /.*/sql$' "$sample" ;;
	*) grep -qxF -- "#$1" "$sample" ;;
	esac
}

is_key() {
	printf '%s\n' "$list" | grep -q "^$1 ="
}

has_entry() {
	grep -Eq "^\.It (.* )?$1( |\$)" "$page" 2>/dev/null
}

list=$("$build/tests/keylist") || list=
point 'there are keys' test -n "$list"
while read -r line; do
	key=${line%% *}
	point "the sample has: $line" has_default "$line"
	point "pgpushd.conf(5) has an entry for $key" has_entry "$key"
done <<EOF
$list
EOF
while read -r key; do
	point "$key of the sample is a key" is_key "$key"
done <<EOF
$(sed -n 's/^#\{0,1\}\([a-z_]*\) *=.*/\1/p' "$sample")
EOF
echo "1..$points"
exit $failed
