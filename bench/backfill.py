"""A file backfilled into an agent, CPU per event of command and agent together, beside reading and
classifying the same file with nothing kept, and beside what people write instead: Python that parses
and upserts into SQLite. One line of JSON.

    bench/backfill.py [EVENTS]       SUPSYNC_BIN names the directory of the binaries

Kinds: Send events alone (each counted once, for ever), Delivery alone, and a mix of 49 % sends, 48 %
deliveries, 2 % hard and 1 % soft bounces of an hour; the mix once more with the event log, which
keeps each document compressed.
"""

import json
import os
import resource
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests", "e2e"))
import harness
import measure

EVENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 200000
DOMAINS = ["gmail.com", "yahoo.com", "outlook.com", "icloud.com"] + ["example%d.com" % i for i in range(200)]


def stamp(t):
    return time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(t)) + "%03dZ" % (int(t * 1000) % 1000)


def mail(i, t):
    to = "user%d@%s" % (i, DOMAINS[i % 4] if i % 3 else DOMAINS[i % len(DOMAINS)])
    return to, {
        "timestamp": stamp(t), "source": "Sender Name <sender@example.com>",
        "sourceArn": "arn:aws:ses:us-east-1:123456789012:identity/example.com",
        "sendingAccountId": "123456789012",
        "messageId": "010001%010x-%08x-0000-4000-8000-%012x-000000" % (int(t * 1000), i, i),
        "destination": [to], "headersTruncated": False,
        "headers": [{"name": n, "value": "value of a header of usual length, %d" % k} for k, n in
                    enumerate(["From", "To", "Subject", "MIME-Version", "Content-Type", "Message-ID"])],
        "commonHeaders": {"from": ["Sender Name <sender@example.com>"], "to": [to], "subject": "Message"},
        "tags": {"ses:configuration-set": ["ConfigSet"], "ses:source-ip": ["192.0.2.0"],
                 "ses:from-domain": ["example.com"]},
    }


def event(kind, i, t):
    to, m = mail(i, t)
    if kind == "mix":
        r = i % 100
        kind = "send" if r < 49 else "delivery" if r < 97 else "bounce" if r < 99 else "soft"
    if kind == "send":
        return {"eventType": "Send", "mail": m, "send": {}}
    if kind == "delivery":
        return {"eventType": "Delivery", "mail": m, "delivery": {
            "timestamp": stamp(t + 2), "processingTimeMillis": 2000, "recipients": [to],
            "smtpResponse": "250 ok", "reportingMTA": "a.amazonses.com"}}
    hard = kind == "bounce"
    return {"eventType": "Bounce", "mail": m, "bounce": {
        "feedbackId": "f-" + m["messageId"], "bounceType": "Permanent" if hard else "Transient",
        "bounceSubType": "General" if hard else "MailboxFull", "timestamp": stamp(t + 3),
        "bouncedRecipients": [{"emailAddress": to, "action": "failed",
                               "status": "5.1.1" if hard else "5.2.2", "diagnosticCode": "smtp; 550 no"}]}}


def write(path, kind):
    begin = time.time() - 3600
    with open(path, "w", encoding="utf-8") as f:
        for i in range(EVENTS):
            f.write(json.dumps(event(kind, i, begin + i * 3000.0 / EVENTS), separators=(",", ":")) + "\n")


def stand_in(path):
    """Events a second of one core: json and SQLite, a commit for each 1000."""
    db = sqlite3.connect(path + ".sqlite")
    db.execute("CREATE TABLE seen (id TEXT PRIMARY KEY, kind TEXT, t TEXT)")
    begin = time.process_time()
    with open(path, encoding="utf-8") as f:
        for i, line in enumerate(f):
            e = json.loads(line)
            m = e["mail"]
            db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)",
                       (m["messageId"] + m["destination"][0] + e["eventType"], e["eventType"], m["timestamp"]))
            if i % 1000 == 999:
                db.commit()
    db.commit()
    return EVENTS / (time.process_time() - begin)


class World(harness.TestCase):
    def measure(self, kind, name, log=False):
        path = os.path.join(self.directory, name + ".json")
        write(path, kind)
        parse = json.loads(subprocess.run([os.path.join(harness.BIN, "bench_backfill"), path],
                                          capture_output=True, text=True, check=True).stdout)
        assert parse["events"] == EVENTS, parse
        agent = self.agent("eu-west-1/" + name)
        agent.config["ses"] = {"mode": "observe"}
        if log:
            agent.config["events"] = {"retention": "30d"}
        agent.start()
        before, agent_cpu = resource.getrusage(resource.RUSAGE_CHILDREN), measure.cpu_seconds(agent.process.pid)
        begin = time.monotonic()
        run = agent.cli("ingest", "--output", "json", path)
        seconds = time.monotonic() - begin
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = measure.cpu_seconds(agent.process.pid) - agent_cpu
        cpu += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        done = json.loads(run.stdout)
        assert run.returncode == 0 and done["documents"] == EVENTS, run.stdout + run.stderr
        agent.stop()
        return {
            name + "_parse_only_per_core_s": round(EVENTS / parse["cpu_s"]),
            name + "_backfill_per_core_s": round(EVENTS / cpu),
            name + "_backfill_wall_per_s": round(EVENTS / seconds),
            name + "_cpu_us_per_event": round(cpu / EVENTS * 1e6, 2),
            name + "_of_parse_only": round(parse["cpu_s"] / cpu, 2),
            name + "_python_sqlite_per_core_s": round(stand_in(path)),
        }

    def runTest(self):
        result = {"bench": "backfill", "events": EVENTS}
        for kind in ("send", "delivery", "mix"):
            result.update(self.measure(kind, kind))
        result.update(self.measure("mix", "mix_logged", log=True))
        print(json.dumps(result))


if __name__ == "__main__":
    measure.run(World)
