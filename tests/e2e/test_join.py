"""A node that has nothing copies the set of one that has it, whatever ends on the way.

Alone with the number of records of the issue: SUPSYNC_JOIN_RECORDS=1000000.
"""

import os
import subprocess
import unittest

import harness

RECORDS = int(os.environ.get("SUPSYNC_JOIN_RECORDS", "100000"))
FILL = os.path.join(harness.BIN, "supsync-fill-store")
REGIONS = ["eu-west-1", "us-east-1", "ap-northeast-1"]
KILLS = 3


class Join(harness.TestCase):
    def world(self, n):
        agents = [self.agent(region) for region in REGIONS[:n]]
        harness.connect_mesh(agents, self.authority())
        for agent in agents:
            agent.config["ses"] = {"mode": "observe"}
        return agents

    def fill(self, agent, records, first=0):
        run = subprocess.run(
            [FILL, agent.config["data_dir"], agent.node, agent.config["mesh"]["cluster"],
             str(records), str(first)], capture_output=True, text=True, check=False,
        )
        self.assertEqual(run.returncode, 0, run.stderr)

    def joined(self, agent, timeout=300):
        def ready():
            join = agent.status()["join"]
            if join["phase"] not in ("ready", "alone"):
                self.assertEqual(agent.verdict("fill0@example.com"), "unknown")
            return join["phase"] == "ready"

        harness.wait_for(ready, "%s to have joined: %s" % (agent.node, agent.status()["join"]), timeout)

    def copied(self, agent):
        """How many records are there, if the agent answers and copies."""
        try:
            join = agent.status()["join"]
        except OSError:
            return -1
        return join["records"]

    def same(self, agents):
        def dump(agent):
            run = agent.cli("list", "--output", "json", timeout=600)
            self.assertEqual(run.returncode, 0, run.stderr)
            return run.stdout

        dumps = [dump(agent) for agent in agents]
        self.assertGreaterEqual(dumps[0].count("\n"), RECORDS)
        for other in dumps[1:]:
            self.assertTrue(other == dumps[0], "the sets differ")

    def test_a_joining_node_is_killed_three_times(self):
        donor, joiner = self.world(2)
        self.fill(donor, RECORDS)
        donor.start()
        for i in range(KILLS):
            joiner.start()
            goal = RECORDS * (i + 1) // (KILLS + 2)
            harness.wait_for(lambda g=goal: self.copied(joiner) >= g, "%d records" % goal, 300, every=0.01)
            self.assertEqual(joiner.verdict("fill0@example.com"), "unknown")
            ready = joiner.request("GET", "/readyz")
            self.assertEqual(ready.status, 503)
            self.assertTrue(any("joining" in r for r in ready.json()["reasons"]), ready.json())
            joiner.kill()
            self.assertLess(goal, RECORDS)
        joiner.start()
        began = harness.wait_for(lambda: max(self.copied(joiner), 0), "what is there")
        self.assertGreaterEqual(began, RECORDS * KILLS // (KILLS + 2), "began anew")
        self.joined(joiner, 600)
        self.assertEqual(joiner.verdict("fill0@example.com"), "block")
        self.assertEqual(joiner.verdict("fill9@example.com"), "allow")
        self.same([donor, joiner])
        joiner.stop()
        joiner.start()
        self.assertEqual(joiner.status()["join"]["phase"], "ready")


    def test_the_donor_is_killed_and_another_one_goes_on(self):
        donor, second, joiner = self.world(3)
        self.fill(donor, RECORDS)
        donor.start()
        second.start()
        self.joined(second)
        joiner.config["mesh"]["peers"] = joiner.config["mesh"]["peers"][:1]  # the first donor
        joiner.start()
        harness.wait_for(lambda: self.copied(joiner) > 0, "a first part", 60, every=0.005)
        donor.kill()
        part = joiner.status()["join"]
        if part["phase"] == "copy":
            harness.wait_for(lambda: not joiner.status()["peers"][0]["connected"], "the loss")
            self.assertEqual(joiner.verdict("fill0@example.com"), "unknown")
        joiner.kill()
        joiner.config["mesh"]["peers"] = [
            {"name": a.node, "url": "tls+tcp://127.0.0.1:%d" % a.mesh_port} for a in (donor, second)
        ]
        joiner.start()
        self.joined(joiner, 600)
        donor.start()
        harness.wait_for(lambda: donor.status()["join"]["phase"] == "ready", "the donor")
        self.same([donor, second, joiner])


if __name__ == "__main__":
    unittest.main(verbosity=2)
