"""A full disk: decisions are refused, not lost; checks go on; when there is room again, work goes on."""

import http.client
import json
import os
import subprocess
import time
import unittest

import harness
import test_ingest
from test_crash import bounce


@unittest.skipUnless(os.geteuid() == 0, "mounting a small file system takes root")
class DiskFull(harness.TestCase):
    def small_disk(self):
        path = os.path.join(self.directory, "disk")
        os.makedirs(path)
        mount = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", path], capture_output=True, text=True
        )
        if mount.returncode != 0:
            self.skipTest("cannot mount a tmpfs: " + mount.stderr.strip())
        # Lazily: whatever still has a file open there must not keep the test from ending.
        self.addCleanup(subprocess.run, ["umount", "-l", path], check=False)
        return path

    def suppress(self, agent, address):
        return agent.cli("suppress", address, "--reason", "manual", "--note", "n").returncode

    def fill_up(self, agent, disk):
        """Until commits fail. Returns addresses that were taken."""
        with open(os.path.join(disk, "ballast"), "wb") as f:
            try:
                while True:
                    f.write(b"x" * 65536)
                    f.flush()
            except OSError:
                pass
        # The log's preallocated tail takes some more; then commits fail.
        kept = []
        for i in range(20000):
            addresses = ["full%d.%d@example.com" % (i, k) for k in range(200)]
            run = agent.cli("suppress", *addresses, "--reason", "manual", "--note", "n" * 900)
            if run.returncode != 0:
                self.assertIn("supsync:", run.stderr)
                return kept
            kept.append(addresses[0])
        self.fail("the disk never filled up")

    def test_full_disk(self):
        sim = self.simulator(["eu-west-1"])
        agent = self.agent("eu-west-1", sim=sim)
        disk = self.small_disk()
        agent.config["data_dir"] = os.path.join(disk, "data")
        agent.config["ses"] = {"mode": "observe"}
        agent.start()
        self.assertEqual(self.suppress(agent, "before@example.com"), 0)
        kept = ["before@example.com"] + self.fill_up(agent, disk)
        self.assertTrue(agent.running(), agent.log()[-2000:])
        self.assertEqual(agent.verdict("before@example.com"), "block")
        self.assertEqual(agent.cli("status").returncode, 1)
        os.unlink(os.path.join(disk, "ballast"))
        harness.wait_for(lambda: self.suppress(agent, "after@example.com") == 0, "room again", timeout=60, every=0.5)
        self.assertEqual(agent.stop(), 0)
        agent.start()
        for address in kept + ["after@example.com"]:
            self.assertEqual(agent.verdict(address), "block", address)
        self.assertEqual(agent.stop(), 0)

    def agent_on(self, disk, sim, **more):
        agent = self.agent("eu-west-1", sim=sim)
        agent.config["data_dir"] = os.path.join(disk, "data")
        agent.config["ses"] = {"mode": "observe"}
        agent.config.update(more)
        return agent

    def test_messages_wait_in_hand(self):
        """While the store cannot write, messages stay ours, however short their visibility, and are
        received once: no redelivery eats up what a dead-letter policy allows. SNS is told to come
        again."""
        sim = self.simulator(["eu-west-1"])
        sqs = sim.client("sqs", "eu-west-1")
        url = sim.queue_url("eu-west-1")
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "2"})
        signer = test_ingest.Signer(self.directory)
        self.addCleanup(signer.stop)
        disk = self.small_disk()
        agent = self.agent_on(disk, sim, sns_http={
            "listen": "127.0.0.1:%d" % harness.free_port(), "topics": [test_ingest.TOPIC],
            "test_signer": signer.url})
        agent.config["sqs"][0]["in_hand"] = 20
        agent.start()
        self.fill_up(agent, disk)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - 5))
        sim.control("POST", "eu-west-1", "events",
                    [bounce("hand%d@example.com" % i, "hand-%d" % i, stamp) for i in range(100)])
        metric = agent.metric

        def post():
            m = signer.message(json.dumps(test_ingest.bounce("sns@example.com", time=stamp)))
            host, port = agent.config["sns_http"]["listen"].split(":")
            c = http.client.HTTPConnection(host, int(port), timeout=60)
            try:
                c.request("POST", "/sns", json.dumps(m))
                return c.getresponse().status
            finally:
                c.close()

        # Two receivers, 20 messages each, and no more; then twice the visibility and more goes by.
        harness.wait_for(lambda: metric("supsync_sqs_in_hand_messages") == 40, "full hands", timeout=30)
        harness.wait_for(lambda: metric("supsync_sqs_visibility_extensions_total") >= 40,
                         "more time to be asked for", timeout=30)
        begin = time.monotonic()
        self.assertEqual(post(), 503)
        harness.wait_for(lambda: time.monotonic() - begin > 5, "two visibility time-outs to pass", timeout=30)
        self.assertEqual(metric("supsync_sqs_messages_received_total"), 40)
        self.assertGreater(metric("supsync_sqs_in_hand_bytes"), 0)
        self.assertLessEqual(metric("supsync_sqs_in_hand_bytes"), metric("supsync_sqs_in_hand_limit_bytes"))
        self.assertEqual(metric("supsync_sqs_messages_deleted_total"), 0)
        os.unlink(os.path.join(disk, "ballast"))
        harness.wait_for(lambda: metric("supsync_sqs_messages_deleted_total") == 100, "the queue to be done", timeout=60)
        self.assertEqual(metric("supsync_sqs_messages_received_total"), 100)
        self.assertEqual(metric("supsync_sqs_in_hand_messages"), 0)
        self.assertEqual(metric("supsync_sqs_in_hand_bytes"), 0)
        for i in range(0, 100, 7):
            self.assertEqual(agent.verdict("hand%d@example.com" % i), "block")
        harness.wait_for(lambda: post() == 200, "SNS's repetition to be taken", timeout=60)
        self.assertEqual(agent.verdict("sns@example.com"), "block")
        self.assertEqual(agent.stop(), 0)

    @unittest.skipUnless(os.environ.get("SUPSYNC_LONG"), "SUPSYNC_LONG=1 runs it")
    def test_bytes_in_hand_are_bounded(self):
        """Large messages: the limit in bytes holds, but for one batch of each receiver."""
        sim = self.simulator(["eu-west-1"])
        disk = self.small_disk()
        agent = self.agent_on(disk, sim, ingest={"in_hand_mib": 1})
        agent.config["sqs"][0].update(in_hand=1000, receivers=2)
        agent.start()
        self.fill_up(agent, disk)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - 5))
        for i in range(120):
            body = json.loads(bounce("large%d@example.com" % i, "large-%d" % i, stamp))
            body["Padding"] = "x" * 200000
            sim.control("POST", "eu-west-1", "events", [json.dumps(body)])
        limit = agent.metric("supsync_sqs_in_hand_limit_bytes")
        self.assertEqual(limit, 1 << 20)
        harness.wait_for(lambda: agent.metric("supsync_sqs_in_hand_bytes") > limit, "full hands", timeout=60)
        begin = time.monotonic()
        harness.wait_for(lambda: time.monotonic() - begin > 5, "more to be received, if anything is", timeout=30)
        self.assertLessEqual(agent.metric("supsync_sqs_in_hand_bytes"), limit + 2 * 10 * 201000)
        os.unlink(os.path.join(disk, "ballast"))
        harness.wait_for(lambda: agent.metric("supsync_sqs_messages_deleted_total") == 120,
                         "the queue to be done", timeout=120)
        self.assertEqual(agent.verdict("large119@example.com"), "block")


if __name__ == "__main__":
    unittest.main(verbosity=2)
