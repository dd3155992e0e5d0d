# SPDX-License-Identifier: MIT
"""asyncio at work=banner: the first line of each host, 500 at a time, a line of JSON for each.

What tcpmulti_job.lua does that this leaves out: limits by host, times of phases, figures and
resuming. Run by tests/bench/run:
  python3 asyncio_banner.py work=banner port=7 connections=500 operations=20000
"""
import asyncio
import json
import os
import resource
import sys
import tempfile
import time

BANNER = 256
TIMEOUT_S = 10


async def read_banner(host, port):
    reader, writer = await asyncio.open_connection(host, port)
    try:
        banner = b""
        while b"\n" not in banner and len(banner) < BANNER:
            data = await reader.read(BANNER - len(banner))
            if not data:
                break
            banner += data
        return banner
    finally:
        writer.close()


async def work_through(numbers, port, output, figures):
    for number in numbers:
        host = f"127.1.{number // 256}.{number % 256}"
        record = {"host": host, "port": port, "ok": True, "time": round(time.time(), 3)}
        try:
            banner = await asyncio.wait_for(read_banner(host, port), TIMEOUT_S)
            figures["operations"] += 1
            figures["bytes"] += len(banner)
            record["banner"] = banner.decode("latin-1")
        except (OSError, asyncio.TimeoutError) as error:
            figures["errors"] += 1
            record.update(ok=False, error=str(error))
        output.write(json.dumps(record) + "\n")


async def run(job, output, figures):
    numbers = iter(range(1, int(job["operations"]) + 1))
    tasks = [work_through(numbers, int(job["port"]), output, figures)
             for _ in range(int(job["connections"]))]
    await asyncio.gather(*tasks)


def main():
    job = dict(word.split("=", 1) for word in sys.argv[1:])
    figures = {"operations": 0, "bytes": 0, "errors": 0}
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    with tempfile.TemporaryFile("w") as output:
        asyncio.run(run(job, output, figures))
        output.flush()
        os.fdatasync(output.fileno())
    after = resource.getrusage(resource.RUSAGE_SELF)
    figures["wall_s"] = time.monotonic() - began
    figures["cpu_user_s"] = after.ru_utime - before.ru_utime
    figures["cpu_system_s"] = after.ru_stime - before.ru_stime
    print(json.dumps(figures))


main()
