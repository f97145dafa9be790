"""What happens to the lists of three Regions, each with its expected report: one agent a Region, the
simulator as SES and S3. Every scenario has a mesh of its own and ends with all Regions alike.

    SUPSYNC_LONG=1    as many addresses as the scenario is about (250 000), instead of a tenth
"""

import csv
import html.parser
import io
import json
import os
import signal
import subprocess
import time

import harness

EU, US, AP = REGIONS = ["eu-west-1", "us-east-1", "ap-northeast-1"]
LONG = bool(os.environ.get("SUPSYNC_LONG"))



class Mesh(harness.TestCase):
    def up(self, sim_arguments=(), wait=True, **ses):
        """self.agents, by Region; scans come on demand only. ses: for all, or {REGION: {…}} for one."""
        self.sim = self.simulator(REGIONS, list(sim_arguments))
        self.agents = dict(zip(REGIONS, self.mesh(REGIONS, self.sim)))
        for region, agent in self.agents.items():
            settings = {k: v for k, v in ses.items() if k not in REGIONS}
            agent.config["ses"].update({"scan_interval": "6h", "absence_interval": "1s"})
            agent.config["ses"].update(settings)
            agent.config["ses"].update(ses.get(region, {}))
            agent.start(wait=False)
        for agent in self.agents.values():
            agent.wait_ready()
        for agent in self.agents.values():  # what a killed one would hold up for mesh.join_wait
            agent.wait_answers()
        if wait:
            self.level()
            for region in REGIONS:
                self.reconcile(region, status=0)

    def importing(self, sim_arguments=(), threshold=20, **ses):
        for region in REGIONS:
            bucket = {"import": {"bucket": "supsync-" + region, "threshold": threshold}}
            ses[region] = {**bucket, **ses.get(region, {})}
        self.up(sim_arguments, **ses)

    # --- asking and doing ---

    def reconcile(self, region, *arguments, status=None):
        run = self.agents[region].cli("reconcile", "--output", "json", *arguments, timeout=900)
        if status is not None:
            self.assertEqual(run.returncode, status, run.stdout[:4000] + run.stderr)
        return json.loads(run.stdout)

    def next_run(self, region, count):
        """The report of the first run that counts something of that: the one that comes by itself when
        somebody is gone for the first time."""
        def newest():
            reports = self.agents[region].request("GET", "/v1/reports").json()["reports"]
            return [r["id"] for r in reports if r["finished"] and r["counts"][count] > 0]
        ids = harness.wait_for(newest, "a run with " + count)
        return self.agents[region].request("GET", "/v1/reports/" + ids[-1]).json()

    def suppress(self, region, *addresses, reason="bounce"):
        self.decide(region, ["suppress", "-", "--reason", reason, "--note", "n"], addresses)

    def clear(self, region, *addresses, force=False):
        self.decide(region, ["clear", "-", "--note", "n"] + ["--force"] * force, addresses)

    def decide(self, region, command, addresses):
        run = self.agents[region].cli(*command, input="\n".join(addresses), timeout=600)
        self.assertEqual(run.returncode, 0, run.stderr)

    def put(self, region, address, reason="BOUNCE"):
        self.sim.client("sesv2", region).put_suppressed_destination(EmailAddress=address, Reason=reason)

    def delete(self, region, address):
        self.sim.client("sesv2", region).delete_suppressed_destination(EmailAddress=address)

    def seed(self, region, addresses):
        for at in range(0, len(addresses), 20000):
            self.sim.control("PUT", region, "suppression", [
                {"EmailAddress": a, "Reason": "BOUNCE"} for a in addresses[at:at + 20000]
            ])

    def jobs(self, region):
        client = self.sim.client("sesv2", region)
        return [client.get_import_job(JobId=j["JobId"]) for j in client.list_import_jobs()["ImportJobs"]]

    def actions(self, region):
        return sorted(
            j["ImportDestination"]["SuppressionListDestination"]["SuppressionListImportAction"]
            for j in self.jobs(region)
        )

    # --- waiting ---

    def level(self, timeout=60):
        """Every agent has what the others have, and nothing waits to be written."""
        for region, agent in self.agents.items():
            harness.wait_for(lambda a=agent: a.status()["converged"], region + " to be level", timeout=timeout,
                             every=0.05)

    def lists(self, expected, timeout=60, regions=REGIONS):
        """expected: {spelling in lower case: reason}, in every Region."""
        for region in regions:
            harness.wait_for(
                lambda r=region: {a.lower(): e["Reason"] for a, e in self.sim.suppression(r).items()} == expected,
                "the list of %s" % region, timeout=timeout, every=0.05 if len(expected) < 1000 else 1,
            )

    def after_interval(self):
        """Absence counts between scans that began absence_interval (1 s) apart."""
        start = time.monotonic()
        harness.wait_for(lambda: time.monotonic() - start > 1.1, "the absence interval")

    # --- reports ---

    def expect(self, report, differences=(), converged=True, **counts):
        """The whole report: all counts that are not named are 0, or follow from the list."""
        listed = len(self.sim.suppression(report["region"]))
        found = {k: v for k, v in report["counts"].items() if v != 0}
        wanted = {"scanned": listed, "suppressed": listed, "matched": listed}
        wanted.update(counts)
        self.assertEqual(found, {k: v for k, v in wanted.items() if v != 0})
        self.assertEqual(
            sorted((d["address"], d["kind"], d["cause"], d["action"], d["result"]) for d in report["differences"]),
            sorted(differences),
        )
        self.assertEqual((report["converged"], report["error"], report["mode"]), (converged, None, "enforce"))

    def expect_quiet(self, *regions):
        """In these Regions (all) there is nothing to do, and the reports say so."""
        for region in regions or REGIONS:
            self.expect(self.reconcile(region, status=0))


class People(Mesh):
    def test_console_add_in_one_region(self):
        self.up()
        self.put(US, "Console.Add@Example.com")
        before = self.sim.suppression(US)
        self.expect(self.reconcile(US, status=0), [
            ("console.add@example.com", "extra", "added", "adopt-add", "done"),
        ], scanned=1, extra=1, adopted=1, suppressed=0, matched=0)
        self.lists({"console.add@example.com": "BOUNCE"})
        self.assertEqual(self.sim.suppression(US), before)  # a put would renew its time
        self.level()
        self.expect_quiet()
        register = self.agents[AP].show("console.add@example.com")["registers"][0]
        self.assertEqual(register["class"], "bounce")
        self.assertIn(register["cause"], ("adopted", "adopted-manual"))

    FILLER = ["keep%02d@example.com" % i for i in range(30)]

    def gone_from_us(self, policy):
        self.up(on_external_removal=policy)
        self.suppress(EU, "gone@example.com", *self.FILLER)
        everybody = {a: "BOUNCE" for a in ["gone@example.com"] + self.FILLER}
        self.lists(everybody)
        self.level()
        self.expect_quiet(US)
        self.delete(US, "gone@example.com")
        self.expect(self.reconcile(US, status=1), [
            ("gone@example.com", "removed", "gone-once", "wait", "none"),
        ], converged=False, scanned=30, matched=30, suppressed=31, removed=1, waiting=1)
        return everybody

    def test_console_delete_is_restored(self):
        everybody = self.gone_from_us("restore")
        self.expect(self.next_run(US, "restored"), [
            ("gone@example.com", "removed", "gone", "put", "done"),
        ], scanned=30, matched=30, suppressed=31, removed=1, restored=1, puts=1)
        self.lists(everybody)
        self.expect_quiet()
        self.assertEqual(self.agents[AP].verdict("gone@example.com"), "block")

    def test_console_delete_is_propagated(self):
        everybody = self.gone_from_us("propagate")
        self.expect(self.next_run(US, "adopted_removals"), [
            ("gone@example.com", "removed", "gone", "adopt-removal", "done"),
        ], scanned=30, matched=30, suppressed=31, removed=1, adopted_removals=1)
        del everybody["gone@example.com"]
        self.lists(everybody)
        self.level()
        self.expect_quiet()
        self.assertEqual(self.agents[AP].verdict("gone@example.com"), "allow")

    def test_console_delete_is_reported(self):
        everybody = self.gone_from_us("report")
        self.next_run(US, "reported")
        for _ in range(2):
            self.expect(self.reconcile(US, status=1), [
                ("gone@example.com", "removed", "gone", "report", "none"),
            ], converged=False, scanned=30, matched=30, suppressed=31, removed=1, reported=1)
        self.lists(everybody, regions=[EU, AP])
        self.assertNotIn("gone@example.com", self.sim.suppression(US))
        self.assertEqual(self.agents[US].verdict("gone@example.com"), "block")
        self.expect_quiet(EU, AP)

    def test_mixed_case_twins(self):
        self.up()
        for spelling in ("Twin@example.com", "twin@example.com", "TWIN@example.com"):
            self.put(US, spelling)
        self.put(EU, "tWin@example.com")
        self.expect(self.reconcile(US, status=0), [
            ("twin@example.com", "extra", "added", "adopt-add", "done"),
        ] * 3 + [
            ("twin@example.com", "twin", "spellings", "none", "none"),
        ], scanned=3, extra=3, twins=1, adopted=3, suppressed=0, matched=0)
        self.level()
        self.lists({"twin@example.com": "BOUNCE"})
        self.expect(self.reconcile(US, status=0), [
            ("twin@example.com", "twin", "spellings", "none", "none"),
        ], twins=1, suppressed=1, matched=1)
        self.reconcile(EU)
        self.level()
        self.clear(AP, "twin@example.com")
        self.lists({})
        self.level()
        self.expect_quiet()

    def test_reasons_that_conflict(self):
        self.up()
        self.put(EU, "conflict@example.com", "BOUNCE")
        self.put(US, "conflict@example.com", "COMPLAINT")
        self.suppress(AP, "up@example.com", reason="complaint")
        self.lists({"up@example.com": "COMPLAINT"}, regions=[AP])
        harness.wait_for(lambda: "up@example.com" in self.sim.suppression(EU), "the put")
        self.level()
        self.put(EU, "up@example.com", "BOUNCE")  # our complaint must outrank it
        self.expect(self.reconcile(US, status=0), [
            ("conflict@example.com", "extra", "added", "adopt-add", "done"),
        ], scanned=2, suppressed=1, matched=1, extra=1, adopted=1)
        harness.wait_for(lambda: self.agents[EU].check("conflict@example.com")["reason"] == "COMPLAINT", "the complaint")
        report = self.reconcile(EU)
        self.assertIn(("up@example.com", "reason", "complaint-outranks", "put", "done"), [
            (d["address"], d["kind"], d["cause"], d["action"], d["result"]) for d in report["differences"]
        ])
        self.lists({"conflict@example.com": "COMPLAINT", "up@example.com": "COMPLAINT"})
        self.level()
        self.expect_quiet()

    def test_our_put_and_a_clear_elsewhere_meanwhile(self):
        """The put takes effect, and renews the entry's time, after the clear was decided."""
        self.up()
        self.sim.faults(US, [{"operation": "PutSuppressedDestination", "delay_ms": 2000}])
        self.suppress(EU, "between@example.com")
        harness.wait_for(lambda: self.sim.calls(US).get("PutSuppressedDestination"), "the put under way")
        self.clear(AP, "between@example.com")
        self.sim.faults(US, [{"operation": "DeleteSuppressedDestination", "status": 500, "count": 5}])
        harness.wait_for(lambda: "between@example.com" in self.sim.suppression(US), "the late put")
        report = self.reconcile(US)
        self.assertEqual(report["counts"]["adopted"], 0)
        for agent in self.agents.values():
            self.assertEqual(agent.verdict("between@example.com"), "allow")
        self.sim.control("DELETE", US, "faults")
        self.lists({}, timeout=90)
        self.level()
        self.expect_quiet()
        for agent in self.agents.values():
            self.assertEqual(agent.verdict("between@example.com"), "allow")


class Ses(Mesh):
    def test_ses_adds_by_itself_and_the_event_is_lost(self):
        self.up()
        self.agents[AP].stop()
        self.sim.client("sesv2", AP).send_email(
            FromEmailAddress="shop@example.com",
            Destination={"ToAddresses": ["complaint.Auto@example.com"]},
            Content={"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "b"}}}},
        )
        harness.wait_for(lambda: "complaint.Auto@example.com" in self.sim.suppression(AP), "the entry")
        self.sim.client("sqs", AP).purge_queue(QueueUrl=self.sim.queue_url(AP))
        self.agents[AP].start()
        report = self.reconcile(AP, status=0)
        self.expect(report, [
            ("complaint.auto@example.com", "extra", "added", "adopt-add", "done"),
        ], scanned=1, extra=1, adopted=1, suppressed=0, matched=0)
        self.lists({"complaint.auto@example.com": "COMPLAINT"})
        self.level()
        self.assertEqual(self.agents[EU].check("complaint.auto@example.com")["reason"], "COMPLAINT")
        self.expect_quiet()

    def purge(self, policy):
        self.up(on_external_removal=policy)
        everybody = {a: "BOUNCE" for a in People.FILLER}
        self.suppress(EU, *everybody)
        self.lists(everybody)
        self.level()
        self.expect_quiet(US)
        self.sim.control("DELETE", US, "suppression")
        self.reconcile(US, status=1)
        self.after_interval()
        report = self.reconcile(US, status=1)
        self.expect(report, [
            (a, "removed", "gone", "adopt-removal" if policy == "propagate" else "put", "withheld") for a in everybody
        ], converged=False, suppressed=30, removed=30, withheld=30)
        self.assertEqual(report["fuse"], "tripped")
        self.assertFalse(self.agents[US].status()["healthy"])
        self.lists(everybody, regions=[EU, AP])
        self.assertEqual(self.sim.suppression(US), {})
        self.expect_quiet(EU, AP)
        return everybody

    def test_a_purge_is_put_back_when_confirmed(self):
        everybody = self.purge("restore")
        self.assertEqual(self.agents[US].cli("fuse", "confirm").returncode, 0)
        self.reconcile(US, status=0)
        self.lists(everybody)
        self.level()
        self.expect_quiet()

    def test_a_purge_that_would_spread_is_put_back_when_declined(self):
        everybody = self.purge("propagate")
        self.assertEqual(self.agents[US].cli("fuse", "decline").returncode, 0)
        self.reconcile(US, status=0)
        self.lists(everybody)
        self.level()
        self.expect_quiet()
        self.assertEqual(self.agents[AP].verdict(People.FILLER[0]), "block")

    def test_a_storm_of_429(self):
        self.up()
        self.sim.control("POST", US, "rate", {"rps": 3})
        many = {"storm%03d@example.com" % i: "BOUNCE" for i in range(40)}
        self.sim.faults(US, [{"operation": "PutSuppressedDestination", "throttle": True, "count": 6},
                             {"operation": "ListSuppressedDestinations", "throttle": True, "count": 3}])
        self.suppress(EU, *many)
        report = self.reconcile(US)
        self.assertGreaterEqual(report["api_calls"]["throttled"], 3)
        self.lists(many, timeout=120)
        self.sim.control("POST", US, "rate", {"rps": 0})
        self.level()
        self.assertGreaterEqual(self.agents[US].status()["outbox"]["throttles"], 6)
        self.expect_quiet()

    def test_errors_resets_and_lies(self):
        self.up()
        many = {"trouble%03d@example.com" % i: "BOUNCE" for i in range(12)}
        kinds = [{"status": 500}, {"reset": True}, {"reset": True, "after": True}, {"truncate": True},
                 {"invalid_json": True}, {"body": "[]"}, {"body": "null"}, {"status": 503, "after": True}]
        operations = ("PutSuppressedDestination", "ListSuppressedDestinations", "DeleteSuppressedDestination")
        self.sim.faults(US, [{"operation": o, **k} for k in kinds for o in operations] + [
            # An empty object is no empty list, and a list of something else neither.
            {"operation": "ListSuppressedDestinations", "body": "{}"},
            {"operation": "ListSuppressedDestinations", "body": '{"SuppressedDestinationSummaries":{}}'},
            {"operation": "ListSuppressedDestinations",
             "body": '{"SuppressedDestinationSummaries":[{"EmailAddress":7,"Reason":"BOUNCE","LastUpdateTime":1}]}'},
        ])
        self.suppress(EU, *many)
        self.lists(many, timeout=120)
        for _ in range(8):  # a run gives up after some failures in a row, and says so
            report = self.reconcile(US)
            self.assertEqual(report["counts"]["removed"] + report["counts"]["adopted"], 0)
            if not report["error"]:
                break
        self.assertIsNone(report["error"])
        self.clear(AP, *many)
        self.lists({}, timeout=120)
        self.level(timeout=120)
        self.expect_quiet()

    def test_shutdown_in_a_scan(self):
        self.up(max_rps=1)
        self.seed(US, ["s%06d@example.com" % i for i in range(4500)])
        self.sim.control("DELETE", US, "calls")
        pages = lambda: self.sim.calls(US).get("ListSuppressedDestinations", 0)
        run = subprocess.Popen([harness.SUPSYNC, "reconcile"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=dict(os.environ, SUPSYNC_SOCKET=self.agents[US].socket))
        harness.wait_for(lambda: pages() >= 2, "two pages")
        self.sim.faults(US, [{"operation": "ListSuppressedDestinations", "delay_ms": 20000}])
        harness.wait_for(lambda: pages() >= 3, "a page that hangs")
        start = time.monotonic()
        self.assertEqual(self.agents[US].stop(), 0)
        self.assertLess(time.monotonic() - start, 5 if "asan" in harness.BIN or "tsan" in harness.BIN else 2)
        self.assertEqual(run.wait(), 3)
        self.sim.control("DELETE", US, "calls")
        self.agents[US].start()
        harness.wait_for(lambda: self.agents[AP].verdict("s004499@example.com") == "block", "the rest", timeout=60)
        self.assertIn("goes on where it was cut off", self.agents[US].log())
        self.assertLessEqual(pages(), 4)


class Bulk(Mesh):
    def test_many_into_an_empty_region_at_one_request_a_second(self):
        n = 250000 if LONG else 25000
        jobs = 3 if LONG else 1
        self.importing(max_rps=1, wait=False, **{
            US: {"mode": "observe", "max_rps": 1, "import": {"bucket": "supsync-" + US, "threshold": 120}},
            AP: {"mode": "observe"}, EU: {"max_rps": 200}})
        many = ["many%06d@example.com" % i for i in range(n)]
        self.seed(EU, many)
        self.reconcile(EU, status=0)
        harness.wait_for(lambda: self.agents[US].status()["peers"][0]["lag_mutations"] == 0
                         and self.agents[US].verdict(many[-1]) == "block", "the decisions", timeout=300, every=0.5)
        plan = self.reconcile(US, "--dry-run", status=1)
        self.assertEqual(plan["counts"]["puts"], n)
        self.assertEqual(plan["estimate"]["import_jobs"], jobs)
        self.assertLess(plan["estimate"]["calls"], 100)
        self.assertGreater(plan["estimate"]["seconds"], 0)
        self.assertLess(plan["estimate"]["seconds"], 600)  # one by one it would be hours
        text = self.agents[US].cli("reconcile", "--dry-run", timeout=300).stdout
        self.assertIn("%d import jobs" % jobs, text)
        self.assertEqual(self.sim.suppression(US), {})
        self.agents[US].stop()
        self.agents[US].config["ses"]["mode"] = "enforce"
        self.agents[US].start()
        start = time.monotonic()
        self.lists({a: "BOUNCE" for a in many}, regions=[US], timeout=900)
        took = time.monotonic() - start
        harness.wait_for(lambda: self.agents[US].status()["outbox"]["pending"] == 0, "the outbox", timeout=300)
        self.assertLess(took, max(60, 2 * plan["estimate"]["seconds"]))
        self.assertEqual(self.actions(US), ["PUT"] * jobs)
        self.assertLess(self.sim.calls(US).get("PutSuppressedDestination", 0), 200)
        # A scan at one page a second would show the same, much later.
        self.agents[US].stop()
        self.agents[US].config["ses"]["max_rps"] = 200
        self.agents[US].start()
        self.expect(self.reconcile(US, status=0))
        print("%d entries: planned %s s, took %.0f s" % (n, plan["estimate"]["seconds"], took))

    def test_many_deletions(self):
        n = 12000
        self.importing(wait=False, **{EU: {"mode": "observe"}, AP: {"mode": "observe"}, US: {"max_rps": 1}})
        many = ["del%05d@example.com" % i for i in range(n)]
        self.seed(US, many)
        self.reconcile(US, status=0)
        self.clear(EU, *many)
        self.lists({}, regions=[US], timeout=300)
        harness.wait_for(lambda: self.agents[US].status()["outbox"]["pending"] == 0, "the outbox", timeout=300)
        self.assertEqual(set(self.actions(US)), {"DELETE"})
        rows = [j["ProcessedRecordsCount"] for j in self.jobs(US)]
        self.assertGreaterEqual(len(rows), 2)
        self.assertLessEqual(max(rows), 10000)  # SES takes no more in a job
        self.assertLess(self.sim.calls(US).get("DeleteSuppressedDestination", 0), 400)
        self.expect(self.reconcile(US, status=0))

    def test_a_slash(self):
        self.importing()
        self.suppress(EU, "a/b@example.com", "c@example.com")
        self.lists({"a/b@example.com": "BOUNCE", "c@example.com": "BOUNCE"})
        self.clear(AP, "a/b@example.com")
        self.lists({"c@example.com": "BOUNCE"})
        self.level()
        for region in REGIONS:
            self.assertEqual(self.actions(region), ["DELETE"])
            self.assertTrue(self.agents[region].status()["healthy"], self.agents[region].status()["problems"])
        self.expect_quiet()

    def test_rows_that_fail(self):
        self.importing(max_rps=1, **{EU: {"max_rps": 200, "import": {"bucket": "supsync-" + EU, "threshold": 100000}},
                                     AP: {"max_rps": 200, "import": {"bucket": "supsync-" + AP, "threshold": 100000}}})
        many = ["row%03d@example.com" % i for i in range(60)]
        singly, never = many[57], many[58]
        self.sim.control("PUT", US, "refusals", {"rows": [singly, never], "puts": [never]})
        self.suppress(EU, *many)
        listed = {a: "BOUNCE" for a in many if a != never}
        self.lists(listed, regions=[US], timeout=90)
        job = self.jobs(US)[0]
        self.assertEqual(job["FailedRecordsCount"], 2)
        harness.wait_for(lambda: self.agents[US].status()["outbox"]["pending"] == 1, "the one that nothing helps")
        report = self.reconcile(US, status=1)
        self.assertEqual(report["counts"]["failed"], 1)
        self.assertEqual([(d["address"], d["result"]) for d in report["differences"]], [(never, "failed")])
        self.assertIn("nvalid", report["differences"][0]["error"])
        self.assertFalse(self.agents[US].status()["healthy"])
        self.sim.control("PUT", US, "refusals", {})


class Crash(Mesh):
    MANY = ["k%03d@example.com" % i for i in range(60)]

    def killed(self, operation, fault, happened):
        """US is killed when operation took effect at the other end, and its answer is withheld; what it
        would do next never began."""
        self.importing(max_rps=1, **{EU: {"mode": "observe", "max_rps": 200}, AP: {"mode": "observe", "max_rps": 200}},
                       wait=False)
        self.sim.faults(US, [{"operation": operation, "delay_ms": 60000, **fault}])
        self.suppress(EU, *self.MANY)
        harness.wait_for(happened, operation)
        self.agents[US].kill()
        self.sim.control("DELETE", US, "faults")

    def recovered(self):
        """Nothing was done twice, and nothing that was ours was taken for somebody's."""
        self.agents[US].start()
        self.lists({a: "BOUNCE" for a in self.MANY}, regions=[US])
        harness.wait_for(lambda: self.agents[US].status()["outbox"]["pending"] == 0, "the outbox")
        urls = [j["ImportDataSource"]["S3Url"] for j in self.jobs(US)]
        self.assertEqual(len(urls), len(set(urls)), "no object is imported twice")
        self.expect(self.reconcile(US, status=0))
        for address in (self.MANY[0], self.MANY[-1]):
            register = self.agents[US].show(address)["registers"][0]
            self.assertEqual(register["cause"], "operator")
        return urls

    def objects(self):
        return self.sim.client("s3", US).list_objects_v2(Bucket="supsync-" + US).get("KeyCount", 0)

    def test_between_s3_put_and_job_creation(self):
        self.killed("PutObject", {"after": True}, lambda: self.objects() == 1)
        self.assertEqual(self.jobs(US), [])
        self.assertEqual(len(self.recovered()), 1)

    def test_between_job_creation_and_its_recording(self):
        self.killed("CreateImportJob", {"after": True}, lambda: len(self.jobs(US)) == 1)
        self.assertEqual(len(self.recovered()), 1)

    def test_between_put_and_ledger(self):
        self.up(**{EU: {"mode": "observe"}, AP: {"mode": "observe"}}, wait=False)
        self.sim.faults(US, [{"operation": "PutSuppressedDestination", "delay_ms": 60000, "after": True}])
        self.suppress(EU, "ledger@example.com")
        harness.wait_for(lambda: "ledger@example.com" in self.sim.suppression(US), "the put")
        self.agents[US].kill()
        # While it is down somebody clears the address, at a time before the entry's.
        self.clear(EU, "ledger@example.com")
        self.sim.faults(US, [{"operation": "DeleteSuppressedDestination", "status": 500, "count": 4}])
        self.agents[US].start()
        harness.wait_for(lambda: self.agents[US].verdict("ledger@example.com") == "allow", "the clear")
        report = self.reconcile(US)
        self.assertEqual(report["counts"]["adopted"], 0)
        self.sim.control("DELETE", US, "faults")
        self.lists({}, regions=[US], timeout=90)
        self.expect(self.reconcile(US, status=0))
        for agent in self.agents.values():
            self.assertEqual(agent.verdict("ledger@example.com"), "allow")

    def test_between_put_and_ledger_and_nothing_else_happened(self):
        self.up(**{EU: {"mode": "observe"}, AP: {"mode": "observe"}}, wait=False)
        self.sim.faults(US, [{"operation": "PutSuppressedDestination", "delay_ms": 60000, "after": True}])
        self.suppress(EU, "ledger@example.com")
        harness.wait_for(lambda: "ledger@example.com" in self.sim.suppression(US), "the put")
        self.agents[US].kill()
        self.sim.control("DELETE", US, "faults")
        self.agents[US].start()
        harness.wait_for(lambda: self.agents[US].status()["outbox"]["pending"] == 0, "the outbox")
        self.expect(self.reconcile(US, status=0))
        register = self.agents[US].show("ledger@example.com")["registers"][0]
        self.assertEqual(register["cause"], "operator")


class Reports(Mesh):
    def strip(self, value):
        """Without what may differ between reports of the same world: times, and the id."""
        if isinstance(value, dict):
            times = ("id", "started", "finished", "next_run", "finish", "asked", "heard", "oldest_scan", "checked")
            return {k: self.strip(v) for k, v in value.items() if k not in times}
        if isinstance(value, list):
            return [self.strip(v) for v in value]
        return value

    def mesh_report(self, region, form="json"):
        run = self.agents[region].cli("report", "--all-regions", "--format", form)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout) if form == "json" else run.stdout

    def test_an_unchanged_world(self):
        self.up()
        self.suppress(EU, *["w%d@example.com" % i for i in range(20)])
        self.lists({"w%d@example.com" % i: "BOUNCE" for i in range(20)})
        self.level()
        for odd in ("Twin@example.com", "twin@example.com", "not an address@@x"):
            self.sim.control("PUT", US, "suppression", [{"EmailAddress": odd, "Reason": "BOUNCE"}])
        self.reconcile(US)
        self.level()
        for region in REGIONS:
            self.reconcile(region, status=0)
        for region in REGIONS:
            first, second = self.reconcile(region, status=0), self.reconcile(region, status=0)
            self.assertNotEqual(first["id"], second["id"])
            self.assertEqual(self.strip(first), self.strip(second))
        self.assertEqual(self.strip(self.mesh_report(EU)), self.strip(self.mesh_report(EU)))

    def test_all_regions(self):
        self.up()
        self.suppress(EU, "a@example.com")
        self.lists({"a@example.com": "BOUNCE"})
        self.level()
        runs = {region: self.reconcile(region, status=0) for region in REGIONS}
        report = self.mesh_report(US)
        self.assertEqual((report["node"], report["converged"], report["unknown"], report["pending"]), (US, True, 0, 0))
        self.assertEqual(report["oldest_scan"], runs[EU]["finished"])
        self.assertEqual({r["region"]: r["state"] for r in report["regions"]}, {r: "converged" for r in REGIONS})
        for r in report["regions"]:
            differences = runs[r["region"]].pop("differences")
            self.assertEqual((differences, r["last_run"]), ([], runs[r["region"]]))
        # What one Region cannot write is seen from every other.
        self.sim.faults(AP, [{"operation": "PutSuppressedDestination", "status": 500, "count": 1000}])
        self.suppress(EU, "b@example.com", "c@example.com")
        self.lists({a + "@example.com": "BOUNCE" for a in "abc"}, regions=[EU, US])
        harness.wait_for(lambda: self.mesh_report(US)["pending"] == 2, "the pending entries")
        report = self.mesh_report(US)
        states = {r["region"]: (r["state"], r["outbox"]["pending"]) for r in report["regions"]}
        self.assertEqual(states[AP], ("not converged", 2))
        self.assertFalse(report["converged"])
        self.sim.control("DELETE", AP, "faults")
        # One that is stopped, and one that does not answer, are unknown, with what they last said.
        self.agents[EU].stop()
        self.agents[AP].process.send_signal(signal.SIGSTOP)
        try:
            report = self.mesh_report(US)
            text, page = self.mesh_report(US, "text"), self.mesh_report(US, "html")
            rows = list(csv.DictReader(io.StringIO(self.mesh_report(US, "csv"))))
        finally:
            self.agents[AP].process.send_signal(signal.SIGCONT)
        states = {r["region"]: r for r in report["regions"]}
        self.assertEqual({r: v["state"] for r, v in states.items()},
                         {EU: "unknown", AP: "unknown", US: "not converged"})
        self.assertEqual((report["converged"], report["unknown"]), (False, 2))
        for region in (EU, AP):
            self.assertIsNotNone(states[region]["error"])
            self.assertIsNotNone(states[region]["heard"])
            self.assertIsNone(states[region]["healthy"])
            self.assertEqual(states[region]["last_run"]["id"], runs[region]["id"])
        self.assertEqual({r["region"]: r["state"] for r in rows}, {r: v["state"] for r, v in states.items()})
        for region in REGIONS:
            self.assertIn(region, text)
            self.assertIn(region, page)
        self.assertIn("unknown", text)
        html.parser.HTMLParser().feed(page)
        for needed in ("<!DOCTYPE html>", "viewport", "@media print", "<svg", "unknown", "oldest scan"):
            self.assertIn(needed, page)
        self.assertNotIn("http", page)  # nothing from elsewhere
        self.agents[EU].start()
        harness.wait_for(lambda: self.mesh_report(US)["converged"], "all to be known again", timeout=90, every=0.2)
        run = self.agents[US].cli("report", "--all-regions", "--last")
        self.assertEqual(run.returncode, 2)


if __name__ == "__main__":
    harness.main_parallel(5)
