"""Calls to SES: a stop cuts them off, reports count them, a budget holds them, evidence is asked for."""

import os
import subprocess
import time
import unittest

import harness
from test_reconcile import R, Case, put

MANY = ["i%03d@example.com" % i for i in range(60)]
# The agent ends in about one; a loaded machine adds to that.
SECONDS = 4 if "asan" in harness.BIN or "tsan" in harness.BIN else 2.5


class Shutdown(Case):
    """Whatever call hangs for a minute, the agent ends in about a second, and its next life goes on."""

    def hang(self, sim, operation):
        sim.control("DELETE", R, "calls")
        sim.faults(R, [{"operation": operation, "delay_ms": 60000, "count": 1}])

    def stop(self, sim, agent, operation):
        harness.wait_for(lambda: sim.calls(R).get(operation), operation + " to hang")
        start = time.monotonic()
        self.assertEqual(agent.stop(), 0)
        self.assertLess(time.monotonic() - start, SECONDS)
        self.assertNotIn("draining took too long", agent.log())

    def background(self, agent, *arguments):
        return subprocess.Popen([harness.SUPSYNC, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                env=dict(os.environ, SUPSYNC_SOCKET=agent.socket))

    def written(self, operation, prepare, wanted):
        """A write that hangs; wanted is the list after the next start."""
        sim, agent = self.one()
        self.suppress(agent, sim, "there@example.com")
        self.hang(sim, operation)
        prepare(agent)
        self.stop(sim, agent, operation)
        agent.start()
        harness.wait_for(lambda: set(sim.suppression(R)) == wanted, "the write")
        harness.wait_for(lambda: agent.status()["outbox"]["pending"] == 0, "the outbox")
        self.assertEqual(self.reconcile(agent, status=0)["differences"], [])

    def test_put(self):
        self.written("PutSuppressedDestination",
                     lambda agent: agent.cli("suppress", "a@example.com", "--reason", "bounce", "--note", "n"),
                     {"a@example.com", "there@example.com"})

    def test_delete(self):
        self.written("DeleteSuppressedDestination", lambda agent: self.clear(agent, "there@example.com"), set())

    def test_a_put_that_takes_a_moment_is_waited_for(self):
        sim, agent = self.one()
        sim.faults(R, [{"operation": "PutSuppressedDestination", "delay_ms": 250, "after": True, "count": 1}])
        agent.cli("suppress", "a@example.com", "--reason", "bounce", "--note", "n")
        self.stop(sim, agent, "PutSuppressedDestination")
        self.assertIn("a@example.com", sim.suppression(R))
        sim.control("DELETE", R, "calls")
        agent.start()
        self.assertEqual(self.reconcile(agent, status=0)["differences"], [])
        self.assertEqual(sim.calls(R).get("PutSuppressedDestination", 0), 0, "its outcome was recorded")

    def test_scan(self):
        sim, agent = self.one()
        put(sim, R, "a@example.com")
        self.hang(sim, "ListSuppressedDestinations")
        run = self.background(agent, "reconcile")
        self.stop(sim, agent, "ListSuppressedDestinations")
        self.assertEqual(run.wait(), 3)
        agent.start()
        harness.wait_for(lambda: agent.verdict("a@example.com") == "block", "the scan after the start")

    def importing(self, operation, many, refused=()):
        sim, agent = self.one(max_rps=1, **{"import": {"bucket": "supsync-" + R, "threshold": 20}})
        sim.control("PUT", R, "refusals", {"rows": list(refused), "puts": []})
        self.hang(sim, operation)
        agent.cli("suppress", "-", "--reason", "bounce", "--note", "n", input="\n".join(many))
        self.stop(sim, agent, operation)
        agent.start()
        harness.wait_for(lambda: agent.status()["outbox"]["pending"] == 0, "the outbox", timeout=60)
        self.assertEqual(set(sim.suppression(R)), set(many))

    def test_import_object(self):
        self.importing("PutObject", MANY)

    def test_import_creation(self):
        self.importing("CreateImportJob", MANY)

    def test_import_polling(self):
        self.importing("GetImportJob", MANY)

    def test_import_rows_that_failed(self):
        self.importing("GetObject", MANY, refused=MANY[-2:])

    def coverage(self, operation):
        sim, agent = self.one()
        sim.client("sesv2", R).create_configuration_set(ConfigurationSetName="plain")
        self.hang(sim, operation)
        run = self.background(agent, "audit-coverage")
        self.stop(sim, agent, operation)
        self.assertEqual(run.wait(), 3)

    def test_coverage_account(self):
        self.coverage("GetAccount")

    def test_coverage_sets(self):
        self.coverage("ListConfigurationSets")

    def test_coverage_set(self):
        self.coverage("GetConfigurationSet")


if __name__ == "__main__":
    harness.main_parallel()
