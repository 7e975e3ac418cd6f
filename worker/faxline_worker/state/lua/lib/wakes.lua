-- Wake-ups: messages on their way to an actor, each a token with the time at which it is given up. There are never more
-- than jobs that could be admitted, so a burst of entries makes a handful of messages. Nor are there more than a worker or
-- two can take, because an actor that was woken goes on by itself as long as jobs are ready. moments: when (us) each may be
-- sent. Returns a list of {token, milliseconds from now}.
local function grant_wakes(moments, lease)
  local wakes, scores = {}, {}
  for i, at in ipairs(moments) do
    local wait = math.max(0, math.ceil((at - now_us) / 1000))
    local token = int(TIME_US) .. '-' .. i
    wakes[i] = { token, wait }
    table.insert(scores, int(steady + wait + lease))
    table.insert(scores, token)
  end
  if #scores > 0 then redis.call('ZADD', keys.wakes, unpack(scores)) end
  return wakes
end

-- Wake-ups on their way.
local function woken() return redis.call('ZCOUNT', keys.wakes, '(' .. int(steady), '+inf') end

-- How many ready jobs have no wake-up on its way, and how many wake-ups are on their way.
local function unwoken()
  local ready = redis.call('ZCARD', keys.ready)
  if ready == 0 then return 0, 0 end
  local out = woken()
  return ready - out, out
end

-- What the next job waits for: an answer ('1'), after which `settle` wakes an actor; or only time ('time'), for which
-- wake-ups are planned, so that `settle` need not look for room; or nothing.
local function await_answer(account, waits)
  if account.waits ~= waits then redis.call('HSET', keys.account_state, 'waits', waits) end
  account.waits = waits
end
