"""Reconciliation: what SES and people change in a Region's list, and what comes of it."""

import json
import os
import tempfile
import time
import unittest

import harness

try:
    import jsonschema

    with open(os.path.join(harness.SOURCE, "proto", "report.schema.json"), encoding="utf-8") as schema:
        SCHEMA = json.load(schema)
except ImportError:
    SCHEMA = None

REGIONS = ["eu-west-1", "us-east-1", "ap-northeast-1"]
R = REGIONS[0]


def put(sim, region, address, reason="BOUNCE"):
    sim.client("sesv2", region).put_suppressed_destination(EmailAddress=address, Reason=reason)


def delete(sim, region, address):
    sim.client("sesv2", region).delete_suppressed_destination(EmailAddress=address)


class Case(harness.TestCase):
    def one(self, sim_arguments=(), **ses):
        """A simulator and one agent whose runs come on demand only."""
        sim = self.simulator([R], list(sim_arguments))
        agent = self.agent(R, sim=sim)
        agent.config["ses"].update({"scan_interval": "6h", "absence_interval": "1s"})
        agent.config["ses"].update(ses)
        agent.start()
        agent.cli("reconcile")  # at once, and it stands for the scan at start
        return sim, agent

    def three(self, **ses):
        sim = self.simulator(REGIONS)
        agents = self.mesh(REGIONS, sim)
        for agent in agents:
            agent.config["ses"].update({"scan_interval": "6h", "absence_interval": "1s"})
            agent.config["ses"].update(ses)
            agent.start()
        for agent in agents:
            agent.cli("reconcile")
        return sim, agents

    def reconcile(self, agent, *arguments, status=None):
        run = agent.cli("reconcile", "--output", "json", *arguments)
        if status is not None:
            self.assertEqual(run.returncode, status, run.stdout + run.stderr)
        report = json.loads(run.stdout)
        if SCHEMA is not None:  # every report of every test, where the validator is installed
            jsonschema.validate(report, SCHEMA)
        return report

    def kinds(self, report):
        return sorted((d["address"], d["kind"], d["cause"], d["action"], d["result"]) for d in report["differences"])

    def suppress(self, agent, sim, *addresses, reason="bounce"):
        run = agent.cli("suppress", *addresses, "--reason", reason, "--note", "n")
        self.assertEqual(run.returncode, 0, run.stderr)
        harness.wait_for(lambda: set(addresses) <= set(sim.suppression(R)), "the puts")
        harness.wait_for(lambda: agent.status()["outbox"]["pending"] == 0, "the outbox")

    def clear(self, agent, address, *arguments):
        run = agent.cli("clear", address, "--note", "n", *arguments)
        self.assertEqual(run.returncode, 0, run.stderr)

    def after_interval(self):
        """Absence counts between scans that began absence_interval (1 s) apart."""
        start = time.monotonic()
        harness.wait_for(lambda: time.monotonic() - start > 1.1, "the absence interval")


class Adoption(Case):
    def test_console_add_in_one_region_reaches_all(self):
        sim, agents = self.three()
        put(sim, "us-east-1", "Console.Add@Example.com")
        before = sim.suppression("us-east-1")
        report = self.reconcile(agents[1], status=0)
        self.assertEqual(
            self.kinds(report),
            [("console.add@example.com", "extra", "added", "adopt-add", "done")],
        )
        self.assertEqual(report["counts"]["adopted"], 1)
        self.assertTrue(report["converged"])
        for region in REGIONS:
            harness.wait_for(
                lambda r=region: "console.add@example.com" in [a.lower() for a in sim.suppression(r)],
                "the entry in " + region,
            )
        # The Region's own entry is left alone: a put would renew its time.
        self.assertEqual(sim.suppression("us-east-1"), before)
        register = agents[0].show("console.add@example.com")["registers"][0]
        self.assertEqual(register["class"], "bounce")
        self.assertIn(register["cause"], ("adopted", "adopted-manual"))
        again = self.reconcile(agents[1], status=0)
        self.assertEqual(again["differences"], [])

    def test_ses_adds_by_itself_and_the_event_is_lost(self):
        sim, agent = self.one()
        agent.stop()
        sim.client("sesv2", R).send_email(
            FromEmailAddress="shop@example.com",
            Destination={"ToAddresses": ["complaint.auto@example.com"]},
            Content={"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "b"}}}},
        )
        queue = sim.client("sqs", R)
        harness.wait_for(lambda: "complaint.auto@example.com" in sim.suppression(R), "the entry")
        queue.purge_queue(QueueUrl=sim.queue_url(R))
        agent.start()
        report = self.reconcile(agent, status=0)
        self.assertEqual(agent.check("complaint.auto@example.com")["reason"], "COMPLAINT")
        self.assertTrue(report["converged"])

    def test_older_than_our_clear_is_deleted_newer_is_adopted(self):
        sim, agent = self.one()
        put(sim, R, "old@example.com")
        self.clear(agent, "old@example.com")
        harness.wait_for(lambda: agent.status()["outbox"]["pending"] == 0, "the outbox")
        # It comes back with a time before the clear, as from a list that lagged.
        sim.control("POST", R, "clock", {"offset_ms": -3600000})
        put(sim, R, "Old@example.com")
        sim.control("POST", R, "clock", {"offset_ms": 0})
        report = self.reconcile(agent, status=0)
        self.assertEqual(self.kinds(report), [("old@example.com", "extra", "cleared", "delete", "done")])
        self.assertEqual(sim.suppression(R), {})
        put(sim, R, "old@example.com")
        report = self.reconcile(agent, status=0)
        self.assertEqual(self.kinds(report), [("old@example.com", "extra", "added", "adopt-add", "done")])
        self.assertEqual(agent.verdict("old@example.com"), "block")

    def test_twins_are_reported_and_cleared_each(self):
        sim, agent = self.one()
        for spelling in ("Twin@example.com", "twin@example.com", "TWIN@example.com"):
            put(sim, R, spelling)
        report = self.reconcile(agent, status=0)
        self.assertEqual(report["counts"]["twins"], 1)
        self.assertEqual(len(sim.suppression(R)), 3)
        report = self.reconcile(agent, status=0)
        self.assertEqual(self.kinds(report), [("twin@example.com", "twin", "spellings", "none", "none")])
        self.clear(agent, "twin@example.com")
        harness.wait_for(lambda: sim.suppression(R) == {}, "all spellings gone")
        self.assertEqual(self.reconcile(agent, status=0)["differences"], [])
        self.assertEqual(agent.verdict("twin@example.com"), "allow")

    def test_reasons(self):
        sim, agent = self.one()
        self.suppress(agent, sim, "up@example.com", reason="complaint")
        self.suppress(agent, sim, "down@example.com")
        put(sim, R, "up@example.com", "BOUNCE")  # COMPLAINT must outrank it
        put(sim, R, "down@example.com", "COMPLAINT")  # somebody knows of a complaint
        report = self.reconcile(agent, status=0)
        self.assertEqual(
            self.kinds(report),
            [
                ("down@example.com", "reason", "complaint-found", "adopt-add", "done"),
                ("up@example.com", "reason", "complaint-outranks", "put", "done"),
            ],
        )
        listed = {a: e["Reason"] for a, e in sim.suppression(R).items()}
        self.assertEqual(listed, {"up@example.com": "COMPLAINT", "down@example.com": "COMPLAINT"})
        self.assertEqual(self.reconcile(agent, status=0)["differences"], [])

    def test_our_put_and_a_clear_in_between_stay_cleared(self):
        sim, agent = self.one()
        # SES takes the put, but its answer is late: the clear comes first, and the entry's time is
        # later than the clear.
        sim.faults(R, [{"operation": "PutSuppressedDestination", "delay_ms": 1500}])
        agent.cli("suppress", "between@example.com", "--reason", "bounce", "--note", "n")
        harness.wait_for(lambda: sim.calls(R).get("PutSuppressedDestination"), "the put under way")
        self.clear(agent, "between@example.com")
        sim.faults(R, [{"operation": "DeleteSuppressedDestination", "status": 500, "count": 6}])
        harness.wait_for(lambda: "between@example.com" in sim.suppression(R), "the put")
        for _ in range(2):
            self.reconcile(agent)
            self.assertEqual(agent.verdict("between@example.com"), "allow")
        harness.wait_for(lambda: sim.suppression(R) == {}, "the delete", timeout=60)
        self.assertEqual(self.reconcile(agent, status=0)["differences"], [])
        self.assertEqual(agent.verdict("between@example.com"), "allow")

    def test_a_put_whose_outcome_was_lost_is_no_evidence(self):
        sim, agent = self.one()
        sim.faults(R, [{"operation": "PutSuppressedDestination", "reset": True, "after": True, "count": 3}])
        agent.cli("suppress", "lost@example.com", "--reason", "bounce", "--note", "n")
        harness.wait_for(lambda: "lost@example.com" in sim.suppression(R), "the put")
        agent.kill()
        sim.faults(R, [{"operation": "DeleteSuppressedDestination", "status": 500, "count": 30}])
        agent.start()
        self.clear(agent, "lost@example.com")
        self.reconcile(agent)
        self.assertEqual(agent.verdict("lost@example.com"), "allow")
        sim.control("DELETE", R, "faults")
        self.reconcile(agent)
        harness.wait_for(lambda: sim.suppression(R) == {}, "the delete", timeout=90)
        self.assertEqual(agent.verdict("lost@example.com"), "allow")


class Removal(Case):
    FILLER = ["keep%02d@example.com" % i for i in range(30)]

    def removed(self, policy):
        sim, agent = self.one(on_external_removal=policy)
        self.suppress(agent, sim, "gone@example.com", *self.FILLER)
        self.reconcile(agent, status=0)
        delete(sim, R, "gone@example.com")
        report = self.reconcile(agent, status=1)
        self.assertEqual(self.kinds(report), [("gone@example.com", "removed", "gone-once", "wait", "none")])
        self.assertNotIn("gone@example.com", sim.suppression(R))
        self.after_interval()
        return sim, agent

    def test_restore(self):
        sim, agent = self.removed("restore")
        self.reconcile(agent, status=0)
        self.assertIn("gone@example.com", sim.suppression(R))
        self.assertEqual(agent.verdict("gone@example.com"), "block")
        self.assertEqual(self.reconcile(agent, status=0)["differences"], [])

    def test_propagate(self):
        sim, agent = self.removed("propagate")
        self.reconcile(agent, status=0)
        self.assertNotIn("gone@example.com", sim.suppression(R))
        self.assertEqual(agent.verdict("gone@example.com"), "allow")
        self.assertEqual(agent.show("gone@example.com")["registers"][0]["cause"], "adopted")
        self.assertEqual(self.reconcile(agent, status=0)["differences"], [])

    def test_report(self):
        sim, agent = self.removed("report")
        for _ in range(2):
            report = self.reconcile(agent, status=1)
            self.assertEqual(self.kinds(report), [("gone@example.com", "removed", "gone", "report", "none")])
        self.assertNotIn("gone@example.com", sim.suppression(R))
        self.assertEqual(agent.verdict("gone@example.com"), "block")
        self.assertFalse(agent.status()["converged"])

    def purged(self, policy):
        sim, agent = self.one(on_external_removal=policy)
        self.suppress(agent, sim, *self.FILLER)
        self.reconcile(agent, status=0)
        sim.control("DELETE", R, "suppression")
        self.reconcile(agent, status=1)
        self.after_interval()
        report = self.reconcile(agent, status=1)
        self.assertEqual(report["fuse"], "tripped")
        self.assertEqual(report["counts"]["withheld"], 30)
        self.assertEqual(sim.suppression(R), {})
        self.assertEqual(agent.verdict(self.FILLER[0]), "block")
        self.assertFalse(agent.status()["healthy"])
        self.assertTrue(any("fuse" in p for p in agent.status()["problems"]))
        self.assertEqual(agent.cli("fuse", "show").returncode, 1)
        agent.stop()
        agent.start()
        self.assertFalse(agent.status()["healthy"])
        self.assertEqual(agent.cli("fuse", "confirm").returncode, 0)
        self.reconcile(agent, status=0)
        listed = set(self.FILLER) if policy == "restore" else set()
        self.assertEqual(set(sim.suppression(R)), listed)
        self.assertEqual(agent.verdict(self.FILLER[0]), "block" if listed else "allow")
        self.assertEqual(agent.cli("fuse", "show").returncode, 0)
        self.assertTrue(agent.status()["healthy"], agent.status()["problems"])
        self.assertEqual(agent.cli("fuse", "confirm").returncode, 1)

    def test_a_purge_trips_the_fuse_and_restores_when_confirmed(self):
        self.purged("restore")

    def test_a_purge_trips_the_fuse_and_spreads_when_confirmed(self):
        self.purged("propagate")

    def test_a_declined_removal_is_put_back_where_it_would_spread(self):
        sim, agent = self.one(on_external_removal="propagate")
        self.suppress(agent, sim, *self.FILLER)
        self.reconcile(agent, status=0)
        sim.control("DELETE", R, "suppression")
        self.reconcile(agent, status=1)
        self.after_interval()
        self.reconcile(agent, status=1)
        self.assertEqual(agent.cli("fuse", "decline").returncode, 0)
        self.reconcile(agent, status=0)
        self.assertEqual(set(sim.suppression(R)), set(self.FILLER))
        self.assertEqual(agent.verdict(self.FILLER[0]), "block")

    def test_the_list_that_lags_removes_nothing(self):
        sim, agent = self.one(["--list-lag", "2000"], on_external_removal="propagate")
        agent.cli("suppress", *self.FILLER, "--reason", "bounce", "--note", "n")
        harness.wait_for(lambda: agent.status()["outbox"]["pending"] == 0, "the outbox")
        report = self.reconcile(agent)
        self.assertEqual(report["counts"]["adopted_removals"], 0)
        for address in self.FILLER:
            self.assertEqual(agent.verdict(address), "block")
        harness.wait_for(lambda: self.reconcile(agent)["converged"], "convergence")


class Trouble(Case):
    def seed(self, sim, n):
        sim.control("PUT", R, "suppression", [
            {"EmailAddress": "s%06d@example.com" % i, "Reason": "BOUNCE"} for i in range(n)
        ])

    def test_throttles_errors_resets_and_lies_while_scanning(self):
        sim, agent = self.one()
        self.seed(sim, 3500)
        sim.faults(R, [
            {"operation": "ListSuppressedDestinations", "throttle": True, "count": 3},
            {"operation": "ListSuppressedDestinations", "status": 500, "count": 4},
            {"operation": "ListSuppressedDestinations", "reset": True, "count": 2},
            {"operation": "ListSuppressedDestinations", "truncate": True, "count": 2},
            {"operation": "ListSuppressedDestinations", "invalid_json": True, "count": 2},
        ])
        report = self.reconcile(agent, status=0)
        self.assertEqual(report["counts"]["scanned"], 3500)
        self.assertEqual(report["counts"]["adopted"], 3500)
        self.assertGreater(report["api_calls"]["throttled"], 0)
        self.assertEqual(agent.verdict("s003499@example.com"), "block")

    def test_a_list_that_cannot_be_read_is_no_removal(self):
        sim, agent = self.one(on_external_removal="propagate")
        self.suppress(agent, sim, "a@example.com", "b@example.com")
        sim.faults(R, [{"operation": "ListSuppressedDestinations", "code": "AccessDeniedException", "status": 403,
                        "count": 5}])
        run = agent.cli("reconcile", "--output", "json")
        self.assertEqual(run.returncode, 3, run.stdout + run.stderr)
        self.assertFalse(json.loads(run.stdout)["converged"])
        self.assertFalse(agent.status()["healthy"])
        sim.control("DELETE", R, "faults")
        self.reconcile(agent, status=0)
        self.assertTrue(agent.status()["healthy"], agent.status()["problems"])

    def test_tokens_that_expire_start_the_scan_anew(self):
        sim, agent = self.one(max_rps=2)
        self.seed(sim, 8000)
        sim.control("DELETE", R, "calls")
        import threading

        result = []
        thread = threading.Thread(target=lambda: result.append(self.reconcile(agent)))
        thread.start()
        harness.wait_for(lambda: sim.calls(R).get("ListSuppressedDestinations", 0) >= 2, "two pages")
        sim.control("POST", R, "expire-tokens")
        thread.join()
        self.assertEqual(result[0]["counts"]["scanned"], 8000)
        self.assertGreaterEqual(result[0]["api_calls"]["list"], 10)

    def test_shutdown_interrupts_a_scan_and_it_goes_on(self):
        sim, agent = self.one(max_rps=1)
        self.seed(sim, 6000)
        import subprocess
        import os

        sim.control("DELETE", R, "calls")
        run = subprocess.Popen([harness.SUPSYNC, "reconcile"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=dict(os.environ, SUPSYNC_SOCKET=agent.socket))
        harness.wait_for(lambda: sim.calls(R).get("ListSuppressedDestinations", 0) >= 3, "three pages")
        sim.faults(R, [{"operation": "ListSuppressedDestinations", "delay_ms": 20000, "count": 1}])
        harness.wait_for(lambda: sim.calls(R).get("ListSuppressedDestinations", 0) >= 4, "a page that hangs")
        start = time.monotonic()
        self.assertEqual(agent.stop(), 0)
        self.assertLess(time.monotonic() - start, 5 if "asan" in harness.BIN else 3)
        self.assertEqual(run.wait(), 3)
        sim.control("DELETE", R, "calls")
        agent.start()
        harness.wait_for(lambda: agent.verdict("s005999@example.com") == "block", "the rest", timeout=60)
        self.assertIn("goes on where it was cut off", agent.log())
        self.assertLessEqual(sim.calls(R)["ListSuppressedDestinations"], 5)

    def test_put_trouble_is_in_the_report(self):
        sim, agent = self.one(mode="observe")
        agent.cli("suppress", "a@example.com", "--reason", "bounce", "--note", "n")
        report = self.reconcile(agent, status=1)
        self.assertEqual(self.kinds(report), [("a@example.com", "missing", "never-listed", "put", "planned")])
        self.assertEqual(sim.suppression(R), {})
        agent.stop()
        agent.config["ses"]["mode"] = "enforce"
        sim.faults(R, [{"operation": "PutSuppressedDestination", "code": "BadRequestException", "status": 400,
                        "count": 100}])
        agent.start()
        report = self.reconcile(agent, status=1)
        self.assertEqual(self.kinds(report), [("a@example.com", "missing", "never-listed", "put", "failed")])
        self.assertIn("BadRequest", report["differences"][0]["error"])
        self.assertEqual(report["counts"]["failed"], 1)


class Reports(Case):
    def strip(self, value):
        """Without what may differ between reports of the same world: times, and the id."""
        if isinstance(value, dict):
            times = ("id", "started", "finished", "next_run", "finish", "checked")
            return {k: self.strip(v) for k, v in value.items() if k not in times}
        if isinstance(value, list):
            return [self.strip(v) for v in value]
        return value

    def test_two_reports_of_an_unchanged_world_differ_in_times_only(self):
        sim, agent = self.one()
        self.suppress(agent, sim, *["w%d@example.com" % i for i in range(20)])
        for spelling in ("Twin@example.com", "twin@example.com", "not an address@@x", "x@simulator.amazonses.com"):
            sim.control("PUT", R, "suppression", [
                {"EmailAddress": a, "Reason": e["Reason"], "LastUpdateTime": e["LastUpdateTime"]}
                for a, e in sim.suppression(R).items()
            ] + [{"EmailAddress": spelling, "Reason": "BOUNCE"}])
        self.reconcile(agent, status=0)
        first, second = self.reconcile(agent, status=0), self.reconcile(agent, status=0)
        self.assertEqual(self.strip(first), self.strip(second))
        self.assertNotEqual(first["id"], second["id"])

    def test_dry_run_changes_nothing(self):
        sim, agent = self.one()
        put(sim, R, "dry@example.com")
        before = sim.suppression(R)
        report = self.reconcile(agent, "--dry-run", status=1)
        self.assertEqual(report["mode"], "dry-run")
        self.assertEqual(self.kinds(report), [("dry@example.com", "extra", "added", "adopt-add", "planned")])
        self.assertEqual(agent.verdict("dry@example.com"), "allow")
        self.assertEqual(sim.suppression(R), before)
        self.assertEqual(self.reconcile(agent, status=0)["counts"]["adopted"], 1)

    def plan_file(self, agent):
        path = os.path.join(tempfile.mkdtemp(dir=agent.directory), "plan.ndjson")
        self.reconcile(agent, "--dry-run", "--save", path, status=1)
        with open(path, encoding="utf-8") as f:
            return path, [json.loads(line) for line in f]

    def test_a_saved_plan_is_applied_and_nothing_else(self):
        sim, agent = self.one()
        put(sim, R, "a@example.com")
        put(sim, R, "Twin@example.com", "COMPLAINT")
        path, lines = self.plan_file(agent)
        self.assertEqual(lines[0]["supsync_plan"], 1)
        self.assertEqual((lines[0]["node"], lines[0]["region"]), (R, R))
        self.assertEqual([s["address"] for s in lines[1:-1]], ["a@example.com", "twin@example.com"])
        put(sim, R, "later@example.com")  # news about others do not matter, and are not touched
        report = self.reconcile(agent, "--plan", path, status=1)
        self.assertEqual(report["plan"], lines[0]["id"])
        self.assertEqual(
            self.kinds(report),
            [
                ("a@example.com", "extra", "added", "adopt-add", "done"),
                ("later@example.com", "extra", "added", "report", "none"),
                ("twin@example.com", "extra", "added", "adopt-add", "done"),
            ],
        )
        self.assertEqual(report["counts"]["reported"], 1)
        self.assertFalse(report["converged"])
        self.assertEqual(agent.verdict("later@example.com"), "allow")
        self.assertEqual(agent.verdict("a@example.com"), "block")
        again = agent.cli("reconcile", "--plan", path)
        self.assertEqual(again.returncode, 1, "it was applied: its addresses moved")
        self.assertIn("refused", again.stderr)

    def test_a_plan_whose_addresses_moved_is_refused(self):
        sim, agent = self.one()
        for address in ("a@example.com", "b@example.com"):
            put(sim, R, address)
        path, _ = self.plan_file(agent)
        put(sim, R, "b@example.com")  # a new LastUpdateTime: another entry than the plan saw
        run = agent.cli("reconcile", "--plan", path)
        self.assertEqual(run.returncode, 1, run.stdout + run.stderr)
        self.assertIn("refused", run.stderr)
        self.assertIn("b@example.com", run.stderr)
        self.assertEqual(agent.verdict("a@example.com"), "allow", "nothing of it is applied")
        path, _ = self.plan_file(agent)
        delete(sim, R, "a@example.com")
        self.assertIn("a@example.com", agent.cli("reconcile", "--plan", path).stderr)
        put(sim, R, "a@example.com")
        path, _ = self.plan_file(agent)
        agent.cli("suppress", "b@example.com", "--reason", "bounce", "--note", "desired changes")
        self.assertIn("b@example.com", agent.cli("reconcile", "--plan", path).stderr)

    def test_plan_files_that_are_not_taken(self):
        sim, agent = self.one()
        put(sim, R, "a@example.com")
        path, lines = self.plan_file(agent)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        other = path + ".other"
        for bad, why in [
            (text.replace("adopt-add", "nothing-x"), "checksum"),
            (text[: len(text) // 2], "checksum"),
            ("", "empty"),
            (text.replace('"supsync_plan":1', '"supsync_plan":2'), "version 2"),
            ("{}\n{}\n", "not a plan"),
        ]:
            with open(other, "w", encoding="utf-8") as f:
                f.write(bad)
            run = agent.cli("reconcile", "--plan", other)
            self.assertEqual((run.returncode, why in run.stderr), (1, True), run.stderr)
        self.assertEqual(agent.cli("reconcile", "--dry-run", "--save", path).returncode, 3, "never over a file")
        self.assertEqual(agent.cli("reconcile", "--save", other).returncode, 2)
        self.assertEqual(agent.cli("reconcile", "--dry-run", "--plan", path).returncode, 2)
        self.assertEqual(agent.verdict("a@example.com"), "allow")

    @unittest.skipIf(SCHEMA is None, "python3-jsonschema is not installed")
    def test_the_schema_refuses_what_is_no_report(self):
        _, agent = self.one()
        good = self.reconcile(agent, status=0)
        for name in good:
            with self.assertRaises(jsonschema.ValidationError, msg=name):
                jsonschema.validate({k: v for k, v in good.items() if k != name}, SCHEMA)
        for change in ({"mode": "x"}, {"converged": "yes"}, {"started": None}, {"counts": {}}, {"differences": [{}]}):
            with self.assertRaises(jsonschema.ValidationError, msg=str(change)):
                jsonschema.validate({**good, **change}, SCHEMA)
        jsonschema.validate(json.loads(agent.cli("report", "--output", "json").stdout), SCHEMA)

    def test_formats_and_routes(self):
        sim, agent = self.one()
        put(sim, R, "\"quoted,<b>\"@example.com")
        report = self.reconcile(agent, status=0)
        for arguments in (["--last"], ["--id", report["id"]], []):
            run = agent.cli("report", "--format", "json", *arguments)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertEqual(json.loads(run.stdout), report)
        text = agent.cli("report").stdout
        self.assertIn("converged", text)
        self.assertIn(report["id"], text)
        import csv
        import io

        rows = list(csv.DictReader(io.StringIO(agent.cli("report", "--format", "csv").stdout)))
        self.assertEqual(rows[0]["address"], report["differences"][0]["address"])
        self.assertEqual(rows[0]["action"], "adopt-add")
        page = agent.cli("report", "--format", "html").stdout
        self.assertIn("<!DOCTYPE html>", page)
        self.assertIn("&lt;b&gt;", page)
        self.assertNotIn("<b>", page)
        self.assertIn("<svg", page)
        import html.parser

        html.parser.HTMLParser().feed(page)
        self.assertEqual(agent.cli("report", "--id", "nonsense").returncode, 3)
        self.assertEqual(agent.cli("report", "--format", "pdf").returncode, 2)
        reports = agent.request("GET", "/v1/reports").json()["reports"]
        self.assertEqual(reports[0]["id"], report["id"])
        self.assertEqual(agent.request("GET", "/v1/reports/" + report["id"]).json(), report)
        self.assertEqual(agent.request("GET", "/v1/reports/x").status, 404)
        answer = agent.request("POST", "/v1/reconcile", {"dry_run": True})
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.json()["mode"], "dry-run")
        self.assertEqual(agent.request("POST", "/v1/reconcile", {"dry_run": 1}).status, 400)
        self.assertEqual(agent.cli("fuse", "show").returncode, 0)
        self.assertEqual(agent.cli("fuse", "blow").returncode, 2)

    def test_scans_come_by_themselves(self):
        sim, agent = self.one(scan_interval="1s")
        put(sim, R, "later@example.com")
        harness.wait_for(lambda: agent.verdict("later@example.com") == "block", "the adoption")

    def test_a_second_scan_comes_when_somebody_is_gone(self):
        sim, agent = self.one()
        self.suppress(agent, sim, *Removal.FILLER)
        self.reconcile(agent, status=0)
        delete(sim, R, Removal.FILLER[0])
        self.reconcile(agent, status=1)
        harness.wait_for(lambda: Removal.FILLER[0] in sim.suppression(R), "the restoration")


class Import(Case):
    """Bulk through S3; the simulator's import jobs take half a second."""

    def importing(self, sim_arguments=(), threshold=20, **ses):
        return self.one(sim_arguments, **{"import": {"bucket": "supsync-" + R, "threshold": threshold}, **ses})

    def suppress_many(self, agent, addresses):
        run = agent.cli("suppress", "-", "--reason", "bounce", "--note", "n", input="\n".join(addresses), timeout=300)
        self.assertEqual(run.returncode, 0, run.stderr)

    def jobs(self, sim):
        client = sim.client("sesv2", R)
        ids = [j["JobId"] for j in client.list_import_jobs()["ImportJobs"]]
        return [client.get_import_job(JobId=i) for i in ids]

    def drained(self, agent, timeout=60):
        harness.wait_for(lambda: agent.status()["outbox"]["pending"] == 0, "the outbox", timeout=timeout)

    def test_many_go_by_one_job_and_leave_by_another(self):
        sim, agent = self.importing(max_rps=1)
        many = ["m%04d@example.com" % i for i in range(300)]
        self.suppress_many(agent, many)
        self.drained(agent)
        self.assertEqual(set(sim.suppression(R)), set(many))
        self.assertLess(sim.calls(R)["PutSuppressedDestination"], 60)
        self.assertEqual({j["ImportDestination"]["SuppressionListDestination"]["SuppressionListImportAction"]
                          for j in self.jobs(sim)}, {"PUT"})
        self.assertEqual(self.reconcile(agent, status=0)["differences"], [])
        run = agent.cli("clear", "-", "--note", "n", input="\n".join(many), timeout=300)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.drained(agent)
        self.assertEqual(sim.suppression(R), {})
        self.assertLess(sim.calls(R)["DeleteSuppressedDestination"], 60)
        self.assertEqual(self.reconcile(agent, status=0)["differences"], [])
        # The objects hold addresses: they do not stay behind.
        objects = sim.client("s3", R).list_objects_v2(Bucket="supsync-" + R)
        self.assertEqual(objects.get("KeyCount", 0), 0)

    def test_plan_of_many(self):
        sim, agent = self.importing(max_rps=1, mode="observe")
        self.suppress_many(agent, ["p%03d@example.com" % i for i in range(50)])
        report = self.reconcile(agent, "--dry-run", status=1)
        self.assertEqual(report["counts"]["puts"], 50)
        self.assertEqual(report["estimate"]["import_jobs"], 1)
        self.assertGreater(report["estimate"]["seconds"], 0)
        self.assertIn("import jobs", agent.cli("reconcile", "--dry-run").stdout)

    def test_a_slash_is_deleted_by_a_job(self):
        sim, agent = self.importing()
        self.suppress(agent, sim, "a/b@example.com", "c@example.com")
        self.clear(agent, "a/b@example.com")
        self.drained(agent)
        self.assertEqual(set(sim.suppression(R)), {"c@example.com"})
        self.assertEqual(len(self.jobs(sim)), 1)
        self.assertEqual(self.reconcile(agent, status=0)["differences"], [])
        self.assertTrue(agent.status()["healthy"], agent.status()["problems"])

    def test_cleared_while_a_job_is_under_way(self):
        sim, agent = self.importing(["--import-delay", "3000"], max_rps=1)
        many = ["c%03d@example.com" % i for i in range(60)]
        self.suppress_many(agent, many)
        harness.wait_for(lambda: self.jobs(sim), "the job")
        victim = many[-1]
        self.clear(agent, victim)
        self.drained(agent)
        self.assertNotIn(victim, sim.suppression(R))
        self.assertEqual(agent.verdict(victim), "allow")
        self.assertEqual(self.reconcile(agent, status=0)["differences"], [])
        self.assertEqual(agent.verdict(victim), "allow")

    def crash(self, operation, fault):
        """Kills the agent once operation was called, whose answer is withheld."""
        sim, agent = self.importing(max_rps=1)
        sim.faults(R, [{"operation": operation, "count": 1, **fault}])
        many = ["k%03d@example.com" % i for i in range(60)]
        self.suppress_many(agent, many)
        harness.wait_for(lambda: sim.calls(R).get(operation), operation)
        agent.kill()
        sim.control("DELETE", R, "faults")
        agent.start()
        self.drained(agent)
        self.assertEqual(set(sim.suppression(R)), set(many))
        urls = [j["ImportDataSource"]["S3Url"] for j in self.jobs(sim)]
        self.assertEqual(len(urls), len(set(urls)), "no object is imported twice")
        self.assertGreaterEqual(len(urls), 1)
        self.assertEqual(self.reconcile(agent, status=0)["differences"], [])

    def test_crash_while_the_object_is_written(self):
        self.crash("PutObject", {"delay_ms": 5000})

    def test_crash_before_the_job_is_created(self):
        self.crash("CreateImportJob", {"delay_ms": 5000, "reset": True})

    def test_crash_after_the_job_is_created(self):
        self.crash("CreateImportJob", {"delay_ms": 5000, "reset": True, "after": True})

    def test_crash_before_the_result_is_recorded(self):
        self.crash("GetImportJob", {"delay_ms": 5000})

    def test_a_lost_answer_makes_no_second_job(self):
        sim, agent = self.importing(max_rps=1)
        sim.faults(R, [{"operation": "CreateImportJob", "count": 1, "reset": True, "after": True}])
        many = ["l%03d@example.com" % i for i in range(60)]
        self.suppress_many(agent, many)
        self.drained(agent)
        self.assertEqual(set(sim.suppression(R)), set(many))
        urls = [j["ImportDataSource"]["S3Url"] for j in self.jobs(sim)]
        self.assertEqual(len(urls), len(set(urls)))

    def test_refused_jobs_fall_back_to_single_calls(self):
        sim, agent = self.importing(max_rps=200)
        sim.faults(R, [{"operation": "CreateImportJob", "count": 5, "code": "BadRequestException", "status": 400}])
        many = ["f%03d@example.com" % i for i in range(60)]
        self.suppress_many(agent, many)
        self.drained(agent)
        self.assertEqual(set(sim.suppression(R)), set(many))


if __name__ == "__main__":
    harness.main_parallel()
