# SPDX-License-Identifier: ISC
"""What is measured. Each workload takes the run and the number of the repeat,
lets the servers have their turn, and records figures under the name of a row.
"""

import os
import re
import subprocess
import threading
import time

import servers
from place import LIMIT, VAR, Feed, Load, Trouble

SIZE = 300              # bytes of a message
BURST = 32              # events in flight
CROWD = 10000           # connections


def lossless(got, what):
    """A figure of a run that lost something is none."""
    if got["missing"] or got["dup"] or got["undelivered"]:
        raise Trouble("%s: %d missing, %d doubled, %d not delivered" % (what,
            got["missing"], got["dup"], got["undelivered"]))
    if not got["deliveries"]:
        raise Trouble("%s: nothing arrived" % what)
    return got


def bursts(run, server, load, rooms=1, window=BURST, batch=BURST, size=SIZE,
        seconds=None):
    """What one delivery costs with so many events in flight."""
    with Feed(run.place, server, rooms, batch, size):
        return lossless(load.measure(seconds=seconds or run.seconds,
            warmup=run.warmup, fanout=load.fanout, window=window),
            server.name)


def per_delivery(got):
    return {"value": got["server_cpu_us_per_delivery"],
        "rate": got["deliveries_per_s"], "bytes": got["bytes_avg"],
        "frames_per_read": got["frames_per_read"],
        "client_us": got["own_cpu_us_per_delivery"], "late": got["late"]}


def broadcast(run, row, server, load):
    run.record(row, server.name, per_delivery(bursts(run, server, load)))
    got = bursts(run, server, load, window=1, batch=1)
    run.record(row.replace("fanout", "single"), server.name,
        dict(per_delivery(got), p50_ms=got["lat_us_p50"] / 1e3))


def limits(run, row, connections):
    """What the kernel alone costs, at 1, 8 and 32 frames in a send()."""
    if "limit" not in run.names:
        return
    for batch in (1, 8, 32):
        with run.serving(servers.Limit, connections, connections, SIZE,
                batch) as server:
            with Load(run.place, server, connections) as load:
                run.record(row, "limit%d" % batch, per_delivery(bursts(run,
                    server, load)))
                if batch == 1:
                    run.record(row.replace("fanout", "single"), "limit1",
                        per_delivery(bursts(run, server, load, window=1,
                        batch=1)))


def fanout(run, repeat):
    """One room of 1000: bursts, then one event at a time."""
    limits(run, "fanout1k", 1000)
    for kind in run.kinds(but="limit"):
        with run.serving(kind) as server:
            with Load(run.place, server, 1000) as load:
                broadcast(run, "fanout1k", server, load)


def idle(run, server, before, load, database_s):
    """What the connections have cost to make, and what they weigh."""
    time.sleep(0.5)                     # for the garbage of the handshakes
    run.record("memory", server.name, {"value":
        (server.rss_kb() - before) / CROWD})
    run.record("handshake", server.name, {
        "value": load.setup["server_cpu_us_per_handshake"],
        "rate": load.setup["ready_per_s"]})
    if server.name == "pgpushd":
        run.record("connect", server.name, {
            "value": load.setup["ready_per_s"],
            "cpu_us": load.setup["server_cpu_us_per_handshake"],
            "database_us": database_s / CROWD * 1e6,
            "client_us": load.setup["own_cpu_us_per_handshake"]})


def crowd(run, repeat):
    """10,000 connections, each in a room of its own and in one for all: what
    they cost to set up, what they weigh idle, and bursts to them all."""
    limits(run, "fanout10k", CROWD)
    for kind in run.kinds(but="limit"):
        with run.serving(kind) as server:
            before, backends = server.rss_kb(), run.place.backends()
            if server.name == "nchan":
                server.path = "/two"
                with Load(run.place, server, CROWD) as load:
                    idle(run, server, before, load, 0)
                server.path = "/one"
            with Load(run.place, server, CROWD) as load:
                if server.name != "nchan":
                    idle(run, server, before, load,
                        run.place.used_s(backends))
                broadcast(run, "fanout10k", server, load)


def pairs(run, repeat):
    """5000 connections in rooms of two: per event, which are two deliveries.
    As many events in flight as there are rooms, then few. The limit again at
    the rates of pgpushd: a reader that sleeps must be woken, which is dear."""
    rooms, rates = CROWD // 4, {}
    for kind in run.kinds():
        with run.serving(kind, CROWD // 2, 2, SIZE, BURST) as server:
            with Load(run.place, server, CROWD // 2, 2) as load:
                for row, window in (("pairs", rooms), ("pairs_few", 256)):
                    got = bursts(run, server, load, rooms=rooms,
                        window=window, batch=64)
                    rates[row] = got["deliveries_per_s"] / 2
                    run.record(row, server.name, per_event(got))
    if run.names == ["limit"] or "limit" not in run.names:
        return
    with run.serving(servers.Limit, CROWD // 2, 2, SIZE, BURST) as server:
        with Load(run.place, server, CROWD // 2, 2) as load:
            for row, rate in rates.items():
                run.record(row, "limit_paced", per_event(lossless(
                    load.measure(seconds=run.seconds, warmup=run.warmup,
                    fanout=2, pace=rate), "limit")))


def per_event(got):
    return {"value": got["server_cpu_us_per_delivery"] * 2,
        "rate": got["deliveries_per_s"] / 2, "bytes": got["bytes_avg"],
        "late": got["late"]}


def latency(run, repeat):
    """100 events a second to a room of 100: from just before the INSERT (one
    row, one transaction) until the client has read the message."""
    for kind in run.kinds(but="limit"):
        with run.serving(kind) as server:
            with Load(run.place, server, 100) as load:
                with Feed(run.place, server):
                    got = lossless(load.measure(seconds=2 * run.seconds,
                        warmup=run.warmup, pace=100,
                        fanout=load.fanout), server.name)
                run.record("latency_p50", server.name, {
                    "value": got["lat_us_p50"] / 1e3})
                run.record("latency_p99", server.name, {
                    "value": got["lat_us_p99"] / 1e3})


# ---- what only pgpushd does ------------------------------------------------

TABLES = {"none": "bench.silent", "inline": "bench.notified",
    "attach": "bench.events"}
FLUSHES = {"writers_fast": 150, "writers_slow": 1000}


def tps_of(run, table, seconds):
    """One-row INSERTs of 32 clients, each a transaction, per second."""
    script = os.path.join(VAR, "insert.sql")
    with open(script, "w") as f:
        f.write("\\set k random(0, 2499)\nINSERT INTO %s (room, t, n, pad) "
            "VALUES ('room:' || :k, 0, 1, repeat('x', 200));\n" % table)
    done = subprocess.run([os.path.join(run.place.cluster.bin, "pgbench"),
        "-n", "-c", "32", "-j", "2", "-M", "prepared", "-T", "%d" % seconds,
        "-f", script, run.place.dsn("app_owner")], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=LIMIT, env=dict(os.environ,
        PGOPTIONS="-c client_min_messages=error"))
    found = re.search(r"^tps = ([0-9.]+)", done.stdout.decode(), re.M)
    if done.returncode or not found:
        raise Trouble("pgbench: " + done.stdout.decode()[-2000:])
    return float(found.group(1))


def writers(run, repeat):
    """Writers beside a daemon that pushes what they write, with the trigger of
    attach, with NOTIFY in a trigger, and without; the disk's flush is made to
    take 0.15 ms and 1 ms."""
    if "pgpushd" not in run.names:
        return
    seconds = 1 if run.quick else 3
    with run.serving(servers.Pgpushd):
        for row, us in FLUSHES.items():
            run.place.flush_us(us)
            try:
                tps = {name: tps_of(run, table, seconds)
                    for name, table in TABLES.items()}
            finally:
                run.place.flush_us(0)
            for name in ("inline", "attach"):
                run.record(row, "pgpushd" if name == "attach" else "inline",
                    {"value": 100 * tps[name] / tps["none"],
                    "rate": tps[name], "bare": tps["none"]})


def write_many(run, events, rooms, first=0):
    """So many events in one transaction, in turn for each room; t is now."""
    run.place.db.query("app_owner", "INSERT INTO bench.events (room, t, n, "
        "pad) SELECT 'room:' || %s + i %% %s, extract(epoch FROM "
        "clock_timestamp()) * 1000000, i / %s + 1, repeat('x', 200) "
        "FROM generate_series(0, %s - 1) AS i", first, rooms, rooms, events)


def drain(run, repeat):
    """A backlog, committed at once: until the last event of it has reached a
    client. Rooms without members, but for the last one."""
    if "pgpushd" not in run.names:
        return
    events = 50000 if run.quick else 200000
    with run.serving(servers.Pgpushd) as server:
        with Load(run.place, server, 1000, 1) as load:
            write = threading.Thread(target=lambda: (
                write_many(run, events, 1000), stamps.append(
                    time.monotonic())))
            stamps = []
            write.start()
            got = load.measure(seconds=LIMIT, deliveries=events)
            write.join()
            if got["deliveries"] != events:
                raise Trouble("drain: %d of %d events" % (got["deliveries"],
                    events))
            took = got["last_us"] / 1e6 - stamps[0]
            run.record("drain", server.name, {"value": events / took,
                "cpu_us": got["server_cpu_us_per_delivery"]})


def resume(run, repeat):
    """10,000 clients in rooms of two lose their daemon without a goodbye; 20
    events are written into each room; the daemon starts, all come back at
    once: from its start until the last one has the last event."""
    if "pgpushd" not in run.names:
        return
    clients, missed = (2000, 20) if run.quick else (10000, 20)
    with run.serving(servers.Pgpushd) as server:
        with Load(run.place, server, clients, 2):
            since, epoch = run.place.sql("SELECT (SELECT last_value FROM "
                "pgpush.log_id_seq), epoch FROM pgpush.epoch")[0]
            server.daemon.kill()
        server.process = None
        write_many(run, clients // 2 * missed, clients // 2)
        server.since = (since, epoch)
        began = time.monotonic()
        server.daemon.start()
        server.process = server.daemon.process
        backends = run.place.backends()
        with Load(run.place, server, clients, 2) as load:
            got = load.measure(seconds=LIMIT, deliveries=clients * missed)
            lost = clients * missed - got["deliveries"] - got["early"]
            if lost or load.setup["dup"] or got["dup"]:
                raise Trouble("resume: %d lost, %d doubled, %d connections "
                    "closed" % (lost, load.setup["dup"] + got["dup"],
                    got["closed"]))
            run.record("resume", server.name, {
                "value": got["last_us"] / 1e6 - began,
                "cpu_us": load.setup["server_cpu_us_per_handshake"]
                + got["server_cpu_s"] / clients * 1e6,
                "database_us": run.place.used_s(backends) / clients * 1e6,
                "clients": clients})


ALL = {f.__name__: f for f in (fanout, crowd, pairs, latency, writers, drain,
    resume)}
