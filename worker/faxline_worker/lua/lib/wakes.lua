-- Wake-ups: messages on their way to an actor, each a token with the time it is given up. There are never
-- more than jobs that could be admitted, so a burst of entries makes a handful of messages.
local function grant_wakes(keys, free, most, lease)
  if free <= 0 then return {} end
  local ready = redis.call('ZCARD', keys.ready)
  if ready == 0 then return {} end
  local out = redis.call('ZCARD', keys.wakes)
  local tokens = {}
  for i = 1, math.min(free, ready, 1000) - out do
    if i > most then break end
    tokens[i] = int(now_us) .. '-' .. i
    redis.call('ZADD', keys.wakes, int(now + lease), tokens[i])
  end
  return tokens
end

-- Tells the dispatchers of a timer that is due before they would look.
local function ring(keys, account, at)
  if account.alarm == 0 or at < account.alarm then
    redis.call('XADD', keys.doorbell, 'MAXLEN', 1, '*', 'at', int(at))
  end
end
