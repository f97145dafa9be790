"""Reconciliation against the simulator, three lines of JSON:

- how near to what the rate allows a Region's list converges: ideal time / our time, at SES's documented
  one request a second and at a raised limit, where SES (the simulator) allows no more than that;
- the same when the agent is allowed more than SES is, so that only 429 tells it the limit;
- a scan of many entries with the rate lifted: memory above the idle agent, CPU per entry, seconds.

    bench/reconcile.py [ENTRIES]     default 1000000; SUPSYNC_BIN names the directory of the binaries
"""

import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests", "e2e"))
import harness
import measure

ENTRIES = int(sys.argv[1]) if len(sys.argv) > 1 else 1000000
REGION = "eu-west-1"


def memory_mib(pid, what):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith(what + ":"))


def forget_peak(pid):
    with open("/proc/%d/clear_refs" % pid, "w", encoding="ascii") as f:
        f.write("5")


class World(harness.TestCase):
    def agent_with(self, sim, **ses):
        agent = self.agent("bench-%d" % len(self.processes), REGION, sim)
        agent.config["sqs"] = []
        agent.config["ses"] = {"scan_interval": "24h", **ses}
        agent.start()
        agent.cli("reconcile", timeout=600)
        return agent

    def put(self, sim, agent, addresses):
        """Seconds from the first of these puts to the last."""
        sim.control("DELETE", REGION, "calls")
        run = agent.cli("suppress", "-", "--reason", "bounce", "--note", "n", input="\n".join(addresses), timeout=600)
        assert run.returncode == 0, run.stderr
        begin = time.monotonic()
        harness.wait_for(lambda: agent.status()["outbox"]["pending"] == 0, "the puts", timeout=3600, every=0.05)
        return time.monotonic() - begin, sim.control("GET", REGION, "calls?detail=1")["PutSuppressedDestination"]

    def converge(self, limit, n, max_rps):
        sim = self.sim
        sim.control("DELETE", REGION, "suppression")
        sim.control("POST", REGION, "rate", {"rps": limit})
        agent = self.agent_with(sim, max_rps=max_rps)
        # The allowed rate starts at 1/s and grows by 1/s each second; what counts is the time after that.
        # While the addresses are decided some are put already: what is ideal counts from the first decision.
        warm = limit * (limit + 1) // 2 + 2 * limit if max_rps > 1 else 2
        self.put(sim, agent, ["warm%05d@example.com" % i for i in range(warm)])
        begin = time.monotonic()
        _, calls = self.put(sim, agent, ["at%05d@example.com" % i for i in range(n)])
        seconds = time.monotonic() - begin
        agent.stop()
        return n / limit / seconds, calls["throttled"] / calls["calls"]

    def scan(self):
        sim = self.sim
        sim.control("DELETE", REGION, "suppression")
        sim.control("POST", REGION, "rate", {"rps": 0})
        for at in range(0, ENTRIES, 20000):
            sim.control("PUT", REGION, "suppression", [
                {"EmailAddress": "recipient.%07d@mail%02d.example.com" % (i, i % 100), "Reason": "BOUNCE"}
                for i in range(at, min(at + 20000, ENTRIES))
            ])
        begin = time.monotonic()
        agent = self.agent_with(sim, max_rps=1000)  # adopts them all
        adopting = time.monotonic() - begin
        agent.stop()  # an idle agent of its own size; the rate is kept
        agent.start()
        pid = agent.process.pid
        idle = memory_mib(pid, "VmRSS")
        forget_peak(pid)
        cpu = measure.cpu_seconds(pid)
        begin = time.monotonic()
        run = agent.cli("reconcile", "--output", "json", timeout=3600)
        seconds = time.monotonic() - begin
        report = json.loads(run.stdout)
        assert report["converged"] and report["counts"]["matched"] == ENTRIES, report["counts"]
        cpu = measure.cpu_seconds(pid) - cpu
        return {
            "bench": "scan", "entries": ENTRIES, "adopt_all_s": round(adopting, 1), "scan_and_plan_s": round(seconds, 1),
            "idle_mib": round(idle, 1), "peak_above_idle_mib": round(memory_mib(pid, "VmHWM") - idle, 1),
            "cpu_us_per_entry": round(cpu / ENTRIES * 1e6, 2),
        }

    def runTest(self):
        self.sim = self.simulator([REGION])
        slow, _ = self.converge(1, 40, 1)
        fast, _ = self.converge(10, 600, 10)
        blind, throttled = self.converge(10, 600, 1000)
        print(json.dumps({
            "bench": "convergence", "ideal_over_ours_1_per_s": round(slow, 3), "ideal_over_ours_10_per_s": round(fast, 3),
            "limit_unknown_10_per_s": round(blind, 3), "limit_unknown_share_of_429": round(throttled, 3),
        }), flush=True)
        print(json.dumps(self.scan()))


if __name__ == "__main__":
    measure.run(World)
