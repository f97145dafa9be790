"""Replication delay over a long link: two agents in network namespaces, 150 ms apart.

    link.py [SAMPLES]

From the acknowledgement of a decision at one agent until the other blocks the address, one write at a
time at random moments. Then the same of the link alone: how late its packets were, for it is a program
like any other (tests/netns/wire.py). Needs root and /dev/net/tun. One line of JSON.
"""

import json
import os
import queue
import random
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "netns"))

import world  # noqa: E402

ONE_WAY = 0.15
ALLOWED_MS = 50  # on top of the link's own delay, at the 99th of a hundred


class Link(world.TestCase):
    samples = 500

    def level(self, agent):
        return all(p["connected"] and p["lag_mutations"] == 0 for p in agent.status()["peers"])

    def measure(self, source, target):
        sent = queue.SimpleQueue()

        def write():
            for i in range(self.samples):
                time.sleep(random.random() * 0.2)
                source.put(["link-%d@example.com" % i], threads=1)
                sent.put(("link-%d@example.com" % i, time.monotonic()))

        writer = threading.Thread(target=write)
        writer.start()
        delays = []
        for _ in range(self.samples):
            address, began = sent.get(timeout=60)
            world.wait_for(lambda a=address: target.verdict(a) == "block", address, 30, 0.001)
            delays.append((time.monotonic() - began) * 1000)
        writer.join()
        return delays

    def test_delay(self):
        agents = self.world(regions=world.REGIONS[:2])
        for agent in agents:
            world.wait_for(lambda a=agent: self.level(a), "level", 30, 0.1)
        self.tell(delay=ONE_WAY)
        delays = self.measure(*agents)
        late = self.tell()["late"]
        print(json.dumps({
            "bench": "link", "samples": len(delays), "one_way_ms": ONE_WAY * 1000,
            "delay_p50_ms": round(world.percentile(delays, 0.5), 1),
            "delay_p99_ms": round(world.percentile(delays, 0.99), 1),
            "allowed_p99_ms": ONE_WAY * 1000 + ALLOWED_MS,
            "link_late_p99_ms": round(late * 1000, 2),
        }), flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Link.samples = int(sys.argv[1])
    sys.exit(0 if unittest.main(argv=sys.argv[:1], exit=False).result.wasSuccessful() else 1)
