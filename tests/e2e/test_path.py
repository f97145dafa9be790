"""The main job across three Regions, and the ways in which it must not go wrong."""

import json
import time
import unittest

import harness
from test_crash import bounce

REGIONS = ["eu-west-1", "us-east-1", "ap-northeast-1"]


def stamp(ago=0):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - ago))


class Path(harness.TestCase):
    def world(self, **ses):
        sim = self.simulator(REGIONS)
        agents = self.mesh(REGIONS, sim)
        for agent in agents:
            agent.config["ses"].update(ses)
            agent.start()
        for agent in agents:  # each has found out that there is nothing to join
            agent.wait_answers()
        return sim, agents

    def send(self, sim, region, address):
        return sim.client("sesv2", region).send_email(
            FromEmailAddress="shop@example.com",
            Destination={"ToAddresses": [address]},
            Content={"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "b"}}}},
        )

    def everywhere(self, sim, key, listed):
        def holds():
            return all(
                (key in [a.lower() for a in sim.suppression(r)]) == listed for r in REGIONS
            )

        harness.wait_for(holds, "%s %s everywhere" % (key, "listed" if listed else "gone"))

    def settled(self, agents):
        harness.wait_for(lambda: all(a.status()["converged"] for a in agents), "convergence")

    def test_bounce_and_clear_everywhere_spelling_and_all(self):
        sim, agents = self.world()
        self.send(sim, "eu-west-1", "Bounce.Bar@Example.COM")
        self.everywhere(sim, "bounce.bar@example.com", True)
        self.assertIn("Bounce.Bar@example.com", sim.suppression("eu-west-1"))
        for agent in agents:
            harness.wait_for(lambda a=agent: a.verdict("BOUNCE.bar@example.com") == "block", "block")
        run = agents[2].cli("clear", "bounce.bar@example.com", "--note", "new mailbox")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.everywhere(sim, "bounce.bar@example.com", False)
        self.settled(agents)
        for agent in agents:
            self.assertEqual(agent.verdict("bounce.bar@example.com"), "allow")
        # A bounce older than the clear changes nothing, and its spelling leaves the list (where SES has
        # put it before it tells).
        sim.client("sesv2", "us-east-1").put_suppressed_destination(
            EmailAddress="Bounce.BAR@Example.com", Reason="BOUNCE"
        )
        sim.control("POST", "us-east-1", "events", [bounce("Bounce.BAR@Example.com", "late", stamp(3600))])
        harness.wait_for(lambda: agents[1].status()["queue"]["events"] >= 1, "the late event")
        self.everywhere(sim, "bounce.bar@example.com", False)
        self.settled(agents)
        for agent in agents:
            self.assertEqual(agent.verdict("bounce.bar@example.com"), "allow")

    def test_echo_after_a_clear_does_not_suppress(self):
        sim, agents = self.world()
        self.send(sim, "eu-west-1", "bounce.echo@example.com")
        self.everywhere(sim, "bounce.echo@example.com", True)
        self.send(sim, "eu-west-1", "bounce.echo@example.com")
        harness.wait_for(lambda: agents[0].status()["queue"]["echoes"] >= 1, "the echo")
        agents[0].cli("clear", "bounce.echo@example.com", "--note", "n")
        self.everywhere(sim, "bounce.echo@example.com", False)
        body = json.loads(bounce("bounce.echo@example.com", "echo2", stamp(-1)))
        event = json.loads(body["Message"])
        event["bounce"]["bounceSubType"] = "OnAccountSuppressionList"
        body["Message"] = json.dumps(event)
        sim.control("POST", "eu-west-1", "events", [json.dumps(body)])
        harness.wait_for(lambda: agents[0].status()["queue"]["echoes"] >= 2, "the second echo")
        self.settled(agents)
        for agent in agents:
            self.assertEqual(agent.verdict("bounce.echo@example.com"), "allow")

    def test_complaint_needs_force(self):
        sim, agents = self.world()
        self.send(sim, "us-east-1", "complaint.x@example.com")
        self.everywhere(sim, "complaint.x@example.com", True)
        harness.wait_for(lambda: agents[0].check("complaint.x@example.com")["reason"] == "COMPLAINT", "reason")
        self.assertEqual(agents[0].cli("clear", "complaint.x@example.com", "--note", "n").returncode, 1)
        self.assertEqual(agents[0].verdict("complaint.x@example.com"), "block")
        run = agents[0].cli("clear", "complaint.x@example.com", "--note", "n", "--force")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.everywhere(sim, "complaint.x@example.com", False)

    def test_observe_writes_nothing(self):
        sim, agents = self.world(mode="observe")
        agents[0].cli("suppress", "a@example.com", "--reason", "manual", "--note", "n")
        for agent in agents:
            harness.wait_for(lambda a=agent: a.verdict("a@example.com") == "block", "block")
        for agent in agents:
            self.assertFalse(agent.status()["converged"])
        for region in REGIONS:
            self.assertEqual(sim.suppression(region), {})
            calls = sim.calls(region)
            self.assertEqual(calls.get("PutSuppressedDestination", 0), 0)

    def test_throttles_errors_and_restart(self):
        sim, agents = self.world()
        for region in REGIONS:
            sim.faults(region, [
                {"operation": "PutSuppressedDestination", "count": 3, "throttle": True},
                {"operation": "PutSuppressedDestination", "count": 2, "status": 500, "code": "InternalFailure"},
                {"operation": "PutSuppressedDestination", "count": 1, "reset": True},
            ])
        for i in range(5):
            agents[0].cli("suppress", "t%d@example.com" % i, "--reason", "bounce", "--note", "n")
        agents[1].kill()
        agents[1].start()
        for i in range(5):
            self.everywhere(sim, "t%d@example.com" % i, True)

    def test_unparsable_goes_to_the_dead_letter_queue(self):
        sim = self.simulator(["eu-west-1"], ["--visibility-timeout", "1"])
        agent = self.agent("eu-west-1", sim=sim)
        agent.start()
        bad = ["not json", "{", json.dumps({"Type": "Notification", "Message": "{\"eventType\":"}),
               json.dumps({"eventType": "Bounce", "bounce": 7}), "\u0001", "[]"]
        good = bounce("dead@example.com", "g1", stamp(5))
        sim.control("POST", "eu-west-1", "events", bad + [good])

        def in_dlq():
            return sim.control("GET", "eu-west-1", "queues")["ses-events-dlq"]["visible"] == len(bad)

        harness.wait_for(in_dlq, "the unparsable in the dead-letter queue", timeout=60)
        self.assertEqual(agent.verdict("dead@example.com"), "block")
        self.assertGreaterEqual(agent.status()["queue"]["unparsable"], len(bad))

    def test_wrong_credentials_then_right_ones(self):
        sim = self.simulator(["eu-west-1"], ["--verify-signatures"])
        agent = self.agent("eu-west-1", sim=sim)
        agent.env["AWS_SECRET_ACCESS_KEY"] = "wrong"
        agent.start()
        agent.cli("suppress", "a@example.com", "--reason", "bounce", "--note", "n")
        harness.wait_for(lambda: not agent.status()["healthy"], "the problem in status")
        self.assertEqual(sim.suppression("eu-west-1"), {})
        self.assertEqual(agent.stop(), 0)
        agent.env["AWS_SECRET_ACCESS_KEY"] = sim.environment()["AWS_SECRET_ACCESS_KEY"]
        agent.start()
        harness.wait_for(lambda: "a@example.com" in sim.suppression("eu-west-1"), "the put")

    def test_missing_queue_and_foreign_data_directory(self):
        sim = self.simulator(["eu-west-1"])
        agent = self.agent("eu-west-1", sim=sim)
        agent.config["sqs"] = [{"queue_url": sim.url + "/123456789012/no-such-queue"}]
        agent.start()
        harness.wait_for(lambda: "queue" in agent.log() and "ERROR" in agent.log(), "the log line")
        self.assertEqual(agent.verdict("a@example.com"), "allow")
        self.assertEqual(agent.stop(), 0)
        agent.config["node"] = "eu-west-1/b"
        agent.start(wait=False)
        self.assertNotEqual(agent.process.wait(30), 0)
        self.assertIn("eu-west-1/b", agent.log())

    def test_expiry_reaches_the_list(self):
        sim = self.simulator(["eu-west-1"])
        agent = self.agent("eu-west-1", sim=sim)
        agent.start()
        run = agent.cli("suppress", "a@example.com", "--reason", "manual", "--note", "n", "--expires", "3s")
        self.assertEqual(run.returncode, 0, run.stderr)
        harness.wait_for(lambda: "a@example.com" in sim.suppression("eu-west-1"), "the put")
        harness.wait_for(lambda: sim.suppression("eu-west-1") == {}, "the end of it")
        self.assertEqual(agent.verdict("a@example.com"), "allow")


if __name__ == "__main__":
    unittest.main(verbosity=2)
