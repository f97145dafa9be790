"""Shared by the benches in Python."""

import os


def cpu_seconds(pid):
    """Of a process, all its threads."""
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(bench):
    """bench: a harness.TestCase, which prints what it measured. Fails by an exception."""
    test = bench()
    test.setUp()
    try:
        test.runTest()
    finally:
        test.doCleanups()
