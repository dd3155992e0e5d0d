-- SPDX-License-Identifier: MIT
-- merge.lua: results of all parts as one: one line for each target, and the figures of the whole.
-- Of two lines of a target the ok one stays, else the earlier, so any order of files gives the
-- same. Files that --summary has written are added up, as those of loads.
--
-- usage: tcpmulti-lua -m merge [-o FILE] [--expect N] [--summary FILE] [--report FILE]
--                              [--fail-if EXPR] [-q] FILE...
--
--   $ tcpmulti-lua -m merge -o all.jsonl --expect 20000 part-*.jsonl
--   20000 targets in 9.61 s, 2081/s: 16000 ok, 4000 failed
--        2000  connect ECONNRESET
--   ...
--
-- Exit status: 2: files of another plan; 3: a --fail-if holds; 74: output; 75: targets are missing.
local fleet = require "tcpmulti.fleet"
os.exit(fleet.main(arg))
