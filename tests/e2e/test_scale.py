"""Plans of many differences, and lists that do not read as they should.

SUPSYNC_LONG=1 is the full size: a plan of 150 000 differences instead of 2 500."""

import json
import os
import threading
import unittest

import harness

LONG = bool(os.environ.get("SUPSYNC_LONG"))
R = "eu-west-1"
LIST = "ListSuppressedDestinations"


def memory_mib(pid, what):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith(what + ":"))


def sanitized():
    with open(harness.SUPSYNC, "rb") as f:
        binary = f.read()
    return b"__asan_init" in binary or b"__tsan_init" in binary


def page(addresses, token=None, at=1700000000.0):
    body = {"SuppressedDestinationSummaries": [
        {"EmailAddress": a, "Reason": "BOUNCE", "LastUpdateTime": at} for a in addresses
    ]}
    if token is not None:
        body["NextToken"] = token
    return json.dumps(body)


class Case(harness.TestCase):
    def one(self, **ses):
        sim = self.simulator([R])
        agent = self.agent(R, sim=sim)
        agent.config["ses"].update({"scan_interval": "6h", "absence_interval": "1s", **ses})
        agent.start()
        agent.cli("reconcile")
        return sim, agent

    def seed(self, sim, addresses):
        for i in range(0, len(addresses), 20000):
            sim.control("PUT", R, "suppression", [
                {"EmailAddress": a, "Reason": "BOUNCE"} for a in addresses[i:i + 20000]
            ])

    def reconcile(self, agent, *arguments, status=None):
        run = agent.cli("reconcile", "--output", "json", *arguments, timeout=900)
        if status is not None:
            self.assertEqual(run.returncode, status, run.stdout[:2000] + run.stderr)
        return json.loads(run.stdout)


class Plans(Case):
    def test_a_plan_of_many_is_saved_whole_and_applied(self):
        n = 150000 if LONG else 2500
        sim, agent = self.one()
        many = ["plan%06d@example.com" % i for i in range(n)]
        self.seed(sim, many)
        pid = agent.process.pid
        idle = memory_mib(pid, "VmRSS")
        with open("/proc/%d/clear_refs" % pid, "w", encoding="ascii") as f:
            f.write("5")
        path = os.path.join(agent.directory, "plan.ndjson")
        report = self.reconcile(agent, "--dry-run", "--save", path, status=1)
        self.assertEqual(report["counts"]["extra"], n)
        self.assertEqual(report["differences_found"], n)
        self.assertEqual(len(report["differences"]), min(n, 100000))
        with open(path, encoding="utf-8") as f:
            lines = f.readlines()
        self.assertEqual([json.loads(s)["address"] for s in lines[1:-1]], many)
        # The report of a run that is asked for again is the same.
        again = json.loads(agent.cli("report", "--format", "json", timeout=300).stdout)
        self.assertEqual(again, report)
        self.assertIn("and %d more" % (n - 50), agent.cli("report", timeout=300).stdout)
        above = memory_mib(pid, "VmHWM") - idle
        if not sanitized():
            self.assertLess(above, 100, "MiB above the idle agent")
        # An address that moved: nothing of the plan is applied.
        sim.client("sesv2", R).put_suppressed_destination(EmailAddress=many[n // 2], Reason="COMPLAINT")
        run = agent.cli("reconcile", "--plan", path, timeout=300)
        self.assertEqual(run.returncode, 1)
        self.assertIn(many[n // 2], run.stderr)
        self.assertEqual(agent.verdict(many[0]), "allow")
        os.unlink(path)
        self.reconcile(agent, "--dry-run", "--save", path, status=1)
        report = self.reconcile(agent, "--plan", path, status=0)
        self.assertEqual(report["counts"]["adopted"], n)
        self.assertEqual(agent.check(many[n // 2])["reason"], "COMPLAINT")
        self.assertEqual(self.reconcile(agent, status=0)["differences"], [])
        print("a plan of %d: %.0f MiB above the idle agent" % (n, above))


class Jobs(Case):
    """What SES says of an import job is not always so."""

    MANY = ["job%03d@example.com" % i for i in range(60)]
    GET = "GetImportJob"

    def importing(self, arguments=(), **ses):
        sim = self.simulator([R], list(arguments))
        agent = self.agent(R, sim=sim)
        agent.config["ses"].update({"scan_interval": "6h", "absence_interval": "1s", "max_rps": 1, **ses,
                                    "import": {"bucket": "supsync-" + R, "threshold": 20}})
        agent.start()
        agent.cli("reconcile")
        return sim, agent

    def job(self, **more):
        return json.dumps({"JobId": "x", "JobStatus": "COMPLETED", "ProcessedRecordsCount": 60, **more})

    def suppress_all(self, sim, agent):
        run = agent.cli("suppress", "-", "--reason", "bounce", "--note", "n", input="\n".join(self.MANY))
        self.assertEqual(run.returncode, 0, run.stderr)
        harness.wait_for(lambda: sim.calls(R).get("CreateImportJob"), "a job", timeout=60)

    def jobs(self, sim):
        return sim.client("sesv2", R).list_import_jobs()["ImportJobs"]

    def test_failed_rows_that_are_not_named_are_looked_after_singly(self):
        sim, agent = self.importing()
        sim.faults(R, [{"operation": self.GET, "count": 1, "body": self.job(FailedRecordsCount=3)}])
        self.suppress_all(sim, agent)
        harness.wait_for(lambda: any("which rows" in p for p in agent.status()["problems"]), "the problem", timeout=60)
        agent.stop()
        agent.config["ses"]["max_rps"] = 200
        agent.start()
        harness.wait_for(lambda: agent.status()["outbox"]["pending"] == 0, "the outbox", timeout=120)
        self.assertEqual(set(sim.suppression(R)), set(self.MANY))

    def test_a_job_that_did_nothing_but_says_so_otherwise(self):
        # Nothing is listed, and nobody removed it: no policy may take that for a removal.
        sim, agent = self.importing(["--import-delay", "3600000"], on_external_removal="propagate",
                                    fuse={"percent": 100, "count": 1000})
        sim.faults(R, [{"operation": self.GET, "count": 1, "body": self.job(FailedRecordsCount=0)}])
        self.suppress_all(sim, agent)
        harness.wait_for(lambda: agent.status()["outbox"]["pending"] == 0, "the outbox", timeout=60)
        self.assertLess(len(sim.suppression(R)), len(self.MANY))
        agent.stop()
        agent.config["ses"]["max_rps"] = 200
        agent.config["ses"].pop("import")
        agent.start()

        def whole():
            report = self.reconcile(agent)
            self.assertEqual(report["counts"]["adopted_removals"], 0)
            return set(sim.suppression(R)) == set(self.MANY)

        harness.wait_for(whole, "the rows that the job lost", timeout=60, every=0.5)
        self.assertEqual(agent.verdict(self.MANY[0]), "block")

    def test_answers_about_a_job_that_make_no_sense(self):
        sim, agent = self.importing()
        sim.faults(R, [{"operation": self.GET, "count": 1, "body": b} for b in (
            self.job(FailedRecordsCount=-1), self.job(ProcessedRecordsCount=1e300), "[]",
            json.dumps({"JobStatus": "SOMETHING NEW"}))])
        self.suppress_all(sim, agent)
        harness.wait_for(lambda: set(sim.suppression(R)) == set(self.MANY), "the rows", timeout=90)
        harness.wait_for(lambda: agent.status()["outbox"]["pending"] == 0, "the outbox", timeout=90)
        self.assertEqual(len(self.jobs(sim)), 1)


class Scan(Case):
    """Whatever the pages are like: what was read counts once, and what was not read removes nothing."""

    KNOWN = ["known%02d@example.com" % i for i in range(40)]

    def setUp(self):
        super().setUp()
        self.sim, self.agent_ = self.one(on_external_removal="propagate")
        self.seed(self.sim, self.KNOWN)
        self.assertEqual(self.reconcile(self.agent_, status=0)["counts"]["adopted"], len(self.KNOWN))
        self.sim.control("DELETE", R, "calls")

    def answers(self, *bodies):
        self.sim.faults(R, [{"operation": LIST, "body": b, "count": 1} for b in bodies])

    def calls(self):
        return self.sim.calls(R).get(LIST, 0)

    def still_there(self):
        self.sim.control("DELETE", R, "faults")
        report = self.reconcile(self.agent_, status=0)
        self.assertEqual(report["counts"]["matched"], len(self.KNOWN))
        for address in (self.KNOWN[0], self.KNOWN[-1]):
            self.assertEqual(self.agent_.verdict(address), "block")

    def test_tokens_that_go_round(self):
        for round_ in (1, 3, 7):
            self.sim.control("DELETE", R, "faults")
            self.sim.control("DELETE", R, "calls")
            tokens = ["T%d" % i for i in range(round_)] * (40 // round_)
            self.answers(*[page(self.KNOWN[:3], t) for t in tokens])
            run = self.agent_.cli("reconcile", "--output", "json", timeout=120)
            self.assertEqual(run.returncode, 3, run.stdout)
            self.assertIn("same NextToken", run.stderr)
            self.assertLessEqual(self.calls(), 4 * round_ + 2)
        self.still_there()

    def test_empty_pages_duplicates_and_pages_of_any_size(self):
        many = ["page%04d@example.com" % i for i in range(2500)]
        self.answers(
            page([], "A"), page([], "B"),  # nothing yet, but there is more
            page(self.KNOWN[:20], "C"), page(self.KNOWN[10:30], "D"), page(self.KNOWN[10:30], "E"),
            page(many, "F"),  # more than were asked for
            page(["Moved@example.com"], "G", at=1600000000.0),
            page(self.KNOWN[30:31], "H"), page([], "I"),
            page(["Moved@example.com"], "J", at=1600000100.0),  # it was put anew while the scan was under way
            page(self.KNOWN[31:]),
        )
        report = self.reconcile(self.agent_, status=0)
        self.assertEqual(self.calls(), 11)
        self.assertEqual(report["counts"]["scanned"], len(self.KNOWN) + len(many) + 1)
        self.assertEqual(report["counts"]["adopted"], len(many) + 1)
        self.assertEqual(report["counts"]["removed"], 0)
        moved = self.agent_.show("moved@example.com")["registers"][0]
        self.assertIn("2020-09-13T12:28:20", json.dumps(moved))

    @unittest.skipUnless(LONG, "a thousand pages: SUPSYNC_LONG=1")
    def test_pages_without_an_end(self):
        self.sim.faults(R, [{"operation": LIST, "body": page([], "E%d" % i), "count": 1} for i in range(1100)])
        run = self.agent_.cli("reconcile", timeout=300)
        self.assertEqual(run.returncode, 3)
        self.assertIn("no end", run.stderr)
        self.assertLessEqual(self.calls(), 1002)
        self.still_there()

    def test_a_scan_that_starts_anew_forgets_what_it_had_read(self):
        gone = ["gone%d@example.com" % i for i in range(5)]
        # The first pages had entries that are not in the list any more when the token is refused.
        self.answers(page(gone + self.KNOWN[:10], "A"), page(self.KNOWN[10:20], "B"))
        report = self.reconcile(self.agent_, status=0)  # the simulator does not know "B"
        self.assertEqual(report["counts"]["scanned"], len(self.KNOWN))
        self.assertEqual((report["counts"]["extra"], report["counts"]["removed"]), (0, 0))
        self.assertEqual(self.agent_.verdict(gone[0]), "allow")

    def test_tokens_that_are_never_any_good(self):
        self.sim.faults(R, [{"operation": LIST, "body": page(self.KNOWN, "A%d" % i), "count": 1}
                            if i % 2 == 0 else
                            {"operation": LIST, "code": "InvalidNextTokenException", "status": 400, "count": 1}
                            for i in range(40)])
        run = self.agent_.cli("reconcile", timeout=120)
        self.assertEqual(run.returncode, 3)
        self.assertIn("tokens", run.stderr)
        self.assertLessEqual(self.calls(), 20)
        self.still_there()

    def test_a_crash_in_the_middle_reads_the_rest_once(self):
        more = ["more%04d@example.com" % i for i in range(3000)]
        self.seed(self.sim, more)
        self.sim.faults(R, [{"operation": LIST, "delay_ms": 1, "count": 2},
                            {"operation": LIST, "delay_ms": 60000, "count": 1}])
        thread = threading.Thread(target=lambda: self.agent_.cli("reconcile", timeout=120))
        thread.start()
        harness.wait_for(lambda: self.calls() >= 3, "a page that hangs")
        self.agent_.kill()
        thread.join()
        self.sim.control("DELETE", R, "faults")
        for address in more[:10]:
            self.sim.client("sesv2", R).delete_suppressed_destination(EmailAddress=address)
        self.sim.control("DELETE", R, "calls")
        self.agent_.start()
        harness.wait_for(lambda: self.agent_.verdict(more[-1]) == "block", "the rest", timeout=60)
        self.assertIn("goes on where it was cut off", self.agent_.log())
        self.assertLessEqual(self.calls(), 3)
        report = self.reconcile(self.agent_)
        self.assertEqual(report["counts"]["scanned"], len(self.KNOWN) + len(more) - 10)


if __name__ == "__main__":
    harness.main_parallel()
