"""SQS and SNS with Debian's botocore, which speaks the query protocol; test_clients.js speaks JSON."""

import base64
import hashlib
import json
import socket
import threading
import time
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

import simtest
from simtest import REGIONS


class Queues(simtest.TestCase):
    def setUp(self):
        super().setUp()
        self.sqs = self.sim.client("sqs")
        self.url = self.new_queue("q-" + self._testMethodName[5:50])

    def new_queue(self, name, **attributes):
        return self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def send(self, *bodies, url=None):
        for body in bodies:
            self.sqs.send_message(QueueUrl=url or self.url, MessageBody=body)

    def receive(self, url=None, **parameters):
        return self.sqs.receive_message(QueueUrl=url or self.url, **parameters).get("Messages", [])

    def delete(self, message):
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])

    def counts(self, url=None):
        name = (url or self.url).rsplit("/", 1)[1]
        return self.sim.control("GET", "queues")[name]

    def test_send_receive_delete(self):
        sent = self.sqs.send_message(QueueUrl=self.url, MessageBody="<hello> & \"good\" ümlaut\r\n")
        before = time.time() * 1000
        message, = self.receive(AttributeNames=["All"])
        self.assertEqual(message["MessageId"], sent["MessageId"])
        self.assertEqual(message["Body"], "<hello> & \"good\" ümlaut\r\n")
        self.assertEqual(message["MD5OfBody"],
                         hashlib.md5(message["Body"].encode()).hexdigest())
        self.assertEqual(sent["MD5OfMessageBody"], message["MD5OfBody"])
        attributes = message["Attributes"]
        self.assertEqual(attributes["ApproximateReceiveCount"], "1")
        self.assertLess(abs(int(attributes["SentTimestamp"]) - before), 30000)
        self.assertEqual(self.receive(), [])
        self.delete(message)
        counts = self.counts()
        self.assertEqual((counts["visible"], counts["in_flight"], counts["deleted"]), (0, 0, 1))
        self.delete(message)

    def test_attributes_only_when_asked_for(self):
        self.sqs.send_message(QueueUrl=self.url, MessageBody="x", MessageAttributes={
            "kind": {"DataType": "String", "StringValue": "a"},
            "other": {"DataType": "Number", "StringValue": "1"}})
        message, = self.receive(VisibilityTimeout=0)
        self.assertNotIn("Attributes", message)
        self.assertNotIn("MessageAttributes", message)
        message, = self.receive(AttributeNames=["ApproximateReceiveCount"],
                                MessageAttributeNames=["kind"])
        self.assertEqual(message["Attributes"], {"ApproximateReceiveCount": "2"})
        self.assertEqual(message["MessageAttributes"]["kind"]["StringValue"], "a")
        self.assertNotIn("other", message["MessageAttributes"])

    def test_visibility(self):
        self.send("x")
        first, = self.receive(VisibilityTimeout=1)
        self.assertEqual(self.receive(), [])
        began = time.monotonic()
        second, = self.receive(WaitTimeSeconds=10, VisibilityTimeout=600,
                               AttributeNames=["ApproximateReceiveCount"])
        self.assertLess(time.monotonic() - began, 5, "a long poll sees the time-out end")
        self.assertEqual(second["Attributes"]["ApproximateReceiveCount"], "2")
        self.assertNotEqual(first["ReceiptHandle"], second["ReceiptHandle"])
        # An old receipt handle reports success and deletes nothing.
        self.delete(first)
        self.assertEqual(self.counts()["in_flight"], 1)
        self.sqs.change_message_visibility(QueueUrl=self.url, VisibilityTimeout=0,
                                           ReceiptHandle=second["ReceiptHandle"])
        third, = self.receive()
        self.delete(third)
        self.assertEqual(self.counts()["in_flight"], 0)
        self.refused("ReceiptHandleIsInvalid", self.delete, {"ReceiptHandle": "rubbish"})

    def test_extending_visibility(self):
        self.send("x")
        message, = self.receive(VisibilityTimeout=1)
        self.sqs.change_message_visibility(QueueUrl=self.url, VisibilityTimeout=60,
                                           ReceiptHandle=message["ReceiptHandle"])
        self.assertEqual(self.receive(WaitTimeSeconds=2), [])

    def test_long_poll(self):
        began = time.monotonic()
        self.assertEqual(self.receive(WaitTimeSeconds=1), [])
        self.assertGreaterEqual(time.monotonic() - began, 0.99)
        arrived = []

        def wait():
            got = self.sim.client("sqs").receive_message(QueueUrl=self.url, WaitTimeSeconds=20)
            arrived.append((time.monotonic(), got["Messages"][0]["Body"]))

        # Many more polls than the server has threads; each message wakes one.
        pollers = [threading.Thread(target=wait) for _ in range(12)]
        for poller in pollers:
            poller.start()
        simtest.wait_for(lambda: self.sim.control("GET", "calls")["ReceiveMessage"] >= 13,
                         "the polls to arrive")
        began = time.monotonic()
        self.assertEqual(len(self.sim.control("GET", "suppression")), 0, "others are served")
        for i in range(12):
            self.send(f"m{i}")
        for poller in pollers:
            poller.join()
        self.assertEqual(sorted(b for _, b in arrived), sorted(f"m{i}" for i in range(12)))
        self.assertLess(max(t for t, _ in arrived) - began, 10)

    def test_gone_pollers_take_no_messages(self):
        form = f"Action=ReceiveMessage&Version=2012-11-05&QueueUrl={self.url}&WaitTimeSeconds=20"
        headers = self.sim.signed("POST", "/", form, service="sqs", headers={
            "Content-Type": "application/x-www-form-urlencoded"})
        lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        request = f"POST / HTTP/1.1\r\n{lines}Content-Length: {len(form)}\r\n\r\n{form}"
        self.sim.control("DELETE", "calls")
        host, port = self.sim.host.split(":")
        with socket.create_connection((host, int(port))) as s:
            s.sendall(request.encode())
            simtest.wait_for(lambda: self.sim.control("GET", "calls").get("ReceiveMessage"),
                             "the poll to arrive")
        self.send("x")
        message, = self.receive(WaitTimeSeconds=5, AttributeNames=["ApproximateReceiveCount"])
        self.assertEqual(message["Attributes"]["ApproximateReceiveCount"], "1")

    def test_limits(self):
        self.send(*[str(i) for i in range(12)])
        self.assertEqual(len(self.receive()), 1)
        self.assertEqual(len(self.receive(MaxNumberOfMessages=10)), 10)
        for wrong in [{"MaxNumberOfMessages": 11}, {"MaxNumberOfMessages": 0},
                      {"WaitTimeSeconds": 21}, {"VisibilityTimeout": 43201}]:
            self.refused("InvalidParameterValue", self.receive, **wrong)
        self.refused("MissingParameter", self.send, "")
        self.refused("InvalidParameterValue", self.send, "x" * ((1 << 20) + 1))
        self.send("x" * (1 << 20))

    def test_batches(self):
        entries = [{"Id": str(i), "MessageBody": f"b{i}"} for i in range(10)]
        answer = self.sqs.send_message_batch(QueueUrl=self.url, Entries=entries)
        self.assertEqual(len(answer["Successful"]), 10)
        messages = self.receive(MaxNumberOfMessages=10)
        handles = [{"Id": m["MessageId"], "ReceiptHandle": m["ReceiptHandle"]} for m in messages]
        hidden = [dict(h, VisibilityTimeout=0) for h in handles]
        answer = self.sqs.change_message_visibility_batch(QueueUrl=self.url, Entries=hidden)
        self.assertEqual(len(answer["Successful"]), 10)
        messages = self.receive(MaxNumberOfMessages=10)
        self.assertEqual(len(messages), 10)
        handles = [{"Id": m["MessageId"], "ReceiptHandle": m["ReceiptHandle"]} for m in messages]
        handles[3]["ReceiptHandle"] = "rubbish"
        answer = self.sqs.delete_message_batch(QueueUrl=self.url, Entries=handles)
        self.assertEqual(len(answer["Successful"]), 9)
        failed, = answer["Failed"]
        self.assertEqual((failed["Id"], failed["Code"], failed["SenderFault"]),
                         (handles[3]["Id"], "ReceiptHandleIsInvalid", True))
        self.assertEqual(self.counts()["in_flight"], 1)
        batch = self.sqs.delete_message_batch
        self.refused("AWS.SimpleQueueService.EmptyBatchRequest", batch, QueueUrl=self.url,
                     Entries=[])
        self.refused("AWS.SimpleQueueService.TooManyEntriesInBatchRequest", batch,
                     QueueUrl=self.url,
                     Entries=[{"Id": str(i), "ReceiptHandle": "x"} for i in range(11)])
        self.refused("AWS.SimpleQueueService.BatchEntryIdsNotDistinct", batch, QueueUrl=self.url,
                     Entries=[{"Id": "a", "ReceiptHandle": "x"}] * 2)

    def test_dead_letters(self):
        dead = self.new_queue("dead")
        arn = self.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
        arn = arn["Attributes"]["QueueArn"]
        self.assertEqual(arn, f"arn:aws:sqs:{REGIONS[0]}:000000000000:dead")
        policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"RedrivePolicy": policy})
        self.send("poison", "fine")
        for _ in range(2):
            got = self.receive(MaxNumberOfMessages=10, VisibilityTimeout=0)
            self.assertEqual(sorted(m["Body"] for m in got), ["fine", "poison"])
        self.assertEqual(self.receive(MaxNumberOfMessages=10), [])
        got = self.receive(url=dead, MaxNumberOfMessages=10)
        self.assertEqual(sorted(m["Body"] for m in got), ["fine", "poison"])
        self.assertEqual(self.counts()["dead_lettered"], 2)

    def test_default_queue_has_a_dead_letter_queue(self):
        got = self.sqs.get_queue_attributes(QueueUrl=self.sim.queue_url(), AttributeNames=["All"])
        policy = json.loads(got["Attributes"]["RedrivePolicy"])
        self.assertEqual(policy["maxReceiveCount"], 5)
        self.assertTrue(policy["deadLetterTargetArn"].endswith(":ses-events-dlq"))
        self.assertEqual(got["Attributes"]["VisibilityTimeout"], "30")

    def test_queues(self):
        url = self.new_queue("made", VisibilityTimeout="7", DelaySeconds="1")
        self.assertEqual(self.sqs.get_queue_url(QueueName="made")["QueueUrl"], url)
        self.assertEqual(self.sqs.list_queues(QueueNamePrefix="mad")["QueueUrls"], [url])
        attributes = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        self.assertEqual(attributes["Attributes"]["VisibilityTimeout"], "7")
        self.send("later", url=url)
        self.assertEqual(self.receive(url=url), [])
        self.assertEqual(self.receive(url=url, WaitTimeSeconds=5)[0]["Body"], "later")
        self.refused("InvalidAttributeName", self.sqs.set_queue_attributes, QueueUrl=url,
                     Attributes={"VisibilityTimeout": "99999"})
        self.sqs.delete_queue(QueueUrl=url)
        missing = "AWS.SimpleQueueService.NonExistentQueue"
        answer = self.refused(missing, self.receive, url=url)
        self.assertEqual(answer["ResponseMetadata"]["HTTPStatusCode"], 400)
        self.refused(missing, self.sqs.get_queue_url, QueueName="made")
        self.refused("InvalidParameterValue", self.new_queue, "no spaces")

    def test_the_same_name_in_each_region(self):
        other = self.sim.client("sqs", REGIONS[1])
        url = self.sim.queue_url()
        self.sqs.send_message(QueueUrl=url, MessageBody="here")
        self.assertNotIn("Messages", other.receive_message(QueueUrl=url))
        self.assertEqual(self.receive(url=url)[0]["Body"], "here")

    def test_load_by_control(self):
        bodies = [f"body {i}" for i in range(1000)]
        self.assertEqual(self.sim.control("POST", "events", bodies), {"sent": 1000})
        url, got = self.sim.queue_url(), []
        while True:
            page = self.receive(url=url, MaxNumberOfMessages=10)
            if not page:
                break
            got += [m["Body"] for m in page]
        self.assertEqual(sorted(got), sorted(bodies))
        self.sqs.purge_queue(QueueUrl=url)
        self.assertEqual(self.counts(url)["in_flight"], 0)


def check_signature(sim, envelope):
    """As the SNS developer guide says, with the certificate that the message names."""
    assert envelope["SigningCertURL"].startswith(sim.url + "/SimpleNotificationService-")
    assert envelope["SigningCertURL"].endswith(".pem")
    pem = urllib.request.urlopen(envelope["SigningCertURL"]).read()
    names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    text = "".join(f"{n}\n{envelope[n]}\n" for n in names if n in envelope)
    digest = {"1": hashes.SHA1(), "2": hashes.SHA256()}[envelope["SignatureVersion"]]
    x509.load_pem_x509_certificate(pem).public_key().verify(
        base64.b64decode(envelope["Signature"]), text.encode(), padding.PKCS1v15(), digest)


class Topics(simtest.TestCase):
    version = "1"

    def envelope(self):
        sqs = self.sim.client("sqs")
        got = sqs.receive_message(QueueUrl=self.sim.queue_url(), WaitTimeSeconds=5)["Messages"]
        return json.loads(got[0]["Body"])

    def test_publish(self):
        sns = self.sim.client("sns")
        topic = sns.create_topic(Name="news")["TopicArn"]
        self.assertIn(topic, [t["TopicArn"] for t in sns.list_topics()["Topics"]])
        queue = f"arn:aws:sqs:{REGIONS[0]}:000000000000:ses-events"
        subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
        listed = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        self.assertEqual([s["SubscriptionArn"] for s in listed], [subscription["SubscriptionArn"]])
        for subject in [None, "a subject: ü"]:
            more = {"Subject": subject} if subject else {}
            sent = sns.publish(TopicArn=topic, Message='text "quoted"\nü', **more)
            envelope = self.envelope()
            self.assertEqual(envelope["Type"], "Notification")
            self.assertEqual(envelope["MessageId"], sent["MessageId"])
            self.assertEqual(envelope["Message"], 'text "quoted"\nü')
            self.assertEqual(envelope.get("Subject"), subject)
            self.assertEqual(envelope["TopicArn"], topic)
            self.assertEqual(envelope["SignatureVersion"], self.version)
            check_signature(self.sim, envelope)
            forged = dict(envelope, Message="text")
            with self.assertRaises(Exception):
                check_signature(self.sim, forged)
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
        self.assertEqual(sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"], [])

    def test_raw_delivery(self):
        sns, sqs = self.sim.client("sns"), self.sim.client("sqs")
        topic = sns.create_topic(Name="raw")["TopicArn"]
        url = sqs.create_queue(QueueName="raw")["QueueUrl"]
        sns.subscribe(TopicArn=topic, Protocol="sqs",
                      Endpoint=f"arn:aws:sqs:{REGIONS[0]}:000000000000:raw",
                      Attributes={"RawMessageDelivery": "true"})
        sns.publish(TopicArn=topic, Message="as it is")
        self.assertEqual(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"][0]["Body"],
                         "as it is")

    def test_refusals(self):
        sns = self.sim.client("sns")
        unknown = f"arn:aws:sns:{REGIONS[0]}:000000000000:unknown"
        self.refused("NotFound", sns.publish, TopicArn=unknown, Message="x")
        self.refused("InvalidParameter", sns.create_topic, Name="a b")
        self.refused("InvalidParameter", sns.subscribe, TopicArn=unknown, Protocol="http",
                     Endpoint="http://127.0.0.1/")


class TopicsSha256(Topics):
    options = ["--sns-signature", "2"]
    version = "2"


if __name__ == "__main__":
    simtest.main()
