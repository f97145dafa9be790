"""Archives on S3: backfill from a prefix, the agent that watches one, and the event log's export."""

import datetime
import gzip
import json
import os
import random
import re
import subprocess

import harness
from harness import SUPSYNC, wait_for
from test_ingest import bounce, complaint, envelope

R = "eu-west-1"
BUCKET = "archive-bucket"


class S3TestCase(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.sim = self.simulator([R, "us-east-1"])
        self.s3 = self.sim.client("s3", R)
        self.addCleanup(self.s3.close)
        self.make_bucket(BUCKET)

    def make_bucket(self, name, region=R):
        s3 = self.sim.client("s3", region)
        where = {} if region == "us-east-1" else {
            "CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=name, **where)
        s3.close()

    def put(self, key, data, bucket=BUCKET, **more):
        self.s3.put_object(Bucket=bucket, Key=key, Body=data, **more)

    def node_without_queue(self):
        node = self.agent(R, sim=self.sim)
        del node.config["sqs"]
        node.config["ses"] = {"mode": "observe"}
        return node


def text(events, separator=b"\n"):
    return separator.join(json.dumps(e).encode() for e in events)


def dump(node):
    return [{k: row[k] for k in ("address", "state", "reason", "time")} for row in node.rows()]


class BackfillFromS3(S3TestCase):
    def setUp(self):
        super().setUp()
        self.node = self.node_without_queue()
        self.node.start()

    def run_ingest(self, *arguments, env=None):
        environment = dict(os.environ, SUPSYNC_SOCKET=self.node.socket, AWS_REGION=R)
        environment.update(self.sim.environment())
        environment.update(env or {})
        return subprocess.run([SUPSYNC, "ingest", "--output", "json", *arguments], timeout=120,
                              env=environment, capture_output=True, check=False)

    def ingest(self, *arguments, status=0, env=None):
        r = self.run_ingest(*arguments, env=env)
        self.assertEqual(r.returncode, status, r.stderr)
        return json.loads(r.stdout)

    def test_prefix_of_all_forms(self):
        events = [(complaint if i % 3 == 0 else bounce)(f"u{i}@example.com", i)
                  for i in range(3000)]
        keys = ["in/2026/01/02/03/plain", "in/2026/01/02/03/odd key+?&=%25é\"'<>.json",
                "in/2026/01/02/04/b.gz"]
        self.put(keys[0], text(events[:1000], b""))
        self.put(keys[1], text(events[1000:2000], b"\n\n"))
        self.put(keys[2], gzip.compress(text(envelope(e) for e in events[2000:])),
                 ContentEncoding="gzip")
        self.put("in/2026/", b"")  # a folder, as a console makes it
        self.put("input/other", text([bounce("not-asked-for@example.com", 9000)]))
        result = self.ingest(f"s3://{BUCKET}/in/")
        self.assertEqual((result["objects"], result["documents"], result["refused"]), (3, 3000, 0))
        self.assertEqual(result["events"], {"Bounce": 2000, "Complaint": 1000})
        self.assertEqual(len(dump(self.node)), 3000)
        self.assertEqual(self.node.verdict("not-asked-for@example.com"), "allow")
        again = self.ingest(f"s3://{BUCKET}/in/")
        self.assertEqual((again["duplicates"], again["suppressed"]), (3000, 0))

    def test_many_pages(self):
        for i in range(1203):
            self.put(f"p/{i:05}", text([bounce(f"p{i}@example.com", i)]))
        result = self.ingest(f"s3://{BUCKET}/p/")
        self.assertEqual((result["objects"], result["suppressed"]), (1203, 1203))
        self.assertEqual(self.sim.calls(R)["ListObjectsV2"], 2)

    def test_large_object_in_parts(self):
        event = text([bounce("flat@example.com")])
        padding = (b" " * 1000 + b"\n") * 30000
        self.put("big", event + padding + text([bounce("end@example.com", 2)]))
        # Connections that break and trouble of S3's cost a part, not the object.
        self.sim.faults(R, [{"operation": "GetObject", "count": 2, "truncate": True},
                            {"operation": "GetObject", "count": 1, "status": 503,
                             "code": "SlowDown"}])
        result = self.ingest(f"s3://{BUCKET}/big", env={"AWS_MAX_ATTEMPTS": "10"})
        self.assertEqual((result["documents"], result["suppressed"], result["refused"]), (2, 2, 0))
        self.assertGreaterEqual(self.sim.calls(R)["GetObject"], 8 + 3)

    def test_memory_stays_flat(self):
        event = text([bounce("flat@example.com")])
        self.put("small", event)
        self.put("big", event + (b" " * 1000 + b"\n") * 60000 + event)

        def peak(key):
            environment = dict(os.environ, SUPSYNC_SOCKET=self.node.socket, AWS_REGION=R)
            environment.update(self.sim.environment())
            p = subprocess.Popen([SUPSYNC, "ingest", "--output", "json", f"s3://{BUCKET}/{key}"],
                                 env=environment, stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(p.pid, 0)
            p.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(p.returncode, 0)
            return usage.ru_maxrss

        self.assertLess(peak("big") - peak("small"), 48 * 1024, "KiB more for 60 MB")

    def test_unreadable_and_damaged_are_named(self):
        good = text([bounce("good@example.com")])
        self.put("x/a.parquet", b"PAR1\x15\x04\x15")
        self.put("x/b.bz2", b"BZh91AY&SY")
        self.put("x/c.orc", b"ORC\x0a\x0b")
        self.put("x/d.avro", b"Obj\x01\x04\x14")
        self.put("x/e", good + b"\njunk\n" + good)
        self.put("x/f.gz", gzip.compress(b"\0\1" + random.Random(1).randbytes(200000))[:-100000])
        result = self.ingest(f"s3://{BUCKET}/x", status=1)
        found = {r["object"].rsplit("/", 1)[1]: r["error"] for r in result["refusals"]}
        for name, what in (("a.parquet", "Parquet"), ("b.bz2", "bzip2"), ("c.orc", "ORC"),
                           ("d.avro", "Avro"), ("f.gz", "binary data")):
            self.assertIn(what, found[name])
        self.assertIn(f"s3://{BUCKET}/x/e", [r["object"] for r in result["refusals"]])
        self.assertEqual(self.node.verdict("good@example.com"), "block")

    def test_resume(self):
        journal = os.path.join(self.directory, "journal")
        events = [bounce(f"r{i}@example.com", i) for i in range(5500)]
        self.put("r/a.gz", gzip.compress(text(events)))
        self.put("r/b", text(events[:5]))
        first = self.ingest("--resume", journal, f"s3://{BUCKET}/r/")
        self.assertEqual((first["documents"], first["objects_done_before"]), (5505, 0))
        # Killed after the first batch of the first object: only what was noted counts.
        with open(journal, "rb") as f:
            lines = [line for line in f.read().splitlines() if line]
        with open(journal, "wb") as f:
            f.write(lines[0] + b"\n")
        self.assertFalse(json.loads(lines[0])["done"])
        second = self.ingest("--resume", journal, f"s3://{BUCKET}/r/")
        self.assertEqual((second["documents"], second["objects_done_before"]), (1505, 0))
        third = self.ingest("--resume", journal, f"s3://{BUCKET}/r/")
        self.assertEqual((third["documents"], third["objects_done_before"]), (0, 2))
        # Another object under the same key is not the one that was done, even of the same size.
        self.put("r/b", text(events[5:10]))
        fourth = self.ingest("--resume", journal, f"s3://{BUCKET}/r/")
        self.assertEqual((fourth["documents"], fourth["objects_done_before"]), (5, 1))

    def test_bucket_of_another_region(self):
        self.make_bucket("over-there", "us-east-1")
        s3 = self.sim.client("s3", "us-east-1")
        s3.put_object(Bucket="over-there", Key="k", Body=text([bounce("far@example.com")]))
        s3.close()
        self.assertEqual(self.ingest("s3://over-there")["suppressed"], 1)
        self.assertEqual(self.ingest("--region", "us-east-1", "s3://over-there/k")["duplicates"], 1)

    def test_refusals_say_what_to_mend(self):
        self.put("k", text([bounce("a@example.com")]))
        cases = (
            ("ListObjectsV2", 403, "AccessDenied", b"s3:ListBucket"),
            ("GetObject", 403, "AccessDenied", b"s3:GetObject"),
            ("GetObject", 400, "KMS.DisabledException", b"kms:Decrypt"),
            ("GetObject", 403, "InvalidObjectState", b"restore it first"),
            ("GetObject", 412, "PreconditionFailed", b"replaced while it was read"),
        )
        for operation, status, code, words in cases:
            with self.subTest(code=code):
                self.sim.faults(R, [{"operation": operation, "count": 1, "status": status,
                                     "code": code}])
                r = self.run_ingest(f"s3://{BUCKET}/k")
                self.assertEqual(r.returncode, 3, r.stderr)
                self.assertIn(words, r.stderr)
        r = self.run_ingest("s3://no-such-bucket-here/k")
        self.assertEqual(r.returncode, 3)
        self.assertIn(b"there is no such bucket", r.stderr)
        r = self.run_ingest("s3://Not_A_Bucket/k")
        self.assertEqual(r.returncode, 3)
        self.assertIn(b"not the name of an S3 bucket", r.stderr)


class Fauxqs(harness.Process):
    """An S3 by others; tests/node/install.sh fetches it."""

    def start(self):
        self.spawn(["node", os.path.join(harness.SOURCE, "tests", "node", "fauxqs.js")])
        return wait_for(self.url, "fauxqs to listen")

    def url(self):
        if not self.running():
            raise AssertionError("fauxqs ended\n" + self.log())
        at = self.log().find("listening on ")
        return "http://" + self.log()[at:].split()[2] if at >= 0 else None


class ThirdPartyS3(harness.TestCase):
    def test_backfill(self):
        if not os.path.isdir(os.path.join(harness.SOURCE, "tests", "node", "node_modules", "fauxqs")):
            self.skipTest("tests/node/install.sh was not run")
        fauxqs = Fauxqs("fauxqs", self.directory)
        self.processes.append(fauxqs)
        url = fauxqs.start()
        import botocore.session

        s3 = botocore.session.Session().create_client(
            "s3", region_name="us-east-1", endpoint_url=url, aws_access_key_id="a",
            aws_secret_access_key="b")
        s3.create_bucket(Bucket=BUCKET)
        keys = ["in/plain.json", "in/odd key+é&.json.gz"]
        events = [bounce(f"f{i}@example.com", i) for i in range(200)]
        s3.put_object(Bucket=BUCKET, Key=keys[0], Body=text(events[:100]))
        s3.put_object(Bucket=BUCKET, Key=keys[1], Body=gzip.compress(text(events[100:])))
        for i in range(30):
            s3.put_object(Bucket=BUCKET, Key=f"in/sub/{i}", Body=text(events[i:i + 1]))
        s3.close()
        node = self.agent(R)
        node.config["ses"] = {"mode": "observe"}
        node.start()
        environment = dict(os.environ, SUPSYNC_SOCKET=node.socket, AWS_REGION="us-east-1",
                           AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b",
                           AWS_ENDPOINT_URL_S3=url)
        r = subprocess.run([SUPSYNC, "ingest", "--output", "json", f"s3://{BUCKET}/in/"],
                           env=environment, capture_output=True, timeout=120, check=False)
        self.assertEqual(r.returncode, 0, r.stderr)
        result = json.loads(r.stdout)
        self.assertEqual((result["objects"], result["suppressed"], result["duplicates"]),
                         (32, 200, 30))


class Watched(S3TestCase):
    """The agent that polls a prefix."""

    def node_that_watches(self, **more):
        node = self.node_without_queue()
        node.config["archives"] = [dict({"bucket": BUCKET, "prefix": "fire/", "interval": "1s"},
                                        **more)]
        return node

    def folder(self, hours_ago=0, pattern="%Y/%m/%d/%H/"):
        t = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=hours_ago)
        return t.strftime(pattern)

    def block(self, node, address):
        wait_for(lambda: node.verdict(address) == "block", address + " to be blocked")

    def test_new_and_late_objects(self):
        self.put("fire/" + self.folder(3) + "a", text([bounce("old@example.com", 1)]))
        self.put("fire/" + self.folder(80) + "a", text([bounce("before@example.com", 2)]))
        self.put("fire/errors/" + self.folder() + "a", text([bounce("error@example.com", 3)]))
        self.put("other/" + self.folder() + "a", text([bounce("other@example.com", 4)]))
        self.put("fire/" + self.folder() + "b.parquet", b"PAR1\x15\x04")
        node = self.node_that_watches()
        node.start()
        self.block(node, "old@example.com")
        self.assertEqual(node.show("old@example.com")["registers"][0]["cause"], "event")
        self.put("fire/" + self.folder() + "c.gz", gzip.compress(text([bounce("new@example.com", 5)])))
        self.block(node, "new@example.com")
        # Late, and behind an object that is done: keys do not only grow.
        self.put("fire/" + self.folder(20) + "a", text([bounce("late@example.com", 6)]))
        self.block(node, "late@example.com")
        self.put("fire/" + self.folder(20) + "a", text([bounce("again@example.com", 7)]))
        self.block(node, "again@example.com")
        for address in ("before@example.com", "error@example.com", "other@example.com"):
            self.assertEqual(node.verdict(address), "allow", address)
        wait_for(lambda: "Parquet" in node.log(), "the object that cannot be read to be named")
        metrics = node.request("GET", "/metrics").body.decode()
        self.assertIn('supsync_archive_objects_total{result="unreadable"} 1', metrics)
        # What was done is known after a crash.
        reads = self.sim.calls(R)["GetObject"]
        node.kill()
        node.start()
        self.put("fire/" + self.folder() + "d", text([bounce("last@example.com", 8)]))
        self.block(node, "last@example.com")
        self.assertEqual(self.sim.calls(R)["GetObject"], reads + 1)

    def test_folders_of_other_names_in_another_region(self):
        self.make_bucket("far-bucket", "us-east-1")
        s3 = self.sim.client("s3", "us-east-1")
        key = "fire" + self.folder(1, "year=%Y/month=%m/day=%d/") + "a"
        s3.put_object(Bucket="far-bucket", Key=key, Body=text([bounce("far@example.com", 1)]))
        s3.close()
        node = self.node_that_watches(bucket="far-bucket", prefix="fire",
                                      folders="year=%Y/month=%m/day=%d/")
        node.start()
        self.block(node, "far@example.com")

    def test_trouble_loses_nothing(self):
        for i in range(5):
            self.put(f"fire/{self.folder()}{i}", text([bounce(f"t{i}@example.com", i)]))
        self.sim.faults(R, [
            {"operation": "ListObjectsV2", "count": 1, "status": 403, "code": "AccessDenied"},
            {"operation": "GetObject", "count": 1, "status": 403, "code": "AccessDenied"},
            {"operation": "GetObject", "count": 4, "truncate": True},
            {"operation": "GetObject", "count": 1, "status": 404, "code": "NoSuchKey"}])
        node = self.node_that_watches()
        node.start()
        for i in range(5):
            self.block(node, f"t{i}@example.com")
        self.assertIn("s3:ListBucket", node.log())
        wait_for(lambda: "is read again" in node.log(), "a pass without trouble")

    def test_configuration(self):
        path = os.path.join(self.directory, "supsync.yaml")
        for entry, what in (("{ prefix: x/ }", b"archives[].bucket"),
                            ("{ bucket: B }", b"name of an S3 bucket"),
                            ("{ bucket: bbb, folders: '%d/%m/%Y/' }", b"in this order"),
                            ("{ bucket: bbb, region: Europe }", b"AWS Region"),
                            ("{ bucket: bbb, late: 1s }", b"archives[].late")):
            with open(path, "w", encoding="utf-8") as f:
                f.write(f"node: n\nregion: {R}\narchives:\n  - {entry}\n")
            r = subprocess.run([SUPSYNC, "config", "check", "--config", path], check=False,
                               capture_output=True)
            self.assertEqual(r.returncode, 2, entry)
            self.assertIn(what, r.stderr)


class Export(harness.TestCase):
    @staticmethod
    def columns_of_the_readme():
        with open(os.path.join(harness.SOURCE, "README.md"), encoding="utf-8") as f:
            ddl = re.search(r"CREATE EXTERNAL TABLE \w+ \((.*?)\)\nPARTITIONED", f.read(), re.S)
        return re.findall(r"`?(\w+)`? (string|array<string>)", ddl.group(1))

    def test_hours_in_folders_of_days(self):
        node = self.agent(R + "/b", R)
        node.config["ses"] = {"mode": "observe"}
        node.config["events"] = {"retention": "3660d"}
        node.start()
        now = datetime.datetime.now(datetime.timezone.utc)
        old = [bounce(f"a{i}@example.com", i, time=f"2026-01-0{1 + i % 3}T0{i % 2}:00:00.{i:03}Z")
               for i in range(120)]
        fresh = bounce("now@example.com", 999, time=now.strftime("%Y-%m-%dT%H:00:00.000Z"))
        self.assertEqual(node.request("POST", "/v1/events", text(old + [fresh])).status, 200)
        out = os.path.join(self.directory, "out")

        def export(*arguments):
            r = node.cli("events", "export", out, "--output", "json", *arguments)
            self.assertEqual(r.returncode, 0, r.stderr)
            return json.loads(r.stdout)

        def files():
            found = {}
            for folder, _, names in os.walk(out):
                for name in names:
                    with open(os.path.join(folder, name), "rb") as f:
                        found[os.path.relpath(os.path.join(folder, name), out)] = f.read()
            return found

        self.assertEqual(export(), {"files": 6, "kept": 0, "events": 120})
        first = files()
        self.assertEqual(sorted(first), sorted(
            f"dt=2026-01-0{d}/eu-west-1-b-2026-01-0{d}T0{h}.json.gz"
            for d in (1, 2, 3) for h in (0, 1)))
        rows = [json.loads(line) for data in first.values()
                for line in gzip.decompress(data).splitlines()]
        self.assertEqual(sorted(r["message_id"] for r in rows),
                         sorted(e["mail"]["messageId"] for e in old))
        for name, data in first.items():
            for line in gzip.decompress(data).splitlines():
                row = json.loads(line)
                self.assertEqual(name.split(".json")[0][-13:], row["time"][:13])
                self.assertIn(row["event"], old)
        # Again: what is there stays, what is missing comes back, byte for byte.
        os.unlink(os.path.join(out, sorted(first)[2]))
        self.assertEqual(export(), {"files": 1, "kept": 5, "events": 20})
        self.assertEqual(files(), first)
        self.assertEqual(export("--replace"), {"files": 6, "kept": 0, "events": 120})
        self.assertEqual(files(), first)
        part = export("--compress", "none", "--since", "2026-01-02T01:00:00Z",
                      "--until", "2026-01-03T00:30:00Z")
        self.assertEqual(part, {"files": 1, "kept": 0, "events": 20})
        name = "dt=2026-01-02/eu-west-1-b-2026-01-02T01.json"
        self.assertEqual(files()[name], gzip.decompress(first[name + ".gz"]))
        # A file that an export left behind when it was killed is not taken for a whole one, and
        # hidden from what reads the folder.
        partial = os.path.join(out, "dt=2026-01-01/.eu-west-1-b-2026-01-01T00.json.zst.partial")
        with open(partial, "wb") as f:
            f.write(b"half")
        self.assertEqual(export("--compress", "zstd"), {"files": 6, "kept": 0, "events": 120})
        self.assertEqual(export("--compress", "zstd"), {"files": 0, "kept": 6, "events": 0})
        self.assertFalse(os.path.exists(partial))
        found = files()
        for plain in first:
            data = subprocess.run(["zstd", "-dc"], input=found[plain[:-3] + ".zst"],
                                  stdout=subprocess.PIPE, check=True).stdout
            self.assertEqual(data, gzip.decompress(first[plain]))
        # The README's table has columns that are there, of types that fit; `event` may be anything.
        types = {"string": str, "array<string>": list}
        for row in rows:
            for column, kind in self.columns_of_the_readme():
                if column != "event":
                    self.assertIsInstance(row[column], types[kind], column)
            self.assertEqual(set(row), {c for c, _ in self.columns_of_the_readme()})
        self.assertEqual(node.cli("events", "export").returncode, 2)
        self.assertEqual(node.cli("events", "export", out, "--limit", "3").returncode, 2)
        self.assertEqual(node.cli("events", "export", out, "--compress", "zip").returncode, 2)
        blocked = os.path.join(out, "file")
        with open(blocked, "wb"):
            pass
        r = node.cli("events", "export", blocked)
        self.assertEqual(r.returncode, 3)
        self.assertIn("cannot be written", r.stderr)
        node.kill()
        self.assertEqual(node.cli("events", "export", out, "--replace").returncode, 3)
        self.assertEqual({k: v for k, v in files().items() if k.endswith(".gz")}, first)


if __name__ == "__main__":
    harness.main_parallel(3)
