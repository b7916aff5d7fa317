# SPDX-License-Identifier: ISC
"""What pgpushd costs as things grow. Each of these records points of a series:
a name, where on the axis, and figures.
"""

import time

import servers
from place import LIMIT, Feed, Load, Trouble, cpu_s
from workloads import BURST, bursts, lossless, write_many

KB = 1024
FOLLOWER_RATE = 500     # events a second for several daemons
LOST = 20               # events missed by each who resumes


def steps(run, *all):
    """Fewer of them in a hurry."""
    return all[:-1:2] if run.quick else all


def connections(run):
    """All in rooms of 100, events to the first ten."""
    for n in steps(run, 1000, 2000, 5000, 10000, 18000):
        with run.serving(servers.Pgpushd) as server:
            before = server.rss_kb()
            with Load(run.place, server, n, 100) as load:
                time.sleep(0.5)
                weight = (server.rss_kb() - before) / n
                got = bursts(run, server, load, rooms=10,
                    seconds=run.seconds / 2)
                run.point("connections", n, memory_kb=weight,
                    handshake_us=load.setup["server_cpu_us_per_handshake"],
                    delivery_us=got["server_cpu_us_per_delivery"])


def rooms(run):
    """One member in each, events to random ones."""
    for n in steps(run, 1, 10, 100, 1000, 5000, 18000):
        with run.serving(servers.Pgpushd) as server:
            with Load(run.place, server, n, 1) as load:
                got = bursts(run, server, load, rooms=n,
                    seconds=run.seconds / 2)
                run.point("rooms", n,
                    event_us=got["server_cpu_us_per_delivery"])


def members(run):
    """One room, 32 events in flight or one."""
    for n in steps(run, 1, 10, 100, 1000, 10000):
        with run.serving(servers.Pgpushd) as server:
            with Load(run.place, server, n) as load:
                many = bursts(run, server, load, seconds=run.seconds / 2)
                one = bursts(run, server, load, window=1, batch=1,
                    seconds=run.seconds / 2)
                run.point("members", n,
                    burst_us=many["server_cpu_us_per_delivery"],
                    single_us=one["server_cpu_us_per_delivery"])


def payload(run):
    """One room of 100, at most a megabyte in flight, beside the limit."""
    sizes = steps(run, 128, 300, KB, 4 * KB, 16 * KB, 64 * KB)
    with run.serving(servers.Pgpushd) as server:
        with Load(run.place, server, 100) as load:
            for size in sizes:
                window = min(BURST, max(1, 512 * KB // size))
                got = bursts(run, server, load, window=window, size=size,
                    seconds=run.seconds / 2)
                run.point("payload", size,
                    delivery_us=got["server_cpu_us_per_delivery"],
                    rate=got["deliveries_per_s"])
    for size in sizes:
        window = min(BURST, max(1, 512 * KB // size))
        with run.serving(servers.Limit, 100, 100, size, window) as server:
            with Load(run.place, server, 100) as load:
                got = bursts(run, server, load, window=window,
                    seconds=run.seconds / 4)
                run.point("payload", size,
                    limit_us=got["server_cpu_us_per_delivery"])


# ---- the log ---------------------------------------------------------------

def fill(run, have, want):
    """The log as so many events have left it; the oldest are due to go."""
    run.place.sql("INSERT INTO pgpush.log (id, kind, room, event, data, "
        "bytes, at) SELECT i, 'event', 'room:' || i %% 2500, 'e', "
        "'{\"n\": 1}', 8, now() - CASE WHEN i < 20000 THEN interval '2 days' "
        "ELSE interval '1 minute' END FROM generate_series(%s, %s) AS i",
        have + 1, want)
    run.place.sql("SELECT setval('pgpush.log_id_seq', %s)", want)


def purge_ms(run):
    """A batch of 1000 rows, with no daemon to do it before."""
    began = time.monotonic()
    gone = run.place.sql("SELECT pgpush.purge('1 day', 1000)")[0][0]
    took = (time.monotonic() - began) * 1e3
    if gone != 1000:
        raise Trouble("purge took %d rows" % gone)
    return took


def resume_us(run, server, clients=1000):
    """Those who come back are served by the database: its time for each."""
    since, epoch = run.place.sql("SELECT (SELECT last_value FROM "
        "pgpush.log_id_seq), epoch FROM pgpush.epoch")[0]
    write_many(run, clients // 2 * LOST, clients // 2)
    server.start()
    server.since = (since, epoch)
    before = run.place.backends()
    with Load(run.place, server, clients, 2) as load:
        got = load.measure(seconds=LIMIT, deliveries=clients * LOST)
        if got["deliveries"] + got["early"] != clients * LOST or got["dup"]:
            raise Trouble("resume: not what was missed")
    server.since = None
    return run.place.used_s(before) / clients * 1e6


def log(run):
    """Rows that are kept. The move and its latency, a resume of 20 events, and
    the purge of 1000 rows must not notice them."""
    have = 0
    run.place.clean()
    for want in steps(run, 10 ** 4, 10 ** 5, 10 ** 6, 10 ** 7):
        fill(run, have, want)
        run.place.sql("CHECKPOINT")
        server = servers.Pgpushd(run.place)
        purge_ms(run)                   # what one finds in no cache
        figures = {"purge_ms": purge_ms(run)}
        try:
            figures["resume_us"] = resume_us(run, server)
            with Load(run.place, server, 100) as load:
                with Feed(run.place, server):
                    got = lossless(load.measure(seconds=run.seconds / 2,
                        warmup=run.warmup, pace=100, fanout=100), "log")
                figures["latency_ms"] = got["lat_us_p50"] / 1e3
                events = got["deliveries"] / 100
                figures["event_us"] = got["server_cpu_s"] / events * 1e6
            run.point("log", want, **figures)
        finally:
            server.stop()
        have = run.place.sql("SELECT last_value FROM pgpush.log_id_seq")[0][0]
    run.place.clean()


def daemons(run):
    """Several on one database: one moves, the others follow. With none, rows
    of a table without trigger."""
    seconds = max(2, run.seconds)
    for n in steps(run, 0, 1, 2, 4, 6, 8):
        run.place.clean()
        all = [servers.Pgpushd(run.place) for _ in range(n)]
        feeder = all[0] if all else servers.Pgpushd(run.place)
        feeder.table = "bench.events" if all else "bench.silent"
        try:
            for server in all:
                server.start()
            with Feed(run.place, feeder, rooms=100, rate=FOLLOWER_RATE):
                time.sleep(1)
                database, own = spent(run, all, seconds)
            run.point("daemons", n, database_us=database, daemon_us=own)
        finally:
            for server in all:
                server.stop()


def spent(run, all, seconds):
    """CPU time of an event, of the database (what writes it included) and of
    all daemons; of a window in which no process ends."""
    def events():
        # Of all three tables.
        return run.place.sql("SELECT last_value FROM bench.events_id_seq")[0][0]

    def own():
        return sum(cpu_s(server.pids()[0]) for server in all)

    first, before, daemons = events(), run.place.backends(), own()
    time.sleep(seconds)
    n = events() - first
    return (run.place.used_s(before) / n * 1e6, (own() - daemons) / n * 1e6)


ALL = (connections, rooms, members, payload, log, daemons)


def growth(run, repeat):
    """Once, whatever the number of repeats."""
    if "pgpushd" not in run.names or repeat > 0:
        return
    for series in ALL:
        print(" %s: %s" % (series.__name__, series.__doc__.split("\n")[0]),
            flush=True)
        with run.noting(series.__name__):
            series(run)
