/* SPDX-License-Identifier: ISC */

/* Four characters stand for three bytes; there is no padding. */

#include "base/base64url.h"

static int
base64url_value(char ch)
{
	if (ch >= 'A' && ch <= 'Z')
		return ch - 'A';
	if (ch >= 'a' && ch <= 'z')
		return ch - 'a' + 26;
	if (ch >= '0' && ch <= '9')
		return ch - '0' + 52;
	return ch == '-' ? 62 : ch == '_' ? 63 : -1;
}

ssize_t
base64url_decode(unsigned char *out, const char *s, size_t len)
{
	unsigned	 bits = 0;
	size_t		 i, n = 0;
	int		 value;

	if (len % 4 == 1)
		return -1;
	for (i = 0; i < len; i++) {
		if ((value = base64url_value(s[i])) == -1)
			return -1;
		bits = bits << 6 | (unsigned)value;
		if (i % 4 != 0)
			out[n++] = (unsigned char)(bits >>
			    (6 - 2 * (i % 4)));
	}
	return (ssize_t)n;
}
