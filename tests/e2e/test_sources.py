"""Every source of events comes to the same, and none loses or repeats anything when the agent is
killed: SQS, SNS over HTTP, files, objects in S3, an archive in S3 that is watched.

SUPSYNC_LONG=1 is the full size: 100 000 events, twenty kills a source."""

import datetime
import gzip
import http.client
import json
import os
import random
import subprocess
import threading
import time

import harness
from harness import SUPSYNC, free_port, wait_for
from test_ingest import TOPIC, Signer, bounce, complaint, envelope

R = "eu-west-1"
BUCKET = "archive-bucket"
LONG = os.environ.get("SUPSYNC_LONG") == "1"
SAME = int(os.environ.get("SUPSYNC_EVENTS", 100000 if LONG else 2000))
KILLS = int(os.environ.get("SUPSYNC_KILLS", 20 if LONG else 2))
KILLED = 21000 if LONG else 2400  # events, two sends and a bounce each time
FOREVER = 3600 if LONG else 240


class QuickSigner(Signer):
    """Signs in this process where it can: a process a message takes longer than the agent."""

    def __init__(self, directory):
        super().__init__(directory)
        try:
            from cryptography.hazmat.primitives import hashes, serialization
            from cryptography.hazmat.primitives.asymmetric import padding
        except ImportError:
            self.private = None
            return
        with open(self.key, "rb") as f:
            self.private = serialization.load_pem_private_key(f.read(), None)
        self.arguments = (padding.PKCS1v15(), hashes.SHA256())

    def message(self, text, number=0, version="2", age=0, **more):
        if self.private is None:
            return super().message(text, number, version, age, **more)
        import base64

        now = datetime.datetime.now(datetime.timezone.utc)
        m = {"Message": text, "MessageId": f"sns-{number}",
             "Timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "TopicArn": TOPIC,
             "Type": "Notification"}
        signed = "".join(f"{k}\n{v}\n" for k, v in m.items())
        m["Signature"] = base64.b64encode(
            self.private.sign(signed.encode(), *self.arguments)).decode()
        m["SignatureVersion"] = "2"
        m["SigningCertURL"] = self.url + "/SimpleNotificationService-0123abcd.pem"
        return m


class Sources(harness.TestCase):
    """What brings lines of JSON to a node by each way."""

    def setUp(self):
        super().setUp()
        self.sim = self.simulator([R])
        self.s3 = self.sim.client("s3", R)
        self.sqs = self.sim.client("sqs", R)
        self.addCleanup(self.s3.close)
        self.addCleanup(self.sqs.close)
        self.s3.create_bucket(Bucket=BUCKET,
                              CreateBucketConfiguration={"LocationConstraint": R})
        self.signer = QuickSigner(self.directory)
        self.addCleanup(self.signer.stop)
        self.ports = {}

    def node_for(self, name, sources):
        node = self.agent(f"{R}/{name}", sim=self.sim)
        node.config["ses"] = {"mode": "observe"}
        del node.config["sqs"]
        if "sqs" in sources:
            url = self.sqs.create_queue(QueueName="q-" + name, Attributes={
                "VisibilityTimeout": "5"})["QueueUrl"]
            node.queue = url
            node.config["sqs"] = [{"queue_url": url, "receivers": 4}]
        if "sns" in sources:
            self.ports[name] = free_port()
            node.config["sns_http"] = {"listen": f"127.0.0.1:{self.ports[name]}",
                                       "topics": [TOPIC], "test_signer": self.signer.url}
        if "watched" in sources:
            node.config["archives"] = [{"bucket": BUCKET, "prefix": "in/", "interval": "1s"}]
        return node

    def put_objects(self, lines, parts=10):
        """As Firehose leaves them, and for both who list and who watch."""
        now = datetime.datetime.now(datetime.timezone.utc)
        size = -(-len(lines) // parts)
        for i in range(0, len(lines), size):
            hour = now - datetime.timedelta(hours=i // size % 5)
            self.s3.put_object(Bucket=BUCKET, Key=hour.strftime("in/%Y/%m/%d/%H/") + f"part-{i:07}",
                               Body=gzip.compress("\n".join(lines[i:i + size]).encode()))

    def by_sqs(self, node, lines):
        for i in range(0, len(lines), 10):
            self.sqs.send_message_batch(QueueUrl=node.queue, Entries=[
                {"Id": str(k), "MessageBody": line} for k, line in enumerate(lines[i:i + 10])])

    def queue_is_empty(self, node):
        a = self.sqs.get_queue_attributes(QueueUrl=node.queue, AttributeNames=["All"])["Attributes"]
        return int(a["ApproximateNumberOfMessages"]) == 0 and \
            int(a["ApproximateNumberOfMessagesNotVisible"]) == 0

    def by_sns(self, name, lines):
        """As SNS does: again until it is taken."""
        connection = None
        for i, line in enumerate(lines):
            body = json.dumps(self.signer.message(line, i)).encode()
            deadline = time.monotonic() + FOREVER
            while True:
                try:
                    if connection is None:
                        connection = http.client.HTTPConnection("127.0.0.1", self.ports[name],
                                                                timeout=30)
                    connection.request("POST", "/", body)
                    answer = connection.getresponse()
                    status = answer.status, answer.read()
                except (OSError, http.client.HTTPException):
                    connection.close()
                    connection = None
                    status = None
                if status is not None and status[0] == 200:
                    break
                if time.monotonic() > deadline or (status and status[0] < 500):
                    raise AssertionError(f"SNS's message {i}: {status}")
                time.sleep(0.02)
        connection.close()

    def by_ingest(self, node, *arguments, stdin=None):
        environment = dict(os.environ, SUPSYNC_SOCKET=node.socket, AWS_REGION=R)
        environment.update(self.sim.environment())
        return subprocess.run([SUPSYNC, "ingest", *arguments], env=environment, input=stdin,
                              capture_output=True, timeout=FOREVER, check=False)

    def ingested(self, node, *arguments, stdin=None):
        r = self.by_ingest(node, *arguments, stdin=stdin)
        self.assertEqual(r.returncode, 0, r.stderr)


class Same(Sources):
    def events(self, n):
        now = datetime.datetime.now(datetime.timezone.utc)
        stamp = [(now - datetime.timedelta(minutes=20 + i)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
                 for i in range(7)]
        for i in range(n):
            address = f"User{i % 499}@Example.com"
            kind, t = i % 5, stamp[i % 7]
            if kind == 0:
                yield bounce(address, i, time=t)
            elif kind == 1:
                event = complaint(address, i)
                event["complaint"]["timestamp"] = t
                yield event
            elif kind == 2:
                yield {"eventType": "Send", "send": {}, "mail": {
                    "messageId": f"s{i}", "timestamp": t, "destination": [address]}}
            elif kind == 3:
                yield bounce(f"soft{i}@example.com", i, "Transient", "MailboxFull", t)
            else:
                yield {"eventType": "Delivery", "mail": {"messageId": f"d{i}",
                       "destination": [address]},
                       "delivery": {"timestamp": t, "recipients": [address]}}

    def counts(self, node):
        rates = node.request("GET", "/v1/rates?domains=true&limit=1000", timeout=120).json()["rates"]
        return sorted((r["kind"], r["name"], json.dumps(r["windows"]["7d"])) for r in rates)

    def state(self, node):
        soft, after = [], ""
        while after is not None:
            page = node.request("GET", "/v1/soft?limit=10000" + after, timeout=120).json()
            soft += [(r["address"], r["message_id"], r["time"]) for r in page["soft"]]
            after = "&after=" + page["next"] if page["next"] is not None else None
        return {
            "set": [{k: row[k] for k in ("address", "state", "reason", "time")}
                    for row in node.rows()],
            "rates": self.counts(node),
            "soft": sorted(soft),
        }

    def test_same(self):
        events = list(self.events(SAME))
        lines = [json.dumps(e) for e in events]
        every = ("sqs", "sns", "file", "s3", "watched")
        nodes = {name: self.node_for(name, [name]) for name in every}
        nodes["all"] = self.node_for("all", every)
        self.put_objects(lines)
        for node in nodes.values():
            node.start()
        path = os.path.join(self.directory, "lines")
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(lines))
        shuffled = list(enumerate(events))
        random.Random(7).shuffle(shuffled)
        sent = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        jobs = [threading.Thread(target=f, args=a) for f, a in (
            (self.by_sqs, (nodes["sqs"], lines)), (self.by_sns, ("sns", lines)),
            (self.by_sns, ("all", lines)))]
        failures = []
        previous = threading.excepthook
        threading.excepthook = lambda a: (failures.append(a.exc_value), previous(a))
        try:
            for job in jobs:
                job.start()
            self.ingested(nodes["file"], path)
            self.ingested(nodes["all"], "-", stdin="".join(
                json.dumps(dict(envelope(e, i), Timestamp=sent)) for i, e in shuffled).encode())
            self.ingested(nodes["s3"], f"s3://{BUCKET}/in/")
            self.ingested(nodes["all"], f"s3://{BUCKET}/in/")
            for job in jobs:
                job.join()
        finally:
            threading.excepthook = previous
        self.assertEqual(failures, [])
        self.by_sqs(nodes["all"], lines)
        for name in "sqs", "all":
            wait_for(lambda name=name: self.queue_is_empty(nodes[name]), "the queue to be empty",
                     timeout=FOREVER, every=0.2)
        want = self.state(nodes["file"])
        self.assertEqual(len(want["soft"]), SAME // 5)
        self.assertEqual(len(want["set"]), min(2 * SAME // 5, 499))
        wait_for(lambda: self.counts(nodes["watched"]) == want["rates"],
                 "the watched archive to be read", timeout=FOREVER, every=0.5)
        for name in ("sqs", "sns", "s3", "watched", "all"):
            got = self.state(nodes[name])
            for part in want:
                self.assertEqual(got[part], want[part], f"{part} through {name}")
        print(f"{SAME} events: the same through {', '.join(nodes)}")


class Killed(Sources):
    """The agent is killed at random while each source is under way."""

    def setUp(self):
        super().setUp()
        now = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=30)
        stamp = now.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        self.lines = [
            json.dumps({"eventType": "Send", "mail": {
                "messageId": f"s{i}", "timestamp": stamp, "destination": [f"k{i}@example.com"]}}
                if i % 3 else bounce(f"k{i}@example.com", i, time=stamp))
            for i in range(KILLED)]

    def counted(self, node):
        rates = node.request("GET", "/v1/rates").json()["rates"]
        day = [r for r in rates if r["kind"] == "region"]
        day = day[0]["windows"]["24h"] if day else {"sends": 0, "bounces": 0}
        return day["sends"], day["bounces"]

    def kill_while(self, name, feed, finished=lambda: True):
        """feed runs in a thread of its own and comes to its end whatever happens to the agent."""
        node = self.node_for(name, [name])
        node.start()
        seed = int(os.environ.get("SUPSYNC_SEED", random.randrange(1 << 32)))
        print(f"SUPSYNC_SEED={seed}")
        generator = random.Random(seed)
        failures = []

        def run():
            try:
                feed(node)
            except BaseException as e:
                failures.append(e)

        thread = threading.Thread(target=run)
        thread.start()
        for _ in range(KILLS):
            time.sleep(generator.random() * 0.5)  # when, not whether: any moment will do
            node.kill()
            node.start()
        thread.join(FOREVER)
        self.assertFalse(thread.is_alive())
        self.assertEqual(failures, [])
        want = (KILLED - KILLED // 3, KILLED // 3)
        wait_for(lambda: sum(self.counted(node)) >= sum(want), f"{want} to be counted",
                 timeout=FOREVER, every=0.1)
        self.assertEqual(self.counted(node), want)
        self.assertEqual(len(node.rows()), KILLED // 3)
        # All of it once more: what was taken is known.
        self.ingested(node, "-", stdin="\n".join(self.lines).encode())
        self.assertEqual(self.counted(node), want)

    def until_done(self, node, *arguments):
        journal = os.path.join(self.directory, "journal")
        while self.by_ingest(node, "--resume", journal, *arguments).returncode != 0:
            pass

    def test_sqs(self):
        def feed(node):
            self.by_sqs(node, self.lines)
            wait_for(lambda: self.queue_is_empty(node), "the queue to be empty", timeout=FOREVER)
        self.kill_while("sqs", feed)

    def test_sns(self):
        self.kill_while("sns", lambda node: self.by_sns("sns", self.lines))

    def test_file(self):
        path = os.path.join(self.directory, "lines")
        # Long ones, so that they are some batches even of few.
        padding = ',"padding":"%s"}' % ("x" * 5000)
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(line[:-1] + padding for line in self.lines))
        self.kill_while("file", lambda node: self.until_done(node, path))

    def test_s3(self):
        self.put_objects(self.lines, 40)
        self.kill_while("s3", lambda node: self.until_done(node, f"s3://{BUCKET}/in/"))

    def test_watched(self):
        self.kill_while("watched", lambda node: self.put_objects(self.lines, 40))


if __name__ == "__main__":
    harness.main_parallel(2)
