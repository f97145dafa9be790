"""Runs supsync-sim for tests with clients that others wrote: Debian's botocore here.

The simulator is checked only from outside: through botocore, the AWS CLI, the AWS SDK for
JavaScript, and plain HTTP for what those clients cannot be made to send.
"""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
import unittest

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

BIN = os.environ.get("SUPSYNC_BIN", "build/bin")
SIMULATOR = os.path.join(BIN, "supsync-sim")
KEY = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGIONS = ["eu-west-1", "us-east-1"]
PATIENCE = 60


def wait_for(condition, what, timeout=PATIENCE):
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain for: " + what)
        time.sleep(0.02)


class Simulator:
    def __init__(self, *options):
        self.process = subprocess.Popen(
            [SIMULATOR, "--listen", "127.0.0.1:0", "--regions", ",".join(REGIONS), *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        prefix = "supsync-sim: listening on "
        if not line.startswith(prefix):
            raise AssertionError("the simulator did not start: " + self.process.stderr.read())
        self.host = line[len(prefix):].strip()
        self.url = "http://" + self.host

    def stop(self):
        """A clean end, and no word from a sanitizer."""
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=PATIENCE)
        if self.process.returncode != 0 or errors:
            raise AssertionError(f"the simulator ended with {self.process.returncode}: {errors}")

    def client(self, service, region=REGIONS[0], key=KEY, secret=SECRET, token=None, retries=0,
               **config):
        return boto3.client(
            service, endpoint_url=self.url, region_name=region, aws_access_key_id=key,
            aws_secret_access_key=secret, aws_session_token=token,
            config=Config(retries={"max_attempts": retries}, read_timeout=40, **config))

    def http(self, method, path, body=None, headers=None):
        """Status, headers, body; the path goes out as it is."""
        connection = http.client.HTTPConnection(self.host, timeout=40)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def signed(self, method, path, body="", service="ses", region=REGIONS[0], key=KEY,
               secret=SECRET, headers=None):
        """Headers with botocore's signature, for requests that are tampered with afterwards."""
        request = AWSRequest(method, self.url + path, data=body,
                             headers={"Host": self.host, **(headers or {})})
        SigV4Auth(Credentials(key, secret), service, region).add_auth(request)
        return dict(request.headers)

    def control(self, method, what, body=None, region=REGIONS[0]):
        text = None if body is None else json.dumps(body)
        status, _, data = self.http(method, f"/_sim/{region}/{what}", text)
        if status != 200:
            raise AssertionError(f"{method} {what}: {status} {data!r}")
        return json.loads(data)

    def fault(self, region=REGIONS[0], **rule):
        self.control("POST", "faults", [rule], region)

    def queue_url(self, name="ses-events"):
        return f"{self.url}/000000000000/{name}"


class TestCase(unittest.TestCase):
    """One simulator per class, with signatures checked; `options` adds to its command line."""

    options = []

    @classmethod
    def setUpClass(cls):
        cls.sim = Simulator("--verify-signatures", *cls.options)

    @classmethod
    def tearDownClass(cls):
        cls.sim.stop()

    def setUp(self):
        for region in REGIONS:
            self.sim.control("DELETE", "faults", region=region)
            self.sim.control("DELETE", "suppression", region=region)
            self.sim.control("POST", "clock", {"offset_ms": 0}, region)
            self.sim.client("sqs", region).purge_queue(QueueUrl=self.sim.queue_url())

    def refused(self, code, call, *args, **kwargs):
        """The call fails with that code; returns the error response."""
        from botocore.exceptions import ClientError

        with self.assertRaises(ClientError) as caught:
            call(*args, **kwargs)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)
        return caught.exception.response


def main():
    # botocore leaves the closing of its sockets to the garbage collector.
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]], warnings="ignore")
