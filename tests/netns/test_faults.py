"""Three real agents, each with a simulator of its own Region, and what networks, disks, clocks and
operating systems do to them. After each fault: the same set on every node and on every SES list, all
level, healthy without anybody's help, no more descriptors, memory within bounds.

    test_faults.py [--long] [TestCase.test…]     --long (or SUPSYNC_NETNS_LONG=1): more of everything
"""

import os
import queue
import random
import shutil
import signal
import sys
import threading
import time
import unittest

import world
from world import HOUR, YEAR, percentile, wait_for

MIB = 1024 * 1024
# Memory. The store says what of it is its own: decisions fill memtables up to 160 MiB and what was read the
# cache up to 64, whatever happens to the network. The rest: connections, credits (8 MiB a peer), code.
GROWTH = 64 * MIB
STORE = {"memtables": 160 * MIB, "cache": 64 * MIB}
# Descriptors: whoever talks to AWS connects when there is work, each with a socket and a pair; 16 threads
# at most write to SES lists. Connections of the mesh are counted one by one.
SPARE = 2 + 3 * 3
SPARE_ENFORCING = SPARE + 16 * 3
WRITES = 20000 if world.LONG else 300
STOPPED = 60 if world.LONG else 10
SILENT = 120 if world.LONG else 8
SAMPLES = 1000 if world.LONG else 40
ROUNDS = 50 if world.LONG else 3
SETTLE = 600 if world.LONG else 60
DETECTED = 10  # seconds in which a dead peer must be known as such: 5 by design, twice that on a busy machine


def names(prefix, n=WRITES):
    return ["%s-%d@example.com" % (prefix, i) for i in range(n)]


def level(agent):
    """Connected to all, and nothing to fetch from any."""
    status = agent.status()
    if status["mode"] == "enforce":
        return status["converged"]
    return all(p["connected"] and p["lag_mutations"] == 0 for p in status["peers"])


def content(agent):
    """The set, in a form that can be compared: address to all that `supsync list` says of it."""
    return {row["address"]: row for row in agent.rows()}


class Case(world.TestCase):
    def setUp(self):
        super().setUp()
        began = time.monotonic()
        self.addCleanup(lambda: print("%.1f s" % (time.monotonic() - began), flush=True))

    def begin(self, clocks=False, enforce=False):
        """Three level agents with something in them. Unless they enforce they leave the SES lists
        alone: writing these takes its time, for the allowed rate begins at one request a second."""
        self.agents = self.world(clocks=clocks, enforce=enforce)
        self.written = set()
        for agent in self.agents:
            self.put(agent, "base", 50)
        self.settle()
        self.before = {a.node: (a.descriptors(), a.beside_the_store()) for a in self.agents}
        return self.agents

    def put(self, agent, what, n=WRITES):
        addresses = names("%s-%s" % (what, agent.node), n)
        agent.put(addresses)
        self.written.update(addresses)
        return addresses

    def settle(self):
        for agent in self.agents:
            wait_for(lambda a=agent: level(a), "%s to be level" % agent.node, SETTLE, 0.1)
            agent.wait_answers(SETTLE)

    def has(self, agent, address, timeout=30):
        wait_for(
            lambda: agent.verdict(address) == "block", "%s on %s" % (address, agent.node), timeout, 0.05
        )

    def healthy(self):
        for agent in self.agents:
            problems = []

            def well(agent=agent, problems=problems):
                problems[:] = agent.status()["problems"]
                return not problems

            try:
                wait_for(well, "no problems", SETTLE, 0.1)
            except AssertionError:
                self.fail("%s: %s" % (agent.node, problems))

    def same(self):
        """What must hold after each fault, and must come about by itself."""
        difference = ["nothing was compared"]

        def equal():
            sets = [content(agent) for agent in self.agents]
            difference[:] = [
                (agent.node, other.get(address), sets[0].get(address))
                for agent, other in zip(self.agents, sets)
                for address in sorted(set(other) | set(sets[0]))
                if other.get(address) != sets[0].get(address)
            ]
            held = {address for address, row in sets[0].items() if row["state"] == "suppressed"}
            difference.extend(sorted(held ^ self.written))
            return not difference

        try:
            wait_for(equal, "the same set", SETTLE, 0.25)
        except AssertionError:
            self.fail("%d differences, such as %s" % (len(difference), difference[:2]))
        self.settle()
        self.healthy()
        for agent in self.agents:
            if agent.config["ses"]["mode"] == "enforce":
                self.assertEqual(sorted(agent.sim.listed() ^ self.written)[:5], [], agent.node)
        self.no_growth()

    def no_growth(self):
        for agent in self.agents:
            (other, files), beside = self.before[agent.node]
            spare = SPARE_ENFORCING if agent.config["ses"]["mode"] == "enforce" else SPARE
            # A connection the other side never closed is found out by its silence.
            most = 2 * (len(self.agents) - 1)  # one accepted and one dialled a peer
            try:
                wait_for(
                    lambda a=agent, n=other + spare: a.descriptors()[0] <= n and a.mesh_connections() <= most,
                    "few descriptors", SETTLE, 0.1,
                )
            except AssertionError:
                self.fail("%s had %d descriptors that are no files, has %d\n%s" % (
                    agent.node, other, agent.descriptors()[0], agent.connections()
                ))
            self.assertLessEqual(agent.descriptors()[1], files + 64)
            for part, limit in STORE.items():
                self.within(agent, part, lambda a=agent, p=part: a.store_memory()[p], limit)
            self.within(agent, "memory beside the store's", agent.beside_the_store, beside + GROWTH)

    def within(self, agent, what, measure, limit):
        """Tables are written out, and what malloc kept of a burst is given back, in their own time."""
        try:
            wait_for(lambda: measure() <= limit, what, SETTLE, 0.5)
        except AssertionError:
            self.fail("%s: %s: %d MiB, more than %d" % (agent.node, what, measure() / MIB, limit / MIB))
        if world.LONG:
            print("%s: %s: %d MiB of %d" % (agent.node, what, measure() / MIB, limit / MIB), flush=True)

    def parted(self, agent, others):
        """Both sides know that the connection is gone."""
        for other in others:
            for one, peer in ((agent, other), (other, agent)):
                wait_for(
                    lambda a=one, p=peer: not self.peer(a, p)["connected"],
                    "%s to see that %s is gone" % (one.node, peer.node), DETECTED, 0.05,
                )

    def peer(self, agent, other):
        return next(p for p in agent.status()["peers"] if p["name"] == other.node)

class Faults(Case):
    # --- the link ---

    def test_delay_and_loss(self):
        self.begin()
        a, b, _ = self.agents
        self.tell(delay=0.15)
        self.measure(a, b, "150 ms each way")
        self.tell(delay=0.15, jitter=0.02, loss=0.01)
        self.measure(a, b, "150 ms ± 20 ms each way, 1 % loss")
        for agent in self.agents:
            self.put(agent, "far")
        self.same()
        self.assertGreater(self.tell()["lost"], 0)

    def measure(self, source, target, what):
        """From the acknowledgement at the source until the target answers by it, with writes at random
        moments. Printed, not judged: the machine's load is in it."""
        sent = queue.SimpleQueue()
        addresses = names("delay-%d" % len(self.written), SAMPLES)

        def write():
            for address in addresses:
                time.sleep(random.random() * 0.2)
                source.put([address], threads=1)
                sent.put((address, time.monotonic()))
            sent.put(None)

        writer = threading.Thread(target=write)
        writer.start()
        delays = []
        for address, began in iter(lambda: sent.get(timeout=60), None):
            wait_for(lambda a=address: target.verdict(a) == "block", address, 30, 0.001)
            delays.append((time.monotonic() - began) * 1000)
        writer.join()
        self.written.update(addresses)
        self.assertEqual(len(delays), SAMPLES)
        print("replication delay, %s: n %d, p50 %.0f ms, p99 %.0f ms, max %.0f ms" % (
            what, len(delays), percentile(delays, 0.5), percentile(delays, 0.99), max(delays)
        ), flush=True)

    def test_narrow_link(self):
        self.begin()
        self.tell(rate=32 * 1024, delay=0.02)
        for agent in self.agents:
            self.put(agent, "narrow")
        self.same()

    def test_partition_with_writes_on_both_sides(self):
        a, b, c = self.begin()
        self.both_ways(a, mode="drop")
        self.parted(a, [b, c])
        for agent in self.agents:
            self.put(agent, "parted")
        self.has(c, "parted-us-east-1-0@example.com")  # the larger side goes on
        # The same addresses decided upon on both sides: the later decision wins, everywhere.
        self.put(a, "both", 1)
        address = "both-eu-west-1-0@example.com"
        b.put([address])
        b.clear(address)
        self.written.discard(address)
        self.tell()
        self.same()

    def test_interface_down(self):
        a, b, c = self.begin()
        self.interface(a, "down")
        self.parted(a, [b, c])
        for agent in self.agents:
            self.put(agent, "down")
        self.interface(a, "up")
        self.same()

    def interface(self, agent, state):
        world.subprocess.run(
            ["ip", "-n", agent.namespace, "link", "set", "mesh", state], check=True
        )

    def test_one_way_partition(self):
        a, b, c = self.begin()
        self.tell(source=a, mode="drop")  # a hears, and is not heard
        self.parted(a, [b, c])
        for agent in self.agents:
            self.put(agent, "deaf")
        self.tell()
        self.same()
        self.tell(target=a, mode="drop")  # the other way
        self.parted(a, [b, c])
        for agent in self.agents:
            self.put(agent, "mute")
        self.tell()
        self.same()

    def test_resets(self):
        a, b, _ = self.begin()
        for i in range(ROUNDS):
            before = self.tell()["reset"]
            self.both_ways(a, mode="reset")
            wait_for(lambda n=before: self.counts_of_reset(a) > n, "resets", DETECTED)
            self.put(a, "reset%d" % i, 50)
            self.put(b, "reset%d" % i, 50)
            self.tell()
            self.settle()
        self.same()

    def counts_of_reset(self, agent):
        self.tell(source=agent, mode="reset")
        return self.tell(target=agent, mode="reset")["reset"]

    def test_black_hole(self):
        """No packet comes through, no error either; long enough for TCP's timers to have grown."""
        a, b, c = self.begin()
        self.tell(mode="drop")
        self.parted(a, [b, c])
        until = time.monotonic() + SILENT
        i = 0
        while time.monotonic() < until:
            for agent in self.agents:
                self.put(agent, "hole%d" % i, 50)
            i += 1
        self.tell()
        healed = time.monotonic()
        self.settle()
        print("level %.1f s after a black hole of %d s" % (time.monotonic() - healed, SILENT), flush=True)
        self.same()

    # --- processes ---

    def test_kill(self):
        a, b, c = self.begin(enforce=True)
        for i in range(ROUNDS):
            for agent in self.agents:
                self.put(agent, "kill%d" % i, 10)
            b.kill()
            self.put(a, "dead%d" % i, 10)
            b.start()
            started = time.monotonic()
            wait_for(lambda: self.peer(a, b)["connected"], "a new connection", DETECTED, 0.01)
            print("redialled %.2f s after the start" % (time.monotonic() - started), flush=True)
            self.put(b, "back%d" % i, 10)
        self.has(c, "back0-us-east-1-0@example.com")
        self.same()

    def test_stopped(self):
        a, b, c = self.begin()
        b.process.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        try:
            for other in (a, c):
                wait_for(lambda o=other: not self.peer(o, b)["connected"], "b to be missed", DETECTED, 0.05)
            i = 0
            while time.monotonic() < stopped + STOPPED:
                self.put(a, "stopped%d" % i, 50)
                self.put(c, "stopped%d" % i, 50)
                i += 1
        finally:
            b.process.send_signal(signal.SIGCONT)
        self.put(b, "awake")
        self.same()

    # --- disks ---

    def test_wiped_disk(self):
        a, b, _ = self.begin()
        for agent in self.agents:
            self.put(agent, "before")
        self.settle()
        first = b.status()["incarnation"]
        b.kill()
        shutil.rmtree(b.config["data_dir"])
        self.put(a, "meanwhile")
        b.start()
        self.assertNotEqual(b.status()["incarnation"], first)
        self.put(b, "after")
        self.same()

    def test_old_backup(self):
        """The data directory of before, in place of today's: what the node has said since, it learns
        again, and nothing that it says now is taken for that."""
        a, b, _ = self.begin()
        data = b.config["data_dir"]
        self.assertEqual(b.stop(), 0)
        shutil.copytree(data, data + ".backup")
        b.start()
        self.put(b, "lost")
        self.put(a, "known")
        self.settle()
        b.kill()
        shutil.rmtree(data)
        os.rename(data + ".backup", data)
        b.start()
        self.put(b, "anew")
        self.same()
        self.assertEqual(b.verdict("lost-us-east-1-0@example.com"), "block")


@unittest.skipUnless(os.path.exists(world.WRONG_CLOCK), "not built: " + world.WRONG_CLOCK)
class Clocks(Case):
    """One node's clock is wrong."""

    def quarantined(self, agent):
        return agent.status()["quarantined"]

    def goes_on(self, label):
        """The two with a right clock go on as if nothing were, and by their own time."""
        a, _, c = self.agents
        address = self.put(a, label, 1)[0]
        self.has(c, address)
        row = next(r for r in a.rows() if r["address"] == address)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 90))
        self.assertLess(row["time"], stamp, "the clock of %s was pushed" % a.node)

    def test_an_hour_behind(self):
        a, b, c = self.begin(clocks=True)
        self.set_clock([b], -HOUR)
        wait_for(lambda: abs(self.peer(a, b)["clock_offset_ms"]) > 3e6, "the offset to be seen", 30)
        self.has(a, self.put(b, "behind", 50)[-1])  # its clock never goes back: others see its decisions
        self.goes_on("right")
        wait_for(lambda: self.quarantined(b) > 0, "b to wait with what is of its future", 30)
        self.set_clock([b], 0)
        self.same()

    def ahead(self, offset, later):
        a, b, c = self.begin(clocks=True)
        self.set_clock([b], offset)
        wait_for(lambda: abs(self.peer(a, b)["clock_offset_ms"]) > 3e6, "the offset to be seen", 30)
        address = self.put(b, "ahead", 50)[-1]
        for other in (a, c):
            wait_for(
                lambda o=other: self.quarantined(o) > 0 or o.verdict(address) == "block",
                "%s to have what b decided, in quarantine or in force" % other.node, 30, 0.1,
            )
        self.goes_on("right")
        self.set_clock([b], 0)
        wait_for(lambda: abs(self.peer(a, b)["clock_offset_ms"]) < 1e3, "the offset to be gone", 30)
        self.put(b, "mended", 50)
        self.goes_on("mended")
        b.kill()  # what it may issue, it knows after a restart as well
        b.start()
        self.goes_on("restarted")
        # When that time has come, all of it is in force everywhere.
        self.set_clock(self.agents, later)
        self.same()

    def test_an_hour_ahead(self):
        self.ahead(HOUR, 2 * HOUR)

    def test_ten_years_ahead(self):
        self.ahead(10 * YEAR, 11 * YEAR)


if __name__ == "__main__":
    if "--long" in sys.argv:
        sys.argv.remove("--long")
        os.environ["SUPSYNC_NETNS_LONG"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.argv])
    unittest.main(verbosity=2, testRunner=unittest.TextTestRunner(verbosity=2, resultclass=world.TellingResult))
