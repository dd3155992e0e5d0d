#!/bin/sh
# SPDX-License-Identifier: MIT
# Four parts as four processes of a shell. On one machine -w 4 does the same, and more; this is for
# machines that a shell reaches in some way of its own: ssh "host-$i" in front of the command.
#
# usage: scripts/fleet/plain.sh [OPTION OF THE JOB...]
set -eu

: "${TCPMULTI:=tcpmulti-lua}" "${SCRIPT:=-m banner}" "${TARGETS:=targets.txt}"

jobs=
# A shell hides the Ctrl-C of a terminal from commands in the background, so it is passed on. The
# parts then stop in order; the same command goes on.
trap 'kill $jobs 2>&- || :' INT TERM
for i in 1 2 3 4; do
    # shellcheck disable=SC2086
    "$TCPMULTI" $SCRIPT --shard $i/4 -t "$TARGETS" -o part-$i.jsonl --resume -q "$@" &
    jobs="$jobs $!"
done
worst=0
for job in $jobs; do
    code=0
    wait "$job" || code=$?
    if [ $code -gt 128 ]; then # a signal has ended the wait, and not the part
        code=0
        wait "$job" || code=$?
    fi
    [ $code -eq 0 ] || worst=$code
done
"$TCPMULTI" -m merge part-[1-4].jsonl -o all.jsonl
exit $worst
