#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Several hosts in the connection string, and one of them in trouble."""

import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import World, case, main
from lib.tap import same


@case
def first_is_mute(w):
    """a first host that takes connections and says nothing is passed over"""
    other = World("app", start=False)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen(64)
        dsn = other.daemon.settings["database"].replace(
            "host=127.0.0.1 port=", "host=127.0.0.1,127.0.0.1 port=%d,"
            % mute.getsockname()[1])
        other.daemon.settings["database"] = dsn
        other.daemon.start(ready=False)
        other.daemon.wait_status("/readyz", 200, 40)
        other.client("ann").position()
        same(other.close(), [], "end of the daemon")


if __name__ == "__main__":
    main(world=False)
