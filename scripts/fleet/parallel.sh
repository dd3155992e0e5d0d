#!/bin/sh
# SPDX-License-Identifier: MIT
# Four parts by GNU parallel, at once, on this machine or on those of --sshlogin. A part that fails
# is tried three times; the same command with --resume-failed goes on with those that failed still.
#
# usage: scripts/fleet/parallel.sh [--resume-failed] [OPTION OF THE JOB...]
set -eu

: "${TCPMULTI:=tcpmulti-lua}" "${SCRIPT:=-m banner}" "${TARGETS:=targets.txt}" "${RETRIES:=3}"
again=
if [ "${1-}" = --resume-failed ]; then
    again=--resume-failed
    shift
fi

# shellcheck disable=SC2086
parallel $again --jobs 4 --joblog log --retries "$RETRIES" "$TCPMULTI" $SCRIPT --shard {}/4 \
    -t "$TARGETS" -o part-{}.jsonl --resume -q "$@" ::: 1 2 3 4
"$TCPMULTI" -m merge part-[1-4].jsonl -o all.jsonl
