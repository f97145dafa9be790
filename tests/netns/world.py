"""Agents in network namespaces: on top of the end-to-end harness, one namespace a node, a simulator
in each of them on its loopback, and wire.py between them. Nothing outside of the namespaces is
touched; they are removed after each test, those of a test that was killed by the next one."""

import glob
import http.client
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

import harness
import wire
from harness import wait_for  # noqa: F401, for the tests

PORT = 8471
REGIONS = ["eu-west-1", "us-east-1", "ap-northeast-1"]
LONG = os.environ.get("SUPSYNC_NETNS_LONG", "") not in ("", "0")
NAME = re.compile(r"supsync-(\d+)-\d+$")


def missing():
    """Why namespaces cannot be had here, or None."""
    if os.geteuid() != 0:
        return "needs root, to make network namespaces"
    for program, package in (("ip", "iproute2"), ("setpriv", "util-linux")):
        if shutil.which(program) is None:
            return "needs %s (package %s)" % (program, package)
    probe = "supsync-%d-0" % os.getpid()
    if subprocess.run(["ip", "netns", "add", probe], capture_output=True, check=False).returncode != 0:
        return "network namespaces cannot be made here"
    try:
        inside = ["ip", "netns", "exec", probe, "true"]
        if subprocess.run(inside, capture_output=True, check=False).returncode != 0:
            return "nothing can be run in a network namespace here"
        code = "import sys; sys.path.insert(0, %r); import wire; wire.open_tun(%r, 1)" % (HERE, probe)
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        return None if run.returncode == 0 else "no TUN device: " + run.stderr.strip().split("\n")[-1]
    finally:
        subprocess.run(["ip", "netns", "del", probe], check=False)


def sweep():
    """Removes the namespaces of test processes that are no more."""
    for path in glob.glob("/run/netns/supsync-*"):
        name = os.path.basename(path)
        match = NAME.match(name)
        if match and not os.path.exists("/proc/" + match.group(1)):
            subprocess.run(["ip", "netns", "del", name], check=False)


# Built beside the programs; see wrong_clock.c.
WRONG_CLOCK = os.environ.get(
    "SUPSYNC_WRONG_CLOCK", os.path.join(harness.BIN, "..", "tests", "libwrong_clock.so")
)
HOUR = 3600
YEAR = 365 * 24 * HOUR


def connect_inside(namespace, address):
    """A socket of the namespace. setns moves one thread only, so one that ends at once."""
    result = []

    def work():
        try:
            wire.enter("/run/netns/" + namespace)
            result.append(harness.socket.create_connection(address, timeout=30))
        except OSError as error:
            result.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if isinstance(result[0], OSError):
        raise result[0]
    return result[0]


class InsideConnection(http.client.HTTPConnection):
    def __init__(self, namespace, port):
        super().__init__("127.0.0.1", port, timeout=30)
        self.namespace = namespace

    def connect(self):
        self.sock = connect_inside(self.namespace, (self.host, self.port))


class Inside:
    """Mixed into a Process: it runs in self.namespace, by the clock of self.clock_file if set."""

    namespace = None
    clock_file = None

    def spawn(self, arguments, env=None):
        # Not even a test that is killed leaves agents behind.
        prefix = ["ip", "netns", "exec", self.namespace, "setpriv", "--pdeathsig", "KILL"]
        if self.clock_file is not None:
            prefix += ["env", "LD_PRELOAD=" + WRONG_CLOCK, "SUPSYNC_CLOCK_FILE=" + self.clock_file]
        super().spawn(prefix + arguments, env)


class Simulator(Inside, harness.Simulator):
    def control(self, method, region, what, body=None):
        target = "/_sim/%s/%s" % (region, what)
        answer = harness.request(InsideConnection(self.namespace, self.port), method, target, body)
        if answer.status >= 300:
            raise AssertionError("%s %s: %d %r" % (method, target, answer.status, answer.body))
        return answer.json() if answer.body.strip() else None

    def listed(self):
        return {address.lower() for address in self.suppression(self.regions[0])}


class Agent(Inside, harness.Agent):
    number = 0  # of the namespace, from 1
    sim = None

    def descriptors(self):
        """(connections, pipes and the like; files). Of files RocksDB opens more as it has more."""
        other = files = 0
        directory = "/proc/%d/fd" % self.process.pid
        for name in os.listdir(directory):
            try:
                target = os.readlink(os.path.join(directory, name))
            except FileNotFoundError:
                continue
            if target.startswith("/"):
                files += 1
            else:
                other += 1
        return other, files

    def connections(self):
        """All of its sockets, for a failure's message."""
        run = subprocess.run(
            ["ip", "netns", "exec", self.namespace, "ss", "-anp"], capture_output=True, text=True, check=False
        )
        mine = "pid=%d," % self.process.pid
        return "\n".join(line for line in run.stdout.splitlines() if mine in line)

    def mesh_connections(self):
        lines = self.connections().splitlines()
        return sum(1 for line in lines if line.startswith("tcp") and "LISTEN" not in line and wire.NETWORK in line)

    def resident(self):
        """Bytes of memory."""
        with open("/proc/%d/status" % self.process.pid, encoding="ascii") as f:
            return int(re.search(r"^VmRSS:\s+(\d+) kB", f.read(), re.M).group(1)) * 1024

    def store_memory(self):
        """What of it the store has, by what for: its limits are its own, and it grows up to them."""
        text = self.request("GET", "/metrics").body.decode()
        found = re.findall(r'^supsync_store_memory_bytes{part="(\w+)"} (\d+)', text, re.M)
        if not found:
            raise AssertionError("the store does not say what memory it has")
        return {part: int(n) for part, n in found}

    def beside_the_store(self):
        return self.resident() - sum(self.store_memory().values())

    def put(self, addresses, threads=8):
        """Suppresses them all as an operator; returns when all are acknowledged."""
        failures = []

        def work(part):
            connection = harness.UnixConnection(self.socket, 60)
            try:
                for address in part:
                    connection.request(
                        "PUT", "/v1/addresses/" + address,
                        body=json.dumps({"reason": "manual", "note": "netns"}),
                        headers={"Content-Type": "application/json"},
                    )
                    answer = connection.getresponse()
                    body = answer.read()
                    if answer.status >= 300:
                        failures.append((address, answer.status, body))
            except OSError as error:
                failures.append(error)
            finally:
                connection.close()

        workers = [
            threading.Thread(target=work, args=(addresses[i::threads],)) for i in range(threads)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if failures:
            raise AssertionError("%s: %r" % (self.node, failures[:3]))
        return addresses

    def clear(self, address):
        target = "/v1/addresses/" + address
        answer = self.request("DELETE", target, {"note": "netns"})
        if answer.status >= 300:
            raise AssertionError("%s %s: %d %r" % (self.node, address, answer.status, answer.body))


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, int(len(values) * p))]


class LongLivedAuthority(harness.Authority):
    """Certificates from the day before yesterday for thirty years: a node whose clock is wrong by
    ten must still be able to speak, or nothing is learnt of what it says."""

    days = 30 * 365

    def _openssl(self, *arguments):
        command = ["openssl", *arguments]
        env = dict(os.environ)
        if os.path.exists(WRONG_CLOCK):
            clock = os.path.join(self.directory, "clock")
            with open(clock, "wb") as f:
                f.write(struct.pack("q", -48 * HOUR))
            env.update(LD_PRELOAD=WRONG_CLOCK, SUPSYNC_CLOCK_FILE=clock)
        run = subprocess.run(command, env=env, capture_output=True, check=False)
        if run.returncode != 0:
            raise AssertionError(run.stderr.decode())


class TellingResult(unittest.TextTestResult):
    """Says at once why a test failed, not when the last of them has ended an hour later."""

    def addError(self, test, err):
        super().addError(test, err)
        self._tell(self.errors)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._tell(self.failures)

    def _tell(self, which):
        self.stream.writeln(which[-1][1])
        self.stream.flush()


class TestCase(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        why = missing()
        if why:
            raise unittest.SkipTest(why)
        sweep()

    def setUp(self):
        self.namespaces = []
        self.wire = None
        self.addCleanup(self._remove)  # after the processes have ended
        super().setUp()

    def _remove(self):
        if self.wire is not None:
            self.wire.stdin.close()
            self.wire.wait(10)
            self.wire.stdout.close()
        for name in self.namespaces:
            subprocess.run(["ip", "netns", "del", name], check=False)

    def authority(self):
        if self._authority is None:
            self._authority = LongLivedAuthority(self.directory)
        return self._authority

    def tell(self, **command):
        """A command for the wire; returns its counts. source and target are agents or None."""
        for key, name in (("source", "from"), ("target", "to")):
            agent = command.pop(key, None)
            command[name] = agent.number if agent else 0
        self.wire.stdin.write(json.dumps(command) + "\n")
        self.wire.stdin.flush()
        return json.loads(self.wire.stdout.readline())

    def both_ways(self, agent, **command):
        self.tell(source=agent, **command)
        self.tell(target=agent, **command)

    def _lay(self, n):
        for i in range(1, n + 1):
            name = "supsync-%d-%d" % (os.getpid(), i)
            subprocess.run(["ip", "netns", "add", name], check=True)
            self.namespaces.append(name)
        self.wire = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "wire.py"), *self.namespaces],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        if not self.wire.stdout.readline():
            raise AssertionError("wire.py ended")

    def world(self, regions=tuple(REGIONS), clocks=False, enforce=False):
        """Agents that run and are level. With clocks, each may be given a wrong one."""
        self._lay(len(regions))
        agents = []
        for i, region in enumerate(regions):
            home = os.path.join(self.directory, region)
            os.makedirs(home)
            sim = Simulator(home, [region])
            sim.namespace = self.namespaces[i]
            if clocks:
                sim.clock_file = os.path.join(home, "clock")
                with open(sim.clock_file, "wb") as f:
                    f.write(struct.pack("q", 0))
            self.processes.append(sim)
            sim.start()
            agent = Agent(self.directory, region, region, sim)
            agent.namespace, agent.clock_file = sim.namespace, sim.clock_file
            agent.number, agent.sim = i + 1, sim
            agent.config["ses"] = {"max_rps": 1000, "mode": "enforce" if enforce else "observe"}
            self.processes.append(agent)
            agents.append(agent)
        self._mesh(agents)
        for agent in agents:
            agent.start()
        return agents

    def _mesh(self, agents):
        for agent in agents:
            certificate, key = self.authority().issue(agent.node)
            agent.config["mesh"] = {
                "cluster": "test",
                "listen": "tls+tcp://%s%d:%d" % (wire.NETWORK, agent.number, PORT),
                "tls": {"ca": self.authority().ca, "cert": certificate, "key": key},
                "peers": [
                    {"name": o.node, "url": "tls+tcp://%s%d:%d" % (wire.NETWORK, o.number, PORT)}
                    for o in agents
                    if o is not agent
                ],
            }

    def set_clock(self, agents, seconds):
        """Sets the clocks of the agents, and of the AWS they talk to, wrong by so many seconds."""
        for agent in agents:
            with open(agent.clock_file, "r+b", buffering=0) as f:
                f.write(struct.pack("q", seconds))
