-- Entries that were set aside, and why.
local keep_dead
do
  local WHY, KEY_MISSING = 6, 'key_missing'
  -- An entry that is not ours may have more fields than Lua can pass on. Its first fields show that as well.
  local DEAD_FIELDS = 50
  -- So many of the oldest entries are looked at for those that may go.
  local OLDEST = 20

  function keep_dead(cap, stream, entry, why, content)
    local newest = redis.call('XADD', keys.dead, '*', 'stream', stream, 'entry', entry, 'why', why,
      unpack(content, 1, math.min(#content, 2 * DEAD_FIELDS)))
    -- The oldest go beyond the cap, but for what is only missing a key: that is a fax, and none is lost.
    local over, from = math.min(5, redis.call('XLEN', keys.dead) - tonumber(cap)), '-'
    for _ = 1, over > 0 and OLDEST or 0 do
      local oldest = redis.call('XRANGE', keys.dead, from, '+', 'COUNT', 1)[1]
      if oldest[1] == newest then break end
      from = '(' .. oldest[1]
      if oldest[2][WHY] ~= KEY_MISSING then
        redis.call('XDEL', keys.dead, oldest[1])
        over = over - 1
        if over == 0 then break end
      end
    end
  end
end
