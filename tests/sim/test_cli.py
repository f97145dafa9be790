"""The simulator seen by the AWS CLI, as people will use it."""

import json
import os
import subprocess
import tempfile

import simtest
from simtest import REGIONS

AWS = os.environ.get("SUPSYNC_AWS_CLI", "/usr/bin/aws")


class CommandLine(simtest.TestCase):
    def aws(self, *arguments, fails=None, secret=simtest.SECRET):
        environment = dict(os.environ, AWS_ACCESS_KEY_ID=simtest.KEY, AWS_SECRET_ACCESS_KEY=secret,
                           AWS_PAGER="", AWS_MAX_ATTEMPTS="1", AWS_CONFIG_FILE="/dev/null",
                           AWS_SHARED_CREDENTIALS_FILE="/dev/null", LC_ALL="C.UTF-8")
        environment.pop("AWS_SESSION_TOKEN", None)
        done = subprocess.run(
            [AWS, "--endpoint-url", self.sim.url, "--region", REGIONS[0], "--output", "json",
             *arguments], env=environment, capture_output=True, text=True, timeout=120)
        if fails:
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(f"({fails})", done.stderr)
            return None
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout and json.loads(done.stdout)

    def test_suppression(self):
        self.aws("sesv2", "put-suppressed-destination", "--email-address", "Foo+1@Example.com",
                 "--reason", "BOUNCE")
        got = self.aws("sesv2", "get-suppressed-destination", "--email-address",
                       "Foo+1@example.com")
        self.assertEqual(got["SuppressedDestination"]["Reason"], "BOUNCE")
        got = self.aws("sesv2", "list-suppressed-destinations", "--reasons", "BOUNCE",
                       "--start-date", "2020-01-01T00:00:00Z", "--page-size", "1")
        self.assertEqual(got["SuppressedDestinationSummaries"][0]["EmailAddress"],
                         "Foo+1@example.com")
        self.aws("sesv2", "delete-suppressed-destination", "--email-address", "Foo+1@example.com")
        self.aws("sesv2", "get-suppressed-destination", "--email-address", "Foo+1@example.com",
                 fails="NotFoundException")
        self.aws("sesv2", "get-account", fails="InvalidSignatureException", secret="wrong")

    def test_send_and_receive(self):
        self.aws("sesv2", "send-email", "--from-email-address", "s@example.com", "--destination",
                 "ToAddresses=bounce@example.com", "--content",
                 "Simple={Subject={Data=hi},Body={Text={Data=text}}}")
        url = self.aws("sqs", "get-queue-url", "--queue-name", "ses-events")["QueueUrl"]
        got = self.aws("sqs", "receive-message", "--queue-url", url, "--max-number-of-messages",
                       "10", "--wait-time-seconds", "1", "--attribute-names", "All")
        events = [json.loads(json.loads(m["Body"])["Message"]) for m in got["Messages"]]
        self.assertEqual([e["eventType"] for e in events], ["Send", "Bounce"])
        for message in got["Messages"]:
            self.aws("sqs", "delete-message", "--queue-url", url, "--receipt-handle",
                     message["ReceiptHandle"])
        self.assertEqual(self.sim.control("GET", "queues")["ses-events"]["in_flight"], 0)
        self.aws("sqs", "receive-message", "--queue-url", url + "x",
                 fails="AWS.SimpleQueueService.NonExistentQueue")

    def test_storage_and_identity(self):
        with tempfile.NamedTemporaryFile("w+") as file:
            file.write("text\n")
            file.flush()
            bucket = "s3://supsync-" + REGIONS[0]
            self.aws("s3", "cp", "--quiet", file.name, bucket + "/a/b")
            self.aws("s3", "cp", "--quiet", bucket + "/a/b", file.name + ".back")
            with open(file.name + ".back") as back:
                self.assertEqual(back.read(), "text\n")
            os.unlink(file.name + ".back")
            self.aws("s3", "rm", "--quiet", bucket + "/a/b")
        self.assertEqual(self.aws("sts", "get-caller-identity")["Account"], "000000000000")
        arn = f"arn:aws:sns:{REGIONS[0]}:000000000000:ses-events"
        self.assertIn({"TopicArn": arn}, self.aws("sns", "list-topics")["Topics"])
        self.aws("sns", "publish", "--topic-arn", arn, "--message", "x")


if __name__ == "__main__":
    simtest.main()
