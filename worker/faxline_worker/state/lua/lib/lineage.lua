-- How far a state goes: the id of the last event that was ever written to it. Trimming does not change it.
local NOWHERE = '0-0'

local function last_event_id()
  local info = redis.pcall('XINFO', 'STREAM', keys.events)
  for i = 1, info.err and 0 or #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] end
  end
  return NOWHERE
end

-- Whether event a came before event b. The digits are compared, because a double does not hold all of them.
local function earlier(a, b)
  local function parts(id)
    local ms, n = string.match(id, '^(%d+)-(%d+)$')
    return string.format('%20s%20s', ms, n)
  end
  return parts(a) < parts(b)
end

-- Whether a record knows of a call: it has the call's mark, answer or doubt, or it was erased. Second: whether it has the
-- answer.
local function knows_call(key, token)
  if redis.call('EXISTS', keys.forgotten .. token) == 1 then return true, true end
  local found = redis.call('HMGET', key, 'permit', 'marked', 'settled', 'doubt:' .. token)
  return found[3] == token or found[4] and true or found[1] == token and found[2] == '1', found[3] == token
end
