# SPDX-License-Identifier: MIT
# Latencies by the kernel's timestamps, for requests that are answered one at a time: from when the
# packet of a request left to when that of its answer arrived, on lo. Needs CAP_NET_RAW.
#
#   kernel_latency.py PORT SECONDS     prints "listening", then median and 99th percentile in µs
import select
import socket
import struct
import sys
import time

SO_TIMESTAMPNS, ETH_P_ALL, ETH_P_IP, OUTGOING, RECEIVED = 35, 3, 0x0800, 4, 0
port, end = int(sys.argv[1]), time.monotonic() + float(sys.argv[2])

capture = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
capture.bind(("lo", ETH_P_ALL))
capture.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
capture.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16777216)
capture.setblocking(False)
print("listening", flush=True)

asked, latencies = {}, []  # asked: by the client's port, when the request left
while time.monotonic() < end:
    if not select.select([capture], [], [], 0.1)[0]:
        continue
    packet, control, _, address = capture.recvmsg(128, 64)
    if address[1] != ETH_P_IP or packet[9] != socket.IPPROTO_TCP:
        continue
    header = (packet[0] & 15) * 4
    length = struct.unpack_from("!H", packet, 2)[0] - header - (packet[header + 12] >> 4) * 4
    if length <= 0 or not control:
        continue
    seconds, nanoseconds = struct.unpack("qq", control[0][2])
    stamp = seconds * 1e6 + nanoseconds / 1e3
    source, destination = struct.unpack_from("!HH", packet, header)
    if destination == port and address[2] == OUTGOING:
        asked[source] = stamp
    elif source == port and address[2] == RECEIVED and destination in asked:
        latencies.append(stamp - asked.pop(destination))

latencies.sort()
if latencies:
    print(latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)])
