"""Signatures: what botocore signs passes, whatever was changed afterwards does not."""

import datetime
import json
import unittest.mock
import urllib.parse
import urllib.request

import simtest
from simtest import KEY, REGIONS, SECRET

LIST = "/v2/email/suppression/addresses"
REAL = datetime.datetime


def shifted(seconds):
    """botocore's signer with its clock moved."""
    class Clock(datetime.datetime):
        @classmethod
        def utcnow(cls):
            return REAL.utcnow() + datetime.timedelta(seconds=seconds)
    return unittest.mock.patch("botocore.auth.datetime.datetime", Clock)


class Signatures(simtest.TestCase):
    def send(self, method, path, headers, body=""):
        status, answered, data = self.sim.http(method, path, body, headers)
        return status, answered.get("x-amzn-errortype"), data.decode()

    def test_right_and_wrong_key_pairs(self):
        self.sim.client("sesv2").get_account()
        self.sim.client("sesv2", key="test", secret="test").get_account()
        self.refused("InvalidSignatureException",
                     self.sim.client("sesv2", secret="wrong").get_account)
        self.refused("UnrecognizedClientException",
                     self.sim.client("sesv2", key="AKIAUNKNOWN").get_account)
        self.refused("UnrecognizedClientException",
                     self.sim.client("sesv2", token="surplus").get_account)
        self.refused("SignatureDoesNotMatch",
                     self.sim.client("sqs", secret="wrong").list_queues)
        self.refused("SignatureDoesNotMatch",
                     self.sim.client("sts", secret="wrong").get_caller_identity)
        self.refused("SignatureDoesNotMatch", self.sim.client("sns", secret="wrong").list_topics)
        self.refused("SignatureDoesNotMatch", self.sim.client("s3", secret="wrong").list_buckets)

    def test_changes_after_signing(self):
        body = json.dumps({"EmailAddress": "a@example.com", "Reason": "BOUNCE"})
        good = self.sim.signed("PUT", LIST, body)
        self.assertEqual(self.send("PUT", LIST, good, body)[0], 200)
        other_body = body.replace("a@", "b@")
        self.assertEqual(self.send("PUT", LIST, good, other_body)[:2],
                         (403, "InvalidSignatureException"))

        query = LIST + "?PageSize=10&Reason=BOUNCE"
        good = self.sim.signed("GET", query)
        self.assertEqual(self.send("GET", query, good)[0], 200)
        reordered = LIST + "?Reason=BOUNCE&PageSize=10"
        self.assertEqual(self.send("GET", reordered, good)[0], 200, "the order does not count")
        for changed in [LIST, query.replace("10", "11"), query + "&Reason=COMPLAINT",
                        LIST + "/x?PageSize=10&Reason=BOUNCE"]:
            self.assertEqual(self.send("GET", changed, good)[0], 403, changed)
        self.assertEqual(self.send("DELETE", query, good)[0], 403)

        signature = good["Authorization"]
        last = signature[-1]
        tampered = dict(good, Authorization=signature[:-1] + ("0" if last != "0" else "1"))
        self.assertEqual(self.send("GET", query, tampered)[0], 403)
        redated = dict(good)
        redated["X-Amz-Date"] = redated["X-Amz-Date"][:-2] + "0Z"
        if redated != good:
            self.assertEqual(self.send("GET", query, redated)[0], 403)
        self.assertEqual(self.send("GET", query, dict(good, Host="other.example"))[0], 403)

    def test_path_is_encoded_twice(self):
        """As every service but S3 wants it; an address in the path shows the difference."""
        path = LIST + "/user%2Btag%40example.com"
        headers = self.sim.signed("DELETE", path)
        self.assertEqual(self.send("DELETE", path, headers)[:2], (404, "NotFoundException"))
        once = self.sim.signed("DELETE", LIST + "/user+tag@example.com")
        self.assertEqual(self.send("DELETE", path, once)[:2], (403, "InvalidSignatureException"))

    def test_headers(self):
        padded = self.sim.signed("GET", LIST, headers={"X-Amz-Meta-A": "  a   b  "})
        self.assertEqual(self.send("GET", LIST, padded)[0], 200)
        self.assertEqual(self.send("GET", LIST, dict(padded, **{"X-Amz-Meta-A": "a c"}))[0], 403)
        missing = {k: v for k, v in padded.items() if k != "X-Amz-Meta-A"}
        self.assertEqual(self.send("GET", LIST, missing)[0], 403)

    def test_scope(self):
        wrong_service = self.sim.signed("GET", LIST, service="sesv2")
        self.assertEqual(self.send("GET", LIST, wrong_service)[0], 403)
        as_sqs = self.sim.signed("GET", LIST, service="sqs")
        self.assertNotEqual(self.send("GET", LIST, as_sqs)[0], 200)
        unknown_region = self.sim.signed("GET", LIST, region="mars-north-1")
        status, _, text = self.send("GET", LIST, unknown_region)
        self.assertEqual(status, 403)
        self.assertIn("valid region", text)

    def test_clock(self):
        for seconds, word in [(-3600, "expired"), (3600, "not yet current")]:
            with shifted(seconds):
                answer = self.refused("InvalidSignatureException",
                                      self.sim.client("sesv2").get_account)
                self.assertIn(word, answer["Error"]["Message"])
                self.refused("SignatureDoesNotMatch", self.sim.client("sqs").list_queues)
                self.refused("RequestTimeTooSkewed", self.sim.client("s3").list_buckets)
        for seconds in [-240, 240]:
            with shifted(seconds):
                self.sim.client("sesv2").get_account()
        self.sim.control("POST", "clock", {"offset_ms": 7200000})
        self.refused("InvalidSignatureException", self.sim.client("sesv2").get_account)
        with shifted(7200):
            answer = self.sim.client("sesv2").get_account()
            self.assertIn("date", answer["ResponseMetadata"]["HTTPHeaders"])
        self.sim.client("sesv2", REGIONS[1]).get_account()

    def test_unsigned(self):
        self.assertEqual(self.send("GET", LIST, {})[:2],
                         (403, "MissingAuthenticationTokenException"))
        status, _, text = self.sim.http("POST", "/", "Action=GetCallerIdentity&Version=2011-06-15")
        self.assertEqual(status, 403)
        self.assertIn(b"MissingAuthenticationToken", text)
        status, headers, text = self.sim.http(
            "POST", "/", "{}", {"X-Amz-Target": "AmazonSQS.ListQueues"})
        self.assertEqual(status, 403)
        self.assertIn("MissingAuthenticationToken", headers["x-amzn-query-error"])
        status, _, text = self.sim.http("GET", "/bucket/key")
        self.assertEqual(status, 403)
        self.assertIn(b"AccessDenied", text)

    def test_malformed_headers(self):
        good = self.sim.signed("GET", LIST)["Authorization"]
        for wrong in ["x", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=",
                      "AWS4-HMAC-SHA256 Credential=a/b/c", good.split(", Signature")[0],
                      good.replace("SignedHeaders=host", "SignedHeaders=hos"),
                      good.replace("/aws4_request", "/aws3_request"),
                      good.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
                      "AWS4-HMAC-SHA256 Credential=////, SignedHeaders=;;;, Signature=",
                      "Basic dGVzdDp0ZXN0", "=" * 5000]:
            status, _, _ = self.send("GET", LIST, {"Authorization": wrong})
            self.assertEqual(status, 403, wrong)

    def test_presigned(self):
        s3 = self.sim.client("s3")
        s3.put_object(Bucket="supsync-eu-west-1", Key="a b/ü+c", Body=b"text")
        url = s3.generate_presigned_url("get_object", ExpiresIn=60, Params={
            "Bucket": "supsync-eu-west-1", "Key": "a b/ü+c"})
        self.assertIn("X-Amz-Signature" if "X-Amz-Signature" in url else "Signature", url)
        s3v4 = self.sim.client("s3", signature_version="s3v4")
        url = s3v4.generate_presigned_url("get_object", ExpiresIn=60, Params={
            "Bucket": "supsync-eu-west-1", "Key": "a b/ü+c"})
        self.assertEqual(urllib.request.urlopen(url).read(), b"text")
        parts = urllib.parse.urlsplit(url)
        for changed in [url.replace("X-Amz-Expires=60", "X-Amz-Expires=600"),
                        url.replace(parts.path, parts.path + "x")]:
            status, _, _ = self.sim.http("GET", changed[len(self.sim.url):])
            self.assertEqual(status, 403)
        with shifted(-120):
            old = s3v4.generate_presigned_url("get_object", ExpiresIn=60, Params={
                "Bucket": "supsync-eu-west-1", "Key": "a b/ü+c"})
        status, _, body = self.sim.http("GET", old[len(self.sim.url):])
        self.assertEqual(status, 403)
        self.assertIn(b"Request has expired", body)


class Temporary(simtest.TestCase):
    options = ["--access-key", "AKIAOWN", "--secret-key", "own secret"]

    def test_own_pair(self):
        self.sim.client("sesv2", key="AKIAOWN", secret="own secret").get_account()

    def assume(self, token="token", **more):
        from botocore import UNSIGNED
        return self.sim.client("sts", signature_version=UNSIGNED).assume_role_with_web_identity(
            RoleArn="arn:aws:iam::000000000000:role/agent", RoleSessionName="session",
            WebIdentityToken=token, **more)

    def client(self, service, credentials):
        return self.sim.client(service, key=credentials["AccessKeyId"],
                               secret=credentials["SecretAccessKey"],
                               token=credentials["SessionToken"])

    def test_web_identity(self):
        answer = self.assume()
        credentials = answer["Credentials"]
        self.assertIn("assumed-role/agent/session", answer["AssumedRoleUser"]["Arn"])
        self.client("sesv2", credentials).get_account()
        self.client("sqs", credentials).list_queues()
        self.assertEqual(self.client("sts", credentials).get_caller_identity()["Arn"],
                         answer["AssumedRoleUser"]["Arn"])
        self.refused("UnrecognizedClientException",
                     self.sim.client("sesv2", key=credentials["AccessKeyId"],
                                     secret=credentials["SecretAccessKey"]).get_account)
        self.refused("InvalidSignatureException",
                     self.client("sesv2", dict(credentials, SecretAccessKey="x")).get_account)

    def test_refusals(self):
        self.refused("InvalidIdentityToken", self.assume, "invalid")
        self.refused("ExpiredTokenException", self.assume, "expired")
        status, _, body = self.sim.http("POST", "/", "Action=AssumeRoleWithWebIdentity"
                                        "&Version=2011-06-15&RoleSessionName=s")
        self.assertEqual(status, 400)
        self.assertIn(b"<Code>ValidationError</Code>", body)

    def test_assume_role_needs_a_signature(self):
        sts = self.sim.client("sts")
        credentials = sts.assume_role(RoleArn="arn:aws:iam::000000000000:role/r",
                                      RoleSessionName="session")["Credentials"]
        self.client("sesv2", credentials).get_account()
        status, _, _ = self.sim.http("POST", "/", "Action=AssumeRole&Version=2011-06-15"
                                     "&RoleArn=arn:aws:iam::0:role/r&RoleSessionName=session")
        self.assertEqual(status, 403)

    def test_expiry(self):
        credentials = self.assume(DurationSeconds=900)["Credentials"]
        self.sim.control("POST", "clock", {"offset_ms": 901000})
        with shifted(901):
            self.refused("ExpiredTokenException", self.client("sesv2", credentials).get_account)
            self.refused("ExpiredToken", self.client("sqs", credentials).list_queues)


if __name__ == "__main__":
    simtest.main()
