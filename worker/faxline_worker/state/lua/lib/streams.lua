-- The streams to which others add: intake, status and orders. Whoever may XADD may give an id of the far future, after
-- which nothing, or little, can be added. Such a stream is put aside under another name and emptied into a new one. The
-- account's hash counts the streams that were put aside (`replaced:NAME`), and those of them that are emptied
-- (`emptied:NAME`).
local AHEAD = 86400000 -- ms; no id of Redis' own is a day ahead of its clock

local function is_ahead(id) return tonumber(string.match(id, '^%d+')) > now + AHEAD end

local function field_of(info, name)
  for i = 1, #info, 2 do
    if info[i] == name then return info[i + 1] end
  end
end

-- The id that is ahead, or nil. The content of an entry is not read, unless it is ahead: an entry may be large.
local function ahead_of(key, group)
  local found = redis.call('XRANGE', key, int(now + AHEAD), '+', 'COUNT', 1)[1]
  if found then return found[1] end
  local id
  if redis.call('XLEN', key) == 0 then -- it may have gone, and its id stays the last
    local info = redis.pcall('XINFO', 'STREAM', key)
    id = not info.err and field_of(info, 'last-generated-id')
  elseif group ~= '' then -- or it was delivered and has gone, and others are still worked on
    local info = redis.pcall('XINFO', 'GROUPS', key)
    for _, each in ipairs(info.err and {} or info) do
      if field_of(each, 'name') == group then id = field_of(each, 'last-delivered-id') end
    end
  end
  return id and is_ahead(id) and id or nil
end

local function aside_of(name)
  local counts = redis.call('HMGET', keys.account_state, 'replaced:' .. name, 'emptied:' .. name)
  return tonumber(counts[1]) or 0, tonumber(counts[2]) or 0
end

-- Whether entries of a stream that was put aside wait to be moved.
local function waits_aside(name)
  local replaced, emptied = aside_of(name)
  return replaced > emptied
end
