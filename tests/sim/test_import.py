"""S3 and SES import jobs with botocore."""

import json
import urllib.request

import simtest
from simtest import REGIONS

BUCKET = "supsync-" + REGIONS[0]


class Storage(simtest.TestCase):
    def setUp(self):
        super().setUp()
        self.s3 = self.sim.client("s3")

    def test_objects(self):
        for key in ["plain", "dir/a b", "dir/ü+%/c", "dir/../odd", "//x", "a=b&c"]:
            with self.subTest(key):
                put = self.s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode(),
                                         ContentType="text/x-test")
                got = self.s3.get_object(Bucket=BUCKET, Key=key)
                self.assertEqual(got["Body"].read(), key.encode())
                self.assertEqual((got["ETag"], got["ContentType"]), (put["ETag"], "text/x-test"))
                head = self.s3.head_object(Bucket=BUCKET, Key=key)
                self.assertEqual(head["ContentLength"], len(key.encode()))
                self.s3.delete_object(Bucket=BUCKET, Key=key)
                self.refused("NoSuchKey", self.s3.get_object, Bucket=BUCKET, Key=key)
        self.s3.put_object(Bucket=BUCKET, Key="z", Body=b"\x1f\x8b\0", ContentEncoding="gzip")
        self.assertEqual(self.s3.head_object(Bucket=BUCKET, Key="z")["ContentEncoding"], "gzip")
        self.s3.delete_object(Bucket=BUCKET, Key="z")

    def test_buckets(self):
        self.refused("NoSuchBucket", self.s3.get_object, Bucket="none", Key="x")
        self.refused("NoSuchBucket", self.s3.put_object, Bucket="none", Key="x", Body=b"")
        where = {"LocationConstraint": REGIONS[0]}
        self.s3.create_bucket(Bucket="made", CreateBucketConfiguration=where)
        self.refused("BucketAlreadyOwnedByYou", self.s3.create_bucket, Bucket="made",
                     CreateBucketConfiguration=where)
        self.assertEqual(self.s3.get_bucket_location(Bucket="made")["LocationConstraint"],
                         REGIONS[0])
        self.assertIn("made", [b["Name"] for b in self.s3.list_buckets()["Buckets"]])
        self.s3.head_bucket(Bucket="made")

    def test_listing(self):
        keys = sorted(f"p/{i % 3}/k{i:03}" for i in range(25)) + ["p/x y"]
        for key in keys:
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=b"12345")
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=BUCKET, Prefix="p/", PaginationConfig={"PageSize": 7})
        found = [(o["Key"], o["Size"]) for page in pages for o in page.get("Contents", [])]
        self.assertEqual(found, [(key, 5) for key in keys])
        page = self.s3.list_objects_v2(Bucket=BUCKET, Prefix="p/", Delimiter="/")
        self.assertEqual([p["Prefix"] for p in page["CommonPrefixes"]], ["p/0/", "p/1/", "p/2/"])
        self.assertEqual([o["Key"] for o in page["Contents"]], ["p/x y"])
        page = self.s3.list_objects_v2(Bucket=BUCKET, Prefix="p/", StartAfter="p/2/k023")
        self.assertEqual([o["Key"] for o in page["Contents"]], ["p/x y"])
        self.assertEqual(self.s3.list_objects_v2(Bucket=BUCKET, Prefix="none")["KeyCount"], 0)
        for key in keys:
            self.s3.delete_object(Bucket=BUCKET, Key=key)


    def test_parts(self):
        etag = self.s3.put_object(Bucket=BUCKET, Key="parts", Body=b"0123456789")["ETag"]
        for given, data, where in (("bytes=0-3", b"0123", "bytes 0-3/10"),
                                   ("bytes=8-99", b"89", "bytes 8-9/10"),
                                   ("bytes=7-", b"789", "bytes 7-9/10"),
                                   ("bytes=-2", b"89", "bytes 8-9/10"),
                                   ("bytes=-99", b"0123456789", "bytes 0-9/10")):
            got = self.s3.get_object(Bucket=BUCKET, Key="parts", Range=given, IfMatch=etag)
            self.assertEqual((got["Body"].read(), got["ContentRange"]), (data, where))
            self.assertEqual(got["ResponseMetadata"]["HTTPStatusCode"], 206)
        for ignored in ("bytes=5-2", "lines=1-2", "bytes=x"):
            got = self.s3.get_object(Bucket=BUCKET, Key="parts", Range=ignored)
            self.assertEqual(got["Body"].read(), b"0123456789")
        self.refused("InvalidRange", self.s3.get_object, Bucket=BUCKET, Key="parts",
                     Range="bytes=10-12")
        self.s3.put_object(Bucket=BUCKET, Key="parts", Body=b"x")
        self.refused("PreconditionFailed", self.s3.get_object, Bucket=BUCKET, Key="parts",
                     IfMatch=etag)
        self.s3.delete_object(Bucket=BUCKET, Key="parts")

    def test_bucket_elsewhere(self):
        """botocore follows as S3 tells it to; supsync is tested elsewhere."""
        there = self.sim.client("s3", "us-east-1")
        there.create_bucket(Bucket="moved-bucket")
        there.put_object(Bucket="moved-bucket", Key="k", Body=b"far")
        self.assertEqual(self.s3.get_object(Bucket="moved-bucket", Key="k")["Body"].read(), b"far")
        there.delete_object(Bucket="moved-bucket", Key="k")
        there.close()


class Imports(simtest.TestCase):
    options = ["--import-delay", "200"]

    def setUp(self):
        super().setUp()
        self.ses = self.sim.client("sesv2")
        self.s3 = self.sim.client("s3")

    def start(self, text, action="PUT", data_format="JSON", key="import", bucket=BUCKET):
        if text is not None:
            self.s3.put_object(Bucket=bucket, Key=key, Body=text.encode())
        return self.ses.create_import_job(
            ImportDestination={
                "SuppressionListDestination": {"SuppressionListImportAction": action}},
            ImportDataSource={"S3Url": f"s3://{bucket}/{key}", "DataFormat": data_format})["JobId"]

    def finish(self, job):
        def done():
            answer = self.ses.get_import_job(JobId=job)
            return answer if answer["JobStatus"] in ["COMPLETED", "FAILED"] else None
        return simtest.wait_for(done, "the import job to end")

    def listed(self):
        return {e["EmailAddress"]: e["Reason"] for e in self.sim.control("GET", "suppression")}

    def test_put_json(self):
        rows = [{"emailAddress": f"U{i}@Example.com", "reason": ["BOUNCE", "COMPLAINT"][i % 2]}
                for i in range(500)]
        job = self.start("".join(json.dumps(r) + "\n" for r in rows))
        self.assertIn(self.ses.get_import_job(JobId=job)["JobStatus"],
                      ["CREATED", "PROCESSING", "COMPLETED"])
        answer = self.finish(job)
        self.assertEqual((answer["JobStatus"], answer["ProcessedRecordsCount"],
                          answer["FailedRecordsCount"]), ("COMPLETED", 500, 0))
        self.assertNotIn("FailureInfo", answer)
        self.assertGreaterEqual(answer["CompletedTimestamp"], answer["CreatedTimestamp"])
        self.assertEqual(self.listed(), {r["emailAddress"].replace("Example", "example"):
                                         r["reason"] for r in rows})
        jobs = self.ses.list_import_jobs()["ImportJobs"]
        self.assertIn(job, [j["JobId"] for j in jobs])

    def test_csv_with_failed_rows(self):
        text = ("a@example.com,BOUNCE\r\nnobody,BOUNCE\nb@example.com,COMPLAINT\n"
                "c@example.com,OTHER\nd@example.com\n\n")
        answer = self.finish(self.start(text, data_format="CSV"))
        self.assertEqual((answer["JobStatus"], answer["ProcessedRecordsCount"],
                          answer["FailedRecordsCount"]), ("COMPLETED", 2, 3))
        self.assertEqual(self.listed(), {"a@example.com": "BOUNCE", "b@example.com": "COMPLAINT"})
        # A presigned URL, readable without credentials.
        failed = urllib.request.urlopen(answer["FailureInfo"]["FailedRecordsS3Url"]).read()
        self.assertEqual(failed.decode().splitlines(),
                         ["nobody,BOUNCE", "c@example.com,OTHER", "d@example.com"])

    def test_json_with_failed_rows(self):
        text = ('{"emailAddress":"a@example.com","reason":"BOUNCE"}\nnot json\n'
                '{"EmailAddress":"b@example.com","Reason":"BOUNCE"}\n[1]\n')
        answer = self.finish(self.start(text))
        self.assertEqual(answer["FailedRecordsCount"], 3)
        self.assertEqual(self.listed(), {"a@example.com": "BOUNCE"})

    def test_delete(self):
        self.sim.control("PUT", "suppression", ["a/b@example.com", "Foo@example.com",
                                                "stays@example.com", "csv@example.com"])
        text = ('{"emailAddress":"a/b@example.com"}\n{"emailAddress":"Foo@EXAMPLE.com"}\n'
                '{"emailAddress":"Stays@example.com"}\n{"emailAddress":"unknown@example.com"}\n')
        answer = self.finish(self.start(text, "DELETE"))
        self.assertEqual(answer["JobStatus"], "COMPLETED")
        self.assertEqual(sorted(self.listed()), ["csv@example.com", "stays@example.com"])
        self.finish(self.start("csv@example.com\n", "DELETE", "CSV"))
        self.assertEqual(sorted(self.listed()), ["stays@example.com"])

    def test_limits(self):
        rows = "".join(f"u{i}@example.com,BOUNCE\n" for i in range(100000))
        self.assertEqual(self.finish(self.start(rows, data_format="CSV"))["JobStatus"], "COMPLETED")
        self.assertEqual(len(self.listed()), 100000)
        rows += "more@example.com,BOUNCE\n"
        answer = self.finish(self.start(rows, data_format="CSV"))
        self.assertEqual(answer["JobStatus"], "FAILED")
        self.assertIn("records", answer["FailureInfo"]["ErrorMessage"])
        self.assertNotIn("more@example.com", self.listed())
        deletes = "".join(f"u{i}@example.com\n" for i in range(10000))
        self.finish(self.start(deletes, "DELETE", "CSV"))
        self.assertEqual(len(self.listed()), 90000)
        deletes += "more@example.com\n"
        answer = self.finish(self.start(deletes, "DELETE", "CSV"))
        self.assertEqual(answer["JobStatus"], "FAILED")

    def test_sources_that_are_not_there(self):
        self.assertEqual(self.finish(self.start(None, key="none"))["JobStatus"], "FAILED")
        self.assertEqual(self.finish(self.start(None, bucket="none"))["JobStatus"], "FAILED")
        answer = self.finish(self.start("a@example.com", bucket="supsync-" + REGIONS[1]))
        self.assertEqual(answer["JobStatus"], "FAILED")
        self.assertIn("Region", answer["FailureInfo"]["ErrorMessage"])
        self.assertEqual(self.finish(self.start(""))["JobStatus"], "FAILED")
        self.refused("NotFoundException", self.ses.get_import_job, JobId="none")

    def test_wrong_requests(self):
        self.refused("BadRequestException", self.start, "x", "REPLACE")
        self.refused("BadRequestException", self.start, "x", "PUT", "XML")
        self.refused("BadRequestException", self.ses.create_import_job,
                     ImportDestination={"SuppressionListDestination":
                                        {"SuppressionListImportAction": "PUT"}},
                     ImportDataSource={"S3Url": "https://elsewhere/", "DataFormat": "CSV"})


if __name__ == "__main__":
    simtest.main()
