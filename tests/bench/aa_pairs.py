#!/usr/bin/env python3
"""Runs a suite against a daemon many times and says how well it repeats.

usage: aa_pairs.py --qtipctl PATH --target HOST:PORT [--suite qtip-eval] [--pairs 20] [--out FILE]
                   [-- SUITE ARGUMENT...]

A pair is two runs of the whole suite, one after the other, of the same code on the same device: any
difference is noise. For every case (artefact, path, batch) of every pair the relative difference of
the two medians is taken. Printed: the median of the absolute differences, their 95th percentile and
the share of pairs of a case within 1 %, for each case and over all; --out keeps every median as JSON.
Last, what a case took on the wall against 1.1 times the device time of its samples plus 1 s.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile


def run_suite(options, directory):
    """Of one run of the suite: medians in seconds by case; walls of the cases over what they may take."""
    command = [options.qtipctl, "--target", options.target, "-o", "json", "suite", "run", options.suite,
               "--out", directory, *options.arguments]
    answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    medians = {}
    walls = []
    for run in answer["runs"]:
        for result in run["results"]:
            if "error" in result:
                sys.exit(f"{run['artifact']} {result['path']}: {result['error']}")
            latency = result["latency"]
            medians[f"{run['artifact']} {result['path']} {result['batch']}"] = latency["median"]
            device_seconds = sum(latency["samples"]) * int(result["runsPerSample"])
            walls.append(result["wallSeconds"] / (1.1 * device_seconds + 1))
    return medians, walls


def percentile(values, q):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def describe(name, differences):
    within = sum(abs(d) <= 0.01 for d in differences) / len(differences)
    sizes = [abs(d) for d in differences]
    print(f"{name:48} {100 * statistics.median(sizes):9.3f} % {100 * percentile(sizes, 0.95):9.3f} % "
          f"{100 * within:7.1f} % {100 * max(sizes):8.3f} %")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--qtipctl", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--suite", default="qtip-eval")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--out", help="a file for every median, as JSON")
    parser.add_argument("arguments", nargs="*", help="for suite run, after --")
    options = parser.parse_args()

    pairs = []
    walls = []
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(options.pairs):
            first, first_walls = run_suite(options, directory)
            second, second_walls = run_suite(options, directory)
            pairs.append((first, second))
            walls += first_walls + second_walls
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            json.dump(pairs, file)

    print(f"{'case':48} {'median':>11} {'p95':>11} {'<= 1 %':>9} {'worst':>10}")
    every = []
    for case in pairs[0][0]:
        differences = [second[case] / first[case] - 1 for first, second in pairs]
        every += differences
        describe(case, differences)
    describe("all", every)
    print(f"wall time over its limit: median {statistics.median(walls):.2f}, largest {max(walls):.2f} "
          f"of {len(walls)} cases")


if __name__ == "__main__":
    main()
