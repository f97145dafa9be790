"""SQS to store, against the simulator: events a second and CPU per event of the whole agent, beside a
consumer that only receives and deletes. Both in turn, three times, from a full queue: the medians, so
that what else the machine does meets both. One line of JSON.

    bench/sqs.py [EVENTS]       SUPSYNC_BIN names the directory of the binaries
"""

import http.client
import json
import os
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests", "e2e"))
import harness
import measure
from test_crash import bounce

EVENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
REGION = "eu-west-1"
CLIENTS = 4
ROUNDS = 3


def fill(sim, tag):
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - 5))
    for at in range(0, EVENTS, 500):
        bodies = [
            bounce("user%d.%s@example.com" % (i, tag), "%s-%d" % (tag, i), stamp)
            for i in range(at, min(at + 500, EVENTS))
        ]
        sim.control("POST", REGION, "events", bodies)


def queue_length(sim):
    q = sim.control("GET", REGION, "queues")["ses-events"]
    return q["visible"] + q["in_flight"]


def minimal_consumer(sim):
    """Receives and deletes, nothing else: what the simulator and two round trips allow."""
    auth = (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/%s/sqs/aws4_request, SignedHeaders=host, "
        "Signature=00" % REGION
    )

    def call(connection, target, body):
        connection.request(
            "POST", "/", json.dumps(body),
            {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS." + target,
             "Authorization": auth},
        )
        return json.loads(connection.getresponse().read() or b"{}")

    def consume():
        connection = http.client.HTTPConnection("127.0.0.1", sim.port)
        url = sim.queue_url(REGION)
        while True:
            got = call(connection, "ReceiveMessage", {"QueueUrl": url, "MaxNumberOfMessages": 10})
            messages = got.get("Messages", [])
            if not messages:
                return
            call(connection, "DeleteMessageBatch", {
                "QueueUrl": url,
                "Entries": [
                    {"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]}
                    for i, m in enumerate(messages)
                ],
            })

    begin, cpu = time.monotonic(), time.process_time()
    threads = [threading.Thread(target=consume) for _ in range(CLIENTS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    seconds, cpu = time.monotonic() - begin, time.process_time() - cpu
    assert queue_length(sim) == 0, "the minimal consumer left messages behind"
    return EVENTS / seconds, cpu


class World(harness.TestCase):
    def runTest(self):
        sim = self.simulator([REGION])
        agent = self.agent(REGION, sim=sim)
        agent.config["sqs"][0]["receivers"] = CLIENTS
        agent.config["ses"] = {"mode": "observe"}
        minimal, backlog, minimal_cpu, agent_cpu = [], [], [], []
        for i in range(ROUNDS):
            fill(sim, "m%d" % i)
            rate, cpu = minimal_consumer(sim)
            minimal.append(rate)
            minimal_cpu.append(cpu)
            # From start to empty.
            fill(sim, "a%d" % i)
            agent.start()
            begin = time.monotonic()
            cpu = measure.cpu_seconds(agent.process.pid)
            harness.wait_for(lambda: queue_length(sim) == 0, "an empty queue", timeout=600, every=0.005)
            backlog.append(EVENTS / (time.monotonic() - begin))
            agent_cpu.append(measure.cpu_seconds(agent.process.pid) - cpu)
            if i < ROUNDS - 1:
                agent.stop()
        # As they come, on the warm agent.
        begin = time.monotonic()
        fill(sim, "b")
        fill_seconds = time.monotonic() - begin
        harness.wait_for(lambda: queue_length(sim) == 0, "an empty queue", timeout=600, every=0.005)
        live = time.monotonic() - begin
        socket = subprocess.run(
            [os.path.join(harness.BIN, "bench_socket_check"), agent.socket],
            capture_output=True, text=True, check=True,
        ).stdout.strip()
        print(json.dumps({
            "bench": "sqs", "events": EVENTS,
            "receive_delete_only_per_s": round(statistics.median(minimal)),
            "agent_backlog_per_s": round(statistics.median(backlog)),
            "of_receive_delete_only": round(statistics.median(
                a / m for a, m in zip(backlog, minimal)), 2),
            "agent_live_per_s": round(EVENTS / live), "fill_s": round(fill_seconds, 2),
            "receive_delete_only_cpu_us_per_event":
                round(statistics.median(minimal_cpu) / EVENTS * 1e6, 1),
            "agent_cpu_us_per_event": round(statistics.median(agent_cpu) / EVENTS * 1e6, 1),
        }))
        print(socket)


if __name__ == "__main__":
    measure.run(World)
