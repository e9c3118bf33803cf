# SPDX-License-Identifier: MIT
"""F: the network, as far as there is one: none but the context's own."""

from __future__ import annotations

from tests.sandbox.hostile.program import Program, Refused, Says

NOWHERE = "ENETUNREACH EHOSTUNREACH EADDRNOTAVAIL EAFNOSUPPORT EINVAL"

PROGRAMS = [
    Program(
        93,
        "the-internet",
        "reaches the internet, the gateway, and a cloud's metadata",
        """
for what, family, address in (
    ("dns", socket.AF_INET, ("1.1.1.1", 53)),
    ("metadata", socket.AF_INET, ("169.254.169.254", 80)),
    ("private", socket.AF_INET, ("10.0.0.1", 443)),
    ("gateway", socket.AF_INET, ("172.17.0.1", 2375)),
    ("six", socket.AF_INET6, ("2606:4700:4700::1111", 443)),
    ("link", socket.AF_INET6, ("fe80::1", 22, 0, 1)),
):
    for kind, letter in ((socket.SOCK_STREAM, "t"), (socket.SOCK_DGRAM, "u")):
        s = socket.socket(family, kind)
        s.settimeout(20)
        tell(f"{what}-{letter}", s.connect, address)
        s.close()
s = socket.socket(type=socket.SOCK_DGRAM)
tell(
    "broadcast",
    lambda: (
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1),
        s.sendto(b"x", ("255.255.255.255", 9)),
    ),
)
tell("multicast", s.sendto, b"x", ("224.0.0.251", 5353))
tell("name", socket.getaddrinfo, "example.org", 80)
s.close()
""",
        Refused(
            {
                **{
                    f"{what}-{letter}": NOWHERE
                    for what in ("dns", "metadata", "private", "gateway", "six", "link")
                    for letter in "tu"
                },
                "broadcast": "ENETUNREACH",
                "multicast": "ENETUNREACH",
                "name": "-3 -2 -5 gaierror EAI_AGAIN",
            }
        ),
    ),
    Program(
        93,
        "the-hosts-loopback",
        "reaches the machine's loopback: a canary's port, and the kernel's own",
        """
import errno as e

reached = []
for port in [CANARY_PORT, *PORTS, 22, 80, 631, 5355, 8888, 2375]:
    for family, address in (
        (socket.AF_INET, "127.0.0.1"),
        (socket.AF_INET6, "::1"),
        (socket.AF_INET, "0.0.0.0"),
        (socket.AF_INET, "127.1.2.3"),
        (socket.AF_INET6, "::ffff:127.0.0.1"),
    ):
        s = socket.socket(family)
        s.settimeout(20)
        try:
            s.connect((address, port))
            reached.append((address, port))
        except OSError:
            pass
        s.close()
u = socket.socket(type=socket.SOCK_DGRAM)
u.sendto(b"hello canary", ("127.0.0.1", CANARY_UDP_PORT))
print("reached", reached)
""",
        Says(r"reached \[\]"),
    ),
    Program(
        93,
        "raw-and-tunnels",
        "pings, opens raw sockets and tunnels, and looks at the machine's interfaces",
        """
tell("icmp", socket.socket, socket.AF_INET, socket.SOCK_RAW, 1)
tell("ping", socket.socket, socket.AF_INET, socket.SOCK_DGRAM, 1)
tell("packet", socket.socket, socket.AF_PACKET, socket.SOCK_RAW, 3)
tell_open("tun", "/dev/net/tun", os.O_RDWR)
print("interfaces", [name for _, name in socket.if_nameindex()])
""",
        Says(
            "icmp EPERM",
            "ping ENOSYS",
            "packet EAFNOSUPPORT",
            "tun ENOENT",
            r"interfaces \['lo'\]",
        ),
    ),
    Program(
        93,
        "ports-of-the-kernel",
        "takes the kernel's ports in its place, and answers there",
        """
taken = []
for port in [CANARY_PORT, *PORTS]:
    s = socket.socket()
    s.bind(("127.0.0.1", port))
    s.listen()
    taken.append(s)
print("taken, of its own network", len(taken))
for s in taken:
    s.close()
""",
        Says("taken, of its own network 6"),
    ),
    Program(
        94,
        "abstract-sockets",
        "connects to abstract sockets of the machine, and binds their names",
        """
s = socket.socket(socket.AF_UNIX)
tell("canary", s.connect, "\\0" + CANARY_NAME)
for name in (
    "/tmp/.X11-unix/X0",
    "/tmp/dbus-x",
    "/containerd-shim/x",
    "/run/systemd/notify",
):
    tell(name, s.connect, "\\0" + name)
d = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
tell("datagram", d.sendto, b"x", "\\0" + CANARY_NAME)
print("seen", CANARY_NAME in open("/proc/net/unix").read())
s.close()
d.close()
""",
        Says(
            "canary (ECONNREFUSED|EPERM)",
            "X0 (ECONNREFUSED|EPERM)",
            "datagram (ECONNREFUSED|EPERM)",
            "seen False",
        ),
    ),
    Program(
        94,
        "sockets-in-folders",
        "connects to the machine's sockets by their paths: docker, dbus, the server's",
        """
paths = [
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/dbus/system_bus_socket",
    "/run/containerd/containerd.sock",
    "/run/systemd/private",
    "/tmp/.X11-unix/X0",
    "/run/user/0/bus",
    os.environ.get("SSH_AUTH_SOCK", "/none"),
    SERVER_SOCKET,
]
for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
    for i, path in enumerate(paths):
        s = socket.socket(socket.AF_UNIX, kind)
        tell(f"{i}-{int(kind)}", s.connect, path)
        s.close()
""",
        Refused(
            {f"{i}-{kind}": "ENOENT EACCES EPERM" for i in range(9) for kind in (1, 5)}
        ),
    ),
]
