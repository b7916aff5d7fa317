# SPDX-License-Identifier: ISC
"""What the tests share: a cluster, a database, a daemon, a client, TAP."""
