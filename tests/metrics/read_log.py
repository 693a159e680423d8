"""Reads histogram logs with the public Python port of HdrHistogram and holds what it finds of the
second one against what the program told: read_log.py LIVE JOURNAL TOLD."""

import json
import math
import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

LONGEST_NS = 10_000_000_000
DIGITS = 2


def read(path):
    """One histogram for each tag."""
    merged = {}
    # Entries of every tag come out of one reader, in the order of the file.
    reader = HistogramLogReader(path, HdrHistogram(1, LONGEST_NS, DIGITS))
    while True:
        histogram = reader.get_next_interval_histogram()
        if histogram is None:
            return merged
        whole = merged.setdefault(histogram.get_tag(), HdrHistogram(1, LONGEST_NS, DIGITS))
        whole.add(histogram)


def at_rank(histogram, part):
    """The value that so large a part of all is at or below."""
    rank = max(1, math.ceil(part * histogram.get_total_count()))
    passed = 0
    for step in histogram.get_recorded_iterator():
        passed += step.count_added_in_this_iter_step
        if passed >= rank:
            return step.value_iterated_to
    raise AssertionError("a histogram without values has no percentiles")


def main(live, journal, told):
    for tag in ("receive_decode", "inference", "tick_to_order"):
        assert read(live)[tag].get_total_count() > 0, tag
    with open(told, encoding="utf-8") as file:
        hops = json.loads(file.read().splitlines()[-1])["since_start_ns"]
    found = read(journal)
    assert sorted(found) == sorted(hops), (sorted(found), sorted(hops))
    for hop, row in hops.items():
        histogram = found[hop]
        assert histogram.get_total_count() == row["count"], hop
        for key, part in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("p9999", 0.9999)):
            value = min(at_rank(histogram, part), row["max"])
            assert abs(value - row[key]) <= row[key] / 100 + 1, (hop, key, value, row[key])
    print(f"the public reader agrees on {len(hops)} hops")


main(*sys.argv[1:])
