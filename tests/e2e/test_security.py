"""Certificates of the mesh in running agents: read anew at SIGHUP, revoked, refused, about to end."""

import os
import shutil
import subprocess
import time
import unittest

import harness


class Security(harness.TestCase):
    def peer(self, agent, other):
        return next(p for p in agent.status()["peers"] if p["name"] == other.node)

    def connected(self, *agents):
        return all(self.peer(a, b)["connected"] for a in agents for b in agents if a is not b)

    def said(self, agent, *texts):
        return any(all(text in line for text in texts) for line in agent.log().splitlines())

    def openssl(self, *arguments, **keywords):
        run = subprocess.run(["openssl", *arguments], capture_output=True, check=False, **keywords)
        self.assertEqual(run.returncode, 0, run.stderr.decode())

    def openssl_ca(self):
        """(a folder, the beginning of an `openssl ca`)"""
        authority = self.authority()
        folder = os.path.join(authority.directory, "revocations")
        os.makedirs(folder, exist_ok=True)
        open(os.path.join(folder, "index.txt"), "w").close()
        with open(os.path.join(folder, "ca.cnf"), "w", encoding="utf-8") as f:
            f.write("[ca]\ndefault_ca=x\n[x]\ndatabase=%s/index.txt\ndefault_md=sha256\ndefault_crl_days=9\n"
                    "new_certs_dir=%s\nrand_serial=yes\npolicy=p\n[p]\ncommonName=supplied\n" % (folder, folder))
        return folder, ["ca", "-config", os.path.join(folder, "ca.cnf"), "-cert", authority.ca,
                        "-keyfile", authority.ca_key]

    def issue(self, key, days_old, days_left):
        """A certificate beside that key, of so many days ago and for so many more."""
        base = key[: -len(".key")]
        path = "%s.%d-%d.pem" % (base, days_old, days_left)
        day = lambda n: time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + n * 86400))
        _, common = self.openssl_ca()
        self.openssl(*common, "-batch", "-notext", "-in", base + ".csr", "-extfile", base + ".ext", "-out", path,
                     "-startdate", day(-days_old), "-enddate", day(days_left))
        return path

    def revoke(self, *certificates):
        """A CRL of the authority that names them; returns its path."""
        folder, common = self.openssl_ca()
        for certificate in certificates:
            self.openssl(*common, "-revoke", certificate)
        self.openssl(*common, "-gencrl", "-out", os.path.join(folder, "crl.pem"))
        return os.path.join(folder, "crl.pem")

    def test_reload_and_revocation(self):
        eu, us, ap = self.mesh(["eu-west-1", "us-east-1", "ap-south-1"])
        for agent in (eu, us, ap):
            agent.start()
        harness.wait_for(lambda: self.connected(eu, us, ap), "the mesh")

        # A key that does not belong to the certificate: the old ones stay, and so do the sessions.
        good = dict(eu.config["mesh"]["tls"])
        eu.config["mesh"]["tls"] = dict(good, key=us.config["mesh"]["tls"]["key"])
        eu.reload()
        self.assertTrue(self.said(eu, "ERROR", "the old ones stay", "do not belong together"), eu.log())
        # A certificate of another node.
        eu.config["mesh"]["tls"] = dict(us.config["mesh"]["tls"])
        eu.reload()
        self.assertTrue(self.said(eu, "ERROR", "it is issued to us-east-1, not to this node"), eu.log())
        self.assertTrue(self.connected(eu, us, ap))

        # A new certificate, and a list that revokes us-east-1 only.
        old = shutil.copy(good["cert"], good["cert"] + ".old")
        certificate, key = self.authority().issue(eu.node)
        eu.config["mesh"]["tls"] = dict(good, cert=certificate, key=key, crl=self.revoke(us.config["mesh"]["tls"]["cert"]))
        eu.reload()
        harness.wait_for(lambda: not self.peer(eu, us)["connected"], "the end of the session with us-east-1")
        self.assertTrue(self.said(eu, "session ended", "peer=us-east-1", "certificate is revoked now"), eu.log())
        self.assertFalse(self.said(eu, "session ended", "peer=ap-south-1"), eu.log())
        self.assertEqual(self.peer(eu, ap)["reconnects"], 0)
        self.assertEqual(self.peer(ap, eu)["reconnects"], 0)
        # Both ends say why, of connections in either direction.
        harness.wait_for(lambda: self.said(eu, "peer refused", "peer=us-east-1", "is revoked"), "eu to say why")
        harness.wait_for(lambda: self.said(us, "refused by peer", "peer=eu-west-1", "certificate_revoked"), "us to say why")

        # us-east-1 gets a new certificate, and needs no restart. ap-south-1 drops nobody meanwhile.
        certificate, key = self.authority().issue(us.node)
        us.config["mesh"]["tls"].update(cert=certificate, key=key)
        us.reload()
        harness.wait_for(lambda: self.connected(eu, us, ap), "us-east-1 to be back")
        run = us.cli("suppress", "back@example.com", "--reason", "manual", "--note", "n")
        self.assertEqual(run.returncode, 0, run.stderr)
        harness.wait_for(lambda: eu.verdict("back@example.com") == "block", "a decision to cross")
        # The certificate that was replaced is not shown any more.
        shown = subprocess.run(
            ["openssl", "s_client", "-connect", "127.0.0.1:%d" % eu.mesh_port, "-CAfile", good["ca"]],
            input=b"", capture_output=True, check=False).stdout
        serial = lambda text: subprocess.run(
            ["openssl", "x509", "-noout", "-serial"], input=text, capture_output=True, check=False).stdout
        with open(old, "rb") as f:
            self.assertNotEqual(serial(shown), serial(f.read()))

    def test_a_certificate_that_ends_soon_is_a_problem(self):
        (node,) = self.mesh(["eu-west-1"])
        tls = node.config["mesh"]["tls"]
        whole = tls["cert"]
        tls["cert"] = self.issue(tls["key"], 90, 3)
        node.start()
        self.assertIn("the certificate of the mesh ends in 3.0 days", " ".join(node.status()["problems"]))
        harness.wait_for(lambda: self.said(node, "ends soon", "certificate"), "the warning in the log")
        tls["cert"] = whole
        node.reload()
        self.assertNotIn("certificate", " ".join(node.status()["problems"]))
        # One that is made for a few days has a few days left for most of its life.
        tls["cert"] = self.issue(tls["key"], 4, 3)
        node.reload()
        self.assertNotIn("certificate", " ".join(node.status()["problems"]))
        tls["cert"] = self.issue(tls["key"], 6, 1)
        node.reload()
        self.assertIn("the certificate of the mesh ends in 1.0 days", " ".join(node.status()["problems"]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
