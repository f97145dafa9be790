"""Reconciliation against the simulator, lines of JSON:

- how near to what the rate allows a Region's list converges: ideal time / our time, at SES's documented
  one request a second and at a raised limit, where SES (the simulator) allows no more than that;
- the same when the agent is allowed more than SES is, so that only 429 tells it the limit;
- scans of long lists with the rate lifted, for each number of ENTRIES: a plan of a list of which nothing
  is known (dry run), its adoption, and a scan that finds all as it should be, each with its memory above
  the idle agent, CPU of the agent per entry beside that of parsing the pages' JSON alone, and seconds.
  The seconds are those of a rate that has to grow from one call a second first.

    bench/reconcile.py [--scan] [ENTRIES...]   default 1000000; --scan: only that
                                               SUPSYNC_BIN names the directory of the binaries
"""

import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests", "e2e"))
import harness
import measure

ARGUMENTS = sys.argv[1:]
ENTRIES = [int(a) for a in ARGUMENTS if a != "--scan"] or [1000000]
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

    def seed(self, n):
        self.sim.control("DELETE", REGION, "suppression")
        self.sim.control("POST", REGION, "rate", {"rps": 0})
        for at in range(0, n, 20000):
            self.sim.control("PUT", REGION, "suppression", [
                {"EmailAddress": "recipient.%08d@mail%02d.example.com" % (i, i % 100), "Reason": "BOUNCE"}
                for i in range(at, min(at + 20000, n))
            ])

    def json_alone(self, n):
        """Microseconds an entry."""
        bench = os.path.join(harness.BIN, "bench_list_parse")
        line = subprocess.run([bench, str(max(100, min(n // 1000, 2000)))], capture_output=True, check=True, text=True)
        return json.loads(line.stdout)["json_us_per_entry"]

    def measured(self, agent, what, n, *arguments):
        """One run; an agent that was just started is an idle one."""
        pid = agent.process.pid
        idle = memory_mib(pid, "VmRSS")
        forget_peak(pid)
        cpu = measure.cpu_seconds(pid)
        begin = time.monotonic()
        run = agent.cli("reconcile", "--output", "json", *arguments, timeout=7200)
        seconds = time.monotonic() - begin
        cpu = (measure.cpu_seconds(pid) - cpu) / n * 1e6
        alone = self.json_alone(n)
        print(json.dumps({
            "bench": "scan", "what": what, "entries": n, "seconds": round(seconds, 1), "idle_mib": round(idle, 1),
            "peak_above_idle_mib": round(memory_mib(pid, "VmHWM") - idle, 1), "cpu_us_per_entry": round(cpu, 2),
            "json_alone_us_per_entry": round(alone, 2), "cpu_over_json": round(cpu / alone, 1),
        }), flush=True)
        return json.loads(run.stdout)["counts"]

    def scan(self, n):
        self.seed(n)
        agent = self.agent("bench-%d" % len(self.processes), REGION, self.sim)
        agent.config["sqs"] = []
        agent.config["ses"] = {"scan_interval": "24h", "max_rps": 1000}
        agent.start()
        counts = self.measured(agent, "plan, nothing known", n, "--dry-run")
        assert counts["extra"] == n, counts
        agent.stop()
        agent.start()
        counts = self.measured(agent, "adopt", n)
        assert counts["adopted"] == n, counts
        agent.stop()
        agent.start()
        counts = self.measured(agent, "unchanged", n)
        assert counts["matched"] == n, counts
        agent.stop()

    def convergence(self):
        slow, _ = self.converge(1, 40, 1)
        fast, _ = self.converge(10, 600, 10)
        blind, throttled = self.converge(10, 600, 1000)
        print(json.dumps({
            "bench": "convergence", "ideal_over_ours_1_per_s": round(slow, 3), "ideal_over_ours_10_per_s": round(fast, 3),
            "limit_unknown_10_per_s": round(blind, 3), "limit_unknown_share_of_429": round(throttled, 3),
        }), flush=True)

    def runTest(self):
        self.sim = self.simulator([REGION])
        if "--scan" not in ARGUMENTS:
            self.convergence()
        for n in ENTRIES:
            self.scan(n)


if __name__ == "__main__":
    measure.run(World)
