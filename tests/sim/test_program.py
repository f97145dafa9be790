"""The program itself: options, odd HTTP, the same seed twice, many clients at once."""

import concurrent.futures
import json
import random
import socket
import subprocess
import unittest

import simtest
from simtest import REGIONS, SIMULATOR


class Options(unittest.TestCase):
    def run_it(self, *options):
        return subprocess.run([SIMULATOR, *options], capture_output=True, text=True, timeout=60)

    def test_help(self):
        done = self.run_it("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for word in ["--listen", "--rps", "/_sim/REGION/faults", "ses-events"]:
            self.assertIn(word, done.stdout)

    def test_wrong_options(self):
        for options in [["--listen", "x"], ["--listen", "127.0.0.1:99999"], ["--regions", ""],
                        ["--regions", "a,,b"], ["--rps", "-1"], ["--rps", "x"], ["--seed", "x"],
                        ["--threads", "0"], ["--sns-signature", "3"], ["--unknown"], ["argument"],
                        ["--access-key", "only"], ["--visibility-timeout", "43201"]]:
            with self.subTest(options):
                done = self.run_it(*options)
                self.assertEqual(done.returncode, 2)
                self.assertTrue(done.stderr)

    def test_port_in_use(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            done = self.run_it("--listen", f"127.0.0.1:{s.getsockname()[1]}")
        self.assertEqual(done.returncode, 1)
        self.assertIn("in use", done.stderr)

    def test_seed(self):
        """Ids are the same from the same seed, and differ without one."""
        def ids(*options):
            sim = simtest.Simulator(*options)
            try:
                sqs = sim.client("sqs")
                return [sqs.send_message(QueueUrl=sim.queue_url(), MessageBody="x")["MessageId"]
                        for _ in range(3)]
            finally:
                sim.stop()
        self.assertEqual(ids("--seed", "7"), ids("--seed", "7"))
        self.assertNotEqual(ids("--seed", "7"), ids("--seed", "8"))
        self.assertNotEqual(ids(), ids())

    def test_a_stop_ends_long_polls(self):
        sim = simtest.Simulator()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            polls = [pool.submit(sim.client("sqs").receive_message, QueueUrl=sim.queue_url(),
                                 WaitTimeSeconds=20) for _ in range(4)]
            simtest.wait_for(lambda: sim.control("GET", "calls").get("ReceiveMessage") == 4,
                             "the polls to arrive")
            sim.stop()
            for poll in polls:
                poll.exception(timeout=10)  # answered or cut off, but over


class Http(simtest.TestCase):
    def raw(self, data, answered=True):
        """Sends the bytes; waits for the beginning of an answer, or the end of the connection."""
        host, port = self.sim.host.split(":")
        with socket.create_connection((host, int(port)), timeout=20) as s:
            s.sendall(data)
            try:
                if answered and b"Content-Length" in data:  # it may rightly wait for more of a body
                    s.shutdown(socket.SHUT_WR)
                return s.recv(65536) if answered else b""
            except ConnectionResetError:
                return b""

    def alive(self):
        self.assertEqual(self.sim.http("GET", "/_sim/")[0], 200)

    def test_unknown_places(self):
        for method, path in [("GET", "/_sim/mars/calls"), ("GET", "/_sim/eu-west-1/nothing"),
                             ("GET", "/_sim/eu-west-1"), ("PATCH", "/_sim/eu-west-1/calls"),
                             ("GET", "/SimpleNotificationService-x.pem")]:
            self.assertEqual(self.sim.http(method, path)[0], 404, path)
        status, _, body = self.sim.http("GET", "/_sim/")
        self.assertEqual(json.loads(body), REGIONS)

    def test_control_bodies(self):
        for method, what in [("POST", "clock"), ("POST", "rate"), ("PUT", "account"),
                             ("PUT", "suppression"), ("POST", "events"), ("POST", "faults")]:
            for body in ["", "{", "null", "[1]", '{"x":1}', '"text"', "\xff", "[" * 3000]:
                status, _, _ = self.sim.http(method, f"/_sim/eu-west-1/{what}",
                                             body.encode("latin-1"))
                self.assertEqual(status, 400, (what, body))

    def test_bodies_that_are_no_json(self):
        for body in ["{", "[]", "null", "\xff\xfe", "[" * 5000]:
            headers = self.sim.signed("PUT", "/v2/email/suppression/addresses", body)
            status, _, _ = self.sim.http("PUT", "/v2/email/suppression/addresses",
                                         body.encode(), headers)
            self.assertEqual(status, 400, body)
            headers = self.sim.signed("POST", "/", body, service="sqs",
                                      headers={"X-Amz-Target": "AmazonSQS.SendMessage"})
            self.assertEqual(self.sim.http("POST", "/", body.encode(), headers)[0], 400, body)

    def test_rubbish(self):
        seed = random.randrange(1 << 32)
        rng = random.Random(seed)
        pieces = [b"GET ", b"POST ", b"/v2/email/", b"%", b"%2", b"%00", b"?", b"&", b"=", b" ",
                  b"HTTP/1.1\r\n", b"Host: x\r\n", b"\r\n", b"Authorization: AWS4-HMAC-SHA256 ",
                  b"Credential=", b"/", b"aws4_request", b", SignedHeaders=;;", b"Signature=",
                  b"Content-Length: 5\r\n", b"Action=ReceiveMessage", b"\0", b"\xff",
                  b"X-Amz-Credential=a/b/c/ses/aws4_request", b"_sim/eu-west-1/"]
        for _ in range(300):
            data = b"".join(rng.choice(pieces) for _ in range(rng.randrange(1, 40)))
            try:
                self.raw(data, answered=False)
                # Enough for the body, too, if the rubbish has a header that announces one.
                self.raw(b"GET /" + data + b"\r\n" * 8)
            except OSError as error:
                self.fail(f"seed {seed}: {data!r}: {error}")
        self.alive()

    def test_half_requests(self):
        self.raw(b"PUT /v2/email/suppression/addresses HTTP/1.1\r\nHost: x\r\n"
                 b"Content-Length: 100\r\n\r\n{", answered=False)
        self.raw(b"GET /v2/email/account HTTP/1.1\r\nHost", answered=False)
        self.alive()


class Crowd(simtest.TestCase):
    def test_many_at_once(self):
        """Every operation at the same time from many connections; nothing is lost or doubled."""
        url = self.sim.queue_url()

        def work(n):
            ses, sqs = self.sim.client("sesv2"), self.sim.client("sqs")
            got = []
            for i in range(15):
                ses.put_suppressed_destination(EmailAddress=f"w{n}.{i}@example.com",
                                               Reason="BOUNCE")
                sqs.send_message(QueueUrl=url, MessageBody=f"{n}.{i}")
                page = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=2, WaitTimeSeconds=1)
                for message in page.get("Messages", []):
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                    got.append(message["Body"])
                ses.list_suppressed_destinations(PageSize=5)
            return got

        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            got = [body for part in pool.map(work, range(12)) for body in part]
        sqs = self.sim.client("sqs")
        while True:
            page = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
            if not page:
                break
            got += [m["Body"] for m in page]
        self.assertEqual(sorted(got), sorted(f"{n}.{i}" for n in range(12) for i in range(15)))
        self.assertEqual(len(self.sim.control("GET", "suppression")), 12 * 15)


if __name__ == "__main__":
    simtest.main()
