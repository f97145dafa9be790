"""Three Regions, 10 000 events over three queues, every agent killed by SIGKILL again and again: the
three SES lists end equal to the expected set. The seed is printed and can be set: SUPSYNC_SEED."""

import json
import os
import random
import threading
import time
import unittest

import harness

REGIONS = ["eu-west-1", "us-east-1", "ap-northeast-1"]
EVENTS = int(os.environ.get("SUPSYNC_CRASH_EVENTS", "10000"))
KILLS = int(os.environ.get("SUPSYNC_CRASH_KILLS", "10"))
ADDRESSES = 1500


def bounce(address, feedback_id, stamp):
    event = {
        "eventType": "Bounce",
        "bounce": {
            "bounceType": "Permanent",
            "bounceSubType": "General",
            "bouncedRecipients": [{"emailAddress": address, "action": "failed", "status": "5.1.1"}],
            "timestamp": stamp,
            "feedbackId": feedback_id,
        },
        "mail": {
            "timestamp": stamp,
            "messageId": "m-" + feedback_id,
            "source": "shop@example.com",
            "destination": [address],
        },
    }
    return json.dumps(
        {
            "Type": "Notification",
            "MessageId": feedback_id,
            "TopicArn": "arn:aws:sns:eu-west-1:123456789012:ses",
            "Message": json.dumps(event),
            "Timestamp": stamp,
        }
    )


def transient(address, feedback_id, stamp):
    body = json.loads(bounce(address, feedback_id, stamp))
    event = json.loads(body["Message"])
    event["bounce"].update(bounceType="Transient", bounceSubType="MailboxFull")
    event["bounce"]["bouncedRecipients"][0]["status"] = "4.2.2"
    body["Message"] = json.dumps(event)
    return json.dumps(body)


class Crash(harness.TestCase):
    def make_events(self, rng):
        """Returns a list of bodies a Region, and the addresses that must end suppressed."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - 60))
        expected = set()
        bodies = {region: [] for region in REGIONS}
        for i in range(EVENTS):
            region = rng.choice(REGIONS)
            n = rng.randrange(ADDRESSES)
            if rng.random() < 0.1:
                bodies[region].append(transient("soft%d@example.net" % n, "t%d" % i, stamp))
                continue
            address = "User%d@Example.ORG" % n
            if rng.random() < 0.5:
                address = address.lower()
            expected.add(address.lower())
            bodies[region].append(bounce(address, "f%d" % i, stamp))
            if rng.random() < 0.1:  # SQS delivers at least once
                bodies[region].append(bodies[region][-1])
        return bodies, expected

    def feed(self, sim, bodies, stop):
        """Spreads the events over the time of the kills."""
        queues = {region: list(b) for region, b in bodies.items()}
        while any(queues.values()):
            for region, rest in queues.items():
                if rest:
                    sim.control("POST", region, "events", rest[:100])
                    del rest[:100]
            stop.wait(0.2)

    def lists(self, sim):
        return {r: {a.lower() for a in sim.suppression(r)} for r in REGIONS}

    def test_sigkill_at_random(self):
        seed = int(os.environ.get("SUPSYNC_SEED", str(random.randrange(1 << 32))))
        print("SUPSYNC_SEED=%d" % seed, flush=True)
        rng = random.Random(seed)
        sim = self.simulator(REGIONS, ["--visibility-timeout", "3"])
        agents = self.mesh(REGIONS, sim)
        bodies, expected = self.make_events(rng)
        for agent in agents:
            agent.config["ses"] = {"max_rps": 1000}
            agent.start()
        done = threading.Event()
        feeder = threading.Thread(target=self.feed, args=(sim, bodies, done))
        feeder.start()
        kills = {agent.node: 0 for agent in agents}
        try:
            while min(kills.values()) < KILLS:
                agent = rng.choice([a for a in agents if kills[a.node] < KILLS])
                time.sleep(rng.random() * 0.6)  # the moment of the kill is what is random
                agent.kill()
                kills[agent.node] += 1
                agent.start(wait=rng.random() < 0.5)
        finally:
            done.set()
            feeder.join()
        for agent in agents:
            agent.wait_ready()

        def drained():
            for region in REGIONS:
                for name, queue in sim.control("GET", region, "queues").items():
                    if name == "ses-events" and (queue["visible"] or queue["in_flight"]):
                        return False
            return True

        harness.wait_for(drained, "empty queues", timeout=300, every=0.5)
        harness.wait_for(
            lambda: all(a.status()["converged"] for a in agents), "convergence", timeout=300, every=0.5
        )
        for region, got in self.lists(sim).items():
            self.assertEqual(sorted(expected - got)[:5], [], "%s lacks" % region)
            self.assertEqual(sorted(got - expected)[:5], [], "%s has too many" % region)
        sets = [[(r["address"], r["time"], r["state"]) for r in a.rows()] for a in agents]
        self.assertEqual({row[0] for row in sets[0]}, expected)
        self.assertEqual(sets[0], sets[1])
        self.assertEqual(sets[0], sets[2])
        dead = sum(
            sim.control("GET", r, "queues")["ses-events-dlq"]["visible"] for r in REGIONS
        )
        self.assertEqual(dead, 0)
        for agent in agents:
            self.assertEqual(agent.stop(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
