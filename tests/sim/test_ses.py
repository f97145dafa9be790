"""SES v2: the suppression list, account and configuration sets, rates, faults; with botocore."""

import http.client
import json
import random
import time
import urllib.parse

import boto3
from botocore.config import Config
from botocore.exceptions import (ClientError, ConnectionClosedError, ConnectionError,
                                 ReadTimeoutError)

import simtest
from simtest import REGIONS


class Suppression(simtest.TestCase):
    def setUp(self):
        super().setUp()
        self.ses = self.sim.client("sesv2")

    def put(self, address, reason="BOUNCE"):
        self.ses.put_suppressed_destination(EmailAddress=address, Reason=reason)

    def get(self, address):
        return self.ses.get_suppressed_destination(EmailAddress=address)["SuppressedDestination"]

    def list(self, **query):
        """All pages: addresses in the order they came, and how many pages."""
        found, pages = [], 0
        while True:
            page = self.ses.list_suppressed_destinations(**query)
            found += [e["EmailAddress"] for e in page["SuppressedDestinationSummaries"]]
            pages += 1
            if "NextToken" not in page:
                return found, pages
            query["NextToken"] = page["NextToken"]

    def test_put_get_delete(self):
        before = time.time()
        self.put("a@example.com", "COMPLAINT")
        entry = self.get("a@example.com")
        self.assertEqual(entry["Reason"], "COMPLAINT")
        self.assertNotIn("Attributes", entry)
        self.assertLess(abs(entry["LastUpdateTime"].timestamp() - before), 30)
        self.ses.delete_suppressed_destination(EmailAddress="a@example.com")
        self.refused("NotFoundException", self.get, "a@example.com")
        self.refused("NotFoundException", self.ses.delete_suppressed_destination,
                     EmailAddress="a@example.com")

    def test_each_region_has_its_own_list(self):
        self.put("a@example.com")
        other = self.sim.client("sesv2", REGIONS[1])
        self.refused("NotFoundException", other.get_suppressed_destination,
                     EmailAddress="a@example.com")

    def test_put_overwrites_and_renews_the_time(self):
        self.put("a@example.com", "BOUNCE")
        first = self.get("a@example.com")["LastUpdateTime"]
        self.sim.control("POST", "clock", {"offset_ms": 1234})
        self.put("a@example.com", "BOUNCE")
        again = self.get("a@example.com")
        self.assertGreaterEqual((again["LastUpdateTime"] - first).total_seconds(), 1.234)
        self.put("a@example.com", "COMPLAINT")
        self.assertEqual(self.get("a@example.com")["Reason"], "COMPLAINT")
        self.assertEqual(self.list()[0], ["a@example.com"])

    def test_milliseconds_on_the_wire(self):
        self.sim.control("PUT", "suppression",
                         [{"EmailAddress": "a@example.com", "LastUpdateTime": 1644413796.844}])
        self.assertEqual(self.get("a@example.com")["LastUpdateTime"].isoformat()[-12:],
                         "844000+00:00")

    def test_spelling(self):
        self.put("  Foo.Bar@Example.COM ")
        self.put("foo.bar@EXAMPLE.com")
        self.assertEqual(sorted(self.list()[0]), ["Foo.Bar@example.com", "foo.bar@example.com"])
        for other in ["FOO.BAR@example.com", "Foo.Bar@Example.COM", " Foo.Bar@example.com"]:
            self.refused("NotFoundException", self.get, other)
        self.ses.delete_suppressed_destination(EmailAddress="Foo.Bar@example.com")
        self.assertEqual(self.list()[0], ["foo.bar@example.com"])

    def test_addresses_that_need_encoding(self):
        addresses = ["user+tag@example.com", "100%@example.com", "o'brien!*()@example.com",
                     '"quoted local"@example.com', "Ünï@example.com", "a&b=c?d#e@example.com",
                     "a~b_c-d.e@example.com", "%2F@example.com", "{x}|`^$@example.com"]
        for address in addresses:
            with self.subTest(address):
                self.put(address)
                self.assertEqual(self.get(address)["EmailAddress"], address)
                self.ses.delete_suppressed_destination(EmailAddress=address)
                self.refused("NotFoundException", self.get, address)

    def test_slash_cannot_be_deleted(self):
        self.put("a/b@example.com")
        self.assertEqual(self.get("a/b@example.com")["EmailAddress"], "a/b@example.com")
        answer = self.refused("BadRequestException", self.ses.delete_suppressed_destination,
                              EmailAddress="a/b@example.com")
        self.assertEqual(answer["ResponseMetadata"]["HTTPStatusCode"], 400)
        self.assertEqual(self.list()[0], ["a/b@example.com"])

    def test_wrong_input(self):
        put = self.ses.put_suppressed_destination
        answer = self.refused("BadRequestException", put, EmailAddress="a@b.c", Reason="MANUAL")
        self.assertIn("enum value set: [BOUNCE, COMPLAINT]", answer["Error"]["Message"])
        for address in ["", "   ", "nobody", "@example.com", "a@", "a@b c", "a\nb@example.com",
                        "x" * 321 + "@example.com"]:
            with self.subTest(address):
                self.refused("BadRequestException", put, EmailAddress=address, Reason="BOUNCE")
        self.assertEqual(self.list()[0], [])

    def test_paging(self):
        addresses = [f"u{i}@example.com" for i in range(2503)]
        self.sim.control("PUT", "suppression", addresses)
        found, pages = self.list()
        self.assertEqual((sorted(found), pages), (sorted(addresses), 3))
        found, pages = self.list(PageSize=1000)
        self.assertEqual((len(set(found)), pages), (2503, 3))
        found, pages = self.list(PageSize=501)
        self.assertEqual((sorted(found), pages), (sorted(addresses), 5))
        for size in [0, 1001]:
            self.refused("BadRequestException", self.ses.list_suppressed_destinations,
                         PageSize=size)

    def test_changes_during_a_scan_lose_nothing_that_stays(self):
        seed = random.randrange(1 << 32)
        rng = random.Random(seed)
        staying = [f"s{i}@example.com" for i in range(200)]
        leaving = [f"l{i}@example.com" for i in range(200)]
        mixed = staying + leaving
        rng.shuffle(mixed)
        self.sim.control("PUT", "suppression", mixed)
        found, token = [], None
        while True:
            page = self.ses.list_suppressed_destinations(
                PageSize=37, **({"NextToken": token} if token else {}))
            found += [e["EmailAddress"] for e in page["SuppressedDestinationSummaries"]]
            for _ in range(rng.randrange(20)):
                if leaving:
                    self.ses.delete_suppressed_destination(
                        EmailAddress=leaving.pop(rng.randrange(len(leaving))))
            token = page.get("NextToken")
            if not token:
                break
        self.assertEqual(len(set(found)), len(found), f"seed {seed}")
        self.assertLessEqual(set(staying), set(found), f"seed {seed}")

    def test_tokens(self):
        self.sim.control("PUT", "suppression", [f"u{i}@example.com" for i in range(5)])
        listing = self.ses.list_suppressed_destinations
        token = listing(PageSize=2)["NextToken"]
        self.assertTrue(set("+/=") & set(token), token)
        self.assertEqual(len(listing(PageSize=2, NextToken=token)
                             ["SuppressedDestinationSummaries"]), 2)
        for wrong in ["x", token[:-8], token[:20] + "AAAA" + token[24:], "%00" + token]:
            self.refused("InvalidNextTokenException", listing, NextToken=wrong)
        self.refused("InvalidNextTokenException", listing, NextToken=token, Reasons=["BOUNCE"])
        other = self.sim.client("sesv2", REGIONS[1])
        self.refused("InvalidNextTokenException", other.list_suppressed_destinations,
                     NextToken=token)
        self.sim.control("POST", "expire-tokens")
        self.refused("InvalidNextTokenException", listing, PageSize=2, NextToken=token)

    def test_filters(self):
        t = 1700000000
        self.sim.control("PUT", "suppression", [
            {"EmailAddress": f"{reason[0].lower()}{i}@example.com", "Reason": reason,
             "LastUpdateTime": t + i}
            for reason in ["BOUNCE", "COMPLAINT"] for i in range(10)])
        self.assertEqual(len(self.list()[0]), 20)
        self.assertEqual(len(self.list(Reasons=["BOUNCE", "COMPLAINT"])[0]), 20)
        complaints = self.list(Reasons=["COMPLAINT"])[0]
        self.assertEqual(sorted(complaints), [f"c{i}@example.com" for i in range(10)])
        late = self.list(Reasons=["BOUNCE"], StartDate=t + 7.5)[0]
        self.assertEqual(sorted(late), ["b8@example.com", "b9@example.com"])
        self.assertEqual(len(self.list(StartDate=t + 2, EndDate=t + 4)[0]), 6)
        self.assertEqual(self.list(EndDate=t - 1)[0], [])


    def test_dates_on_the_wire(self):
        """StartDate in every form that a client might send: ISO with zone or offset, epoch."""
        self.sim.control("PUT", "suppression",
                         [{"EmailAddress": "a@example.com", "LastUpdateTime": 1700000000.5}])
        for date, found in [("2023-11-14T22:13:20Z", 1), ("2023-11-14T22:13:20.5Z", 1),
                            ("2023-11-14T22:13:20.501000Z", 0), ("2023-11-15T00:13:20+02:00", 1),
                            ("2023-11-14T17:13:21-05:00", 0), ("1700000000", 1),
                            ("1700000001.5", 0), ("yesterday", None), ("2023-11-14", None),
                            ("2023-11-14T22:13:20+02", None)]:
            with self.subTest(date):
                path = ("/v2/email/suppression/addresses?StartDate="
                        + urllib.parse.quote(date, safe=""))
                status, _, body = self.sim.http("GET", path, headers=self.sim.signed("GET", path))
                if found is None:
                    self.assertEqual(status, 400)
                else:
                    self.assertEqual(len(json.loads(body)["SuppressedDestinationSummaries"]), found)


class Account(simtest.TestCase):
    def setUp(self):
        super().setUp()
        self.ses = self.sim.client("sesv2")
        self.ses.put_account_suppression_attributes(SuppressedReasons=["BOUNCE", "COMPLAINT"])
        self.sim.control("PUT", "account", {"ProductionAccessEnabled": True})

    def reasons(self):
        return self.ses.get_account()["SuppressionAttributes"]["SuppressedReasons"]

    def test_reasons(self):
        self.assertEqual(self.reasons(), ["BOUNCE", "COMPLAINT"])
        self.ses.put_account_suppression_attributes(SuppressedReasons=["COMPLAINT"])
        self.assertEqual(self.reasons(), ["COMPLAINT"])
        self.ses.put_account_suppression_attributes()
        self.assertEqual(self.reasons(), [], "an empty request clears the reasons")
        self.refused("BadRequestException", self.ses.put_account_suppression_attributes,
                     SuppressedReasons=["OTHER"])

    def test_account(self):
        account = self.ses.get_account()
        self.assertTrue(account["ProductionAccessEnabled"])
        self.assertTrue(account["SendingEnabled"])
        self.assertEqual(account["EnforcementStatus"], "HEALTHY")
        self.assertGreater(account["SendQuota"]["MaxSendRate"], 0)

    def test_sandbox(self):
        self.sim.control("PUT", "account", {"ProductionAccessEnabled": False})
        self.assertFalse(self.ses.get_account()["ProductionAccessEnabled"])
        answer = self.refused("BadRequestException", self.ses.put_suppressed_destination,
                              EmailAddress="a@example.com", Reason="BOUNCE")
        self.assertIn("sandbox", answer["Error"]["Message"])

    def test_configuration_sets(self):
        self.ses.create_configuration_set(ConfigurationSetName="plain")
        self.ses.create_configuration_set(
            ConfigurationSetName="own", SuppressionOptions={"SuppressedReasons": ["BOUNCE"]})
        self.refused("AlreadyExistsException", self.ses.create_configuration_set,
                     ConfigurationSetName="own")
        names = self.ses.list_configuration_sets()["ConfigurationSets"]
        self.assertEqual(sorted(names), ["own", "plain"])
        self.assertNotIn("SuppressionOptions",
                         self.ses.get_configuration_set(ConfigurationSetName="plain"))
        self.ses.put_configuration_set_suppression_options(ConfigurationSetName="own",
                                                           SuppressedReasons=[])
        self.assertEqual(self.ses.get_configuration_set(ConfigurationSetName="own")
                         ["SuppressionOptions"], {"SuppressedReasons": []})
        for name in names:
            self.ses.delete_configuration_set(ConfigurationSetName=name)
        self.refused("NotFoundException", self.ses.get_configuration_set,
                     ConfigurationSetName="own")
        self.refused("NotFoundException", self.ses.put_configuration_set_suppression_options,
                     ConfigurationSetName="own", SuppressedReasons=[])


    def test_configuration_sets_page_by_page(self):
        names = [f"s{i}" for i in range(7)]
        for name in names:
            self.ses.create_configuration_set(ConfigurationSetName=name)
        found, query = [], {}
        while True:
            page = self.ses.list_configuration_sets(PageSize=3, **query)
            self.assertLessEqual(len(page["ConfigurationSets"]), 3)
            found += page["ConfigurationSets"]
            if "NextToken" not in page:
                break
            query = {"NextToken": page["NextToken"]}
        self.assertEqual(found, names, "in the order they were made")
        self.refused("BadRequestException", self.ses.list_configuration_sets, NextToken="x")
        self.refused("BadRequestException", self.ses.list_configuration_sets, PageSize=0)
        for name in names:
            self.ses.delete_configuration_set(ConfigurationSetName=name)

    def test_sending_can_be_paused(self):
        def send():
            self.ses.send_email(
                FromEmailAddress="s@example.com", Destination={"ToAddresses": ["ok@example.com"]},
                Content={"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "b"}}}})

        self.ses.put_account_sending_attributes(SendingEnabled=False)
        self.assertFalse(self.ses.get_account()["SendingEnabled"])
        self.refused("SendingPausedException", send)
        self.ses.put_account_sending_attributes(SendingEnabled=True)
        self.sim.control("PUT", "account", {"EnforcementStatus": "SHUTDOWN"})
        self.refused("AccountSuspendedException", send)
        self.sim.control("PUT", "account", {"EnforcementStatus": "HEALTHY"})
        send()


class Faults(simtest.TestCase):
    def setUp(self):
        super().setUp()
        self.ses = self.sim.client("sesv2")
        self.sim.control("POST", "rate", {"rps": 0})
        self.sim.control("DELETE", "calls")

    def put(self, client=None, address="a@example.com"):
        (client or self.ses).put_suppressed_destination(EmailAddress=address, Reason="BOUNCE")

    def listed(self):
        return [e["EmailAddress"] for e in self.sim.control("GET", "suppression")]

    def test_rate(self):
        self.sim.control("POST", "rate", {"rps": 5})
        taken, refused = 0, 0
        for i in range(20):
            try:
                self.put(address=f"u{i}@example.com")
                taken += 1
            except ClientError as error:
                self.assertEqual(error.response["Error"]["Code"], "TooManyRequestsException")
                self.assertEqual(error.response["ResponseMetadata"]["HTTPStatusCode"], 429)
                refused += 1
        self.assertGreaterEqual(taken, 5)
        self.assertGreater(refused, 0)
        self.assertEqual(len(self.listed()), taken)
        calls = self.sim.control("GET", "calls?detail=1")["PutSuppressedDestination"]
        self.assertEqual(calls, {"calls": 20, "throttled": refused, "failed": 0})
        # Another operation and another Region have their own.
        self.ses.list_suppressed_destinations()
        self.put(self.sim.client("sesv2", REGIONS[1]))
        # It comes back with time.
        simtest.wait_for(self.accepted, "a put that is not throttled")

    def accepted(self):
        try:
            self.put()
            return True
        except ClientError:
            return False

    def test_sending_is_not_limited(self):
        self.sim.control("POST", "rate", {"rps": 1})
        for _ in range(5):
            self.ses.send_email(
                FromEmailAddress="s@example.com", Destination={"ToAddresses": ["ok@example.com"]},
                Content={"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "b"}}}})

    def test_errors_by_count(self):
        self.sim.fault(operation="PutSuppressedDestination", count=2, status=503,
                       code="ServiceUnavailable")
        for _ in range(2):
            self.refused("ServiceUnavailable", self.put)
        self.assertEqual(self.listed(), [])
        self.put()
        self.assertEqual(self.listed(), ["a@example.com"])
        self.assertEqual(self.sim.control("GET", "calls"), {"PutSuppressedDestination": 3})

    def test_throttling_is_retried_by_the_sdk(self):
        self.sim.fault(operation="*", count=2, throttle=True)
        self.put(self.sim.client("sesv2", retries=5))
        self.assertEqual(self.sim.control("GET", "calls"), {"PutSuppressedDestination": 3})

    def test_reset_before_and_after(self):
        self.sim.fault(operation="PutSuppressedDestination", reset=True)
        with self.assertRaises((ConnectionClosedError, ConnectionError)):
            self.put()
        self.assertEqual(self.listed(), [])
        self.sim.fault(operation="PutSuppressedDestination", reset=True, after=True)
        with self.assertRaises((ConnectionClosedError, ConnectionError)):
            self.put()
        self.assertEqual(self.listed(), ["a@example.com"], "the effect stays, the answer is lost")

    def test_error_after_the_effect(self):
        self.sim.fault(operation="PutSuppressedDestination", status=500, after=True)
        self.refused("InternalFailure", self.put)
        self.assertEqual(self.listed(), ["a@example.com"])

    def test_delay(self):
        self.sim.fault(operation="GetAccount", delay_ms=700)
        began = time.monotonic()
        self.ses.get_account()
        self.assertGreaterEqual(time.monotonic() - began, 0.69)
        impatient = boto3.client("sesv2", endpoint_url=self.sim.url, region_name=REGIONS[0],
                                 aws_access_key_id=simtest.KEY,
                                 aws_secret_access_key=simtest.SECRET,
                                 config=Config(read_timeout=1, retries={"max_attempts": 0}))
        self.sim.fault(operation="GetAccount", delay_ms=60000)
        with self.assertRaises(ReadTimeoutError):
            impatient.get_account()

    def test_truncated_and_invalid_bodies(self):
        # Debian's botocore takes both for an empty answer, so the bytes are looked at.
        path = "/v2/email/suppression/addresses"
        headers = self.sim.signed("GET", path)
        self.put()
        self.sim.fault(operation="ListSuppressedDestinations", truncate=True)
        with self.assertRaises(http.client.IncompleteRead) as caught:
            self.sim.http("GET", path, headers=headers)
        self.assertTrue(caught.exception.partial.startswith(b'{"SuppressedDest'))
        self.assertGreater(caught.exception.expected, 10)
        self.sim.fault(operation="ListSuppressedDestinations", invalid_json=True)
        status, _, body = self.sim.http("GET", path, headers=headers)
        self.assertEqual(status, 200)
        with self.assertRaises(ValueError):
            json.loads(body)
        status, _, body = self.sim.http("GET", path, headers=headers)
        self.assertEqual(len(json.loads(body)["SuppressedDestinationSummaries"]), 1)

    def test_rules_are_checked(self):
        for wrong in [{}, [{"operation": "NoSuch"}], [{"count": 0}], [{"unknown": 1}],
                      [{"status": 200}], [{"delay_ms": -1}], ["x"]]:
            status, _, _ = self.sim.http("POST", "/_sim/eu-west-1/faults", json.dumps(wrong))
            self.assertEqual(status, 400, wrong)
        self.assertEqual(self.sim.control("GET", "faults"), [])


class Lag(simtest.TestCase):
    options = ["--list-lag", "1500"]

    def test_list_shows_the_past(self):
        ses = self.sim.client("sesv2")

        def listed():
            page = ses.list_suppressed_destinations()["SuppressedDestinationSummaries"]
            return [(e["EmailAddress"], e["Reason"]) for e in page]

        simtest.wait_for(lambda: not listed(), "the purge to show")
        ses.put_suppressed_destination(EmailAddress="a@example.com", Reason="BOUNCE")
        self.assertEqual(ses.get_suppressed_destination(EmailAddress="a@example.com")
                         ["SuppressedDestination"]["Reason"], "BOUNCE", "get does not lag")
        self.assertEqual(listed(), [])
        simtest.wait_for(lambda: listed() == [("a@example.com", "BOUNCE")], "the put to show")
        ses.put_suppressed_destination(EmailAddress="a@example.com", Reason="COMPLAINT")
        self.assertEqual(listed(), [("a@example.com", "BOUNCE")])
        simtest.wait_for(lambda: listed() == [("a@example.com", "COMPLAINT")], "the change")
        ses.delete_suppressed_destination(EmailAddress="a@example.com")
        self.assertEqual(listed(), [("a@example.com", "COMPLAINT")])
        simtest.wait_for(lambda: not listed(), "the removal to show")


if __name__ == "__main__":
    simtest.main()
