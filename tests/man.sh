#!/bin/sh
# SPDX-License-Identifier: ISC
#
# mandoc(1) finds nothing to warn of in any manual page.

src=${PGPUSH_SRCDIR:-$(dirname "$0")/..}
points=0
failed=0

for page in "$src"/man/*.[1-9]; do
	points=$((points + 1))
	if test -f "$page" && said=$(mandoc -Tlint -Wwarning "$page" 2>&1); then
		echo "ok $points - ${page##*/}"
	else
		echo "not ok $points - ${page##*/}"
		echo "$said" | sed 's/^/# /'
		failed=1
	fi
done
echo "1..$points"
exit $failed
