-- check_in: a process came to a server that is new to it (another one, or the same after a restart), or saw that the state
-- went back. The account waits for a moment, until every process that was at work has compared what it did with this state
-- (examine). The first process to come stores how far the state goes.
-- include: clock bell lineage
-- ARGV  the server's run id, what the caller knows: nothing (it has just begun), something, or back (it saw that the state
--       went back), how long (ms) the account waits, the steady clock as the caller knows it (ms, or empty)
-- reply JSON {base (the state goes to this event; 0-0: nobody knows), last (the last event now), waits (whether the account
--       waits now), newer (a newer layout is stored: nothing was touched)}
local run, knows, wait = ARGV[1], ARGV[2], tonumber(ARGV[3])
local stored = redis.call('HMGET', keys.account_state, 'run', 'base', 'verify_until', 'layout')
if newer(stored[4]) then return cjson.encode({ newer = true }) end
read_steady(ARGV[4])
local last, base = last_event_id(), stored[2] or NOWHERE
local until_us = tonumber(stored[3]) or 0
if stored[1] ~= run or knows == 'back' then
  -- Where the server has just changed before, events were written since, and the state went no further than then.
  if knows == 'back' or not stored[1] and knows == 'something' then
    base = NOWHERE
  elseif until_us <= now_us or earlier(last, base) then
    base = last
  end
  if stored[1] or knows ~= 'nothing' then until_us = now_us + wait * 1000 end
  redis.call('HSET', keys.account_state, 'run', run, 'base', base, 'verify_until', int(until_us))
  ring()
end
return cjson.encode({ base = base, last = last, waits = until_us > now_us })
