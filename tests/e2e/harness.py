"""Starts and stops the simulator and agents for end-to-end tests.

Everything lives in one temporary directory, listens on free ports of 127.0.0.1 and is ended by
process id. Nothing sleeps in place of a condition: wait_for polls until a deadline.

    class Tests(harness.TestCase):
        def test_it(self):
            sim = self.simulator(regions=["eu-west-1"])
            agent = self.agent("eu-west-1", sim=sim)
            agent.start()
            agent.cli("status")
"""

import concurrent.futures
import fcntl
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

BIN = os.environ.get("SUPSYNC_BIN", "build/bin")
SOURCE = os.environ.get("SUPSYNC_SOURCE", os.path.join(os.path.dirname(__file__), "..", ".."))
SUPSYNC = os.path.join(BIN, "supsync")
SIMULATOR = os.path.join(BIN, "supsync-sim")

# Sanitized binaries on a busy machine are slow; a condition that will come true gets its time.
PATIENCE = float(os.environ.get("SUPSYNC_PATIENCE", "30"))

ACCOUNT = "123456789012"


SANITIZER = re.compile(r"WARNING: ThreadSanitizer|ERROR: (Address|Leak)Sanitizer|: runtime error: ")


def wait_for(condition, what, timeout=None, every=0.02):
    """Polls condition() until it is true and returns its value; fails after timeout seconds."""
    deadline = time.monotonic() + (PATIENCE if timeout is None else timeout)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain for: " + what)
        time.sleep(every)


_reserved = {}  # port: its lock


def free_port():
    """A TCP port of 127.0.0.1 that was free a moment ago, and that no other process which asked here
    has: it is locked until this process ends. Below the range that connections take theirs from."""
    directory = os.path.join(tempfile.gettempdir(), "supsync-e2e-ports")
    os.makedirs(directory, exist_ok=True)
    while True:
        port = random.randrange(15000, 32000)
        if port in _reserved:
            continue
        lock = open(os.path.join(directory, str(port)), "ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        _reserved[port] = lock
        return port


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path, timeout=30):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


def request(connection, method, target, body=None, headers=None):
    """One request on connection, which is closed. body: bytes, str, or anything for JSON."""
    headers = dict(headers or {})
    if body is not None and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
        headers.setdefault("Content-Type", "application/json")
    try:
        connection.request(method, target, body=body, headers=headers)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def to_yaml(value, indent=0):
    """JSON is YAML's flow style; the top level is written in block style, to be read by people."""
    assert indent == 0
    return "".join("%s: %s\n" % (key, json.dumps(part)) for key, part in value.items())


class Process:
    """A program under test; its output goes to a log file that failures quote."""

    def __init__(self, name, directory):
        self.name = name
        self.log_path = os.path.join(directory, name.replace("/", "-") + ".log")
        self.process = None

    def spawn(self, arguments, env=None):
        environment = dict(os.environ)
        environment.update(env or {})
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )

    def running(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def kill(self):
        """SIGKILL, as a crash would be."""
        if self.running():
            self.process.kill()
        if self.process is not None:
            self.process.wait()

    def stop(self, timeout=60):
        """SIGTERM; returns the exit status."""
        if self.running():
            self.process.send_signal(signal.SIGTERM)
        if self.process is None:
            return None
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("%s does not stop on SIGTERM\n%s" % (self.name, self.log()))


class Simulator(Process):
    """supsync-sim. regions[0] is the first Region; url is for --endpoint-url."""

    def __init__(self, directory, regions, arguments=()):
        super().__init__("supsync-sim", directory)
        self.regions = list(regions)
        self.arguments = list(arguments)
        self.port = None

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.port

    def start(self):
        listen = "127.0.0.1:%d" % (self.port or 0)
        self.spawn(
            [SIMULATOR, "--listen", listen, "--regions", ",".join(self.regions)] + self.arguments
        )

        def listening():
            if not self.running():
                raise AssertionError("supsync-sim ended\n" + self.log())
            for line in self.log().splitlines():
                if line.startswith("supsync-sim: listening on "):
                    self.port = int(line.split()[3].rsplit(":", 1)[1])
            return self.port

        wait_for(listening, "the simulator's port")
        return self

    def queue_url(self, region, name="ses-events"):
        return "%s/%s/%s" % (self.url, ACCOUNT, name)

    def control(self, method, region, what, body=None):
        """The simulator's own API, never signed: /_sim/REGION/WHAT."""
        target = "/_sim/%s/%s" % (region, what)
        answer = request(
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=30), method, target, body
        )
        if answer.status >= 300:
            raise AssertionError("%s %s: %d %r" % (method, target, answer.status, answer.body))
        return answer.json() if answer.body.strip() else None

    def suppression(self, region):
        """The Region's list, a dictionary from spelling to its entry."""
        entries = self.control("GET", region, "suppression")
        if isinstance(entries, dict):
            entries = next(v for v in entries.values() if isinstance(v, list))
        return {
            next(v for k, v in entry.items() if k.lower() in ("emailaddress", "address", "email")): entry
            for entry in entries
        }

    def calls(self, region):
        """How often each operation was called."""
        return self.control("GET", region, "calls")

    def faults(self, region, faults):
        return self.control("POST", region, "faults", faults)

    def environment(self):
        """What makes AWS's own tools and the agent talk to this simulator."""
        return {
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }

    def client(self, service, region):
        """A botocore client for this simulator."""
        import botocore.session  # Debian's, only where it is needed

        environment = self.environment()
        session = botocore.session.Session()
        return session.create_client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )


class Authority:
    """A throw-away CA; node certificates carry the node's name and 127.0.0.1."""

    days = 60  # longer than the fortnight before its end in which an agent warns

    def __init__(self, directory):
        self.directory = os.path.join(directory, "pki")
        os.makedirs(self.directory, exist_ok=True)
        self.ca = os.path.join(self.directory, "ca.pem")
        self.ca_key = os.path.join(self.directory, "ca.key")
        self._openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", str(self.days), "-subj", "/CN=supsync test CA", "-keyout", self.ca_key, "-out", self.ca,
        )

    def _openssl(self, *arguments):
        run = subprocess.run(["openssl", *arguments], capture_output=True, check=False)
        if run.returncode != 0:
            raise AssertionError(run.stderr.decode())

    def issue(self, name, addresses=("IP:127.0.0.1", "DNS:localhost")):
        """Returns (certificate, key) for a node."""
        base = os.path.join(self.directory, name.replace("/", "-"))
        names = ["DNS:" + name.replace("/", ".")] + list(addresses)
        with open(base + ".ext", "w", encoding="utf-8") as f:
            f.write("subjectAltName=%s\n" % ",".join(names))
            f.write("extendedKeyUsage=serverAuth,clientAuth\n")
        self._openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/CN=" + name.replace("/", "."), "-keyout", base + ".key", "-out", base + ".csr",
        )
        self._openssl(
            "x509", "-req", "-in", base + ".csr", "-CA", self.ca, "-CAkey", self.ca_key,
            "-CAcreateserial", "-days", str(self.days), "-extfile", base + ".ext", "-out", base + ".pem",
        )
        return base + ".pem", base + ".key"


class Agent(Process):
    """One node. config is a dictionary in the shape of the YAML file; change it before start()."""

    def __init__(self, directory, node, region, sim=None):
        super().__init__(node, directory)
        self.node = node
        self.directory = os.path.join(directory, node.replace("/", "-"))
        os.makedirs(self.directory, exist_ok=True)
        self.socket = os.path.join(self.directory, "admin.sock")
        self.config_path = os.path.join(self.directory, "supsync.yaml")
        self.env = {"AWS_EC2_METADATA_DISABLED": "true"}
        self.mesh_port = None
        self.config = {
            "node": node,
            "region": region,
            "data_dir": os.path.join(self.directory, "data"),
            "log": {"level": "debug" if os.environ.get("SUPSYNC_DEBUG") else "info"},
            "admin": {"socket": self.socket},
        }
        if sim is not None:
            self.env.update(sim.environment())
            self.config["aws"] = {"endpoint_url": sim.url}
            self.config["sqs"] = [{"queue_url": sim.queue_url(region), "receivers": 2}]
            self.config["ses"] = {"max_rps": 200}

    def write_config(self):
        with open(self.config_path, "w", encoding="utf-8") as f:
            f.write(to_yaml(self.config))

    def reload(self):
        """Writes the configuration, sends SIGHUP and waits until it was followed."""
        before = self.log().count("reloaded")
        self.write_config()
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.log().count("reloaded") > before, "the reload")

    def start(self, wait=True):
        self.write_config()
        self.spawn([SUPSYNC, "agent", "--config", self.config_path], self.env)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        wait_for(self._is_up, "%s to answer\n%s" % (self.node, self.log()))

    def _is_up(self):
        if not self.running():
            raise AssertionError("%s ended\n%s" % (self.node, self.log()))
        try:
            return self.request("GET", "/v1/status", timeout=5).status == 200
        except OSError:
            return False

    def request(self, method, target, body=None, headers=None, timeout=30):
        return request(UnixConnection(self.socket, timeout), method, target, body, headers)

    def status(self):
        return self.request("GET", "/v1/status").json()

    def check(self, address):
        """The agent's answer: a dictionary with verdict, reason, …"""
        target = "/v1/check?address=" + urllib.parse.quote(address, safe="")
        return self.request("GET", target).json()

    def verdict(self, address):
        return self.check(address).get("verdict")

    def metric(self, name):
        """A metric without labels; 0 if it is not there."""
        for line in self.request("GET", "/metrics").body.decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        return 0

    def wait_answers(self, timeout=None):
        """Until it says of an address that it may be mailed. A node without a peer that has anything, or
        alone, does at once; a new one of a mesh when it knows that there is nothing to join."""
        wait_for(lambda: self.verdict("nobody@example.com") == "allow", self.node + " to answer", timeout)

    def show(self, address):
        return self.request("GET", "/v1/addresses/" + urllib.parse.quote(address, safe="")).json()

    def rows(self, **filters):
        """The set, as `supsync list` streams it."""
        target = "/v1/addresses?" + urllib.parse.urlencode(filters)
        answer = self.request("GET", target, headers={"Accept": "application/x-ndjson"}, timeout=300)
        return [json.loads(line) for line in answer.body.splitlines()]

    def cli(self, *arguments, input=None, timeout=120):
        """Runs the supsync command against this agent; returns the CompletedProcess (text)."""
        environment = dict(os.environ, SUPSYNC_SOCKET=self.socket)
        return subprocess.run(
            [SUPSYNC, *arguments], input=input, env=environment, timeout=timeout,
            capture_output=True, text=True, check=False,
        )


def connect_mesh(agents, authority, cluster="test"):
    """Gives every agent a mesh section with all the others as peers. Call before start()."""
    for agent in agents:
        agent.mesh_port = free_port()
    for agent in agents:
        certificate, key = authority.issue(agent.node)
        agent.config["mesh"] = {
            "cluster": cluster,
            "listen": "tls+tcp://127.0.0.1:%d" % agent.mesh_port,
            "tls": {"ca": authority.ca, "cert": certificate, "key": key},
            "peers": [
                {"name": other.node, "url": "tls+tcp://127.0.0.1:%d" % other.mesh_port}
                for other in agents
                if other is not agent
            ],
        }


class TestCase(unittest.TestCase):
    """Owns a temporary directory and all processes; ends and removes them after each test.
    With SUPSYNC_KEEP=1 the directory stays. Logs of a failed test are printed."""

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="supsync-e2e-")
        self.processes = []
        self._authority = None
        self.addCleanup(self._end)

    def _end(self):
        # An orderly end, so that leaks are looked for; what a sanitizer said of any process, in any of
        # its lives, fails the test.
        for process in self.processes:
            if process.running():
                process.process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.stop()
            except AssertionError as error:
                sys.stderr.write("%s\n" % error)
        reports = [process for process in self.processes if SANITIZER.search(process.log())]
        outcome = getattr(self, "_outcome", None)
        if reports or (outcome is not None and outcome.success is False):
            for process in reports or self.processes:
                log = process.log()
                found = SANITIZER.search(log)
                sys.stderr.write("---- %s\n%s\n" % (process.name, log[found.start():][:8000] if found else log[-8000:]))
        if os.environ.get("SUPSYNC_KEEP"):
            sys.stderr.write("kept: %s\n" % self.directory)
        else:
            shutil.rmtree(self.directory, ignore_errors=True)
        if reports:
            raise AssertionError("a sanitizer reported: " + ", ".join(p.name for p in reports))

    def authority(self):
        if self._authority is None:
            self._authority = Authority(self.directory)
        return self._authority

    def simulator(self, regions=("eu-west-1",), arguments=(), start=True):
        sim = Simulator(self.directory, regions, arguments)
        self.processes.append(sim)
        return sim.start() if start else sim

    def agent(self, node, region=None, sim=None):
        """An agent that is not started yet. region: the node's name unless told."""
        agent = Agent(self.directory, node, region or node.split("/")[0], sim)
        self.processes.append(agent)
        return agent

    def mesh(self, regions, sim=None):
        """Agents, one a Region, that know each other; not started yet."""
        agents = [self.agent(region, sim=sim) for region in regions]
        connect_mesh(agents, self.authority())
        return agents


def _each(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _each(test)
        else:
            yield test


def main():
    unittest.main(verbosity=2)


def main_parallel(jobs=4):
    """Runs the tests of the calling file: those named on the command line as unittest does, else all,
    several at a time, each in a process of its own. For tests that mostly wait: for a rate, an
    interval, a job. SUPSYNC_E2E_JOBS overrides jobs."""
    if len(sys.argv) > 1:
        unittest.main(verbosity=2)
    module = sys.modules["__main__"]
    names = [test.id().split(".", 1)[1] for test in _each(unittest.defaultTestLoader.loadTestsFromModule(module))]
    failed = []

    def run(name):
        begin = time.monotonic()
        done = subprocess.run([sys.executable, "-W", "ignore", module.__file__, name],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        return name, done, time.monotonic() - begin

    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("SUPSYNC_E2E_JOBS", jobs))) as pool:
        for name, done, seconds in pool.map(run, names):
            skipped = re.search(r"skipped '?(.*?)'?$", done.stderr, re.MULTILINE)
            outcome = "ok" if done.returncode == 0 else "FAILED"
            print("%-90s %s %.1f s" % (name, "skipped: " + skipped.group(1) if skipped else outcome, seconds), flush=True)
            if done.returncode != 0:
                failed.append(name)
                print(done.stdout + done.stderr, flush=True)
    print("%d tests, %d failed%s" % (len(names), len(failed), ": " + ", ".join(failed) if failed else ""))
    sys.exit(1 if failed else 0)
