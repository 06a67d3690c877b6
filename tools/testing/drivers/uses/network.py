# SPDX-License-Identifier: GPL-2.0
"""Network drivers, filters and RDMA, between two network namespaces."""

import socket
import subprocess
import sys
import time
from pathlib import Path

from .machine import check, collection, digest, finish, run, some_bytes, wait, write

USES, use = collection()
HERE, THERE = "10.0.0.1", "10.0.0.2"

RECEIVER = """
import hashlib, socket, sys
listener = socket.create_server((sys.argv[1], 7000))
print("ready", flush=True)
connection, _ = listener.accept()
sum = hashlib.sha256()
while piece := connection.recv(65536):
    sum.update(piece)
print(sum.hexdigest())
"""


def inside(*command):
    return ("ip", "netns", "exec", "there", *command)


def pair(at, *options):
    """Two ends of a veth, one in the namespace `there`."""
    run("ip", "netns", "add", "there")
    at.callback(run, "ip", "netns", "delete", "there")
    at.load("veth")
    run("ip", "link", "add", "here", *options, "type", "veth", "peer", "name", "there", "netns", "there", *options)
    at.callback(subprocess.run, ["ip", "link", "delete", "here"], capture_output=True, check=False)
    run("ip", "link", "set", "lo", "up")
    run("ip", "address", "add", f"{HERE}/24", "dev", "here")
    run("ip", "link", "set", "here", "up")
    run(*inside("ip", "address", "add", f"{THERE}/24", "dev", "there"))
    run(*inside("ip", "link", "set", "there", "up"))
    wait(lambda: reaches(THERE), "the other end does not answer")


def reaches(address, port=9):
    """Whether a host answers, if only by a refusal."""
    try:
        socket.create_connection((address, port), timeout=3).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True


def transfer(at, address, size):
    """Sends bytes to the namespace `there`, and compares their digest."""
    receiver = at.start(*inside(sys.executable, "-c", RECEIVER, address))
    check(receiver.stdout.readline() == "ready\n", "the receiver does not start")
    data = some_bytes(size, address)
    with socket.create_connection((address, 7000), timeout=60) as connection:
        connection.sendall(data)
    check(digest(data) in finish(receiver), "other bytes arrive than were sent")


@use("veth")
def veth(at):
    """Bytes over TCP between two ends of 16 queues."""
    pair(at, "numrxqueues", "16", "numtxqueues", "16")
    transfer(at, THERE, 8 << 20)


@use("sch-fq")
def sch_fq(at):
    """Bytes over TCP, paced by 16,384 queues."""
    pair(at)
    at.load("sch_fq")
    run("tc", "qdisc", "add", "dev", "here", "root", "fq", "buckets", "16384")
    transfer(at, THERE, 2 << 20)
    check(" fq " in run("tc", "qdisc", "show", "dev", "here"), "the queue is another one")


@use("sch-netem")
def sch_netem(at):
    """Bytes over TCP, with delays of a normal distribution."""
    pair(at)
    at.load("sch_netem")
    run("tc", "qdisc", "add", "dev", "here", "root", "netem", "delay", "2ms", "1ms", "distribution", "normal")
    transfer(at, THERE, 1 << 20)


@use("wireguard")
def wireguard(at):
    """Bytes over TCP through an encrypted tunnel."""
    pair(at)
    at.load("wireguard")
    secrets = [run("wg", "genkey").strip() for _ in range(2)]
    publics = [run("wg", "pubkey", text=secret).strip() for secret in secrets]
    run("ip", "link", "add", "wg0", "type", "wireguard")
    at.callback(run, "ip", "link", "delete", "wg0")
    # Its socket stays in the namespace that it is made in.
    run(*inside("ip", "link", "add", "wg1", "type", "wireguard"))
    run("wg", "set", "wg0", "listen-port", "5000", "private-key", "/dev/stdin", "peer", publics[1], "allowed-ips",
        "10.1.0.2/32", "endpoint", f"{THERE}:5001", text=secrets[0])
    run(*inside("wg", "set", "wg1", "listen-port", "5001", "private-key", "/dev/stdin", "peer", publics[0],
                "allowed-ips", "10.1.0.1/32", "endpoint", f"{HERE}:5000"), text=secrets[1])
    run("ip", "address", "add", "10.1.0.1/24", "dev", "wg0")
    run("ip", "link", "set", "wg0", "up")
    run(*inside("ip", "address", "add", "10.1.0.2/24", "dev", "wg1"))
    run(*inside("ip", "link", "set", "wg1", "up"))
    wait(lambda: reaches("10.1.0.2"), "the tunnel's other end does not answer")
    transfer(at, "10.1.0.2", 2 << 20)


@use("ip-set-hash-ip")
def ip_set(at):
    """A set of 20,000 addresses, grown, read back, and used to answer questions."""
    at.load("ip_set_hash_ip")
    run("ipset", "create", "many", "hash:ip", "hashsize", "16384", "maxelem", "65536")
    at.callback(run, "ipset", "destroy", "many")
    wanted = {f"10.{index // 4096}.{index // 64 % 64}.{index % 64 + 1}" for index in range(20_000)}
    run("ipset", "restore", text="".join(f"add many {address}\n" for address in wanted))
    saved = run("ipset", "save", "many").splitlines()
    check({line.split()[2] for line in saved if line.startswith("add")} == wanted, "the set has other addresses")
    run("ipset", "test", "many", "10.1.2.3")
    check("NOT" in subprocess.run(["ipset", "test", "many", "11.1.2.3"], capture_output=True, text=True,
                                  check=False).stderr, "the set has an address that nobody added")


@use("x-tables", "ip-tables")
def iptables(at):
    """2,000 rules read back, the last of which lets a connection fail."""
    pair(at)
    at.load("iptable_filter")
    at.callback(run, "iptables-legacy", "-F")
    rules = [f"-A OUTPUT -d 10.9.{index // 250}.{index % 250 + 1}/32 -j DROP" for index in range(2000)]
    rules.append(f"-A OUTPUT -d {THERE}/32 -j DROP")
    check(reaches(THERE), "the other end does not answer without rules")
    run("iptables-legacy-restore", text="*filter\n" + "\n".join(rules) + "\nCOMMIT\n")
    saved = run("iptables-legacy-save").splitlines()
    check([line for line in saved if line.startswith("-A")] == rules, "the table has other rules")
    check(not reaches(THERE), "a rule that drops packets drops none")
    run("iptables-legacy", "-D", "OUTPUT", "-d", THERE, "-j", "DROP")
    check(reaches(THERE), "a rule that is gone still drops packets")


@use("nf-tables")
def nf_tables(at):
    """A set of 3,000 ranges of addresses and ports, which lets a connection fail."""
    pair(at)
    at.load("nf_tables")
    at.callback(run, "nft", "flush", "ruleset")
    elements = ", ".join(f"10.{index // 250}.{index % 250}.0/25 . {index + 10}-{index + 20}" for index in range(3000))
    run("nft", "-f", "-", text=f"""
        table ip test {{
            set many {{
                type ipv4_addr . inet_service
                flags interval
                elements = {{ {elements} }}
            }}
            chain output {{
                type filter hook output priority 0
                ip daddr . tcp dport @many drop
            }}
        }}""")
    check(run("nft", "list", "set", "ip", "test", "many").count(".0/25 . ") == 3000, "the set has other ranges")
    check(not reaches(THERE, 15), "a range that drops packets drops none")
    check(reaches(THERE, 9), "a port outside of the range is dropped")


@use("pktgen")
def pktgen(at):
    """2,000 packets of 500 flows arrive."""
    pair(at)
    at.load("pktgen")
    control, device = Path("/proc/net/pktgen"), Path("/proc/net/pktgen/here")
    hardware = run(*inside("cat", "/sys/class/net/there/address")).strip()
    write(control / "kpktgend_0", "add_device here\n")
    for word in ("count 2000", "pkt_size 200", "flows 500", "flowlen 4", "delay 20000", f"dst {THERE}",
                 f"dst_mac {hardware}", "udp_dst_min 9", "udp_dst_max 9"):
        write(device, word + "\n")
    read = inside("cat", "/sys/class/net/there/statistics/rx_packets")
    before = int(run(*read))
    write(control / "pgctrl", "start\n")
    check("sofar: 2000" in device.read_text(encoding="ascii"), "not all packets were sent")
    check(int(run(*read)) - before >= 2000, "not all packets arrive")
    write(control / "kpktgend_0", "rem_device_all\n")


@use("rdma-rxe")
def rdma_rxe(at):
    """Messages between two queue pairs, whose queues are mapped to user space; the program compares them."""
    pair(at)
    at.load("rdma_rxe")
    at.load("ib_uverbs")
    run("rdma", "link", "add", "soft", "type", "rxe", "netdev", "here")
    at.callback(run, "rdma", "link", "delete", "soft")
    wait(lambda: Path("/dev/infiniband/uverbs0").exists(), "no node for verbs appears")
    words = ("ibv_rc_pingpong", "-d", "soft", "-g", "1", "-n", "200", "-s", "8192", "-c")
    server = at.start(*words)
    time.sleep(2)
    client = at.start(*words, HERE)
    for output in finish(client), finish(server):
        check("200 iters" in output and "invalid" not in output, output)
