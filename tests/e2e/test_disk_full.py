"""A full disk: decisions are refused, not lost; checks go on; when there is room again, work goes on."""

import os
import subprocess
import unittest

import harness


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

    def test_full_disk(self):
        sim = self.simulator(["eu-west-1"])
        agent = self.agent("eu-west-1", sim=sim)
        disk = self.small_disk()
        agent.config["data_dir"] = os.path.join(disk, "data")
        agent.config["ses"] = {"mode": "observe"}
        agent.start()
        self.assertEqual(self.suppress(agent, "before@example.com"), 0)
        with open(os.path.join(disk, "ballast"), "wb") as f:
            try:
                while True:
                    f.write(b"x" * 65536)
                    f.flush()
            except OSError:
                pass
        # The log's preallocated tail takes some more; then commits fail.
        kept = ["before@example.com"]
        refused = None
        for i in range(20000):
            addresses = ["full%d.%d@example.com" % (i, k) for k in range(200)]
            run = agent.cli("suppress", *addresses, "--reason", "manual", "--note", "n" * 900)
            if run.returncode != 0:
                refused = addresses[-1]
                break
            kept.append(addresses[0])
        self.assertIsNotNone(refused, "the disk never filled up")
        self.assertIn("supsync:", run.stderr)
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


if __name__ == "__main__":
    unittest.main(verbosity=2)
