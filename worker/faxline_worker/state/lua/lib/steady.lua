-- The account's steady clock: Redis' TIME without its steps. TIME steps where an NTP client sets it, a virtual machine
-- comes back, or a failover brings a server with another clock. So a date is told by `now`, which is TIME, and all that
-- lasts so long by `now_us` (us) and `steady` (ms), which go on alone: the account's hash has the TIME that was seen last
-- and the skew, what is to be added to TIME. A step back shows in TIME; a step forward in what the caller tells, an
-- estimate of the steady clock that it makes by a clock of its own (steady.py). This piece follows the clock wherever that is
-- included; until an account is read both clocks are the same.
local TIME_US, STEP_US = now_us, 1000000
local steady = now

-- seen, skew: as the hash has them. estimate: the caller's own (ms), or nothing. What proves to be a step is noted.
local function keep_steady(seen, skew, estimate)
  seen, skew, estimate = tonumber(seen), tonumber(skew) or 0, (tonumber(estimate) or 0) * 1000
  local at = TIME_US + skew
  if seen and TIME_US < seen or estimate > 0 and at > estimate + STEP_US then
    at = math.max(estimate, seen and seen + skew or 0) -- never back; and without an estimate on from what was seen
    redis.call('HSET', keys.account_state, 'seen', int(TIME_US), 'skew', int(at - TIME_US))
  end
  now_us, steady = at, math.floor(at / 1000)
end

-- For a script that reads nothing else of the account.
local function read_steady(estimate)
  local values = redis.call('HMGET', keys.account_state, 'seen', 'skew')
  keep_steady(values[1], values[2], estimate)
end

-- A dispatcher saw TIME step by so much (ms). The doctor tells of it; and while receipts may come of calls that were made
-- before it, for `memory` ms, their times are given so much more of slack (`stepped`, of all such steps together).
local function note_step(step, memory)
  local noted = redis.call('HMGET', keys.account_state, 'stepped', 'stepped_until')
  local before = (tonumber(noted[2]) or 0) > steady and tonumber(noted[1]) or 0
  redis.call('HSET', keys.account_state, 'step', int(step), 'step_at', int(now), 'stepped', int(before + math.abs(step)), 'stepped_until',
    int(steady + memory))
end

-- A reply that tells the steady clock, so that the caller's next estimate starts from it.
local function reply_at(reply)
  reply.steady = steady
  return cjson.encode(reply)
end
