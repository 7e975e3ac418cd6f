-- The account's steady clock: Redis' TIME without its steps. TIME steps when an NTP client sets it, when a virtual machine
-- resumes, or when a failover brings a server with another clock. So dates are compared with `now`, which is TIME, and
-- durations with `now_us` (us) and `steady` (ms). The account's hash has the TIME that was seen last, and the skew, which
-- is added to TIME. A step back shows in TIME itself; a step forward shows in the caller's estimate of the steady clock,
-- which it makes with a clock of its own (steady_clock.py). This piece follows `clock` wherever that is included. Until an
-- account is read both clocks agree.
local TIME_US, steady = now_us, now

local keep_steady
do
  local STEP_US = 1000000 -- so much more than the estimate is a step

  -- seen, skew: as the hash has them. estimate: the caller's (ms), or nothing. A step is stored.
  function keep_steady(seen, skew, estimate)
    seen, skew, estimate = tonumber(seen), tonumber(skew) or 0, (tonumber(estimate) or 0) * 1000
    local at = TIME_US + skew
    if seen and TIME_US < seen or estimate > 0 and at > estimate + STEP_US then
      at = math.max(estimate, seen and seen + skew or 0) -- never back; and without an estimate on from what was seen
      redis.call('HSET', keys.account_state, 'seen', int(TIME_US), 'skew', int(at - TIME_US))
    end
    now_us, steady = at, math.floor(at / 1000)
  end
end

-- For a script that reads nothing else of the account but one more field. Returns that field.
local function read_steady(estimate, more)
  local values = redis.call('HMGET', keys.account_state, 'seen', 'skew', more or 'seen')
  keep_steady(values[1], values[2], estimate)
  return values[3]
end

-- A reply with the steady clock, from which the caller's next estimate starts.
local function reply_at(reply)
  reply.steady = steady
  return cjson.encode(reply)
end
