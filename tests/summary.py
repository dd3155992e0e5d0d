# SPDX-License-Identifier: MIT
"""Counts the results of tests/run: what meson logged of each build, down to the single case.

    summary.py FOLDER BUILD...   counts FOLDER/BUILD.json
    summary.py --again LOG       prints the titles of the programs that may run once more

A program that reports by TAP counts as its cases, any other as one. A program that crashed, ran out
of time or ended with an error counts as one failure more if none of its cases failed, and so does a
program, or a build, that ran no case at all. Prints the failed ones with their output; the last
line is "N passed, N failed".

A case about time can fail because the machine was busy. So a program of which only cases failed may
run once more, alone (FOLDER/BUILD-again.json); that run counts, and the program is printed as
unsteady with the output of the first. A crash, a program out of time and whatever a sanitizer has
found stay failures, but for leaks, as a case that fails cleans up nothing; and so does everything
when more than MOST_AGAIN programs failed.
"""

import json
import pathlib
import re
import sys

CASE = re.compile(r"^(not ok|ok)\b[\s\d-]*(.*?)\s*(#\s*skip\b.*)?$", re.IGNORECASE | re.MULTILINE)
PLAN = re.compile(r"^1\.\.\d+", re.MULTILINE)
OUTPUT_LINES = 60  # at the beginning and at the end
MOST_AGAIN = 5  # programs of a build
FOUND = re.compile(r"(ERROR|WARNING): (Address|Thread|Memory)Sanitizer|runtime error:")


def excerpt(text):
    """The text, indented, without the middle of what is very long."""
    lines = text.splitlines()
    dropped = len(lines) - 2 * OUTPUT_LINES
    if dropped > 0:
        lines[OUTPUT_LINES:-OUTPUT_LINES] = [f"... {dropped} lines ..."]
    return "".join(f"    {line}\n" for line in lines)


def count_program(program):
    """Passed, failed and skipped cases, and the names of the failed ones."""
    output = program.get("stdout", "")
    result = program["result"]
    passed, skipped, failed = 0, 0, []
    if PLAN.search(output):
        for verdict, name, skip in CASE.findall(output):
            if skip:
                skipped += 1
            elif verdict.lower() == "ok":
                passed += 1
            else:
                failed.append(name)
        if passed + skipped + len(failed) == 0 and result != "SKIP":
            failed.append("no case has run")
    elif result == "OK":
        passed = 1
    elif result == "SKIP":
        skipped = 1
    # cmocka says "not ok # SKIP", which meson takes for a failure; the exit status is 0 then.
    if result == "FAIL" and program.get("returncode") == 0 and skipped:
        result = "OK"
    if result not in ("OK", "SKIP") and not failed:
        failed.append(f"{result} (exit status {program.get('returncode')})")
    return passed, failed, skipped


def read_programs(log):
    if not log.exists():
        return []
    return [json.loads(line) for line in log.read_text(errors="replace").splitlines() if line]


def output_of(program):
    return program.get("stdout", "") + program.get("stderr", "")


def has_failed(program):
    return bool(count_program(program)[1])


def may_run_again(program):
    """Only cases have failed: the program itself ran to its end, and no sanitizer has spoken."""
    return (
        program["result"] in ("FAIL", "ERROR")
        and 0 < program.get("returncode", -1) < 128
        and any(verdict.lower() == "not ok" for verdict, _, _ in CASE.findall(output_of(program)))
        and not FOUND.search(output_of(program))
    )


def titles_to_run_again(programs):
    """Without the name of the suite, as meson's command line takes them."""
    failed = [program for program in programs if has_failed(program)]
    if len(failed) > MOST_AGAIN:
        return []
    return [program["name"].split(" / ", 1)[-1] for program in failed if may_run_again(program)]


def show(verdict, build, program, failed):
    print(f"\n{verdict}: {build}: {program['name']}")
    for name in failed:
        print(f"  {name}")
    print(excerpt(program.get("stdout", "")), end="")
    print(excerpt(program.get("stderr", "")), end="")


def settle(build, programs, again):
    """The programs as they count: a second run in place of the first. Prints what is unsteady."""
    second = {program["name"]: program for program in again}
    settled = []
    for program in programs:
        later = second.get(program["name"])
        if later and not has_failed(later):
            show("UNSTEADY, passed when it ran alone", build, program, count_program(program)[1])
            program = later
        settled.append(program)
    return settled


def main():
    if sys.argv[1] == "--again":
        print("\n".join(titles_to_run_again(read_programs(pathlib.Path(sys.argv[2])))))
        return 0
    folder = pathlib.Path(sys.argv[1])
    passed = failed = skipped = 0
    for build in sys.argv[2:]:
        programs = read_programs(folder / f"{build}.json")
        if not programs:
            print(f"\nFAILED: {build}: no test has run")
            failed += 1
        for program in settle(build, programs, read_programs(folder / f"{build}-again.json")):
            here_passed, here_failed, here_skipped = count_program(program)
            passed += here_passed
            failed += len(here_failed)
            skipped += here_skipped
            if here_failed:
                show("FAILED", build, program, here_failed)
    if skipped:
        print(f"\n{skipped} skipped")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
