"""The supsync command against a real agent (a node alone, no AWS): output, exit codes, errors."""

import concurrent.futures
import json
import os
import re
import signal
import socket
import stat
import subprocess
import time

import harness
from harness import SUPSYNC, wait_for


def run(*arguments, env=None, input=None):
    environment = dict(os.environ, SUPSYNC_SOCKET="/nonexistent/admin.sock")
    environment.update(env or {})
    return subprocess.run(
        [SUPSYNC, *arguments], env=environment, input=input, capture_output=True, text=True,
        timeout=60, check=False,
    )


class WithoutAgent(harness.TestCase):
    def test_unreachable_is_exit_3_and_unknown(self):
        for arguments in (
            ["check", "a@example.com"],
            ["show", "a@example.com"],
            ["list"],
            ["status"],
            ["suppress", "a@example.com", "--reason", "manual", "--note", "x"],
            ["clear", "a@example.com", "--note", "x"],
        ):
            with self.subTest(arguments=arguments):
                r = run(*arguments)
                self.assertEqual(r.returncode, 3)
                self.assertRegex(r.stderr, r"^supsync: \w+.*: no agent at /nonexistent/admin.sock: ")
                self.assertEqual(r.stderr.count("\n"), 1)
        r = run("check", "--output", "json", "a@example.com")
        answer = json.loads(r.stdout)
        self.assertEqual(answer["verdict"], "unknown")
        self.assertEqual(answer["address"], "a@example.com")
        self.assertIn("no agent", answer["why"])

    def test_usage(self):
        cases = [
            ([], 2, ""),
            (["chek", "a@b.example"], 2, 'no such command: did you mean "check"?'),
            (["zzzzzzzz"], 2, "no such command: see supsync help"),
            (["check"], 2, "no address given"),
            (["check", "--frobnicate"], 2, "--frobnicate: unknown option"),
            (["check", "--output", "xml", "a@b.example"], 2, "use text or json"),
            (["check", "--socket"], 2, "--socket: needs a value"),
            (["suppress", "a@b.example", "--note", "x"], 2, "--reason: use bounce"),
            (["suppress", "a@b.example", "--reason", "spite", "--note", "x"], 2, "--reason"),
            (["suppress", "a@b.example", "--reason", "bounce"], 2, "--note is missing"),
            (["suppress", "a@b.example", "--reason", "bounce", "--note", "x", "--expires", "soon"],
             2, "--expires"),
            (["clear", "a@b.example"], 2, "--note is missing"),
            (["show"], 2, "give one address"),
            (["show", "a@b.example", "c@d.example"], 2, "give one address"),
            (["list", "--since", "yesterday"], 2, "--since and --until"),
            (["list", "everything"], 2, "not a filter"),
            (["status", "now"], 2, "takes no operands"),
            (["agent"], 2, "--config FILE"),
            (["config", "check"], 2, "config check --config FILE"),
            (["help", "nosuch"], 2, "no such command"),
        ]
        for arguments, status, text in cases:
            with self.subTest(arguments=arguments):
                r = run(*arguments)
                self.assertEqual(r.returncode, status, r.stderr)
                self.assertIn(text, r.stderr)
                if arguments:
                    self.assertRegex(r.stderr, r"\Asupsync: .*\n\Z")

    def test_help_and_version(self):
        overview = run("help")
        self.assertEqual(overview.returncode, 0)
        commands = re.findall(r"^  (\w+) +\S", overview.stdout, re.M)
        self.assertIn("suppress", commands)
        for command in commands:
            r = run("help", command)
            self.assertEqual(r.returncode, 0)
            self.assertTrue(r.stdout.startswith("Usage: supsync " + command))
            if command not in ("help",):
                again = run(command, "--help")
                self.assertEqual((again.returncode, again.stdout), (0, r.stdout), command)
            if command not in ("version", "help"):
                self.assertIn("Exit status:", r.stdout)
                self.assertIn("Example", r.stdout)
        self.assertRegex(run("version").stdout, r"\Asupsync \d+\.\d+\.\d+\n\Z")
        self.assertIn("version", json.loads(run("version", "--output", "json").stdout))
        self.assertEqual(run("--version").stdout, run("version").stdout)
        self.assertEqual(run("--help").stdout, overview.stdout)

    def test_full_device_is_not_success(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            r = subprocess.run([SUPSYNC, "version"], stdout=full, stderr=subprocess.PIPE, check=False)
        self.assertNotEqual(r.returncode, 0)


class Config(harness.TestCase):
    def write(self, text):
        path = os.path.join(self.directory, "supsync.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def test_example_is_valid_and_stable(self):
        """The shipped example, its TLS files in place, is accepted; what is printed reads back."""
        authority = self.authority()
        certificate, key = authority.issue("eu-west-1")
        with open(os.path.join(harness.SOURCE, "deploy", "supsync.example.yaml"), encoding="utf-8") as f:
            example = f.read()
        for name, path in (("ca.pem", authority.ca), ("node.pem", certificate), ("node.key", key)):
            os.symlink(path, os.path.join(self.directory, name))
        example = example.replace("/etc/supsync/", "")
        path = self.write(example)
        first = run("config", "check", "--config", path)
        self.assertEqual(first.returncode, 0, first.stderr)
        second = run("config", "check", "--config", self.write(first.stdout))
        self.assertEqual(second.returncode, 0, second.stderr)
        self.assertEqual(first.stdout, second.stdout)

    def test_bad_one_names_file_line_key_and_values(self):
        path = self.write("node: a\nregion: eu-west-1\nses:\n  mode: foo\n")
        for command in (["config", "check"], ["agent"]):
            r = run(*command, "--config", path)
            self.assertEqual(r.returncode, 2)
            self.assertEqual(
                r.stderr,
                'supsync: %s:4: ses.mode: "foo" is not allowed: use enforce or observe\n' % path,
            )
            self.assertEqual(r.stdout, "")
        r = run("agent", "--config", self.directory + "/nothing.yaml")
        self.assertEqual(r.returncode, 2)
        self.assertIn("cannot be read", r.stderr)


class WithAgent(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.node = self.agent("eu-west-1")
        # Nothing listens there: what is decided here stays in the outbox.
        self.node.config["aws"] = {"endpoint_url": "http://127.0.0.1:9"}
        self.node.env.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="y")

    def start(self):
        self.node.start()
        return self.node

    def suppress(self, *addresses, reason="bounce"):
        r = self.node.cli("suppress", *addresses, "--reason", reason, "--note", "a test")
        self.assertEqual(r.returncode, 0, r.stderr)

    def test_check_exit_codes(self):
        node = self.start()
        self.suppress("dead@example.com")
        good = node.cli("check", "good@example.com")
        self.assertEqual((good.returncode, good.stderr), (0, ""))
        self.assertEqual(good.stdout, "allow    good@example.com\n")
        mixed = node.cli("check", "good@example.com", "DEAD@Example.COM")
        self.assertEqual(mixed.returncode, 1)
        self.assertRegex(
            mixed.stdout,
            r"(?m)^block    DEAD@Example.COM  BOUNCE, operator, since \d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z$",
        )
        unknown = node.cli("check", "dead@example.com", "no-address")
        self.assertEqual(unknown.returncode, 3)
        self.assertIn("unknown  no-address", unknown.stdout)

    def test_check_json_keys(self):
        node = self.start()
        self.suppress("dead@example.com", reason="complaint")
        r = node.cli("check", "--output", "json", "dead@example.com", "x@example.com", "bad")
        lines = [json.loads(line) for line in r.stdout.splitlines()]
        self.assertEqual([a["verdict"] for a in lines], ["block", "allow", "unknown"])
        for answer in lines:
            for key in ("address", "verdict", "reason", "cause", "since", "regions"):
                self.assertIn(key, answer)
        self.assertEqual(lines[0]["reason"], "COMPLAINT")
        self.assertRegex(lines[0]["since"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(lines[0]["regions"][0]["region"], "eu-west-1")
        self.assertIn("age_seconds", lines[0]["regions"][0])
        self.assertIsNone(lines[1]["reason"])

    def test_check_reads_many_lines(self):
        node = self.start()
        self.suppress("n777@example.com")
        names = "".join("n%d@example.com\r\n" % i for i in range(2500)) + "\n"
        r = node.cli("check", "-", "--output", "json", input=names)
        self.assertEqual(r.returncode, 1, r.stderr)
        answers = [json.loads(line) for line in r.stdout.splitlines()]
        self.assertEqual([a["address"] for a in answers], names.split())
        self.assertEqual([a["address"] for a in answers if a["verdict"] == "block"], ["n777@example.com"])

    def test_check_mixes_huge_and_broken_lines(self):
        node = self.start()
        lines = b"ok@example.com\n" + b"x" * 20000 + b"@example.com\n\xff\xfe@example.com\nok2@example.com\n"
        r = subprocess.run(
            [SUPSYNC, "check", "-"], input=lines, capture_output=True, timeout=60, check=False,
            env=dict(os.environ, SUPSYNC_SOCKET=node.socket),
        )
        self.assertEqual(r.returncode, 3)
        words = [line.split()[0] for line in r.stdout.splitlines()]
        self.assertEqual(words, [b"allow", b"unknown", b"unknown", b"allow"])

    def test_dashes_and_odd_addresses(self):
        node = self.start()
        odd = ["-f@example.com", "a/b@example.com", "a%b@example.com", "tag+x@example.com",
               "quest?ion@example.com", "käthe@example.com", '"quoted part"@example.com', "a#b@example.com"]
        r = node.cli("suppress", "--reason", "manual", "--note", "odd", "--", *odd)
        self.assertEqual(r.returncode, 0, r.stderr)
        for address in odd:
            with self.subTest(address=address):
                self.assertEqual(node.cli("check", "--", address).returncode, 1)
                self.assertEqual(node.cli("show", "--", address).returncode, 0)
                self.assertEqual(node.verdict(address), "block")
        self.assertEqual(node.cli("check", "xtag@example.com").returncode, 0)

    def test_clear_and_force(self):
        node = self.start()
        self.suppress("bounced@example.com")
        self.suppress("angry@example.com", reason="complaint")
        r = node.cli("clear", "bounced@example.com", "angry@example.com", "--note", "checked")
        self.assertEqual(r.returncode, 1)
        self.assertIn("bounced@example.com", r.stdout)
        self.assertNotIn("angry", r.stdout)
        self.assertRegex(r.stderr, r"\Asupsync: clear angry@example.com: .*--force.*\n\Z")
        self.assertEqual(node.verdict("angry@example.com"), "block")
        self.assertEqual(node.verdict("bounced@example.com"), "allow")
        r = node.cli("clear", "angry@example.com", "--force", "--note", "checked", "--output", "json")
        self.assertEqual(r.returncode, 0)
        self.assertEqual(json.loads(r.stdout), {"address": "angry@example.com", "result": "cleared"})
        self.assertEqual(node.verdict("angry@example.com"), "allow")

    def test_refused_rows_do_not_stop_others(self):
        node = self.start()
        r = node.cli("suppress", "a@example.com", "not-one", "b@example.com", "--reason", "bounce",
                     "--note", "x", "--output", "json")
        self.assertEqual(r.returncode, 1)
        rows = [json.loads(line) for line in r.stdout.splitlines()]
        self.assertEqual([row["result"] for row in rows], ["suppressed", "refused", "suppressed"])

    def test_actor_is_the_person_behind_sudo(self):
        node = self.start()
        os.environ["SUDO_USER"] = "alice"
        self.addCleanup(os.environ.pop, "SUDO_USER", None)
        self.suppress("a@example.com")
        shown = node.show("a@example.com")
        self.assertEqual(shown["registers"][0]["actor"], "alice")
        self.assertEqual(shown["registers"][0]["note"], "a test")

    def test_show(self):
        node = self.start()
        self.suppress("a@example.com")
        node.cli("clear", "a@example.com", "--note", "mended \x1b[31m")
        r = node.cli("show", "a@example.com")
        self.assertEqual(r.returncode, 0)
        for text in ("a@example.com", "Now in force", "History", "a test", "mended", "SES list"):
            self.assertIn(text, r.stdout)
        self.assertNotIn("\x1b", r.stdout)
        document = json.loads(node.cli("show", "a@example.com", "--output", "json").stdout)
        self.assertEqual(document["verdict"], "allow")
        self.assertGreaterEqual(len(document["history"]), 2)
        r = node.cli("show", "nobody@example.com")
        self.assertEqual(r.returncode, 1)
        self.assertRegex(r.stderr, r"\Asupsync: show nobody@example.com: .*\n\Z")
        self.assertEqual(node.cli("show", "nonsense").returncode, 1)
        self.assertEqual(node.cli("show", "").returncode, 1)

    def test_expiry_is_stored(self):
        node = self.start()
        node.cli("suppress", "a@example.com", "--reason", "manual", "--note", "x", "--expires", "30d")
        self.assertRegex(node.rows()[0]["expires"], r"^\d{4}-.*Z$")

    def test_list(self):
        node = self.start()
        names = sorted("u%03d@%s.example" % (i, "ab"[i % 2]) for i in range(60))
        self.suppress(*names)
        node.cli("clear", names[0], "--note", "x")
        r = node.cli("list", "--output", "json")
        self.assertEqual(r.returncode, 0)
        rows = [json.loads(line) for line in r.stdout.splitlines()]
        self.assertEqual([row["address"] for row in rows], names)
        for key in ("address", "state", "reason", "cause", "time", "origin", "actor", "note", "expires"):
            self.assertIn(key, rows[0])
        self.assertEqual(rows[0]["state"], "cleared")

        def addresses(*filters):
            r = node.cli("list", "--output", "json", *filters)
            self.assertEqual(r.returncode, 0, r.stderr)
            return [json.loads(line)["address"] for line in r.stdout.splitlines()]

        self.assertEqual(addresses("--domain", "A.example"), [n for n in names if n.endswith("@a.example")])
        self.assertEqual(addresses("--state", "cleared"), [names[0]])
        self.assertEqual(addresses("--reason", "complaint"), [])
        self.assertEqual(addresses("--limit", "3"), names[:3])
        self.assertEqual(addresses("--since", "1h"), names)
        self.assertEqual(addresses("--until", "1h"), [])
        self.assertEqual(node.cli("list", "--state", "odd").returncode, 2)
        text = node.cli("list", "--limit", "2").stdout.splitlines()
        self.assertEqual(len(text), 3)
        self.assertTrue(text[0].startswith("STATE "))
        self.assertIn(names[0], text[1])

    def test_pages_join_to_the_whole(self):
        node = self.start()
        names = sorted("u%02d@example.com" % i for i in range(25))
        self.suppress(*names)
        seen, cursor = [], ""
        for _ in range(10):
            page = node.request("GET", "/v1/addresses?limit=7&cursor=" + cursor).json()
            seen += [row["address"] for row in page["addresses"]]
            cursor = page["next"]
            if cursor is None:
                break
        self.assertEqual(seen, names)

    def test_status(self):
        node = self.start()
        r = node.cli("status")
        self.assertEqual(r.returncode, 0, r.stdout)
        self.assertRegex(r.stdout, r"(?m)^node +eu-west-1 ")
        self.assertRegex(r.stdout, r"(?m)^converged +(yes|no)")
        v = json.loads(node.cli("status", "--output", "json").stdout)
        for key in ("node", "region", "healthy", "problems", "converged", "peers", "outbox", "queue", "last_scan"):
            self.assertIn(key, v)

    def test_socket_file(self):
        node = self.start()
        mode = stat.S_IMODE(os.stat(node.socket).st_mode)
        self.assertEqual(mode, 0o660)
        second = subprocess.run(
            [SUPSYNC, "agent", "--config", node.config_path], capture_output=True, text=True,
            env=dict(os.environ, **node.env), timeout=60, check=False,
        )
        self.assertEqual(second.returncode, 1)
        self.assertIn("a running agent answers there", second.stderr)
        self.assertEqual(node.cli("status").returncode, 0)
        node.kill()
        self.assertTrue(os.path.exists(node.socket), "SIGKILL leaves a stale file")
        node.start()
        self.assertEqual(node.stop(), 0)
        self.assertFalse(os.path.exists(node.socket))

    def test_other_file_in_place_of_the_socket(self):
        with open(self.node.socket, "w", encoding="utf-8") as f:
            f.write("precious")
        self.node.start(wait=False)
        self.assertEqual(self.node.process.wait(60), 1)
        self.assertIn("is not a socket", self.node.log())

    def test_decisions_survive_a_crash(self):
        node = self.start()
        self.suppress("dead@example.com")
        node.kill()
        node.start()
        self.assertEqual(node.verdict("dead@example.com"), "block")

    def test_healthz_within_a_second(self):
        """Whatever its peers do: here they do not exist. The best of three counts, for the machine
        may be busy with other tests."""
        best = 1000.0
        self.node.config["mesh"] = {
            "insecure": True,
            "listen": "tcp://127.0.0.1:%d" % harness.free_port(),
            "peers": [{"name": "gone", "url": "tcp://127.0.0.1:%d" % harness.free_port()}],
        }
        for _ in range(3):
            begin = time.monotonic()
            self.node.start(wait=False)
            wait_for(self.alive, "/healthz", every=0.005)
            best = min(best, time.monotonic() - begin)
            self.node.wait_ready()
            self.assertEqual(self.node.stop(), 0)
            if best < 1:
                break
        self.assertLess(best, 1.0)

    def alive(self):
        try:
            return self.node.request("GET", "/healthz", timeout=5).status == 200
        except OSError:
            return False

    def test_systemd(self):
        """READY=1 comes when requests are answered, STOPPING=1 at SIGTERM."""
        path = os.path.join(self.directory, "notify")
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(notify.close)
        notify.bind(path)
        notify.settimeout(60)
        self.node.env["NOTIFY_SOCKET"] = path
        self.node.start(wait=False)

        wait_for(self.alive, "/healthz")
        self.assertIn("READY=1", notify.recv(4096).decode())
        self.assertEqual(self.node.request("GET", "/readyz").status, 200)
        self.assertEqual(self.node.stop(), 0)
        self.assertIn("STOPPING=1", notify.recv(4096).decode())

    def test_reload(self):
        node = self.start()
        node.config["log"] = {"level": "debug", "format": "json"}
        node.config["ses"] = {"mode": "observe"}
        node.write_config()
        node.process.send_signal(signal.SIGHUP)
        wait_for(lambda: '"text":"reloaded"' in node.log() or '"reloaded"' in node.log(), "the reload")
        self.assertIn("ses.mode", node.log())
        with open(node.config_path, "a", encoding="utf-8") as f:
            f.write("nonsense: 1\n")
        node.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "reload refused" in node.log(), "the refusal")
        self.assertEqual(node.cli("status").returncode, 0)

    def test_stop_while_busy(self):
        """Clients keep asking while SIGTERM comes: a clean stop, and no answer is "allow" wrongly."""
        node = self.start()
        self.suppress("dead@example.com")

        def hammer(_):
            verdicts = set()
            while node.running():
                try:
                    verdicts.add(node.verdict("dead@example.com"))
                except (OSError, ValueError, harness.http.client.HTTPException):
                    pass
            return verdicts

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(hammer, i) for i in range(4)]
            wait_for(lambda: "2xx" in node.request("GET", "/metrics").body.decode(), "some answers")
            status = node.stop()
            verdicts = set().union(*(a.result() for a in asked))
        self.assertEqual(status, 0, node.log())
        self.assertIn("block", verdicts)
        self.assertNotIn("allow", verdicts)

    def test_bad_data_directory(self):
        self.node.config["data_dir"] = "/proc/nowhere"
        self.node.start(wait=False)
        self.assertEqual(self.node.process.wait(60), 1)
        self.assertIn("cannot start", self.node.log())


class Tcp(harness.TestCase):
    def start(self, **admin):
        node = self.agent("eu-west-1")
        node.config["admin"]["listen"] = "127.0.0.1:0"
        node.config["admin"].update(admin)
        node.env.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="y")
        node.start()
        self.port = int(re.search(r"port=(\d+)", node.log()).group(1))
        return node

    def ask(self, method, target, body=None, connection=None, **headers):
        connection = connection or harness.http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        return harness.request(connection, method, target, body, headers)

    def test_loopback_refuses_foreign_pages(self):
        self.start()
        self.assertEqual(self.ask("GET", "/v1/status").status, 200)
        self.assertEqual(self.ask("GET", "/v1/status", Host="evil.example").status, 403)
        self.assertEqual(self.ask("GET", "/v1/status", Host="127.0.0.1.evil.example").status, 403)
        self.assertEqual(self.ask("GET", "/v1/status", Origin="http://evil.example").status, 403)
        own = "http://127.0.0.1:%d" % self.port
        self.assertEqual(self.ask("GET", "/v1/status", Origin=own).status, 200)
        body = json.dumps({"reason": "manual", "note": "x"})
        put = "/v1/addresses/a@example.com"
        self.assertEqual(self.ask("PUT", put, body, Content_Type="text/plain").status, 415)
        self.assertEqual(self.ask("PUT", put, body, Content_Type="application/json").status, 200)

    def test_tokens(self):
        path = os.path.join(self.directory, "tokens")
        with open(path, "w", encoding="utf-8") as f:
            f.write("# who may ask\nmailer 0123456789abcdef-mailer\n0123456789abcdef-nameless\n")
        os.chmod(path, 0o600)
        node = self.start(tokens_file=path)
        self.assertEqual(self.ask("GET", "/healthz").status, 200)
        refused = self.ask("GET", "/v1/status")
        self.assertEqual(refused.status, 401)
        self.assertTrue(refused.headers["WWW-Authenticate"].startswith("Bearer"))
        for token in ("0123456789abcdef-mailer", "0123456789abcdef-nameless"):
            self.assertEqual(self.ask("GET", "/v1/status", Authorization="Bearer " + token).status, 200)
        for token in ("", "x", "0123456789abcdef-maile", "0123456789abcdef-mailer2", "x" * 5000):
            self.assertEqual(self.ask("GET", "/v1/status", Authorization="Bearer " + token).status, 401)
        self.ask("PUT", "/v1/addresses/a@example.com", {"reason": "manual", "note": "x"},
                 Authorization="Bearer 0123456789abcdef-mailer")
        self.assertEqual(node.show("a@example.com")["registers"][0]["actor"], "mailer")
        with open(path, "w", encoding="utf-8") as f:
            f.write("fedcba9876543210-another\n")
        node.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "reloaded" in node.log(), "the reload")
        self.assertEqual(
            self.ask("GET", "/v1/status", Authorization="Bearer 0123456789abcdef-mailer").status, 401)
        self.assertEqual(
            self.ask("GET", "/v1/status", Authorization="Bearer fedcba9876543210-another").status, 200)

    def test_tls(self):
        import ssl

        authority = self.authority()
        certificate, key = authority.issue("eu-west-1")
        self.start(tls={"cert": certificate, "key": key})
        context = ssl.create_default_context(cafile=authority.ca)
        connection = harness.http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=30)
        self.assertEqual(self.ask("GET", "/v1/status", connection=connection).status, 200)
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.load_verify_locations(authority.ca)
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        connection = harness.http.client.HTTPSConnection("127.0.0.1", self.port, context=old, timeout=30)
        with self.assertRaises(OSError):
            self.ask("GET", "/v1/status", connection=connection)

    def test_public_address_needs_both(self):
        node = self.agent("eu-west-1")
        node.config["admin"]["listen"] = "0.0.0.0:0"
        node.start(wait=False)
        self.assertEqual(node.process.wait(60), 2)
        self.assertIn("admin.tls", node.log())


if __name__ == "__main__":
    harness.main()
