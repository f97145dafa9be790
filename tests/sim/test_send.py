"""SendEmail: what becomes of each recipient, what is published, what SES lists by itself."""

import json

import simtest
from simtest import REGIONS
from test_sqs import check_signature


class SendEmail(simtest.TestCase):
    def setUp(self):
        super().setUp()
        self.ses = self.sim.client("sesv2")
        self.sqs = self.sim.client("sqs")
        self.ses.put_account_suppression_attributes(SuppressedReasons=["BOUNCE", "COMPLAINT"])

    def send(self, *to, cc=(), bcc=(), client=None, **more):
        return (client or self.ses).send_email(
            FromEmailAddress="Sender <sender@example.com>",
            Destination={"ToAddresses": list(to), "CcAddresses": list(cc),
                         "BccAddresses": list(bcc)},
            Content={"Simple": {"Subject": {"Data": "hi"}, "Body": {"Text": {"Data": "text"}}}},
            **more)["MessageId"]

    def events(self, *types):
        """All events that are there, in their order, signatures checked; the mail's Send first."""
        found = []
        while True:
            page = self.sqs.receive_message(QueueUrl=self.sim.queue_url(), MaxNumberOfMessages=10)
            for message in page.get("Messages", []):
                envelope = json.loads(message["Body"])
                check_signature(self.sim, envelope)
                self.assertEqual(envelope["TopicArn"],
                                 f"arn:aws:sns:{REGIONS[0]}:000000000000:ses-events")
                found.append(json.loads(envelope["Message"]))
            if "Messages" not in page:
                break
        self.assertEqual([e["eventType"] for e in found], list(types))
        return found

    def listed(self):
        return {e["EmailAddress"]: e["Reason"] for e in self.sim.control("GET", "suppression")}

    def recipients(self, event):
        kind = event["eventType"].lower()
        name = {"bounce": "bouncedRecipients", "complaint": "complainedRecipients"}[kind]
        return [r["emailAddress"] for r in event[kind][name]]

    def test_delivery(self):
        identifier = self.send("Someone <ok@example.com>", EmailTags=[{"Name": "n", "Value": "v"}])
        sent, delivery = self.events("Send", "Delivery")
        self.assertEqual(sent["mail"]["messageId"], identifier)
        self.assertEqual(sent["mail"]["destination"], ["ok@example.com"])
        self.assertEqual(sent["mail"]["tags"]["n"], ["v"])
        self.assertEqual(sent["mail"]["sendingAccountId"], "000000000000")
        self.assertEqual(sent["mail"]["commonHeaders"]["to"], ["Someone <ok@example.com>"])
        self.assertEqual(delivery["delivery"]["recipients"], ["ok@example.com"])
        self.assertEqual(self.listed(), {})

    def test_hard_bounce_is_listed_in_the_spelling_it_was_sent_to(self):
        identifier = self.send("Bounce.Me@Example.ORG")
        _, event = self.events("Send", "Bounce")
        bounce = event["bounce"]
        self.assertEqual((bounce["bounceType"], bounce["bounceSubType"]), ("Permanent", "General"))
        self.assertEqual(bounce["bouncedRecipients"][0]["emailAddress"], "Bounce.Me@Example.ORG")
        self.assertEqual(bounce["bouncedRecipients"][0]["action"], "failed")
        self.assertTrue(bounce["bouncedRecipients"][0]["status"].startswith("5."))
        self.assertEqual(self.listed(), {"Bounce.Me@example.org": "BOUNCE"})
        entry = self.ses.get_suppressed_destination(EmailAddress="Bounce.Me@example.org")
        self.assertEqual(entry["SuppressedDestination"]["Attributes"],
                         {"MessageId": identifier, "FeedbackId": bounce["feedbackId"]})
        other = self.sim.control("GET", "suppression", region=REGIONS[1])
        self.assertEqual(other, [], "no other Region hears of it")

    def test_complaint(self):
        self.send("complaint1@example.com", "complaint2@example.com")
        events = self.events("Send", "Delivery", "Complaint", "Delivery", "Complaint")
        self.assertEqual(events[2]["complaint"]["complaintFeedbackType"], "abuse")
        self.assertEqual(self.recipients(events[2]), ["complaint1@example.com"])
        self.assertNotEqual(events[2]["complaint"]["feedbackId"],
                            events[4]["complaint"]["feedbackId"])
        self.assertEqual(self.listed(), {"complaint1@example.com": "COMPLAINT",
                                         "complaint2@example.com": "COMPLAINT"})

    def test_soft_and_out_of_office(self):
        self.send("SOFT.x@example.com", "ooto@example.com")
        _, soft, _, ooto = self.events("Send", "Bounce", "Delivery", "Bounce")
        self.assertEqual(soft["bounce"]["bounceType"], "Transient")
        self.assertTrue(soft["bounce"]["bouncedRecipients"][0]["status"].startswith("4."))
        self.assertEqual((ooto["bounce"]["bounceType"], ooto["bounce"]["bounceSubType"]),
                         ("Transient", "General"))
        self.assertNotIn("status", ooto["bounce"]["bouncedRecipients"][0])
        self.assertEqual(self.listed(), {})

    def test_bounces_of_one_mail_come_together(self):
        self.send("bounce1@example.com", cc=["bounce2@example.com"], bcc=["ok@example.com"])
        _, delivery, bounce = self.events("Send", "Delivery", "Bounce")
        self.assertEqual(self.recipients(bounce), ["bounce1@example.com", "bounce2@example.com"])
        self.assertEqual(len(bounce["mail"]["destination"]), 3)

    def test_echo(self):
        self.ses.put_suppressed_destination(EmailAddress="Some.One@example.com", Reason="BOUNCE")
        self.ses.put_suppressed_destination(EmailAddress="bad@example.com", Reason="COMPLAINT")
        self.send("some.one@EXAMPLE.com", "BAD@example.com", "ok@example.com")
        _, delivery, bounce, complaint = self.events("Send", "Delivery", "Bounce", "Complaint")
        self.assertEqual(delivery["delivery"]["recipients"], ["ok@example.com"])
        self.assertEqual(bounce["bounce"]["bounceSubType"], "OnAccountSuppressionList")
        self.assertEqual(self.recipients(bounce), ["some.one@EXAMPLE.com"])
        self.assertEqual(complaint["complaint"]["complaintSubType"], "OnAccountSuppressionList")
        self.assertEqual(self.recipients(complaint), ["BAD@example.com"])
        self.assertEqual(self.listed(), {"Some.One@example.com": "BOUNCE",
                                         "bad@example.com": "COMPLAINT"}, "echoes list nothing")

    def test_second_send_to_a_bouncer_is_blocked(self):
        before = self.sim.control("GET", "sends")
        self.send("bounce@example.com")
        self.send("BOUNCE@example.com")
        events = self.events("Send", "Bounce", "Send", "Bounce")
        self.assertEqual([e["bounce"]["bounceSubType"] for e in events if "bounce" in e],
                         ["General", "OnAccountSuppressionList"])
        after = self.sim.control("GET", "sends")
        self.assertEqual({k: after[k] - before[k] for k in after},
                         {"sends": 2, "delivered": 0, "blocked": 1, "bounced": 1, "complained": 0})

    def test_reasons_decide(self):
        self.ses.put_account_suppression_attributes(SuppressedReasons=["COMPLAINT"])
        self.ses.put_suppressed_destination(EmailAddress="ok@example.com", Reason="BOUNCE")
        self.send("ok@example.com")
        self.events("Send", "Delivery")
        self.send("bounce@example.com")
        self.events("Send", "Bounce")
        self.assertNotIn("bounce@example.com", self.listed(), "bounces are not listed then")
        self.ses.create_configuration_set(ConfigurationSetName="bounces",
                                          SuppressionOptions={"SuppressedReasons": ["BOUNCE"]})
        self.send("ok@example.com", ConfigurationSetName="bounces")
        event = self.events("Send", "Bounce")[1]
        self.assertEqual(event["mail"]["tags"]["ses:configuration-set"], ["bounces"])
        self.ses.put_account_suppression_attributes(SuppressedReasons=["BOUNCE", "COMPLAINT"])
        self.ses.put_configuration_set_suppression_options(ConfigurationSetName="bounces",
                                                           SuppressedReasons=[])
        self.send("ok@example.com", ConfigurationSetName="bounces")
        self.events("Send", "Delivery")
        self.ses.delete_configuration_set(ConfigurationSetName="bounces")
        self.refused("NotFoundException", self.send, "ok@example.com",
                     ConfigurationSetName="bounces")

    def test_mailbox_simulator(self):
        domain = "@simulator.amazonses.com"
        for box, types, sub_type in [
                ("success", ["Delivery"], None), ("bounce+label", ["Bounce"], "General"),
                ("Complaint", ["Delivery", "Complaint"], None),
                ("ooto", ["Delivery", "Bounce"], "General"),
                ("suppressionlist", ["Bounce"], "Suppressed"), ("bounces", ["Delivery"], None)]:
            with self.subTest(box):
                self.send(box + domain)
                event = self.events("Send", *types)[-1]
                if sub_type:
                    self.assertEqual(event["bounce"]["bounceSubType"], sub_type)
        self.assertEqual(self.listed(), {}, "simulator mailboxes are never listed")

    def test_raw_mail(self):
        text = ("From: Me <me@example.com>\r\nTo: \"Last, First\" <bounce@example.com>,\r\n"
                " ok@example.com\r\nSubject: raw\r\n\r\nTo: no@example.com\r\n")
        self.ses.send_email(Content={"Raw": {"Data": text.encode()}})
        _, delivery, bounce = self.events("Send", "Delivery", "Bounce")
        self.assertEqual(delivery["mail"]["destination"], ["bounce@example.com", "ok@example.com"])
        self.assertEqual(bounce["mail"]["commonHeaders"]["subject"], "raw")
        self.assertEqual(self.recipients(bounce), ["bounce@example.com"])

    def test_feedback_ids_are_unique(self):
        for i in range(20):
            self.send(f"soft{i}@example.com")
        events = self.events(*(["Send", "Bounce"] * 20))
        ids = [e["bounce"]["feedbackId"] for e in events if "bounce" in e]
        self.assertEqual(len(set(ids)), 20)

    def test_wrong_input(self):
        self.refused("BadRequestException", self.send, "nobody")
        self.refused("MessageRejected", self.send)
        self.refused("MessageRejected", self.send, *[f"u{i}@example.com" for i in range(51)])
        self.refused("BadRequestException", self.ses.send_email,
                     Destination={"ToAddresses": ["a@example.com"]},
                     Content={"Simple": {"Subject": {"Data": "s"}, "Body": {}}})
        self.events()

    def test_only_the_sending_region_publishes(self):
        self.send("bounce@example.com", client=self.sim.client("sesv2", REGIONS[1]))
        self.events()
        there = self.sim.control("GET", "queues", region=REGIONS[1])["ses-events"]
        self.assertEqual(there["visible"], 2)


if __name__ == "__main__":
    simtest.main()
