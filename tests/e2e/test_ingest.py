"""Events from files and over HTTP: explain (offline) and backfill into a real agent."""

import gzip
import json
import os
import subprocess

import harness
from harness import SUPSYNC


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

    def test_cut_off_gzip(self):
        lines = b"".join(json.dumps(bounce(f"a{i}@example.com", i)).encode() for i in range(3000))
        r, read = self.explain(gzip.compress(lines)[:-100])
        self.assertEqual(r.returncode, 3)
        self.assertIn(b"cut off", r.stderr)
        self.assertGreater(len(read), 100)

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

    def test_text_and_usage(self):
        r = run("explain", "-", stdin=json.dumps(bounce("a@example.com")).encode())
        self.assertEqual(r.returncode, 0)
        self.assertRegex(r.stdout.decode(), r"Bounce Permanent/General  message message-0\n"
                                            r"  suppress    a@example.com  by rule bounce-perm")
        self.assertEqual(run("explain").returncode, 2)
        r = run("explain", "/nonexistent/file")
        self.assertEqual(r.returncode, 3)
        self.assertIn(b"No such file", r.stderr)


if __name__ == "__main__":
    harness.main()
