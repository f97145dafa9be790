#!/usr/bin/env python3
"""Where list entries protect: account attributes, configuration sets, tenants, the account's state."""

import csv
import http.client
import json

import harness

R = "eu-west-1"
BOTH = ["BOUNCE", "COMPLAINT"]
VALIDATION = {
    "ConditionThreshold": {
        "ConditionThresholdEnabled": "ENABLED",
        "OverallConfidenceThreshold": {"ConfidenceVerdictThreshold": "HIGH"},
    }
}


class Case(harness.TestCase):
    def one(self, **ses):
        sim = self.simulator(regions=[R])
        agent = self.agent(R, sim=sim)
        agent.config["ses"].update(scan_interval="1h", **ses)
        return sim, agent

    def ses(self, sim, method, path, body=None):
        """A signed request: Debian's botocore does not know tenants, scopes or validation yet."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        env = sim.environment()
        text = json.dumps(body) if body is not None else ""
        request = AWSRequest(method, sim.url + path, data=text)
        keys = Credentials(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"])
        SigV4Auth(keys, "ses", R).add_auth(request)
        answer = harness.request(http.client.HTTPConnection("127.0.0.1", sim.port, timeout=30), method, path,
                                 text, dict(request.headers))
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()

    def attributes(self, sim):
        return self.ses(sim, "GET", "/v2/email/account")["SuppressionAttributes"]

    def set_attributes(self, sim, **attributes):
        self.ses(sim, "PUT", "/v2/email/account/suppression", attributes)

    def audit(self, agent, status, *arguments):
        run = agent.cli("audit-coverage", "--output", "json", *arguments)
        self.assertEqual(run.returncode, status, run.stdout + run.stderr)
        return json.loads(run.stdout) if run.stdout else None

    def audited(self, agent):
        """Until the audit at the start is over."""
        return harness.wait_for(lambda: agent.status()["coverage"]["checked"], "the first audit")

    def reconcile(self, agent, *arguments):
        run = agent.cli("reconcile", "--output", "json", *arguments)
        self.assertIn(run.returncode, (0, 1), run.stdout + run.stderr)
        return json.loads(run.stdout)


class Account(Case):
    def test_what_the_account_lacks_is_switched_on(self):
        sim, agent = self.one(manage_account_attributes=True)
        self.set_attributes(sim, SuppressedReasons=["COMPLAINT"], ValidationAttributes=VALIDATION)
        agent.start()
        whole = {"SuppressedReasons": BOTH, "ValidationAttributes": VALIDATION}
        harness.wait_for(lambda: self.attributes(sim) == whole, "the attributes at the start")
        report = self.reconcile(agent)
        self.assertEqual(report["coverage"]["state"], "covered")
        self.assertEqual(report["coverage"]["managed"]["state"], "complete")
        # Somebody empties them. An audit and a dry run say so, and what would be done; a run does it.
        self.set_attributes(sim, ValidationAttributes=VALIDATION)
        found = self.audit(agent, 1)
        self.assertIn("account: no entry suppresses", found["gaps"][0])
        self.assertEqual(found["managed"]["state"], "planned")
        dry = self.reconcile(agent, "--dry-run")
        self.assertEqual(dry["coverage"]["managed"]["state"], "planned")
        self.assertIn("is none, would become", dry["coverage"]["managed"]["text"])
        self.assertEqual(self.attributes(sim)["SuppressedReasons"], [])
        report = self.reconcile(agent)
        self.assertEqual(self.attributes(sim), whole)
        self.assertEqual(report["coverage"]["managed"]["state"], "done")
        self.assertEqual(report["coverage"]["state"], "covered")
        self.assertIn("was none, is BOUNCE and COMPLAINT now", agent.cli("report", "--last").stdout)
        self.assertIn("account attributes completed", agent.log())
        found = self.audit(agent, 0)
        self.assertEqual([(c["before"], c["after"]) for c in found["changes"]],
                         [(["COMPLAINT"], BOTH), ([], BOTH)])
        # What was changed is remembered, and so is what was found.
        agent.stop()
        sim.faults(R, [{"operation": "GetAccount", "code": "AccessDeniedException", "status": 403,
                        "count": 1000}])
        agent.start()
        found = self.audit(agent, 0, "--cached")
        self.assertEqual(len(found["changes"]), 2)
        self.assertIsNone(found["tenants"])
        self.assertGreater(found["age_seconds"], 0)
        harness.wait_for(lambda: agent.status()["coverage"]["error"], "the refusal in status")
        self.audit(agent, 3)

    def test_a_saved_plan_switches_on_what_it_says(self):
        sim, agent = self.one(manage_account_attributes=True)
        agent.start()
        self.audited(agent)
        agent.cli("suppress", "a@example.com", "--reason", "manual", "--note", "x")
        self.wait_listed(sim, "a@example.com")
        sim.control("DELETE", R, "suppression")
        self.set_attributes(sim, SuppressedReasons=["BOUNCE"])
        plan = agent.directory + "/plan"
        dry = self.reconcile(agent, "--dry-run", "--save", plan)
        self.assertEqual(dry["coverage"]["managed"]["state"], "planned")
        report = self.reconcile(agent, "--plan", plan)
        self.assertEqual(report["coverage"]["managed"]["state"], "done")
        self.assertEqual(self.attributes(sim)["SuppressedReasons"], BOTH)

    def wait_listed(self, sim, address):
        harness.wait_for(lambda: address in sim.suppression(R), address + " on the list")

    def test_observing_changes_nothing(self):
        sim, agent = self.one(manage_account_attributes=True, mode="observe")
        self.set_attributes(sim, SuppressedReasons=["BOUNCE"])
        agent.start()
        self.audited(agent)
        report = self.reconcile(agent)
        self.assertEqual(report["coverage"]["managed"]["state"], "planned")
        self.assertIn("observe", report["coverage"]["managed"]["text"])
        self.assertEqual(report["coverage"]["state"], "gaps")
        self.assertEqual(self.attributes(sim)["SuppressedReasons"], ["BOUNCE"])
        self.assertNotIn("PutAccountSuppressionAttributes", {
            k: v for k, v in sim.calls(R).items() if v > 1})

    def test_a_refusal_is_told_and_stops_nothing(self):
        sim, agent = self.one(manage_account_attributes=True)
        self.set_attributes(sim, SuppressedReasons=[])
        sim.faults(R, [{"operation": "PutAccountSuppressionAttributes", "code": "AccessDeniedException",
                        "status": 403, "count": 1000}])
        agent.start()
        self.audited(agent)
        report = self.reconcile(agent)
        self.assertIsNone(report["error"])
        self.assertEqual(report["coverage"]["managed"]["state"], "failed")
        self.assertIn("allow ses:PutAccountSuppressionAttributes", report["coverage"]["managed"]["text"])
        status = agent.status()
        self.assertTrue([p for p in status["problems"] if "PutAccountSuppressionAttributes" in p], status)

    def test_states_of_the_account(self):
        sim, agent = self.one()
        sim.control("PUT", R, "account", {"ProductionAccessEnabled": False})
        agent.start()
        self.audited(agent)
        status = agent.status()
        self.assertFalse(status["healthy"])
        self.assertTrue([p for p in status["problems"] if "sandbox" in p], status["problems"])
        self.assertIn("sandbox", self.audit(agent, 1)["gaps"][0])
        sim.control("PUT", R, "account", {"ProductionAccessEnabled": True, "SendingEnabled": False,
                                          "EnforcementStatus": "SHUTDOWN"})
        self.audit(agent, 0)
        problems = agent.status()["problems"]
        self.assertTrue([p for p in problems if "paused" in p], problems)
        self.assertTrue([p for p in problems if "SHUTDOWN" in p], problems)
        sim.control("PUT", R, "account", {"SendingEnabled": True, "EnforcementStatus": "HEALTHY"})
        self.audit(agent, 0)
        self.assertEqual(agent.status()["problems"], [])
        self.assertIn("coverage", agent.cli("status").stdout)


class SetsAndTenants(Case):
    def test_sets_and_tenants_by_name(self):
        sim, agent = self.one()
        ses = sim.client("sesv2", R)
        ses.create_configuration_set(ConfigurationSetName="empty",
                                     SuppressionOptions={"SuppressedReasons": []})
        ses.create_configuration_set(ConfigurationSetName="plain")
        ses.create_configuration_set(ConfigurationSetName="full", SuppressionOptions={"SuppressedReasons": BOTH})
        self.ses(sim, "POST", "/v2/email/tenants", {
            "TenantName": "apart", "SuppressionAttributes": {"SuppressionScope": "TENANT",
                                                             "SuppressedReasons": BOTH}})
        self.ses(sim, "POST", "/v2/email/tenants", {"TenantName": "plain"})
        agent.start()
        found = self.audit(agent, 1)
        self.assertEqual(len(found["gaps"]), 2, found["gaps"])
        self.assertIn("configuration set empty: suppresses nothing at all", found["gaps"][0])
        self.assertIn("tenant apart: has a list of its own", found["gaps"][1])
        sets = {s["name"]: (s["overrides"], s["suppressed_reasons"]) for s in found["configuration_sets"]}
        self.assertEqual(sets, {"empty": (True, []), "plain": (False, BOTH), "full": (True, BOTH)})
        tenants = {t["name"]: (t["covered"], t["scope"]) for t in found["tenants"]}
        self.assertEqual(tenants, {"apart": (False, "TENANT"), "plain": (True, "ACCOUNT")})
        # SES itself is of the same mind: the account's entry stops no mail of that tenant or that set.
        ses.put_suppressed_destination(EmailAddress="bad@example.com", Reason="BOUNCE")
        before = sim.control("GET", R, "sends")
        for more in [{}, {"TenantName": "plain"}, {"TenantName": "apart"}, {"ConfigurationSetName": "empty"}]:
            self.ses(sim, "POST", "/v2/email/outbound-emails", {
                "FromEmailAddress": "s@example.com", "Destination": {"ToAddresses": ["bad@example.com"]},
                "Content": {"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "b"}}}}, **more})
        sends = sim.control("GET", R, "sends")
        self.assertEqual(sends["blocked"] - before["blocked"], 2)
        self.assertEqual(sends["delivered"] - before["delivered"], 2)
        # Everywhere that a report is read.
        report = self.reconcile(agent)
        self.assertEqual(report["coverage"]["counts"]["gaps"], 2)
        for arguments in [("report", "--last"), ("report", "--format", "csv"), ("report", "--format", "html"),
                          ("report", "--all-regions"), ("report", "--all-regions", "--format", "html"),
                          ("audit-coverage",)]:
            out = agent.cli(*arguments).stdout
            self.assertIn("tenant apart", out, arguments)
        rows = list(csv.reader(agent.cli("report", "--format", "csv").stdout.splitlines()))
        self.assertEqual({len(row) for row in rows}, {len(rows[0])})
        self.assertEqual(len([row for row in rows if row[2:4] == ["coverage", "gap"]]), 2)
        self.assertIn("gaps (2)", agent.cli("report", "--all-regions", "--format", "csv").stdout)
        # Mended, as the texts say.
        ses.delete_configuration_set(ConfigurationSetName="empty")
        self.ses(sim, "POST", "/v2/email/tenant/suppression", {"TenantName": "apart"})
        self.audit(agent, 0)
        self.assertEqual(agent.status()["coverage"]["state"], "covered")

    def test_tenants_that_may_not_be_read(self):
        sim, agent = self.one()
        sim.faults(R, [{"operation": "ListTenants", "code": "AccessDeniedException", "status": 403,
                        "count": 1000}])
        agent.start()
        found = self.audit(agent, 3)
        self.assertFalse(found["covered"])
        self.assertEqual((found["state"], found["gaps"], found["tenants"]), ("unknown", [], None))
        self.assertIn("tenants: not known: allow ses:ListTenants", found["unknown"][0])
        self.assertIn("not known", agent.cli("audit-coverage").stdout)
        self.assertEqual(self.reconcile(agent)["coverage"]["state"], "unknown")
        self.assertEqual(agent.status()["problems"], [])


if __name__ == "__main__":
    harness.main_parallel()
