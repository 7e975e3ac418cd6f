-- How far a state goes: the id of the last event that was ever written to it, which no trimming takes away.
local NOWHERE = '0-0'

local function last_event_id()
  local info = redis.pcall('XINFO', 'STREAM', keys.events)
  for i = 1, info.err and 0 or #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] end
  end
  return NOWHERE
end

-- Whether the event of the id a is before that of b: the digits are compared, for a double does not hold all of them.
local function earlier(a, b)
  local function parts(id)
    local ms, n = string.match(id, '^(%d+)-(%d+)$')
    return string.format('%20s%20s', ms, n)
  end
  return parts(a) < parts(b)
end

-- Whether a record knows of a call: it bears its mark, its answer or its doubt.
local function knows_call(key, token)
  local found = redis.call('HMGET', key, 'permit', 'marked', 'settled', 'doubt:' .. token)
  return found[3] == token or found[4] and true or found[1] == token and found[2] == '1', found[3] == token
end
