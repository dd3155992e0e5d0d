-- SPDX-License-Identifier: MIT
-- What name servers answer, and what becomes of it: good answers, errors, silence, answers that are
-- none, answers that come by TCP, aliases, several servers.
local lu = require "luaunit"
local support = require "names.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Answers"
local server = support.server()

function cases.N03_nxdomain_is_ENOTFOUND()
  support.failed(support.look(support.name "nx"), "resolve ENOTFOUND")
end

function cases.N04_servfail_is_ESERVFAIL()
  support.failed(support.look(support.name "servfail"), "resolve ESERVFAIL")
end

function cases.N05_refused_is_EREFUSED_at_once()
  local log, took = support.look(support.name "refused")
  support.failed(log, "resolve EREFUSED")
  lu.assertTrue(took < 1.9, took)
end

function cases.N06_a_name_without_addresses_is_ENODATA()
  support.failed(support.look(support.name "nodata"), "resolve ENODATA")
end

function cases.N06_of_two_families_one_address_is_enough()
  support.reached(support.look(support.name("6-nx", "a-1")), "127.0.0.1")
  support.reached(support.look(support.name("6-servfail", "a-1")), "127.0.0.1")
  local port = support.peer("close", { address = "2001:db8::1" }):port()
  local log = support.look(support.name("4-servfail", "aaaa-1"), nil, { port = port })
  support.reached(log, "2001:db8::1")
end

function cases.N06_of_two_families_the_more_temporary_error_counts()
  support.failed(support.look(support.name("4-servfail", "6-nx")), "resolve ESERVFAIL")
  support.failed(support.look(support.name("4-nodata", "6-refused")), "resolve EREFUSED")
  support.failed(support.look(support.name("4-notimp", "6-nx")), "resolve EBADRESP")
end

function cases.N07_no_answer_is_ETIMEDOUT_after_14_seconds()
  local log, took = support.look(support.name "silent", { connect_timeout = 60 })
  support.failed(log, "resolve ETIMEDOUT")
  support.at(took, 14, 4)
end

function cases.N07_before_that_the_connect_timeout_ends_it()
  local causes = {}
  local log, took = support.look(support.name "silent", {
    connect_timeout = 0.3,
    on_timeout = function(cheap) causes[#causes + 1] = cheap:cause() end,
  })
  lu.assertEquals(log:list(), { "initialize", "timeout connect", "disconnected timeout" })
  lu.assertEquals(causes, { "resolve" })
  support.at(took, 0.3, 2)
end

function cases.N08_formerr_and_notimp_are_EBADRESP()
  support.failed(support.look(support.name "formerr"), "resolve EBADRESP")
  support.failed(support.look(support.name "notimp"), "resolve EBADRESP")
end

function cases.N08_datagrams_that_are_no_answers_are_ignored()
  local name = support.name("junk-9", "header-9", "empty-9", "a-1")
  support.reached(support.look(name), "127.0.0.1")
end

function cases.N09_answers_to_other_questions_are_ignored()
  local name = support.name("badid-50", "badname-50", "badfrom-50", "a-1")
  support.reached(support.look(name), "127.0.0.1")
end

function cases.N10_the_right_answer_never_comes()
  support.dns { timeout = 0.4, tries = 1 }
  local name = support.name("badid-50", "badname-50", "badfrom-50", "junk-9", "silent")
  local log, took = support.look(name)
  support.failed(log, "resolve ETIMEDOUT")
  support.at(took, 0.4, 3)
end

-- Whether this name was asked for by TCP.
local function asked_by_tcp(name)
  for _, asked in ipairs(server:asked()) do
    if asked.name == name and asked.tcp then return true end
  end
  return false
end

function cases.N11_a_truncated_answer_comes_by_tcp()
  local name = support.name("truncate", "a-1")
  support.reached(support.look(name), "127.0.0.1")
  lu.assertTrue(asked_by_tcp(name))
end

-- The names, with 500 others in flight, which all succeed.
local function beside_500(name)
  local names = { name }
  for _ = 1, 500 do names[#names + 1] = support.name("a-1", "delay-300") end
  local swarm = support.swarm "close"
  local log = support.look(names, { short = true }, { port = swarm:port() })
  lu.assertEquals(log:count "success", 500)
  lu.assertEquals(log:count "failure", 1)
  lu.assertEquals(log:count "failure resolve ETIMEDOUT", 1)
end

function cases.N12_truncated_and_by_tcp_silent()
  support.dns { timeout = 0.8, tries = 2 }
  beside_500(support.name("truncate", "tcp-silent", "a-1"))
end

function cases.N12_truncated_and_by_tcp_hung_up()
  support.dns { timeout = 0.8, tries = 2 }
  beside_500(support.name("truncate", "hangup", "a-1"))
end

function cases.N12_truncated_and_by_tcp_refused()
  support.server { address = "127.0.0.2", no_tcp = true }
  support.dns { servers = { "127.0.0.2" }, timeout = 0.8, tries = 2 }
  beside_500(support.name("truncate", "a-1"))
end

function cases.N13_of_2000_addresses_the_first_64_are_tried()
  local log = support.look(support.name "a-2000", nil, { port = support.refused() })
  support.failed(log, "connect ECONNREFUSED")
  local tried, expected = {}, {}
  for i, try in ipairs(log.tried[1]) do tried[i] = try.addr end
  for i = 1, 64 do expected[i] = "127.0.0." .. i end
  lu.assertItemsEquals(tried, expected)
end

function cases.N14_a_chain_of_aliases()
  support.reached(support.look(support.name("cname-8", "a-1")), "127.0.0.1")
end

function cases.N14_the_least_ttl_of_a_chain_counts()
  local names = {
    support.name("cname-8", "chainttl-1", "ttl-60", "a-1"),
    support.name("cname-8", "chainttl-60", "ttl-1", "a-1"),
    support.name("cname-8", "chainttl-60", "ttl-60", "a-1"),
  }
  local port = support.peer("close"):port()
  local session, log = support.record()
  local function connect()
    for _, name in ipairs(names) do session:connect(name, port) end
  end
  connect()
  support.after(1.3, connect)
  support.run()
  support.all_reached(log, 6)
  local counts = {}
  for i, name in ipairs(names) do counts[i] = server:count(name, "A") end
  lu.assertEquals(counts, { 2, 2, 1 })
end

function cases.N15_aliases_in_a_circle_are_ENODATA()
  support.failed(support.look(support.name("loop", "a-1")), "resolve ENODATA")
end

-- Two servers, of which the first says something else; names of these labels, four at once, as the
-- servers take turns in being asked first. Gives the seconds it took.
local function of_two_servers(...)
  local second = support.server { address = "127.0.0.2", number = 2 }
  support.dns { servers = { "127.0.0.1", "127.0.0.2" } }
  local names = {}
  for i = 1, 4 do names[i] = support.name("a-1", ...) end
  local log, took = support.look(names, { connect_timeout = 30 })
  support.all_reached(log, 4)
  for _, name in ipairs(names) do lu.assertTrue(second:count(name) >= 2, name) end
  return took
end

function cases.N22_the_first_server_is_silent()
  local took = of_two_servers "s1-silent"
  lu.assertTrue(took < 4, took .. " s")
end

function cases.N22_the_first_server_refuses()
  local took = of_two_servers "s1-refused"
  lu.assertTrue(took < 1.9, took)
end

function cases.N22_the_first_server_fails()
  local took = of_two_servers "s1-servfail"
  lu.assertTrue(took < 1.9, took)
end

function cases.N22_the_first_server_is_not_there()
  local second = support.server { address = "127.0.0.2", number = 2 }
  support.dns { servers = { "127.0.0.3", "127.0.0.2" } }
  local names = {}
  for i = 1, 4 do names[i] = support.name "a-1" end
  local log, took = support.look(names, { connect_timeout = 30 })
  support.all_reached(log, 4)
  lu.assertTrue(took < 4, took .. " s")
  lu.assertTrue(second:count() >= 4, second:count() .. " questions")
end

-- FAULTS: answers in any order, twice, and some that come when nobody waits for them any more.
function cases.answers_in_any_order_late_and_twice()
  support.dns { timeout = 0.3, tries = 2 }
  local names = {}
  for i = 1, 300 do names[i] = support.name("a-1", "jitter-500", "twice") end
  for _ = 1, 100 do names[#names + 1] = support.name("nx", "jitter-500", "twice") end
  local port = support.swarm("close"):port()
  local session, log = support.record { short = true }
  local cheaps = {}
  for i, name in ipairs(names) do cheaps[i] = session:connect(name, port) end
  support.after(0.1, function()
    for i = 1, #cheaps, 5 do cheaps[i]:reset() end
  end)
  support.run(30)
  log:check_grammar()
  lu.assertEquals(log:count "disconnected", 400)
  lu.assertTrue(log:count "disconnected shutdown" >= 20)
  lu.assertTrue(tcpmulti.dns().waiting == 0)
end

support.main(cases)
