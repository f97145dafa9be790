"""Who is a member: the configuration read again, decommissioning, and what is seen of a peer that is stuck."""

import json
import os
import re
import signal
import time
import unittest

import harness

THREE = ["eu-west-1", "us-east-1", "ap-south-1"]


class Members(harness.TestCase):
    def peer(self, agent, name):
        return next((p for p in agent.status()["peers"] if p["name"] == name), None)

    def connected(self, agent, name):
        return (self.peer(agent, name) or {}).get("connected")

    def problems(self, agent):
        """Those of the mesh: there is no AWS here."""
        return " | ".join(p for p in agent.status()["problems"] if "peer" in p)

    def suppress(self, agent, address):
        run = agent.cli("suppress", address, "--reason", "manual", "--note", "n")
        self.assertEqual(run.returncode, 0, run.stderr)

    def metric(self, agent, name, peer=None):
        text = agent.request("GET", "/metrics").body.decode()
        label = '\\{peer="%s"\\}' % peer if peer else ""
        found = re.search(r"^%s%s (-?\d+)$" % (name, label), text, re.MULTILINE)
        return int(found.group(1)) if found else None

    def test_a_node_is_added_moved_and_decommissioned_without_a_restart(self):
        eu, us, ap = agents = self.mesh(THREE)
        for agent in agents:
            agent.config["mesh"].update(epoch=1, absence_alarm="0s")
        all_peers = {agent.node: agent.config["mesh"]["peers"] for agent in agents}
        for agent in (eu, us):
            agent.config["mesh"]["peers"] = [p for p in all_peers[agent.node] if p["name"] != ap.node]
            agent.start()
        harness.wait_for(lambda: self.connected(eu, us.node) and self.connected(us, eu.node), "two nodes")
        self.suppress(eu, "before@example.com")

        # The third node knows the two, which do not know it yet: refused, and said on both sides.
        ap.config["mesh"]["epoch"] = 2
        ap.start()
        harness.wait_for(lambda: "not among the configured peers" in ap.log() + eu.log(), "a refusal")
        harness.wait_for(
            lambda: any(r["reason"] == "name" and r["by_us"] for r in eu.status()["mesh"]["refusals"]),
            "the refusal counted")
        self.assertIsNone(self.peer(eu, ap.node))

        # One of them reads its configuration again: it works with the new node; the other is behind.
        eu.config["mesh"].update(peers=all_peers[eu.node], epoch=2)
        eu.reload()
        harness.wait_for(lambda: self.connected(eu, ap.node) and self.connected(ap, eu.node), "the third node")
        harness.wait_for(lambda: ap.verdict("before@example.com") == "block", "what was decided before")
        harness.wait_for(lambda: "our configuration is older" in self.problems(us), "the lower epoch warned")
        harness.wait_for(lambda: "configuration is older than ours" in self.problems(eu), "and reported")
        self.assertIn("our configuration is older", us.log())
        self.suppress(us, "meanwhile@example.com")
        harness.wait_for(lambda: eu.verdict("meanwhile@example.com") == "block", "data in spite of it")
        us.config["mesh"].update(peers=all_peers[us.node], epoch=2)
        us.reload()
        harness.wait_for(
            lambda: all(a.status()["mesh"]["epoch"] == 2 and not self.problems(a) for a in agents),
            "all of one mind")
        harness.wait_for(
            lambda: {p["members"] for a in agents for p in a.status()["peers"]} == {"same"}, "the same members")

        # A file that makes no sense changes nothing.
        good = json.loads(json.dumps(eu.config))
        eu.config["mesh"]["peers"][0]["url"] = "nonsense"
        eu.reload()
        self.assertIn("reload refused, the old configuration stays", eu.log())
        self.assertTrue(self.connected(eu, us.node))
        eu.config = good

        # A node moves to another port.
        ap.stop()
        ap.mesh_port = harness.free_port()
        url = "tls+tcp://127.0.0.1:%d" % ap.mesh_port
        ap.config["mesh"]["listen"] = url
        ap.start()
        for agent in (eu, us):
            for peer in agent.config["mesh"]["peers"]:
                if peer["name"] == ap.node:
                    peer["url"] = url
            agent.reload()
            harness.wait_for(lambda a=agent: self.connected(a, ap.node), "the new address")
            self.assertEqual(self.peer(agent, ap.node)["url"], url)

        # Out of the configuration is not out of the mesh; that takes a command.
        ap.stop()
        for agent in (eu, us):
            agent.config["mesh"]["peers"] = [p for p in agent.config["mesh"]["peers"] if p["name"] != ap.node]
            agent.config["mesh"]["epoch"] = 3
            agent.reload()
        self.assertFalse(self.peer(eu, ap.node)["configured"])
        self.assertIn("left the configuration but still holds back the log", self.problems(eu))
        eu.stop()
        eu.start()
        self.assertIn("left the configuration but still holds back the log", self.problems(eu))
        self.assertEqual(self.peer(eu, ap.node)["url"], url)
        run = eu.cli("decommission", "nobody")
        self.assertEqual(run.returncode, 1)
        self.assertIn("never a peer", run.stderr)
        for agent in (eu, us):
            run = agent.cli("decommission", ap.node, "--note", "Region closed")
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertIsNone(self.peer(agent, ap.node))
        self.assertEqual(eu.cli("decommission", ap.node).returncode, 1)
        harness.wait_for(lambda: self.connected(eu, us.node) and not self.problems(eu), "a healthy mesh of two")
        self.suppress(eu, "two@example.com")
        harness.wait_for(lambda: us.verdict("two@example.com") == "block", "a mesh of two")

        # It is remembered, with who and why, and the node is turned away.
        eu.kill()
        eu.start()
        gone = eu.status()["mesh"]["decommissioned"]
        self.assertEqual([(g["name"], g["note"]) for g in gone], [(ap.node, "Region closed")])
        self.assertTrue(gone[0]["actor"])
        if os.environ.get("SUPSYNC_LONG"):  # nobody keeps the log for it: what it misses takes a repair
            harness.wait_for(lambda: eu.status()["mesh"]["log_bytes"] == 0, "the log to be trimmed", 200)
        ap.start()
        harness.wait_for(lambda: "not among the configured peers" in self.problems(ap), "the node turned away")
        self.assertIsNone(self.peer(eu, ap.node))

        # And taken back.
        eu.config["mesh"]["peers"].append({"name": ap.node, "url": url})
        eu.reload()
        self.assertIn("is configured, but was decommissioned", self.problems(eu))
        self.assertEqual(eu.cli("decommission", ap.node, "--undo").returncode, 0)
        harness.wait_for(lambda: self.connected(eu, ap.node) and self.connected(ap, eu.node), "its return")
        # What it missed may have left the log, for nobody kept it: then repair brings that, at once.
        self.suppress(ap, "back@example.com")
        harness.wait_for(lambda: eu.verdict("back@example.com") == "block", "what it decides")
        if os.environ.get("SUPSYNC_LONG"):
            before = ap.status()["last_scan"]
            harness.wait_for(lambda: ap.verdict("two@example.com") == "block", "what it missed", 20)
            # A repair is followed by a look at the Region's list.
            harness.wait_for(lambda: self.peer(ap, eu.node)["repair"]["decisions"] > 0, "the repair's end", 60)
            harness.wait_for(lambda: ap.status()["last_scan"] != before, "a run after the repair", 60)

    def test_nodes_that_were_alone_become_a_mesh(self):
        """A Region was there first, without a mesh; a second one, too; a third is new. Adding the section and
        starting anew is all that a person does."""
        eu, us, ap = agents = self.mesh(THREE)
        sections = {agent.node: agent.config.pop("mesh") for agent in agents}
        for agent in (eu, us):
            agent.start()
            self.suppress(agent, "of-%s@example.com" % agent.node)
        self.suppress(eu, "both@example.com")
        run = us.cli("clear", "both@example.com", "--note", "later")
        self.assertEqual(run.returncode, 0, run.stderr)
        for agent in (eu, us):
            agent.stop()
        for agent in agents:
            agent.config["mesh"] = sections[agent.node]
            agent.start()
        harness.wait_for(
            lambda: all(self.connected(a, b.node) for a in agents for b in agents if a is not b), "a mesh of three")

        def state(agent):
            return {row["address"]: (row["state"], row["time"], row["origin"]) for row in agent.rows()}

        harness.wait_for(lambda: len(state(eu)) == 3 and state(eu) == state(us) == state(ap), "the same set")
        self.assertEqual(state(ap)["both@example.com"][0], "cleared")
        for agent in agents:
            harness.wait_for(lambda a=agent: a.status()["join"]["phase"] == "ready", agent.node + " to be ready")
            self.assertEqual(agent.verdict("of-eu-west-1@example.com"), "block")
            self.assertEqual(agent.verdict("of-us-east-1@example.com"), "block")
            agent.wait_answers()
        self.suppress(ap, "new@example.com")
        harness.wait_for(lambda: eu.verdict("new@example.com") == us.verdict("new@example.com") == "block", "the third's")
        # There is no way back by mistake: without the section the node would be one of no cluster.
        eu.stop()
        del eu.config["mesh"]
        eu.write_config()
        eu.start(wait=False)
        harness.wait_for(lambda: "the mesh section is missing" in eu.log(), "the refusal")
        self.assertEqual(eu.process.wait(30), 2)

    def every_metric_is_described(self, agent, peer):
        """Those of README's table, and those of repairs, from the beginning, with HELP and TYPE."""
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "README.md"), encoding="utf-8") as f:
            table = f.read().split("| metric `supsync_peer_…` |")[1].split("\n\n")[0]
        names = ["supsync_peer_" + n for row in table.splitlines()[2:] for n in re.findall(r"`(\w+)`", row.split("|")[1])]
        self.assertGreater(len(names), 15)
        names += ["supsync_repair%s_total" % n for n in ("s", "_decisions", "_bytes", "_symbols")]
        text = agent.request("GET", "/metrics").body.decode()
        for name in names:
            self.assertIsNotNone(self.metric(agent, name, peer), name)
            kind = "counter" if name.endswith("_total") else "gauge"
            self.assertRegex(text, "(?m)^# HELP %s .+\n# TYPE %s %s$" % (name, name, kind))

    def test_lag_shows_while_a_peer_is_stopped(self):
        eu, us = self.mesh(THREE[:2])
        for agent in (eu, us):
            agent.config["mesh"]["absence_alarm"] = "2s"
            agent.start()
        harness.wait_for(lambda: self.connected(eu, us.node) and self.connected(us, eu.node), "the mesh")
        harness.wait_for(lambda: self.peer(eu, us.node)["lag_seconds"] == 0, "level")
        us.process.send_signal(signal.SIGSTOP)
        try:
            for i in range(20):
                self.suppress(eu, "stuck%d@example.com" % i)
            harness.wait_for(lambda: self.peer(eu, us.node)["unacked_mutations"] == 20, "what it lacks")
            # Nothing arrives, and that shows before the link is given up.
            first = harness.wait_for(
                lambda: self.peer(eu, us.node)["connected"] and self.peer(eu, us.node)["lag_seconds"],
                "lag on a link that stands")
            harness.wait_for(lambda: not self.connected(eu, us.node), "the silence noticed", timeout=15)
            harness.wait_for(lambda: self.peer(eu, us.node)["lag_seconds"] > first + 1, "lag that grows")
            harness.wait_for(lambda: "not connected" in self.problems(eu), "the alarm")
            harness.wait_for(lambda: self.metric(eu, "supsync_peer_connected", us.node) == 0, "the metric")
            self.assertEqual(self.metric(eu, "supsync_peer_unacked_mutations", us.node), 20)
            self.assertGreater(self.metric(eu, "supsync_peer_lag_milliseconds", us.node), 1000)
            text = eu.cli("status", "-v").stdout
            self.assertIn("lacks 20 of ours", text)
            self.assertRegex(text, r"0 behind for \d+\.\d s, lacks 20 of ours for \d+\.\d s, last heard 20")
            for what in ("reconnects, clock", "0 repairs (0 decisions, 0 B", "0 refusals", "0 quarantined", "0 gaps", "0 stalls"):
                self.assertIn(what, text)
            # What was heard last does not get younger, in any of the three.
            heard = self.peer(eu, us.node)["last_contact"]
            self.assertIn("last heard " + heard, text)
            self.assertLess(self.metric(eu, "supsync_peer_last_contact_milliseconds", us.node), time.time() * 1000 - 2000)
            self.assertGreater(self.metric(eu, "supsync_peer_unacked_milliseconds", us.node), 1000)
        finally:
            us.process.send_signal(signal.SIGCONT)
        harness.wait_for(lambda: us.verdict("stuck19@example.com") == "block", "the rest")
        harness.wait_for(
            lambda: self.peer(eu, us.node)["unacked_mutations"] == 0 and self.peer(eu, us.node)["lag_seconds"] == 0,
            "level again")
        peer = self.peer(eu, us.node)
        self.every_metric_is_described(eu, us.node)
        self.assertGreater(peer["bytes_in"], 0)
        self.assertGreater(peer["bytes_out"], 0)


    def test_two_nodes_that_decide_apart_leave_a_trail_of_both_sides(self):
        eu, us = self.mesh(THREE[:2])
        for agent in (eu, us):
            agent.start()
        harness.wait_for(lambda: self.connected(eu, us.node) and self.connected(us, eu.node), "the mesh")
        self.suppress(eu, "seen@example.com")
        harness.wait_for(lambda: us.verdict("seen@example.com") == "block", "the first decision")
        # Known to whoever overrules it: nothing to tell.
        self.assertEqual(us.cli("clear", "seen@example.com", "--note", "knowingly").returncode, 0)
        us.stop()
        self.suppress(eu, "apart@example.com")
        eu.stop()
        us.start()
        run = us.cli("suppress", "apart@example.com", "--reason", "manual", "--note", "the other side")
        self.assertEqual(run.returncode, 0, run.stderr)
        eu.start()
        for agent in (eu, us):
            harness.wait_for(
                lambda a=agent: sum("overruled_unseen" in d for d in a.show("apart@example.com")["history"]) == 1,
                "the mark at " + agent.node)
            loser, winner = agent.show("apart@example.com")["history"]
            self.assertEqual((loser["origin"], winner["origin"]), (eu.node, us.node))
            self.assertEqual(winner["note"], "the other side")
            self.assertEqual(
                loser["overruled_unseen"], {"time": winner["time"], "origin": us.node, "by": "time"})
            history = agent.show("seen@example.com")["history"]
            self.assertGreaterEqual(len(history), 2)
            self.assertFalse([d for d in history if "overruled_unseen" in d])
        self.assertIn("overruled unseen by the decision of us-east-1", eu.cli("show", "apart@example.com").stdout)
        self.assertGreaterEqual(self.metric(eu, "supsync_concurrent_overwrites_total"), 1)


if __name__ == "__main__":
    harness.main()
