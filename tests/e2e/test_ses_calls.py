"""Calls to SES: a stop cuts them off, reports count them, a budget holds them, evidence is asked for."""

import os
import subprocess
import time
import unittest

import harness
from test_reconcile import R, Case, delete, put

MANY = ["i%03d@example.com" % i for i in range(60)]
# The agent ends in about one; a loaded machine adds to that. Uninterrupted, the calls take a minute.
SECONDS = 8 if "asan" in harness.BIN or "tsan" in harness.BIN else 5


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


OPERATIONS = {
    "list": "ListSuppressedDestinations", "get": "GetSuppressedDestination", "put": "PutSuppressedDestination",
    "delete": "DeleteSuppressedDestination", "import": "CreateImportJob", "import_status": "GetImportJob",
    "import_list": "ListImportJobs", "s3_put": "PutObject", "s3_get": "GetObject", "s3_delete": "DeleteObject",
    "account": "GetAccount",
}


class Counts(Case):
    def vanish(self, sim, agent, addresses):
        """They are put, found, gone, and found to be gone once; the next run puts them back."""
        run = agent.cli("suppress", "-", "--reason", "bounce", "--note", "n", input="\n".join(addresses), timeout=300)
        self.assertEqual(run.returncode, 0, run.stderr)
        harness.wait_for(lambda: agent.status()["outbox"]["pending"] == 0, "the outbox", timeout=60)
        self.assertEqual(self.reconcile(agent, status=0)["api_calls"]["put"], 0, "those were not for the run")
        sim.control("DELETE", R, "suppression")
        self.reconcile(agent, status=1)
        newest = lambda: agent.request("GET", "/v1/reports").json()["reports"][0]
        harness.wait_for(lambda: newest()["counts"]["reported"] == len(addresses), "the second scan")
        checked = lambda: agent.status()["coverage"]["checked"]
        before = checked()
        agent.stop()
        agent.config["ses"]["on_external_removal"] = "restore"
        agent.start()
        harness.wait_for(lambda: checked() != before, "the audit of coverage at the start")
        sim.control("DELETE", R, "calls")

    def compare(self, sim, report):
        calls = sim.calls(R)
        self.assertEqual({name: report["api_calls"][name] for name in OPERATIONS},
                         {name: calls.get(operation, 0) for name, operation in OPERATIONS.items()})
        return report["api_calls"]

    def one(self, *arguments, **ses):
        return super().one(*arguments, **{"fuse": {"percent": 100, "count": 1000}, "on_external_removal": "report", **ses})

    def test_puts_with_throttles_and_retries(self):
        sim, agent = self.one()
        self.vanish(sim, agent, MANY[:9])
        sim.faults(R, [{"operation": "PutSuppressedDestination", "throttle": True, "count": 2},
                       {"operation": "PutSuppressedDestination", "status": 500, "count": 1}])
        report = self.reconcile(agent, status=0)
        self.assertEqual(report["counts"]["restored"], 9)
        calls = self.compare(sim, report)
        self.assertEqual((calls["put"], calls["throttled"], calls["retried"]), (12, 2, 3))
        text = agent.cli("report").stdout
        self.assertIn("12 put", text)
        self.assertIn("3 retried", text)
        self.assertIn("put,,,,,,,12\r\n", agent.cli("report", "--format", "csv").stdout.replace("\n", "\r\n"))
        page = agent.cli("report", "--format", "html").stdout
        self.assertRegex(page, "put</th><td[^>]*>12<")
        metrics = agent.request("GET", "/metrics").body.decode()
        self.assertIn('supsync_ses_calls_total{operation="put"} 12', metrics)

    def test_import_jobs(self):
        sim, agent = self.one(max_rps=50, **{"import": {"bucket": "supsync-" + R, "threshold": 20}})
        self.vanish(sim, agent, MANY)
        sim.control("PUT", R, "refusals", {"rows": MANY[-2:], "puts": []})
        report = self.reconcile(agent, status=0)
        self.assertEqual(set(sim.suppression(R)), set(MANY))
        calls = self.compare(sim, report)
        self.assertGreaterEqual(calls["put"], 2, "the rows that failed")
        self.assertEqual((calls["import"], calls["s3_put"], calls["s3_get"], calls["s3_delete"]), (1, 1, 1, 1))

    def test_a_scan_goes_on_counting_after_a_restart(self):
        sim, agent = self.one(max_rps=1)
        sim.control("PUT", R, "suppression", [{"EmailAddress": "s%05d@example.com" % i, "Reason": "BOUNCE"}
                                              for i in range(3500)])
        sim.control("DELETE", R, "calls")
        run = subprocess.Popen([harness.SUPSYNC, "reconcile"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=dict(os.environ, SUPSYNC_SOCKET=agent.socket))
        harness.wait_for(lambda: sim.calls(R).get("ListSuppressedDestinations", 0) >= 2, "two pages")
        agent.kill()
        run.wait()
        agent.start()
        harness.wait_for(lambda: agent.verdict("s03499@example.com") == "block", "the scan after the start")
        harness.wait_for(lambda: len(agent.request("GET", "/v1/reports").json()["reports"]) == 2, "its report")
        reports = agent.request("GET", "/v1/reports").json()["reports"]
        # The page under way at the kill was called, but never taken.
        self.assertIn(sim.calls(R)["ListSuppressedDestinations"] - reports[0]["api_calls"]["list"], (0, 1))
        self.assertEqual(reports[0]["counts"]["scanned"], 3500)


class Budget(Counts):
    # Not those of the counts again.
    test_puts_with_throttles_and_retries = test_import_jobs = test_a_scan_goes_on_counting_after_a_restart = None

    def spent(self, sim):
        return sum(n for operation, n in sim.calls(R).items()
                   if not any(other in operation for other in ("Object", "Message", "Queue")))

    def test_what_is_urgent_goes_before_and_all_ends_at_the_limit(self):
        sim, agent = self.one(max_calls_per_day=100)
        self.vanish(sim, agent, MANY[:45])  # 45 puts and at least three pages
        report = self.reconcile(agent, status=1)
        self.assertEqual(report["budget"], {"calls_per_day": 100, "used_up": True})
        counts = report["counts"]
        self.assertEqual(counts["pending"] + len(sim.suppression(R)), 45)
        self.assertGreater(counts["pending"], 0)
        pending = [d for d in report["differences"] if d["result"] == "pending"]
        self.assertTrue(all("used up" in d["error"] for d in pending), pending)
        self.assertIn("used up", agent.cli("report").stdout)
        self.assertGreater(report["next_run"][11:19], "00:00:00")
        self.assertLess(report["next_run"][11:19], "00:01:01", "the next day")
        # The last tenth: what somebody decides goes in front of all that waits.
        agent.cli("suppress", "urgent@example.com", "--reason", "bounce", "--note", "n")
        harness.wait_for(lambda: "urgent@example.com" in sim.suppression(R), "the urgent put")
        self.clear(agent, pending[0]["address"])
        harness.wait_for(lambda: sim.calls(R).get("DeleteSuppressedDestination"), "the urgent delete")
        status = agent.status()
        self.assertTrue(any("used up" in p for p in status["problems"]), status["problems"])
        self.assertEqual(status["api_calls"]["per_day"], 100)
        # A scan is not urgent.
        run = agent.cli("reconcile")
        self.assertEqual(run.returncode, 3, run.stdout)
        self.assertIn("max_calls_per_day", run.stdout + run.stderr)
        # And there is an end, over a restart, too.
        agent.stop()
        agent.start()
        agent.cli("suppress", *["more%d@example.com" % i for i in range(20)], "--reason", "bounce", "--note", "n")
        harness.wait_for(lambda: agent.status()["api_calls"]["used_today"] == 100, "the end of the budget")
        self.assertGreaterEqual(agent.status()["outbox"]["pending"], 10)
        self.assertIn("100 of 100", agent.cli("status").stdout)
        agent.stop()
        spent = self.spent(sim)
        agent.start()
        self.assertEqual(agent.status()["api_calls"]["used_today"], 100)
        agent.stop()
        self.assertEqual(self.spent(sim), spent)
        agent.config["ses"]["max_calls_per_day"] = 0
        agent.start()
        harness.wait_for(lambda: agent.status()["outbox"]["pending"] == 0, "the rest")
        self.assertEqual(self.reconcile(agent, status=0)["differences"], [])

    def test_a_plan_takes_the_days_that_the_budget_needs(self):
        sim, agent = self.one(mode="observe", max_calls_per_day=100, scan_interval="24h")
        many = ["p%03d@example.com" % i for i in range(500)]
        agent.cli("suppress", "-", "--reason", "bounce", "--note", "n", input="\n".join(many), timeout=300)
        estimate = self.reconcile(agent, "--dry-run", status=1)["estimate"]
        self.assertEqual(estimate["calls"], 500)
        days = estimate["seconds"] / 86400
        self.assertTrue(4 < days < 6, days)  # 90 a day, of which a scan takes one or two
        agent.stop()
        agent.config["ses"]["max_calls_per_day"] = 1000
        agent.start()
        self.assertLess(self.reconcile(agent, "--dry-run", status=1)["estimate"]["seconds"], 10)


class Evidence(Case):
    """Who added what was adopted: SES tells by the Attributes of an entry, one Get each."""

    def mail(self, sim, address):
        """SES adds the address to its list by itself, and nobody hears of it."""
        sim.client("sesv2", R).send_email(
            FromEmailAddress="shop@example.com", Destination={"ToAddresses": [address]},
            Content={"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "b"}}}})
        harness.wait_for(lambda: address in sim.suppression(R), "the entry")
        sim.client("sqs", R).purge_queue(QueueUrl=sim.queue_url(R))

    def register(self, agent, address):
        return agent.show(address)["registers"][0]

    def wait_for_cause(self, agent, address, cause):
        harness.wait_for(lambda: self.register(agent, address)["cause"] == cause, address + ": " + cause)

    def test_feedback_and_manual_additions_are_told_apart(self):
        sim, agent = self.one()
        agent.stop()
        self.mail(sim, "complaint.auto@example.com")
        self.mail(sim, "bounce.auto@example.com")
        put(sim, R, "by/hand@example.com", "COMPLAINT")
        agent.start()
        report = self.reconcile(agent, status=0)
        sources = {d["address"]: d["source"] for d in report["differences"]}
        self.assertEqual(sources, {"complaint.auto@example.com": "feedback", "bounce.auto@example.com": "feedback",
                                   "by/hand@example.com": "manual"})
        self.assertEqual((report["api_calls"]["get"], sim.calls(R)["GetSuppressedDestination"]), (3, 3))
        entry = sim.client("sesv2", R).get_suppressed_destination(EmailAddress="bounce.auto@example.com")
        attributes = entry["SuppressedDestination"]["Attributes"]
        register = self.register(agent, "bounce.auto@example.com")
        self.assertEqual(register["cause"], "adopted-feedback")
        self.assertEqual(register["evidence"]["feedback_id"], attributes["FeedbackId"])
        self.assertEqual(register["evidence"]["message_id"], attributes["MessageId"])
        self.assertEqual(self.register(agent, "by/hand@example.com")["cause"], "adopted-manual")
        shown = agent.cli("show", "bounce.auto@example.com").stdout
        self.assertIn(attributes["FeedbackId"], shown)
        # The trail has the adoption, which did not wait, and what became known of it.
        self.assertEqual([d["cause"] for d in agent.show("bounce.auto@example.com")["history"]],
                         ["adopted", "adopted-feedback"])
        again = self.reconcile(agent, status=0)
        self.assertEqual((again["differences"], again["api_calls"]["get"]), ([], 0))

    def test_the_adoption_waits_for_nothing_and_questions_outlive_a_kill(self):
        sim, agent = self.one()
        put(sim, R, "a@example.com")
        put(sim, R, "b@example.com")
        sim.control("DELETE", R, "calls")
        sim.faults(R, [{"operation": "GetSuppressedDestination", "delay_ms": 60000, "count": 1}])
        report = self.reconcile(agent, status=0)
        self.assertEqual([d["source"] for d in report["differences"]], [None, None])
        self.assertEqual(agent.verdict("a@example.com"), "block")
        self.assertEqual(sim.calls(R)["GetSuppressedDestination"], 1)
        agent.kill()
        agent.start()
        for address in ("a@example.com", "b@example.com"):
            self.wait_for_cause(agent, address, "adopted-manual")
        self.assertEqual(sim.calls(R)["GetSuppressedDestination"], 3)

    def test_a_question_is_cut_off_by_a_stop_and_asked_again(self):
        sim, agent = self.one()
        put(sim, R, "a@example.com")
        sim.control("DELETE", R, "calls")
        sim.faults(R, [{"operation": "GetSuppressedDestination", "delay_ms": 60000, "count": 1}])
        run = subprocess.Popen([harness.SUPSYNC, "reconcile"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=dict(os.environ, SUPSYNC_SOCKET=agent.socket))
        harness.wait_for(lambda: sim.calls(R).get("GetSuppressedDestination"), "the question")
        start = time.monotonic()
        self.assertEqual(agent.stop(), 0)
        self.assertLess(time.monotonic() - start, SECONDS)
        run.wait()
        agent.start()
        self.wait_for_cause(agent, "a@example.com", "adopted-manual")

    def test_entries_that_are_gone_or_new_again_keep_what_is_known(self):
        sim, agent = self.one()
        for name in ("gone", "anew", "cleared", "asked"):
            put(sim, R, name + "@example.com")
        sim.control("DELETE", R, "calls")
        sim.faults(R, [{"operation": "GetSuppressedDestination", "throttle": True, "count": 1000}])
        self.reconcile(agent, status=0)
        # The questions wait for the rate, while the world goes on.
        delete(sim, R, "gone@example.com")
        put(sim, R, "anew@example.com", "COMPLAINT")
        self.clear(agent, "cleared@example.com")
        sim.control("DELETE", R, "faults")
        self.wait_for_cause(agent, "asked@example.com", "adopted-manual")
        harness.wait_for(lambda: agent.status()["outbox"]["evidence"] == 0, "the questions")
        self.assertEqual(self.register(agent, "gone@example.com")["cause"], "adopted")
        self.assertEqual(self.register(agent, "anew@example.com")["cause"], "adopted")
        self.assertEqual(agent.verdict("cleared@example.com"), "allow")

    def test_urgent_writes_go_before_questions(self):
        sim, agent = self.one(max_rps=2)
        sim.control("PUT", R, "suppression", [{"EmailAddress": "q%04d@example.com" % i, "Reason": "BOUNCE"}
                                              for i in range(800)])
        self.reconcile(agent, status=0)
        harness.wait_for(lambda: agent.status()["outbox"]["evidence"] > 0, "the questions")
        start = time.monotonic()
        agent.cli("suppress", "urgent@example.com", "--reason", "bounce", "--note", "n")
        harness.wait_for(lambda: "urgent@example.com" in sim.suppression(R), "the put")
        self.assertLess(time.monotonic() - start, 10)
        self.assertGreater(agent.status()["outbox"]["evidence"], 700)

    def test_nothing_else_waits_where_asking_is_not_allowed(self):
        sim, agent = self.one()
        sim.faults(R, [{"operation": "GetSuppressedDestination", "code": "AccessDeniedException", "status": 403,
                        "count": 100}])
        put(sim, R, "a@example.com")
        self.reconcile(agent, status=0)
        agent.cli("suppress", "urgent@example.com", "--reason", "bounce", "--note", "n")
        harness.wait_for(lambda: "urgent@example.com" in sim.suppression(R), "the put")
        self.assertIn("allow ses:GetSuppressedDestination", agent.log())
        self.assertTrue(agent.status()["healthy"], agent.status()["problems"])
        self.assertLessEqual(sim.calls(R)["GetSuppressedDestination"], 3)


class Observe(Case):
    """It plans and reports as an agent that enforces does, and writes nothing to SES."""

    FILLER = ["keep%02d@example.com" % i for i in range(3)]

    def world(self, policy):
        """A Region with a set that is listed, of which one entry is taken away behind the agent's back. The
        reports of the scan that misses it and of the one that makes sure."""
        sim, agent = self.one(on_external_removal=policy)
        self.suppress(agent, sim, *self.FILLER, "gone@example.com")
        self.suppress(agent, sim, "up@example.com", reason="complaint")
        self.reconcile(agent, status=0)
        agent.stop()
        agent.config["ses"]["mode"] = "observe"
        agent.config["ses"]["absence_interval"] = "1s"
        agent.start()
        self.reconcile(agent, status=0)
        delete(sim, R, "gone@example.com")
        reports = [self.reconcile(agent, status=1)]
        newest = lambda: agent.request("GET", "/v1/reports").json()["reports"][0]
        harness.wait_for(lambda: newest()["counts"]["waiting"] == 0, "the second scan", timeout=30)
        reports.append(agent.request("GET", "/v1/reports/" + newest()["id"]).json())
        return sim, agent, reports

    def what(self, report):
        return sorted((d["address"], d["kind"], d["cause"], d["action"]) for d in report["differences"])

    def same(self, policy, action):
        sim, agent, observed = self.world(policy)
        # Word for word what test_reconcile.Removal expects of an agent that enforces.
        self.assertEqual([self.what(r) for r in observed], [[("gone@example.com", "removed", "gone-once", "wait")],
                                                           [("gone@example.com", "removed", "gone", action)]])
        self.assertNotIn("gone@example.com", sim.suppression(R))
        self.assertEqual([d["result"] for r in observed for d in r["differences"]],
                         ["none", "planned"])
        # It stays said, over a restart, too, until somebody lets the agent act.
        agent.stop()
        agent.start()
        again = self.reconcile(agent, status=1)
        self.assertEqual(self.what(again), self.what(observed[1]))
        self.assertEqual(agent.verdict("gone@example.com"), "block")
        self.assertEqual(sum(sim.calls(R).get(operation, 0) for operation in (
            "PutSuppressedDestination", "DeleteSuppressedDestination")), len(self.FILLER) + 2 + 1, "those of before, and the test's own delete")
        return sim, agent

    def test_absence_with_restore(self):
        sim, agent = self.same("restore", "put")
        agent.stop()
        agent.config["ses"]["mode"] = "enforce"
        agent.start()
        self.assertEqual(self.reconcile(agent, status=0)["counts"]["restored"], 1)
        self.assertIn("gone@example.com", sim.suppression(R))

    def test_absence_with_propagate(self):
        self.same("propagate", "adopt-removal")

    def test_what_is_found_is_planned_and_not_taken_over(self):
        sim, agent = self.one(mode="observe")
        put(sim, R, "Added@example.com")
        for _ in range(2):
            report = self.reconcile(agent, status=1)
            self.assertEqual(self.kinds(report), [("added@example.com", "extra", "added", "adopt-add", "planned")])
        self.assertEqual(agent.verdict("added@example.com"), "allow")
        self.assertEqual((report["mode"], report["converged"]), ("observe", False))
        self.assertEqual(sim.calls(R).get("GetSuppressedDestination", 0), 0)
        agent.cli("suppress", "wanted@example.com", "--reason", "bounce", "--note", "n")
        report = self.reconcile(agent, status=1)
        self.assertIn(("wanted@example.com", "missing", "never-listed", "put", "planned"), self.kinds(report))
        self.assertEqual(set(sim.suppression(R)), {"Added@example.com"})


if __name__ == "__main__":
    harness.main_parallel(jobs=8)
