"""Events from files and over HTTP: explain (offline) and backfill into a real agent."""

import base64
import csv
import datetime
import gzip
import http.client
import http.server
import io
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import warnings

import harness
from harness import SUPSYNC, free_port, wait_for

TOPIC = "arn:aws:sns:eu-west-1:123456789012:ses-events"


def run(*arguments, env=None, stdin=None):
    environment = dict(os.environ, SUPSYNC_SOCKET="/nonexistent/admin.sock")
    environment.update(env or {})
    return subprocess.run(
        [SUPSYNC, *arguments], env=environment, input=stdin, capture_output=True, timeout=120,
        check=False,
    )


def bounce(address, number=0, kind="Permanent", sub="General", time="2026-01-02T03:04:06.000Z"):
    return {
        "eventType": "Bounce",
        "mail": {
            "messageId": f"message-{number}", "timestamp": "2026-01-02T03:04:05.000Z",
            "source": "sender@example.com", "destination": [address],
            "tags": {"ses:configuration-set": ["set-1"]},
        },
        "bounce": {
            "bounceType": kind, "bounceSubType": sub, "feedbackId": f"feedback-{number}",
            "timestamp": time,
            "bouncedRecipients": [
                {"emailAddress": address, "action": "failed", "status": "5.1.1"}
            ],
        },
    }


def complaint(address, number=0, kind="abuse"):
    event = bounce(address, number)
    del event["bounce"]
    event["eventType"] = "Complaint"
    event["complaint"] = {
        "complainedRecipients": [{"emailAddress": address}], "complaintFeedbackType": kind,
        "feedbackId": f"complaint-{number}", "timestamp": "2026-01-02T03:04:07.000Z",
    }
    return event


def envelope(event, number=0):
    return {
        "Type": "Notification", "MessageId": f"sns-{number}",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:ses-events",
        "Message": json.dumps(event), "Timestamp": "2026-01-02T03:05:00.000Z",
    }


class Explain(harness.TestCase):
    def explain(self, data, *more):
        r = run("explain", "--output", "json", *more, "-", stdin=data)
        return r, [json.loads(line) for line in r.stdout.splitlines()]

    def test_documents_in_a_row(self):
        events = [bounce("a@example.com"), envelope(complaint("B@Example.com")),
                  bounce("c@example.com", 3, "Transient", "MailboxFull")]
        plain = [json.dumps(e).encode() for e in events]
        pretty = [json.dumps(e, indent=2).encode() for e in events]
        for texts in plain, pretty:
            for separator in b"", b"\n", b"\n\n", b" \r\n":
                data = separator.join(texts)
                for form in data, gzip.compress(data):
                    r, lines = self.explain(form)
                    self.assertEqual(r.returncode, 0, r.stderr)
                    self.assertEqual(
                        [(v["rule"], v["address"]) for e in lines for v in e["verdicts"]],
                        [("bounce-permanent-general", "a@example.com"),
                         ("complaint-abuse", "b@example.com"),
                         ("bounce-transient-mailbox-full", "c@example.com")],
                    )
                    self.assertEqual([e["offset"] for e in lines],
                                     [0, len(texts[0]) + len(separator),
                                      len(texts[0]) + len(texts[1]) + 2 * len(separator)])

    def test_members_of_gzip_in_a_row(self):
        one = gzip.compress(json.dumps(bounce("a@example.com")).encode())
        r, lines = self.explain(one + one + b"\0" * 100)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(len(lines), 2)

    def test_damage_is_named_and_the_rest_read(self):
        good = json.dumps(bounce("a@example.com")).encode()
        data = good + b"\n{\"eventType\":\"Bou\n" + good + b"\nnot json\n" + b"{}\n"
        r, lines = self.explain(data)
        self.assertEqual(r.returncode, 1)
        self.assertEqual([e.get("type", "refused") for e in lines],
                         ["Bounce", "refused", "Bounce", "refused", "refused"])
        self.assertEqual(lines[1]["offset"], len(good) + 1)
        self.assertIn("neither eventType nor notificationType", lines[4]["error"])

    def test_damage_in_one_line(self):
        # Firehose puts nothing between records that end without a newline.
        good = [json.dumps(bounce(f"a{i}@example.com", i), separators=(",", ":")).encode()
                for i in range(40)]
        good[20:] = [json.dumps(envelope(json.loads(g))).encode() for g in good[20:]]
        for damaged in (good[7][:-1], good[7][:100], good[7][:37], good[27][:-30],
                        good[7].replace(b'"eventType":"', b'"eventType":'), b"rubbish"):
            data = b"".join(good[:20]) + damaged + b"".join(good[20:])
            r, lines = self.explain(data)
            self.assertEqual(r.returncode, 1)
            events = [e for e in lines if e.get("type") == "Bounce"]
            refused = [e for e in lines if "error" in e]
            self.assertEqual((len(events), len(refused)), (40, 1), damaged)
            self.assertEqual(refused[0]["offset"], sum(map(len, good[:20])))

    def test_cut_off_gzip(self):
        lines = b"".join(json.dumps(bounce(f"a{i}@example.com", i)).encode() for i in range(3000))
        r, read = self.explain(gzip.compress(lines)[:-100])
        self.assertEqual(r.returncode, 3)
        self.assertIn(b"cut off", r.stderr)
        self.assertGreater(len(read), 100)

    def test_zstd(self):
        lines = b"".join(json.dumps(bounce(f"a{i}@example.com", i)).encode() for i in range(300))
        packed = subprocess.run(["zstd", "-qc"], input=lines, stdout=subprocess.PIPE,
                                check=True).stdout
        r, read = self.explain(packed + packed)  # frames in a row
        self.assertEqual((r.returncode, len(read)), (0, 600))
        r, read = self.explain(packed[:-100])
        self.assertEqual(r.returncode, 3)
        self.assertIn(b"Zstandard data is cut off", r.stderr)

    def test_what_cannot_be_read_is_named(self):
        for data, name in ((b"PAR1\x15\x04\x15", b"Parquet"),
                           (gzip.compress(b"PAR1\x15\x04"), b"Parquet"),
                           (gzip.compress(gzip.compress(b"{}")), b"gzip within gzip"),
                           (b"PK\x03\x04zip", b"ZIP"), (b"\x00\x00\x10\x00{", b"binary")):
            r, lines = self.explain(data)
            self.assertEqual(r.returncode, 3)
            self.assertIn(name, r.stderr)
            self.assertEqual(lines, [])

    def test_policy_of_a_configuration(self):
        event = complaint("a@example.com")
        event["mail"]["destination"].append("b@example.com")
        event["complaint"]["complainedRecipients"].append({"emailAddress": "b@example.com"})
        data = json.dumps(event).encode()
        _, lines = self.explain(data)
        self.assertEqual({v["verdict"] for v in lines[0]["verdicts"]}, {"ambiguous"})
        path = os.path.join(self.directory, "supsync.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write("node: n1\nregion: eu-west-1\n"
                    "ingest: { suppress_ambiguous_complaints: true }\n")
        _, lines = self.explain(data, "--config", path)
        self.assertEqual({v["verdict"] for v in lines[0]["verdicts"]}, {"suppress"})

    def test_policy_of_the_global_list(self):
        data = json.dumps(bounce("a@example.com", sub="Suppressed")).encode()
        path = os.path.join(self.directory, "supsync.yaml")
        for policy, verdict, cause, expires in (
                ("{}", "suppress", "global-list", None),
                ("{ global_list_ttl: 14d }", "suppress", "global-list", "2026-01-16T03:04:06.000Z"),
                ("{ ignore_global_list: true }", "ignore", None, None)):
            with open(path, "w", encoding="utf-8") as f:
                f.write(f"node: n1\nregion: eu-west-1\ningest: {policy}\n")
            _, lines = self.explain(data, "--config", path)
            v = lines[0]["verdicts"][0]
            self.assertEqual((v["verdict"], v.get("cause"), v.get("expires")),
                             (verdict, cause, expires), policy)

    def test_text_and_usage(self):
        r = run("explain", "-", stdin=json.dumps(bounce("a@example.com")).encode())
        self.assertEqual(r.returncode, 0)
        self.assertRegex(r.stdout.decode(), r"Bounce Permanent/General  message message-0\n"
                                            r"  suppress    a@example.com  by rule bounce-perm")
        self.assertEqual(run("explain").returncode, 2)
        r = run("explain", "/nonexistent/file")
        self.assertEqual(r.returncode, 3)
        self.assertIn(b"No such file", r.stderr)


class Signer:
    """What SNS is to the agent: signs messages, and serves its certificate on loopback."""

    def __init__(self, directory):
        self.key = os.path.join(directory, "sns.key")
        self.cert = os.path.join(directory, "sns.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
                        self.key, "-out", self.cert, "-days", "2", "-subj",
                        "/CN=sns.amazonaws.com"], check=True, capture_output=True)
        self.requests = []
        self.status = 200
        signer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                signer.requests.append(self.path)
                with open(signer.cert, "rb") as f:
                    body = f.read()
                self.send_response(signer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def message(self, text, number=0, version="2", age=0, **more):
        now = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=age)
        m = {
            "Type": "Notification", "MessageId": f"sns-{number}", "TopicArn": TOPIC,
            "Message": text, "Timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "SignatureVersion": version,
            "SigningCertURL": self.url + "/SimpleNotificationService-0123abcd.pem",
        }
        m.update(more)
        names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token",
                 "TopicArn", "Type"]
        signed = "".join(f"{n}\n{m[n]}\n" for n in names if n in m)
        raw = subprocess.run(
            ["openssl", "dgst", "-sha1" if version == "1" else "-sha256", "-sign", self.key],
            input=signed.encode(), capture_output=True, check=True).stdout
        m["Signature"] = base64.b64encode(raw).decode()
        return m


class SnsHttp(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.signer = Signer(self.directory)
        self.addCleanup(self.signer.stop)
        self.node = self.agent("eu-west-1")
        self.port = free_port()
        self.node.config["sns_http"] = {
            "listen": f"127.0.0.1:{self.port}", "topics": [TOPIC],
            "test_signer": self.signer.url,
        }
        self.node.config["ses"] = {"mode": "observe"}
        self.node.start()

    def post(self, body, headers=None, path="/sns", method="POST"):
        if not isinstance(body, (bytes, type(None))):
            body = json.dumps(body).encode()
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            c.request(method, path, body, headers or {"Content-Type": "text/plain"})
            r = c.getresponse()
            return r.status, r.read().decode()
        finally:
            c.close()

    def test_signed_messages_are_taken_once_durable(self):
        for number, version in enumerate(("1", "2")):
            address = f"v{version}@example.com"
            m = self.signer.message(json.dumps(bounce(address, number)), number, version)
            self.assertEqual(self.post(m), (200, "taken\n"))
            self.assertEqual(self.node.verdict(address), "block")
            # What was answered with 200 survives anything.
        self.node.kill()
        self.node.start()
        self.assertEqual(self.node.verdict("v1@example.com"), "block")
        self.assertEqual(self.node.verdict("v2@example.com"), "block")
        self.assertEqual(self.signer.requests.count("/SimpleNotificationService-0123abcd.pem"), 1)

    def test_repetition(self):
        m = self.signer.message(json.dumps(bounce("a@example.com")), Subject="Amazon SES")
        self.assertEqual(self.post(m)[0], 200)
        self.assertEqual(self.post(m), (200, "taken before\n"))
        r = self.node.cli("clear", "a@example.com", "--note", "mailbox exists")
        self.assertEqual(r.returncode, 0, r.stderr)
        # Played back by somebody, also after a start, when the agent knows no MessageId any more.
        self.node.stop()
        self.node.start()
        self.assertEqual(self.post(m)[0], 200)
        self.assertEqual(self.node.verdict("a@example.com"), "allow")

    def test_refused_for_ever(self):
        good = self.signer.message(json.dumps(bounce("x@example.com")))
        tampered = dict(good, Message=good["Message"].replace("x@", "y@"))
        other = self.signer.message(json.dumps(bounce("x@example.com")),
                                    TopicArn=TOPIC.replace("123456789012", "999999999999"))
        foreign = dict(good, SigningCertURL="https://bucket.s3.amazonaws.com/"
                       "SimpleNotificationService-0.pem")
        cases = [
            (tampered, {}, 403, "signature is not right"),
            (other, {}, 403, "TopicArn is not one of"),
            (foreign, {}, 403, "not on SNS's host"),
            (dict(good, SignatureVersion="3"), {}, 400, "SignatureVersion"),
            (dict(good, Type="Other"), {}, 400, "unknown Type"),
            (self.signer.message("{}", age=3 * 3600), {}, 403, "older than"),
            (self.signer.message("{}", age=-3600), {}, 403, "future"),
            (self.signer.message("this is no event", 7), {}, 422, "malformed JSON"),
            (good, {"x-amz-sns-rawdelivery": "true"}, 400, "raw message delivery"),
            (good, {"x-amz-sns-topic-arn": TOPIC + "-other"}, 400, "another topic"),
            (bounce("x@example.com"), {}, 400, "no SNS message"),
            (b"not json", {}, 400, "malformed"),
            (b"", {}, 400, "malformed"),
            (b"x" * (256 * 1024 + 1), {}, 413, "longer than SNS sends"),
        ]
        for body, headers, status, text in cases:
            with self.subTest(text=text):
                got = self.post(body, headers)
                self.assertEqual(got[0], status, got)
                self.assertIn(text, got[1])
        self.assertEqual(self.node.verdict("x@example.com"), "allow")
        self.assertEqual(self.node.verdict("y@example.com"), "allow")
        self.assertEqual(self.post(None, path="/v1/status", method="GET")[0], 404)
        self.assertEqual(self.post(None, path="/sns", method="GET")[0], 405)
        self.assertEqual(self.post(None, path="/healthz", method="GET")[0], 200)

    def test_own_trouble_is_503(self):
        self.signer.status = 500
        m = self.signer.message(json.dumps(bounce("a@example.com")))
        self.assertEqual(self.post(m)[0], 503)
        self.assertIn("cannot be taken", str(self.node.status()["problems"]))
        self.signer.status = 200
        self.assertEqual(self.post(m)[0], 200)
        self.assertNotIn("cannot be taken", str(self.node.status()["problems"]))

    def test_confirmation(self):
        self.signer.requests.clear()
        url = self.signer.url + "/?Action=ConfirmSubscription&Token=abc&TopicArn=" + TOPIC
        m = self.signer.message("You have chosen to subscribe", Type="SubscriptionConfirmation",
                                Token="abc", SubscribeURL=url)
        self.assertEqual(self.post(m), (200, "confirmed\n"))
        self.assertIn("/?Action=ConfirmSubscription&Token=abc&TopicArn=" + TOPIC,
                      self.signer.requests)
        self.signer.requests.clear()
        evil = self.signer.message("x", 1, Type="SubscriptionConfirmation", Token="abc",
                                   SubscribeURL="http://169.254.169.254/?Action=ConfirmSubscription")
        self.assertEqual(self.post(evil)[0], 403)
        other = self.signer.message("x", 2, Type="SubscriptionConfirmation", Token="abc",
                                    SubscribeURL=url, TopicArn=TOPIC + "x")
        self.assertEqual(self.post(other)[0], 403)
        leave = self.signer.message("x", 3, Type="UnsubscribeConfirmation", Token="abc",
                                    SubscribeURL=url)
        self.assertEqual(self.post(leave)[0], 200)
        self.assertEqual([r for r in self.signer.requests if "Action" in r], [])

    def test_tls(self):
        self.node.stop()
        self.node.config["sns_http"]["tls"] = {"cert": self.signer.cert, "key": self.signer.key}
        self.node.start()
        m = self.signer.message(json.dumps(bounce("tls@example.com")))
        context = ssl.create_default_context(cafile=self.signer.cert)
        context.check_hostname = False  # the certificate is for another name
        c = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)
        try:
            for _ in range(2):  # on one connection
                c.request("POST", "/sns", json.dumps(m))
                r = c.getresponse()
                self.assertEqual((r.status, len(r.read()) > 0), (200, True))
        finally:
            c.close()
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaises(OSError), socket.create_connection(("127.0.0.1", self.port)) as s:
            old.wrap_socket(s)
        self.assertEqual(self.node.verdict("tls@example.com"), "block")

    def test_signed_by_others(self):
        """moto signs what its topics post, with a certificate that it serves itself."""
        others = shutil.which("python3")
        if others is None or subprocess.run([others, "-c", "import moto.server, flask"], check=False,
                                            capture_output=True).returncode != 0:
            self.skipTest("moto is not there")
        port = free_port()
        with open(os.path.join(self.directory, "moto.log"), "wb") as log:
            moto = subprocess.Popen([others, "-m", "moto.server", "-H", "127.0.0.1", "-p",
                                     str(port)], stdout=log, stderr=log)
        self.addCleanup(moto.wait)
        self.addCleanup(moto.kill)
        posted = []

        class Relay(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        relay = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Relay)
        threading.Thread(target=relay.serve_forever, daemon=True).start()
        self.addCleanup(relay.server_close)
        self.addCleanup(relay.shutdown)

        def answers():
            try:
                return http.client.HTTPConnection("127.0.0.1", port, timeout=5).connect() is None
            except OSError:
                return False

        wait_for(answers, "moto to start")
        import botocore.session

        sns = botocore.session.Session().create_client(
            "sns", region_name="eu-west-1", endpoint_url=f"http://127.0.0.1:{port}",
            aws_access_key_id="a",
            aws_secret_access_key="b")
        self.addCleanup(sns.close)
        self.assertEqual(sns.create_topic(Name="ses-events")["TopicArn"], TOPIC)
        sns.subscribe(TopicArn=TOPIC, Protocol="http",
                      Endpoint="http://127.0.0.1:%d/" % relay.server_address[1])
        sns.publish(TopicArn=TOPIC, Message=json.dumps(bounce("moto@example.com")) + "\n")
        wait_for(lambda: any(m["Type"] == "Notification" for m in posted), "moto to post")
        message = next(m for m in posted if m["Type"] == "Notification")
        # Where the certificate is to be had is not signed; the real host cannot be asked here.
        host, path = message["SigningCertURL"][len("https://"):].split("/", 1)
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            c.request("GET", "/" + path, headers={
                "Host": host, "Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/eu-west-1/"
                "sns/aws4_request, SignedHeaders=host, Signature=0"})  # how moto tells services
            with open(self.signer.cert, "wb") as f:
                f.write(c.getresponse().read())
        finally:
            c.close()
        message["SigningCertURL"] = self.signer.url + "/" + path
        forged = dict(message, Message=message["Message"].replace("moto@", "other@"))
        self.assertEqual(self.post(forged)[0], 403)
        self.assertEqual(self.post(message), (200, "taken\n"))
        self.assertEqual(self.node.verdict("moto@example.com"), "block")
        self.assertEqual(self.node.verdict("other@example.com"), "allow")

    def test_slow_and_half_sent(self):
        """Who sends slowly is cut off after the 15 s that SNS itself waits; others are served."""
        m = json.dumps(self.signer.message(json.dumps(bounce("a@example.com")))).encode()
        slow = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(20)]
        for s in slow:
            s.sendall(b"POST /sns HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(m))
            s.sendall(m[:100])
        gone = socket.create_connection(("127.0.0.1", self.port))
        gone.sendall(b"POST /sns HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
        gone.close()
        self.assertEqual(self.post(m)[0], 200)
        if os.environ.get("SUPSYNC_LONG"):
            for s in slow:
                s.settimeout(60)
                self.assertEqual(s.recv(100), b"")
        for s in slow:
            s.close()

    def test_bodies_of_any_framing(self):
        m = json.dumps(self.signer.message(json.dumps(bounce("chunked@example.com")))).encode()
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            c.request("POST", "/", iter([m[:10], m[10:500], m[500:]]), encode_chunked=True)
            self.assertEqual(c.getresponse().status, 200)
        finally:
            c.close()
        # Longer than SNS sends, without saying so: refused, and the connection ends at some point.
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            c.request("POST", "/", iter([b"x" * 65536] * 6), encode_chunked=True)
            self.assertEqual(c.getresponse().status, 413)
        finally:
            c.close()
        with self.assertRaises(OSError):
            c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                c.request("POST", "/", iter([b"x" * 65536] * 200), encode_chunked=True)
                if c.getresponse().status == 413:
                    raise ConnectionResetError
            except http.client.HTTPException as e:
                raise ConnectionResetError from e
            finally:
                c.close()

    def test_greeting_and_many_at_once(self):
        text = "Successfully validated SNS topic for Amazon SES event publishing."
        self.assertEqual(self.post(self.signer.message(text, 999))[0], 200)
        messages = [self.signer.message(json.dumps(bounce(f"m{i}@example.com", i)), i)
                    for i in range(40)]
        results = []
        threads = [threading.Thread(target=lambda m=m: results.append(self.post(m)[0]))
                   for m in messages]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        # More at once than there are lanes is told to come again, not lost.
        self.assertLessEqual(set(results), {200, 503})
        for m in messages:
            wait_for(lambda m=m: self.post(m)[0] == 200, "a delivery that is repeated")
        for i in range(40):
            self.assertEqual(self.node.verdict(f"m{i}@example.com"), "block")


class Backfill(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.node = self.agent("eu-west-1")
        self.node.config["ses"] = {"mode": "observe"}
        self.node.start()
        self.archive = os.path.join(self.directory, "archive")
        os.makedirs(self.archive)

    def ingest(self, *arguments, stdin=None, status=0):
        r = run("ingest", "--output", "json", *arguments, stdin=stdin,
                env={"SUPSYNC_SOCKET": self.node.socket})
        self.assertEqual(r.returncode, status, r.stderr)
        return json.loads(r.stdout)

    def write(self, name, data):
        path = os.path.join(self.archive, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def dump(self):
        """The set without what differs from run to run."""
        return [{k: row[k] for k in ("address", "state", "reason", "time")}
                for row in self.node.rows()]

    def test_folder_of_all_forms(self):
        events = []
        for i in range(3000):
            address = f"user{i}@example.com"
            events.append(complaint(address, i) if i % 3 == 0 else bounce(address, i))
        texts = [json.dumps(e).encode() for e in events]
        self.write("2026/01/02/03/a", b"".join(texts[:1000]))
        self.write("2026/01/02/04/b.gz", gzip.compress(b"\n\n".join(texts[1000:2000])))
        self.write("2026/01/02/05/c", b"\n".join(
            json.dumps(envelope(e), indent=1).encode() for e in events[2000:]))
        result = self.ingest(self.archive)
        self.assertEqual(result["objects"], 3)
        self.assertEqual(result["documents"], 3000)
        self.assertEqual(result["events"], {"Bounce": 2000, "Complaint": 1000})
        self.assertEqual(result["verdicts"], {"suppress": 3000})
        self.assertEqual(result["suppressed"], 3000)
        self.assertEqual(result["refused"], 0)
        first = self.dump()
        self.assertEqual(len(first), 3000)
        self.assertEqual(self.node.show("user1@example.com")["registers"][0]["cause"], "backfill")
        self.assertEqual(first[0]["time"], "2026-01-02T03:04:07.000Z")
        # Again: nothing new. The same from standard input, too.
        again = self.ingest(self.archive)
        self.assertEqual((again["duplicates"], again["suppressed"]), (3000, 0))
        again = self.ingest("-", stdin=gzip.compress(b"".join(texts)))
        self.assertEqual((again["duplicates"], again["suppressed"]), (3000, 0))
        self.assertEqual(self.dump(), first)

    def test_newer_decisions_stand(self):
        self.node.cli("clear", "a@example.com", "--note", "new mailbox")
        result = self.ingest("-", stdin=json.dumps(bounce("a@example.com")).encode())
        self.assertEqual((result["older"], result["suppressed"]), (1, 0))
        self.assertEqual(self.node.verdict("a@example.com"), "allow")

    def test_damage_is_named_with_its_place(self):
        good = [json.dumps(bounce(f"g{i}@example.com", i)).encode() for i in range(4)]
        data = (good[0] + b"\n{\"eventType\":\"Boun\n" + good[1] + b"\n" + b"junk\n" + good[2] +
                b"\n{\"not\":\"an event\"}\n" + good[3])
        path = self.write("a", data)
        self.write("b.parquet", b"PAR1\x15\x04\x15")
        result = self.ingest(self.archive, status=1)
        self.assertEqual(result["events"], {"Bounce": 4})
        self.assertEqual(result["refused"], 4)
        self.assertEqual([(r["object"] == path, r["offset"]) for r in result["refusals"]],
                         [(True, len(good[0]) + 1), (True, data.index(b"junk")),
                          (True, data.index(b'{"not"')), (False, 0)])
        self.assertIn("Parquet", result["refusals"][3]["error"])
        text = self.node.cli("ingest", path)
        self.assertEqual(text.returncode, 1)
        self.assertRegex(text.stdout, r"Bounce +4\n")
        self.assertRegex(text.stdout, r"seen before +4\n")
        self.assertRegex(text.stdout, r"refused +3\n")

    def test_cut_off_object(self):
        texts = b"".join(json.dumps(bounce(f"c{i}@example.com", i)).encode() for i in range(4000))
        self.write("a.gz", gzip.compress(texts)[:-200])
        self.write("b", json.dumps(complaint("after@example.com")).encode())
        result = self.ingest(self.archive, status=3)
        self.assertGreater(result["events"]["Bounce"], 100)
        self.assertIn("cut off", result["refusals"][0]["error"])
        self.assertEqual(self.node.verdict("after@example.com"), "block")

    def test_resume(self):
        journal = os.path.join(self.directory, "journal")
        texts = [json.dumps(bounce(f"r{i}@example.com", i)).encode() for i in range(5500)]
        self.write("a.gz", gzip.compress(b"".join(texts)))
        self.write("b", b"\n".join(texts[:5]))
        first = self.ingest("--resume", journal, self.archive)
        self.assertEqual((first["documents"], first["objects_done_before"]), (5505, 0))
        second = self.ingest("--resume", journal, self.archive)
        self.assertEqual((second["documents"], second["objects_done_before"]), (0, 2))
        # As if the first run had been killed: only what it noted by then counts, and the last line
        # may be cut off.
        with open(journal, "rb") as f:
            lines = [line for line in f.read().splitlines() if line]
        with open(journal, "wb") as f:
            f.write(lines[0] + b"\n" + lines[1][:20])
        noted = json.loads(lines[0])
        self.assertFalse(noted["done"])
        self.assertEqual(noted["offset"], len(b"".join(texts[:4000])))
        third = self.ingest("--resume", journal, self.archive)
        self.assertEqual((third["documents"], third["duplicates"]), (1505, 1505))
        # An object that changed begins anew.
        self.write("b", b"\n".join(texts[:6]))
        fourth = self.ingest("--resume", journal, self.archive)
        self.assertEqual((fourth["documents"], fourth["objects_done_before"]), (6, 1))

    def test_more_follows_than_the_agent_takes_at_once(self):
        """Each recipient is an entry with the event's long id: the command hands over less."""
        events = []
        for i in range(10):
            event = bounce("", i)
            to = [f"r{i}-{k}@example.com" for k in range(500)]
            event["mail"]["destination"] = to
            event["bounce"].update(feedbackId="long-id-" * 500 + str(i),
                                   bouncedRecipients=[{"emailAddress": a} for a in to])
            events.append(event)
        path = self.write("a", text := b"".join(json.dumps(e).encode() for e in events))
        answer = self.node.request("POST", "/v1/events", text)
        self.assertEqual((answer.status, answer.json()["code"]), (400, "past-limit"), answer.json())
        result = self.ingest(path)
        self.assertEqual((result["documents"], result["suppressed"], result["duplicates"]),
                         (10, 5000, 0))
        self.assertEqual(result["events"], {"Bounce": 10})

    def test_no_agent_and_usage(self):
        path = self.write("a", json.dumps(bounce("a@example.com")).encode())
        r = run("ingest", path)
        self.assertEqual(r.returncode, 3)
        self.assertIn(b"no agent", r.stderr)
        self.assertEqual(run("ingest").returncode, 2)
        self.ingest(os.path.join(self.archive, "nonexistent"), status=3)
        with open(os.path.join(self.directory, "text"), "w", encoding="utf-8") as f:
            f.write("this is no journal\n")
        r = run("ingest", "--resume", f.name, path, env={"SUPSYNC_SOCKET": self.node.socket})
        self.assertEqual(r.returncode, 3)
        self.assertIn(b"not a line of a journal", r.stderr)

    def test_memory_stays_flat(self):
        """A document that is too long, and an object larger than the command may become."""
        event = json.dumps(bounce("flat@example.com")).encode()
        big = b'{"padding":"' + b"x" * (3 << 20) + b'"}\n'
        path = self.write("big.gz", gzip.compress(event + b"\n" + big + event + b"\n" +
                                                  (b" " * 1000 + b"\n") * 60000 + event))
        small = self.write("small", event)

        def run_and_measure(path):
            p = subprocess.Popen([SUPSYNC, "ingest", "--output", "json", path],
                                 env=dict(os.environ, SUPSYNC_SOCKET=self.node.socket),
                                 stdout=subprocess.PIPE)
            output = p.stdout.read()
            p.stdout.close()
            _, status, usage = os.wait4(p.pid, 0)
            p.returncode = os.waitstatus_to_exitcode(status)
            return p.returncode, output, usage.ru_maxrss

        status, _, before = run_and_measure(small)
        self.assertEqual(status, 0)
        status, output, after = run_and_measure(path)
        self.assertEqual(status, 1)
        self.assertLess(after - before, 32 * 1024, "KiB more for 66 MB")
        result = json.loads(output)
        self.assertEqual(result["events"], {"Bounce": 3})
        self.assertEqual(result["refusals"][0]["offset"], len(event) + 1)

    def test_route(self):
        one = json.dumps(bounce("a@example.com")).encode()
        body = one + b"\n" + one + b'{"eventType":"Send","mail":{}}junk'
        answer = self.node.request("POST", "/v1/events", body).json()
        self.assertEqual(answer["outcomes"], ["decided", "duplicate", "nothing", "refused"])
        self.assertEqual(answer["refused"][0]["index"], 3)
        self.assertEqual(answer["refused"][0]["offset"], body.index(b"junk"))
        # A JSON text sequence: a damaged document does not swallow the next, whatever it holds.
        broken = b'{"a":"'
        body = b"\x1e" + broken + b"\x1e" + json.dumps(bounce("b@example.com", 2)).encode()
        answer = self.node.request("POST", "/v1/events", body).json()
        self.assertEqual(answer["outcomes"], ["refused", "decided"])
        answer = self.node.request("POST", "/v1/events?outcomes=no", json.dumps(bounce("o@example.com", 77)).encode())
        self.assertEqual((answer.status, answer.json()["suppressed"], "outcomes" in answer.json()), (200, 1, False))
        self.assertEqual(self.node.request("POST", "/v1/events?outcomes=some", b"{}").status, 400)
        self.assertEqual(self.node.request("POST", "/v1/events", b"").status, 400)
        self.assertEqual(self.node.request("POST", "/v1/events?x=1", one).status, 400)


class Rates(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.node = self.agent("eu-west-1")
        self.node.config["ses"] = {"mode": "observe"}
        self.node.start()
        self.now = datetime.datetime.now(datetime.timezone.utc)

    def time(self, minutes_ago):
        t = self.now - datetime.timedelta(minutes=minutes_ago)
        return t.strftime("%Y-%m-%dT%H:%M:%S.000Z")

    def send(self, number, recipients=1, minutes_ago=5):
        return {"eventType": "Send", "send": {}, "mail": {
            "messageId": f"send-{number}", "timestamp": self.time(minutes_ago),
            "source": "sender@mail.example", "sourceArn":
            "arn:aws:ses:eu-west-1:123456789012:identity/mail.example",
            "destination": [f"s{number}-{k}@Example.com" for k in range(recipients)],
            "tags": {"ses:configuration-set": ["set-1"]}}}

    def feed(self, events):
        body = b"".join(json.dumps(e).encode() + b"\n" for e in events)
        answer = self.node.request("POST", "/v1/events", body)
        self.assertEqual(answer.status, 200, answer.body)

    def window(self, name, kind="region", row_name="", target="/v1/rates?domains=true"):
        for row in self.node.request("GET", target).json()["rates"]:
            if (row["kind"], row["name"]) == (kind, row_name):
                return row["windows"][name]
        return None

    def test_counted_once_in_their_minute(self):
        sends = [self.send(i, 2, 5 if i < 300 else 90) for i in range(600)]
        bounces = [bounce(f"b{i}@example.com", i, time=self.time(4)) for i in range(30)]
        soft = [bounce("s@example.com", 1000, "Transient", "MailboxFull", self.time(4))]
        echo = [bounce("e@example.com", 1001, "Permanent", "OnAccountSuppressionList",
                       self.time(4))]
        old = [self.send(5000, 1, 9 * 24 * 60)]
        events = sends + bounces + soft + echo + old
        # Twice at once, again, and after SIGKILL: nothing counts twice.
        self.feed(events + sends)
        self.feed(events)
        self.node.kill()
        self.node.start()
        self.feed(events)
        hour, day = self.window("1h"), self.window("24h")
        self.assertEqual((hour["sends"], hour["bounces"]), (600, 30))
        self.assertEqual((day["sends"], day["bounces"]), (1200, 30))
        self.assertAlmostEqual(day["bounce_rate"], 30 / 1200)
        self.assertEqual(day["excluded"],
                         {"soft": 1, "own_list": 1, "simulator": 0, "other": 0})
        self.assertEqual(self.window("24h", "configuration-set", "set-1")["sends"], 1200)
        self.assertEqual(self.window("24h", "identity", "mail.example")["sends"], 1200)
        self.assertEqual(self.window("24h", "domain", "example.com")["sends"], 1200)
        last = self.window("last-1000")
        self.assertTrue(last["full"])
        self.assertEqual(last["sends"], 1200)
        self.assertFalse(self.window("last-100000")["full"])

    def test_thresholds_are_told(self):
        told = os.path.join(self.directory, "told")
        self.node.stop()
        self.node.config["rates"] = {"hook": ["tee", "-a", told], "floor_bounces": 200}
        self.node.start()
        self.feed([self.send(i, 10) for i in range(100)])
        self.feed([bounce(f"b{i}@example.com", i, time=self.time(1)) for i in range(60)])
        wait_for(lambda: "bounce rate of the Region" in str(self.node.status()["problems"]),
                 "the threshold to be noticed", timeout=90)
        self.assertFalse(self.node.status()["healthy"])
        wait_for(lambda: os.path.exists(told) and open(told, encoding="utf-8").read().count("\n") >= 2,
                 "the hook to be run", timeout=30)
        alerts = [json.loads(line) for line in open(told, encoding="utf-8")]
        region = next(a for a in alerts if a["kind"] == "region")
        self.assertEqual((region["rate"], region["before"], region["level"], region["value"]),
                         ("bounces", "fine", "review", 0.06))
        self.assertEqual(region["node"], "eu-west-1")
        r = self.node.cli("rates")
        self.assertEqual(r.returncode, 1, r.stderr)
        self.assertIn("bounces review", r.stdout)
        self.assertIn("estimate", r.stdout)
        self.assertIn('supsync_bounce_rate_ppm{window="1h"} 60000',
                      self.node.request("GET", "/metrics").body.decode())
        self.assertEqual(self.node.cli("rates", "--limit", "x").returncode, 2)
        self.assertEqual(self.node.request("GET", "/v1/rates?limit=0").status, 400)

    def test_nothing_yet(self):
        r = self.node.cli("rates")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertIn("no sends, bounces or complaints", r.stdout)


class Soft(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.node = self.agent("eu-west-1")
        self.node.config["ses"] = {"mode": "observe"}
        self.now = datetime.datetime.now(datetime.timezone.utc)

    def time(self, hours_ago):
        t = self.now - datetime.timedelta(hours=hours_ago)
        return t.strftime("%Y-%m-%dT%H:%M:%S.000Z")

    def soft(self, address, number, hours_ago=2, sub="MailboxFull"):
        event = bounce(address, number, "Transient", sub, self.time(hours_ago))
        event["bounce"]["bouncedRecipients"][0].update(
            status="4.2.2", diagnosticCode="smtp; 452 4.2.2 mailbox full")
        event["mail"]["commonHeaders"] = {"subject": f"Invoice {number}, \"due\""}
        event["mail"]["tags"]["campaign"] = ["spring", f"n{number}"]
        return event

    def delivery(self, address, number, hours_ago):
        return {"eventType": "Delivery", "mail": {"messageId": f"d{number}",
                "destination": [address]},
                "delivery": {"timestamp": self.time(hours_ago), "recipients": [address]}}

    def feed(self, *events):
        body = b"".join(json.dumps(e).encode() + b"\n" for e in events)
        answer = self.node.request("POST", "/v1/events", body)
        self.assertEqual(answer.status, 200, answer.body)

    def lines(self, *arguments, status=0):
        r = self.node.cli("soft", "--output", "json", *arguments)
        self.assertEqual(r.returncode, status, r.stderr)
        return [json.loads(line) for line in r.stdout.splitlines()]

    def test_list_claim_ack(self):
        self.node.start()
        events = [self.soft(f"u{i}@example.com", i, 2 + i / 100) for i in range(30)]
        early = self.soft("early@example.com", 100, 0)
        self.feed(*events, early)
        self.feed(*events, early)  # again: nothing is kept twice
        rows = self.lines()
        self.assertEqual(len(rows), 31)
        row = next(r for r in rows if r["address"] == "u3@example.com")
        self.assertEqual((row["message_id"], row["source"], row["sub_type"], row["status"],
                          row["configuration_set"], row["bounces"]),
                         ("message-3", "sender@example.com", "Transient/MailboxFull", "4.2.2",
                          "set-1", 1))
        self.assertEqual(row["diagnostic"], "smtp; 452 4.2.2 mailbox full")
        self.assertEqual(row["tags"], {"ses:configuration-set": ["set-1"],
                                       "campaign": ["spring", "n3"]})
        self.assertNotIn("early@example.com", [r["address"] for r in self.lines("--due")])
        # Two workers never get the same, and an agent that is killed forgets no claim.
        first, second = self.lines("--claim", "10"), self.lines("--claim", "10")
        self.node.kill()
        self.node.start()
        third = self.lines("--claim", "100")
        claimed = [r["address"] for r in first + second + third]
        self.assertEqual(len(claimed), 30)
        self.assertEqual(len(set(claimed)), 30)
        self.assertEqual(first[0]["address"], "u29@example.com")  # the oldest first
        self.assertEqual(self.lines("--claim", "5"), [])
        done = self.lines("--ack", *[r["id"] for r in first])
        self.assertEqual({r["result"] for r in done}, {"acknowledged"})
        self.assertEqual(len(self.lines()), 21)
        # Not without the lease, nor with another's, nor twice.
        again = self.lines("--ack", first[0]["id"], second[0]["id"].split(".")[0],
                           second[0]["id"].split(".")[0] + "." + "1" * 16, "nonsense", status=1)
        self.assertEqual([r["result"] for r in again],
                         ["not there", "not yours", "not yours", "not an id"])
        text = self.node.cli("soft", "--format", "csv").stdout
        self.assertRegex(text, r'"Invoice 3, ""due"""')
        table = list(csv.DictReader(io.StringIO(text, newline="")))
        self.assertEqual({r["address"]: json.loads(r["tags"])["campaign"] for r in table}
                         ["u3@example.com"], ["spring", "n3"])
        self.assertEqual({r["recipient"] for r in table}, {r["address"] for r in table})
        text = self.node.cli("soft").stdout
        self.assertIn("  tags campaign=spring, campaign=n3\n  smtp; 452", text)
        # What a worker gets with its claim is enough for a resend, also when it was claimed before.
        self.assertEqual({len(r["tags"]["campaign"]) for r in first + second + third}, {2})

    def test_a_newer_delivery_ends_the_wait(self):
        self.node.start()
        self.feed(self.soft("healed@example.com", 1, 5), self.soft("healed@example.com", 2, 4),
                  self.soft("later@example.com", 3, 2), self.soft("claimed@example.com", 4, 9))
        claimed = self.lines("--claim", "1")
        self.assertEqual([r["address"] for r in claimed], ["claimed@example.com"])
        self.feed(self.delivery("healed@example.com", 5, 3), self.delivery("later@example.com", 6, 3),
                  self.delivery("claimed@example.com", 7, 3))
        self.assertEqual([r["address"] for r in self.lines()], ["later@example.com"])
        self.assertEqual(self.lines("--ack", claimed[0]["id"], status=1)[0]["result"], "not there")
        # In the other order, too: what is older than a delivery does not begin to wait.
        self.feed(self.soft("later@example.com", 8, 1), self.soft("healed@example.com", 9, 3.5))
        self.assertEqual({r["address"] for r in self.lines()}, {"later@example.com"})
        self.node.kill()
        self.node.start()
        self.feed(self.delivery("later@example.com", 10, 0.5))
        self.assertEqual(self.lines(), [])

    def test_lease_ends(self):
        self.node.start()
        self.feed(self.soft("a@example.com", 1))
        first = self.lines("--claim", "1", "--lease", "1s")
        self.assertEqual(len(first), 1)
        second = []
        wait_for(lambda: second.extend(self.lines("--claim", "1")) or second, "the lease to end")
        self.assertEqual(second[0]["claims"], 2)
        self.assertEqual(self.lines("--ack", first[0]["id"], status=1)[0]["result"], "not yours")
        self.assertEqual(self.lines("--ack", second[0]["id"])[0]["result"], "acknowledged")

    def test_suppressed_addresses_are_not_resent_to(self):
        self.node.start()
        self.feed(self.soft("a@example.com", 1), self.soft("b@example.com", 2),
                  bounce("a@example.com", 3, time=self.time(1)))
        self.assertEqual([r["address"] for r in self.lines("--claim", "10")], ["b@example.com"])
        self.assertEqual(len(self.lines()), 1)

    def test_pages(self):
        self.node.start()
        self.feed(*[self.soft(f"p{i}@example.com", i, 2 + i / 1000) for i in range(250)])
        seen, after = [], ""
        while True:
            page = self.node.request("GET", "/v1/soft?limit=100" + after).json()
            seen += [r["address"] for r in page["soft"]]
            if page["next"] is None:
                break
            after = "&after=" + page["next"]
        self.assertEqual(len(seen), 250)
        self.assertEqual(len(set(seen)), 250)

    def test_escalation(self):
        self.node.config["soft"] = {"escalation": {"mode": "enforce", "consecutive": 3,
                                                   "count": 0}}
        self.node.start()
        for i in range(3):
            self.feed(self.soft("dead@example.com", i, 50 - i))
            self.feed(self.soft("large@example.com", 100 + i, 50 - i, "MessageTooLarge"))
            self.feed(self.soft("healed@example.com", 200 + i, 50 - i))
            if i == 1:
                self.feed(self.delivery("healed@example.com", 1, 48.5))
                self.feed(self.delivery("dead@example.com", 2, 90))  # older: heals nothing
        self.assertEqual(self.node.verdict("dead@example.com"), "block")
        self.assertEqual(self.node.show("dead@example.com")["registers"][0]["cause"], "escalation")
        self.assertEqual(self.node.verdict("large@example.com"), "allow")
        self.assertEqual(self.node.verdict("healed@example.com"), "allow")

    def test_shadow_only_counts(self):
        self.node.start()
        for i in range(6):
            self.feed(self.soft("dead@example.com", i, 50 - i))
        self.assertEqual(self.node.verdict("dead@example.com"), "allow")
        metrics = self.node.request("GET", "/metrics").body.decode()
        self.assertRegex(metrics, r'supsync_escalations_total\{mode="shadow"\} [1-9]')
        self.assertIn('supsync_escalations_total{mode="enforce"} 0', metrics)
        # It changes nothing else: what is known of the address goes on, in whatever order it comes.
        self.feed(self.soft("dead@example.com", 9, 47.5))
        rows = {r["message_id"]: r for r in self.lines()}
        self.assertEqual(len(rows), 7)
        self.assertEqual(rows["message-9"]["bounces"], 7)
        self.assertEqual(rows["message-5"]["bounces"], 6)

    def test_usage(self):
        self.node.start()
        for arguments in (["--due", "--claim", "1"], ["--ack"], ["id"], ["--format", "xml"],
                          ["--claim", "x"]):
            self.assertEqual(self.node.cli("soft", *arguments).returncode, 2)
        for body in (b'{"count":0}', b'{"count":1,"lease":"0s"}', b'{"n":1}'):
            self.assertEqual(self.node.request("POST", "/v1/soft/claim", body,
                             {"Content-Type": "application/json"}).status, 400)
        self.assertEqual(self.node.request("GET", "/v1/soft?after=x").status, 400)
        self.assertEqual(self.lines("--due"), [])


class EventLog(harness.TestCase):
    def test_kept_and_found(self):
        node = self.agent("eu-west-1")
        node.config["ses"] = {"mode": "observe"}
        node.config["events"] = {"retention": "3660d"}
        node.start()
        now = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
        stamp = now.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        unknown = {"eventType": "Teleported", "mail": {"messageId": "m-new", "timestamp": stamp,
                   "destination": ["b@example.com"]}, "teleported": {"timestamp": stamp}}
        old = bounce("a@example.com", 1)
        events = [old, envelope(complaint("B@Example.com", 2)), unknown,
                  bounce("a@example.com", 3, "Transient", "MailboxFull", stamp)]
        body = "\n".join(json.dumps(e) for e in events).encode()
        for _ in range(2):  # the same again is the same entry
            self.assertEqual(node.request("POST", "/v1/events", body).status, 200)

        def search(*arguments):
            r = node.cli("events", "--output", "json", *arguments)
            self.assertEqual(r.returncode, 0, r.stderr)
            return [json.loads(line) for line in r.stdout.splitlines()]

        rows = search()
        self.assertEqual([r["type"] for r in rows][:2], ["Bounce", "Complaint"])
        self.assertEqual({r["type"] for r in rows[2:]}, {"Teleported", "Bounce"})
        self.assertEqual(len(rows), 4)
        self.assertEqual(rows[0]["event"], old)
        self.assertEqual(rows[1]["event"], events[1])
        self.assertEqual(rows[0]["verdicts"], ["suppress bounce-permanent-general a@example.com"])
        self.assertEqual(len(search("--address", "A@example.COM")), 2)
        self.assertEqual([r["type"] for r in search("--address", "b@example.com")],
                         ["Complaint", "Teleported"])
        self.assertEqual(len(search("--type", "bounce")), 2)
        self.assertEqual(len(search("--message-id", "message-3")), 1)
        self.assertEqual(len(search("--since", "2h")), 2)
        self.assertEqual(len(search("--until", "2h")), 2)
        self.assertEqual(len(search("--limit", "1")), 1)
        self.assertEqual(search("--type", "Open"), [])
        # What cannot be read is kept, too, with what was wrong with it.
        damaged = b'\x1e{"eventType":"Bounce","bounce":[]}\x1e{"eventType":]'
        self.assertEqual(node.request("POST", "/v1/events", damaged).json()["unreadable"], 2)
        rows = search("--type", "Unreadable")
        self.assertEqual(len(rows), 2)
        self.assertTrue(all(r["verdicts"][0].startswith("unreadable ") for r in rows), rows)
        text = node.cli("events", "--address", "a@example.com")
        self.assertIn("suppress bounce-permanent-general a@example.com", text.stdout)
        self.assertEqual(node.cli("events", "--since", "soon").returncode, 2)
        # Retention: what is past goes; what is not, stays.
        node.stop()
        node.config["events"] = {"retention": "2h"}
        node.start()
        wait_for(lambda: len(search()) == 4, "the old ones to go", timeout=60)
        node.stop()
        node.config["events"] = {}
        del node.config["events"]
        node.start()
        wait_for(lambda: search() == [], "the log to be empty", timeout=60)


class SnsConfiguration(harness.TestCase):
    def test_test_signer_is_loopback_only(self):
        path = os.path.join(self.directory, "supsync.yaml")
        for key, value, text in (
            ("test_signer", "http://10.1.2.3:9400", "only for tests"),
            ("test_signer", "https://sns.eu-west-1.amazonaws.com", "only for tests"),
            ("max_age", "1s", "max_age"),
        ):
            with open(path, "w", encoding="utf-8") as f:
                f.write(f"node: n\nregion: eu-west-1\nsns_http:\n  listen: 127.0.0.1:0\n"
                        f"  topics: ['{TOPIC}']\n  {key}: {value}\n")
            r = run("config", "check", "--config", path)
            self.assertEqual(r.returncode, 2)
            self.assertIn(text.encode(), r.stderr)


if __name__ == "__main__":
    harness.main()
