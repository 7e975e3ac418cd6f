-- Entries that were set aside, and why.
local WHY, KEY_MISSING = 6, 'key_missing'
-- An entry that is not ours may have more fields than Lua can pass on. Its first fields show that as well.
local DEAD_FIELDS = 50

local function keep_dead(cap, stream, entry, why, content)
  redis.call('XADD', keys.dead, '*', 'stream', stream, 'entry', entry, 'why', why,
    unpack(content, 1, math.min(#content, 2 * DEAD_FIELDS)))
  -- The oldest go beyond the cap, but for what is only missing a key: that is a fax, and none is lost.
  for _ = 1, math.min(5, redis.call('XLEN', keys.dead) - tonumber(cap)) do
    local oldest = redis.call('XRANGE', keys.dead, '-', '+', 'COUNT', 1)[1]
    if oldest[2][WHY] == KEY_MISSING then break end
    redis.call('XDEL', keys.dead, oldest[1])
  end
end
