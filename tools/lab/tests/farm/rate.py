#!/usr/bin/env python3
"""Prints trials per second of a farm on this machine: 1, 2 and 4 processes of one thread each, on a
file of SQLite and on a PostgreSQL server of its own, for an objective that costs nothing and for the
training of a small model.

    tools/lab/tests/farm/rate.py [--lab target/release/peregrine-lab] [--trials 240] [--repeats 3]

What is counted: the trials behind the first fifth, over the time from there to the last. So the
start of processes and the making of the market are left out; each study begins empty and has its
number of trials. The median of the repeats is printed with the least and the most, and the fewest
trials that a process had in any of them: a file is not fair to those who wait for it.
Afterwards it looks into the study: so many trials complete, none twice, or it fails.
"""
import argparse
import collections
import pathlib
import pwd
import os
import shutil
import socket
import sqlite3
import statistics
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[4]
# A trial of any point takes about as long as one of any other.
SMALL = {
    "workers = 2": "workers = 1",
    'kind = "median"': 'kind = "none"',
    "minutes = 120": "minutes = 10",
    "patience = 12": "patience = 0",
    "low = 20, high = 120": "low = 40, high = 40",
    "low = 2, high = 6": "low = 4, high = 4",
    "low = 20, high = 400": "low = 20, high = 30",
    "low = 0.5, high = 1.0": "low = 0.8, high = 0.8",
    "low = 0.4, high = 1.0": "low = 0.8, high = 0.8",
}


class Server:
    """A cluster on a port of loopback, with the settings a server is shipped with."""

    def __init__(self, folder):
        versions = pathlib.Path("/usr/lib/postgresql").glob("*/bin")
        self.bin = max(versions, key=lambda path: int(path.parent.name))
        self.folder = folder / "cluster"
        self.folder.mkdir()
        self.user = None
        if os.geteuid() == 0:
            self.user = "postgres"
            shutil.chown(self.folder, "postgres", "postgres")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        make = [self.bin / "initdb", "--auth=trust", "--username=postgres", "-D", self.folder]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL, **self.as_user())
        command = [self.bin / "postgres", "-D", self.folder, "-p", str(self.port)]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **self.as_user())
        ready = (line for line in self.process.stderr if "ready to accept connections" in line)
        assert next(ready, None), "the server ended"
        threading.Thread(target=lambda: list(self.process.stderr), daemon=True).start()

    def as_user(self):
        ids = pwd.getpwnam(self.user) if self.user else None
        who = {"user": ids.pw_uid, "group": ids.pw_gid, "extra_groups": []} if ids else {}
        return {"cwd": self.folder, **who}

    def ask(self, database, sql):
        url = self.url(database)
        command = [self.bin / "psql", "-Atc", sql, url]
        told = subprocess.run(command, check=True, capture_output=True, text=True)
        return told.stdout.split()

    def url(self, database):
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def stop(self):
        self.process.terminate()
        self.process.wait()


def run(lab, settings, storage, objective, workers, trials):
    """One study; its trials per second, and the fewest trials a process had."""
    command = [lab, "tune", "--config", settings, "--storage", storage, "--study", "s"]
    command += ["--trials", str(trials), *objective]
    ended, lock = [], threading.Lock()

    def listen(at, process):
        for line in process.stderr:
            if line.startswith("trial "):
                with lock:
                    ended.append((time.monotonic(), at))

    processes = [
        subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        for _ in range(workers)
    ]
    threads = [
        threading.Thread(target=listen, args=pair, daemon=True) for pair in enumerate(processes)
    ]
    for thread in threads:
        thread.start()
    for thread, process in zip(threads, processes):
        thread.join()
        assert process.wait() == 0, "a worker failed"
    assert len(ended) == trials, len(ended)
    fifth = trials // 5
    parts = collections.Counter(at for _, at in ended)
    rate = (trials - 1 - fifth) / (ended[-1][0] - ended[fifth][0])
    return rate, min(parts[at] for at in range(workers))


def looked_into(server, database, storage):
    count = "SELECT COUNT(*), COUNT(DISTINCT number) FROM trials WHERE state = 'COMPLETE'"
    if server:
        return [int(word) for word in server.ask(database, count)[0].split("|")]
    with sqlite3.connect(storage) as file:
        return list(file.execute(count).fetchone())


def main():
    words = argparse.ArgumentParser()
    words.add_argument("--lab", default=ROOT / "target/release/peregrine-lab", type=pathlib.Path)
    words.add_argument("--trials", default=240, type=int)
    words.add_argument("--repeats", default=3, type=int)
    words = words.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)
        text = (ROOT / "config/search.toml").read_text()
        for was, becomes in SMALL.items():
            assert text.count(was) == 1, was
            text = text.replace(was, becomes)
        settings = folder / "search.toml"
        settings.write_text(text)
        server = Server(folder)
        try:
            measure(words, folder, settings, server)
        finally:
            server.stop()


def measure(words, folder, settings, server):
    number = 0
    objectives = {"function": ["--function", "mixed"], "training": []}
    print(f"{'objective':<10} {'storage':<11} workers  trials/s  least   most  fewest")
    for objective, arguments in objectives.items():
        for kind in ["sqlite", "postgresql"]:
            for workers in [1, 2, 4]:
                rates = []
                for _ in range(words.repeats):
                    number += 1
                    database = f"s{number}"
                    storage = folder / f"{database}.db"
                    if kind == "postgresql":
                        server.ask("postgres", f"CREATE DATABASE {database}")
                        storage = server.url(database)
                    lab = words.lab.resolve()
                    rates.append(run(lab, settings, storage, arguments, workers, words.trials))
                    there = looked_into(server if kind == "postgresql" else None, database, storage)
                    assert there == [words.trials] * 2, there
                rates, parts = zip(*rates)
                middle = statistics.median(rates)
                figures = f"{middle:8.1f} {min(rates):6.1f} {max(rates):6.1f} {min(parts):7}"
                print(f"{objective:<10} {kind:<11} {workers:>7}  {figures}", flush=True)


main()
