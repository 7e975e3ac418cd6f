-- Entries that were set aside, and why.
local WHY, KEY_MISSING = 6, 'key_missing'

local function keep_dead(dead, cap, stream, entry, why, content)
  redis.call('XADD', dead, '*', 'stream', stream, 'entry', entry, 'why', why, unpack(content))
  -- The oldest go beyond the cap, but for what is only missing a key: that is a fax, and none is lost.
  for _ = 1, math.min(5, redis.call('XLEN', dead) - tonumber(cap)) do
    local oldest = redis.call('XRANGE', dead, '-', '+', 'COUNT', 1)[1]
    if oldest[2][WHY] == KEY_MISSING then break end
    redis.call('XDEL', dead, oldest[1])
  end
end
