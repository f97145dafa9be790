"""A network between namespaces: wire.py NAMESPACE…

Makes a TUN device "mesh" with the address 10.77.0.N in the Nth namespace and carries packets between
them, with the faults it is told. netem would do much of this, but many kernels come without it (those
of most small virtual machines); TUN is nearly everywhere, and a program can also forge resets.

Commands are JSON objects, one a line, on standard input; each is answered by a line with the number of
packets the wire has carried, lost, dropped and reset, and with how many seconds late, by its own fault, it
was with the 99th of a hundred of the last packets. Ends with standard input.

    {"from": 1, "to": 2, "delay": 0.15, "jitter": 0.02, "loss": 0.01, "rate": 250000, "mode": "pass"}

from, to: numbers of namespaces, 0 = all. delay, jitter: seconds. loss: 0 to 1. rate: bytes a second,
0 = no limit. mode: pass, drop (a black hole), reset (TCP packets become resets). What is not named
becomes 0 or "pass".
"""

import collections
import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001
NETWORK = "10.77.0."
BACKLOG = 256 * 1024  # bytes that wait for a link with a limited rate; more are lost, as in a router
TCP = 6
RST = 0x04
RST_ACK = 0x14

libc = ctypes.CDLL(None, use_errno=True)


def enter(path):
    """Moves this thread into a network namespace."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns " + path)
    finally:
        os.close(fd)


def open_tun(namespace, number):
    """A descriptor that reads and writes the packets of the namespace's device."""
    enter("/run/netns/" + namespace)
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"mesh", IFF_TUN_NO_PI))
    for command in (
        ["addr", "add", "%s%d/24" % (NETWORK, number), "dev", "mesh"],
        ["link", "set", "mesh", "txqueuelen", "2000"],
        ["link", "set", "mesh", "up"],
        ["link", "set", "lo", "up"],
    ):
        subprocess.run(["ip", *command], check=True)
    return fd


def checksum(data):
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def as_reset(packet):
    """The TCP packet as the reset a middlebox would send in its place: the same sequence number, so
    that the receiver believes it (RFC 5961: exactly the one it expects). None for others."""
    head = (packet[0] & 15) * 4
    if packet[0] >> 4 != 4 or packet[9] != TCP or len(packet) < head + 20 or packet[head + 13] & RST:
        return None
    ports, seq, ack = struct.unpack_from("!III", packet, head)
    tcp = struct.pack("!IIIBBHHH", ports, seq, ack, 5 << 4, RST_ACK, 0, 0, 0)
    pseudo = packet[12:20] + struct.pack("!BBH", 0, TCP, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, TCP, 0, packet[12:16], packet[16:20])
    return ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + tcp


class Link:
    """One direction between two namespaces."""

    def __init__(self):
        self.set({})
        self.free_at = 0.0  # when the last byte will have been put on the line
        self.last_due = 0.0

    def set(self, command):
        self.delay = float(command.get("delay", 0))
        self.jitter = float(command.get("jitter", 0))
        self.loss = float(command.get("loss", 0))
        self.rate = float(command.get("rate", 0))
        self.mode = command.get("mode", "pass")
        if self.mode not in ("pass", "drop", "reset"):
            raise ValueError(self.mode)

    def due(self, size, now, rng):
        """When the packet arrives; None when it is lost. Packets of a link stay in order: jitter that
        reorders every second packet is no network's, and would only measure TCP."""
        if self.loss and rng.random() < self.loss:
            return None
        sent = now
        if self.rate:
            sent = max(now, self.free_at)
            if (sent - now) * self.rate > BACKLOG:
                return None
            sent += size / self.rate
            self.free_at = sent
        self.last_due = max(self.last_due, sent + self.delay + rng.uniform(-self.jitter, self.jitter))
        return self.last_due


class Wire:
    def __init__(self, namespaces):
        self.rng = random.Random(int(os.environ.get("SUPSYNC_SEED", "1")))
        self.tuns = {n + 1: open_tun(name, n + 1) for n, name in enumerate(namespaces)}
        self.numbers = {fd: n for n, fd in self.tuns.items()}
        self.links = {(a, b): Link() for a in self.tuns for b in self.tuns if a != b}
        self.counts = {"carried": 0, "lost": 0, "dropped": 0, "reset": 0}
        self.late = collections.deque(maxlen=4096)
        self.waiting = []  # heap of (due, order, to, packet)
        self.order = 0

    def command(self, line):
        command = json.loads(line)
        for (a, b), link in self.links.items():
            if command.get("from", 0) in (0, a) and command.get("to", 0) in (0, b):
                link.set(command)
        late = sorted(self.late)
        self.late.clear()
        answer = dict(self.counts, late=late[len(late) * 99 // 100] if late else 0.0)
        print(json.dumps(answer), flush=True)

    def take(self, source, packet, now):
        if packet[0] >> 4 != 4 or socket.inet_ntoa(packet[16:19] + b"\0") != NETWORK + "0":
            return  # what IPv6 says to itself
        to = packet[19]
        link = self.links.get((source, to))
        if link is None:
            return
        if link.mode == "reset":
            packet = as_reset(packet)
            self.counts["reset"] += packet is not None
        elif link.mode == "drop":
            packet = None
            self.counts["dropped"] += 1
        if packet is None:
            return
        due = link.due(len(packet), now, self.rng)
        if due is None:
            self.counts["lost"] += 1
            return
        self.order += 1
        heapq.heappush(self.waiting, (due, self.order, to, packet))

    def deliver(self, now):
        while self.waiting and self.waiting[0][0] <= now:
            due, _, to, packet = heapq.heappop(self.waiting)
            self.late.append(now - due)
            try:
                os.write(self.tuns[to], packet)
                self.counts["carried"] += 1
            except OSError:  # the device is down: EIO
                self.counts["lost"] += 1

    def read_all(self, fd):
        for _ in range(64):
            try:
                packet = os.read(fd, 65536)
            except OSError:  # EAGAIN; EIO while the device is down
                return
            self.take(self.numbers[fd], packet, time.monotonic())

    def run(self):
        epoll = select.epoll()
        control = sys.stdin.fileno()
        os.set_blocking(control, False)
        text = b""
        for fd in [control, *self.numbers]:
            epoll.register(fd, select.EPOLLIN)
        print(json.dumps(self.counts), flush=True)
        while True:
            timeout = max(0.0, self.waiting[0][0] - time.monotonic()) if self.waiting else -1
            for fd, _ in epoll.poll(timeout):
                if fd != control:
                    self.read_all(fd)
                    continue
                part = os.read(control, 65536)
                if not part:
                    return
                *lines, text = (text + part).split(b"\n")
                for line in lines:
                    self.command(line)
            self.deliver(time.monotonic())


if __name__ == "__main__":
    Wire(sys.argv[1:]).run()
