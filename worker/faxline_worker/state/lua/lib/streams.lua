-- Whether a stream to which others add (intake, status, orders) is near its last id. Whoever may XADD may give an id of the far
-- future, after which nothing, or little, can be added. Such a stream is put aside (streams_aside.lua).
local is_ahead, ahead_of
do
  local AHEAD = 86400000 -- ms; no id of Redis' own is a day ahead of its clock

  function is_ahead(id) return tonumber(string.match(id, '^%d+')) > now + AHEAD end

  local function field_of(info, name)
    for i = 1, #info, 2 do
      if info[i] == name then return info[i + 1] end
    end
  end

  -- The id that is ahead, or nil. The content of an entry is not read, unless it is ahead: an entry may be large.
  function ahead_of(key, group)
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
end
